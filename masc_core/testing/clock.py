"""A clock that moves only when a test says so."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

__all__ = ["ManualClock"]

_TURNS = 20


class ManualClock:
    """A :class:`masc_core.clock.Clock` whose time stands still until :meth:`advance` or :meth:`jump`.

    ``start`` is the wall time in seconds since the epoch; the monotonic time starts at 0.
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._wall = start
        self._monotonic = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()

    def now(self) -> float:
        return self._wall + self._monotonic

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Wait until :meth:`advance` has moved time by ``seconds``; at once when that is 0 or less."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._numbers), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move time on by ``seconds`` (not negative), waking who sleeps in the order in which they are due.

        Whoever wakes runs before time moves on, and may sleep again within the same advance.
        """
        if seconds < 0:
            raise ValueError(f"time does not advance by {seconds} s; jump moves the wall clock back")
        target = self._monotonic + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                self._monotonic = due
                future.set_result(None)
                await self._settle()
        self._monotonic = target
        await self._settle()

    def jump(self, seconds: float) -> None:
        """Set the wall clock by ``seconds`` on or (negative) back, as an administrator would: nobody wakes."""
        self._wall += seconds

    async def _settle(self) -> None:
        # What a woken task starts may need a few turns of the loop before it sleeps again.
        for _ in range(_TURNS):
            await asyncio.sleep(0)
