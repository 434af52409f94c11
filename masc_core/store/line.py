"""Where those who keep losing a race wait, so that they try again one after another and not against each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Protocol

from attrs import Factory, define

from masc_core.errors import StorageBusy

__all__ = ["TURN_SECONDS", "Line", "Lines", "ProcessLine"]

TURN_SECONDS = 2.0
"""How long somebody who was killed or stopped in their turn holds up the others."""
_SINGLY = 20
"""So many in a row who met nobody in a line, and it is forgotten."""


class Line(Protocol):
    """A line across all processes that have the room open.

    It only saves work: nothing may rely on being alone in its turn. Where it cannot be reached, everybody passes.
    """

    def turn(self, within: float) -> AbstractAsyncContextManager[None]:
        """Wait, in order of arrival, until it is the caller's turn; the end of the context gives it up.

        Raises :class:`StorageBusy` when it has not come ``within`` that many seconds.
        """
        ...


@define
class _Kind:
    """The line of one kind of work."""

    lock: asyncio.Lock = Factory(asyncio.Lock)
    present: int = 0
    ended: int = 0
    singly: int = 0
    """How many came and went since two have met."""


class ProcessLine:
    """The line inside one process; in truth one for each *kind* of work, since other kinds are seldom in each other's way.

    Whoever waits names the kind. One that has lost a race is known until its work has come singly for a while.
    """

    def __init__(self) -> None:
        self.commits = 0
        """How many units of work this process has committed; tells whether a race was lost to one of them."""
        self._kinds: dict[str, _Kind] = {}

    def known(self, kind: str) -> bool:
        """Work of this kind has lost a race lately: whoever begins without a turn is likely to work in vain."""
        return kind in self._kinds

    def present(self, kind: str) -> int:
        """How many wait, the one whose turn it is included."""
        return self._kinds[kind].present if kind in self._kinds else 0

    def ended(self, kind: str) -> int:
        """How many turns are over. Where it grows, the line is long; where not, somebody holds it up."""
        return self._kinds[kind].ended if kind in self._kinds else 0

    @asynccontextmanager
    async def turn(self, within: float, kind: str = "") -> AsyncIterator[None]:
        """As :meth:`Line.turn`."""
        with self._present(kind) as here:
            try:
                async with asyncio.timeout(within):
                    await here.lock.acquire()
            except TimeoutError:
                raise StorageBusy() from None
            try:
                yield
            finally:
                here.ended += 1
                here.lock.release()

    @contextmanager
    def _present(self, kind: str) -> Iterator[_Kind]:
        here = self._kinds.setdefault(kind, _Kind())
        here.present += 1
        alone = here.present == 1
        try:
            yield here
        finally:
            here.singly = here.singly + 1 if alone and here.present == 1 else 0
            here.present -= 1
            if here.singly >= _SINGLY and not here.present:
                del self._kinds[kind]


class Lines:
    """Where one unit of work waits: in its process's line ``here``, and in the line of all."""

    def __init__(self, here: ProcessLine | None, everywhere: Line | None, kind: str) -> None:
        self.entered = False
        """It has waited, and is to :meth:`leave` when it is through."""
        self._turns: AsyncExitStack | None = None
        self._here = here
        self._kind = kind
        self._before = 0
        self._everywhere = everywhere
        self._in_line = False

    @property
    def better_wait(self) -> bool:
        """Others who do the same have lost lately."""
        return self._here is not None and bool(self._kind) and self._here.known(self._kind)

    async def wait_first(self, end: float) -> bool:
        """Wait for one's turn before the first attempt; false when it came at once.

        Raises :class:`StorageBusy` when too many were before. Behind somebody who is stuck it goes on without a turn.
        """
        here, kind = self._here, self._kind
        assert here is not None
        before, ended = here.present(kind), here.ended(kind)
        try:
            await self._enter(here, end)
        except StorageBusy:
            if here.ended(kind) > ended:
                raise
        return before > 0

    async def _enter(self, here: ProcessLine, end: float) -> None:
        self._in_line = True
        await self._take(here.turn(_left(end), self._kind))

    async def _take(self, turn: AbstractAsyncContextManager[None]) -> None:
        if self._turns is None:
            self.entered, self._turns = True, AsyncExitStack()
        await self._turns.enter_async_context(turn)

    async def leave(self) -> None:
        """Give up one's turns."""
        if self._turns is not None:
            await self._turns.aclose()

    def begin(self) -> None:
        """An attempt begins."""
        self._before = self._here.commits if self._here is not None else 0

    def count(self) -> None:
        """An attempt was successful."""
        if self._here is not None:
            self._here.commits += 1

    async def wait(self, end: float) -> bool:
        """Wait for one's turn after a conflict; false when there is no line left to wait in. Raises :class:`StorageBusy`."""
        lost_again = self._in_line
        # Only commits of this process can be those of somebody in its own line.
        elsewhere = self._here is None or self._here.commits == self._before
        waited = False
        if self._here is not None and not self._in_line:
            waited = True
            await self._enter(self._here, end)
        if self._everywhere is not None and (elsewhere or lost_again):
            line, self._everywhere = self._everywhere, None
            await self._take(line.turn(_left(end)))
            waited = True
        return waited


def _left(end: float) -> float:
    return max(0.001, end - asyncio.get_running_loop().time())
