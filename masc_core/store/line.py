"""Where those who keep losing a race wait, so that they try again one after another and not against each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Protocol

from attrs import Factory, define

from masc_core.errors import StorageBusy

__all__ = ["TURN_SECONDS", "Line", "ProcessLine"]

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
