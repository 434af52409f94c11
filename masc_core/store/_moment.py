"""Which unit of work asks a driver."""

from __future__ import annotations

__all__ = ["Moment"]


class Moment:
    """What a unit of work says to its driver before each read, where the driver wants to know and has a ``moment``.

    Reads of one unit of work between which nothing else has run may be answered as of one moment, since it can hardly have
    been told of anything newer. ``unit`` is who asks, and is taken away by the read. A driver that wraps another passes the
    other's on; where it does not, each read is one by itself.
    """

    __slots__ = ("unit",)

    def __init__(self) -> None:
        self.unit: object | None = None
