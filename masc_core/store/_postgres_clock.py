"""The database server's clock, read here."""

from __future__ import annotations

import asyncio
import time

from masc_core.clock import steady

__all__ = ["ServerClock"]


class ServerClock:
    """A :class:`masc_core.clock.Clock` that follows the database server's time, as several machines must.

    The distance between that time and a steady clock of this machine is known to half a round trip. It is measured with
    every connection and commit, and set anew when what is known proves wrong, so that time here does not tremble. The
    wall clock of this machine has no part in it: it may be set while leases are running.
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

    def observe(self, server: float, before: float, after: float) -> None:
        """The server's clock showed ``server`` at some moment between ``before`` and ``after`` of :func:`steady`."""
        low, high = server - after, server - before
        if not self._known or not low <= self._offset <= high:
            self._offset = (low + high) / 2
            self._known = True
