"""Where those who keep losing a race wait, so that they try again one after another and not against each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from masc_core.errors import StorageBusy

__all__ = ["TURN_SECONDS", "Line", "ProcessLine"]

TURN_SECONDS = 2.0
"""How long somebody who was killed or stopped in their turn holds up the others."""


class Line(Protocol):
    """A line across all processes that have the room open.

    It only saves work: nothing may rely on being alone in its turn. Where it cannot be reached, everybody passes.
    """

    def turn(self, within: float) -> AbstractAsyncContextManager[None]:
        """Wait, in order of arrival, until it is the caller's turn; the end of the context gives it up.

        Raises :class:`StorageBusy` when it has not come ``within`` that many seconds.
        """
        ...


class ProcessLine:
    """The line inside one process."""

    def __init__(self) -> None:
        self.commits = 0
        """How many units of work this process has committed; tells whether a race was lost to one of them."""
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def turn(self, within: float) -> AsyncIterator[None]:
        """As :meth:`Line.turn`."""
        try:
            async with asyncio.timeout(within):
                await self._lock.acquire()
        except TimeoutError:
            raise StorageBusy() from None
        try:
            yield
        finally:
            self._lock.release()
