"""The database server's clock, read here."""

from __future__ import annotations

import asyncio
import time

__all__ = ["ServerClock"]


class ServerClock:
    """A :class:`masc_core.clock.Clock` that follows the database server's time, as several machines must.

    The distance between the two clocks is known to half a round trip. It is measured with every connection and commit,
    and set anew when what is known proves wrong, so that time here does not tremble.
    """

    def __init__(self) -> None:
        self._offset = 0.0
        self._known = False

    def now(self) -> float:
        return time.time() + self._offset

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def observe(self, server: float, before: float, after: float) -> None:
        """The server's clock showed ``server`` at some moment between ``before`` and ``after`` of this machine's."""
        low, high = server - after, server - before
        if not self._known or not low <= self._offset <= high:
            self._offset = (low + high) / 2
            self._known = True
