"""The clock of the Redis server, as this process knows it."""

from __future__ import annotations

import asyncio
import time

from masc_core.clock import steady

__all__ = ["ServerClock"]

_JITTER = 0.005


class ServerClock:
    """A :class:`masc_core.clock.Clock` that follows the server's time by the difference seen in its answers.

    The difference is one to a steady clock of this machine: its wall clock may be set while leases are running.
    """

    def __init__(self) -> None:
        self._offset = time.time() - steady()
        self._known = False

    def now(self) -> float:
        return steady() + self._offset

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def seen(self, server: float, asked: float, answered: float) -> None:
        """The server said ``server`` between the times ``asked`` and ``answered`` of :func:`steady`.

        Only a difference that the way there and back cannot explain is taken over: time should not tremble.
        """
        offset = server - (asked + answered) / 2
        if not self._known or abs(offset - self._offset) > (answered - asked) / 2 + _JITTER:
            self._offset = offset
            self._known = True
