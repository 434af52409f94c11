"""Blocking calls: wait until something is there, alive in the eyes of the others, holding nothing of the store."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from masc_core.context import Context
from masc_core.errors import MascError, StorageUnavailable
from masc_core.frozen import evolve

__all__ = ["PROGRESS_SECONDS", "Waiting"]

PROGRESS_SECONDS = 15.0
MARK_SECONDS = 60.0
"""How far ahead an agent is marked as alive; after a crash it counts as alive for that long."""
MARK_MARGIN = 5.0
EARLY_SECONDS = 0.5

L = TypeVar("L")


class Waiting(Generic[L]):
    """A wait in progress. ``L`` is what one look at the room gives.

    ``look(previous)`` looks again, ``done(look)`` says whether that is enough, ``seen(look)`` names how far each log had grown
    before the look; the wait ends early, with the last look, when the server stops. ``saying`` is the progress text.
    ``listening`` shows the agent as listening meanwhile. Cancelling the wait leaves no mark.
    """

    def __init__(
        self,
        ctx: Context,
        look: Callable[[L], Awaitable[L]],
        done: Callable[[L], bool],
        seen: Callable[[L], Mapping[str, int]],
        *,
        started: float,
        seconds: int,
        saying: str,
        listening: bool = False,
    ) -> None:
        self._ctx = ctx
        self._look = look
        self._done = done
        self._seen = seen
        self._started = started
        self._seconds = seconds
        self._deadline = started + seconds
        self._saying = saying
        self._listening = listening
        self._id = secrets.token_hex(4)
        self._marked = False
        self._mark_ends = started

    async def run(self, look: L) -> L:
        """Wait until a look is enough or the time is over; the last look."""
        clock = self._ctx.clock
        try:
            while not self._done(look) and clock.monotonic() < self._deadline:
                await self._mark()
                # Looked at after the mark: a slow store makes nobody wait beyond the time that was asked for.
                seconds = max(0.0, min(self._deadline - clock.monotonic(), PROGRESS_SECONDS))
                due = clock.monotonic() + seconds
                grown = await self._ctx.wait_for(self._seen(look), seconds)
                if not grown and clock.monotonic() < due - EARLY_SECONDS:
                    break  # nothing came and the time is not over: the server stops
                look = await self._look(look)
                if not grown and not self._done(look):
                    await self._progress()
            return look
        finally:
            # Shielded, so that a cancelled call still takes its mark back.
            await asyncio.shield(self._unmark())

    async def _progress(self) -> None:
        if (progress := self._ctx.call.progress) is not None:
            elapsed = self._ctx.clock.monotonic() - self._started
            await progress(elapsed, float(self._seconds), self._saying)

    async def _mark(self) -> None:
        """Mark the agent as alive for the next minute, if the mark would not last through the next wait."""
        now = self._ctx.clock.monotonic()
        if self._mark_ends >= min(now + PROGRESS_SECONDS, self._deadline) and self._marked:
            return
        ahead = min(self._deadline - now, MARK_SECONDS)
        self._mark_ends = now + ahead

        async def mark(work: Context) -> None:
            presence = await work.presence.find(work.agent.lower())
            if presence is None:
                return
            # Noted before the commit: a call cancelled in the middle of it may have set the mark.
            self._marked, until = True, work.after(ahead + MARK_MARGIN)
            alive = max(presence.alive_until or "", until)
            marks = {wait: end for wait, end in presence.listening.items() if end > work.now}
            if self._listening:
                marks[self._id] = until
            work.presence.put(evolve(presence, last_seen=work.now, alive_until=alive, listening=marks))

        try:
            await self._ctx.transact(mark)
        except StorageUnavailable:
            self._marked = False  # a full disk takes no mark, and messages can still come

    async def _unmark(self) -> None:
        """Take back this call's own mark; a parallel call of the same agent has another."""
        if not self._marked or not self._listening:
            return

        async def unmark(work: Context) -> None:
            presence = await work.presence.find(work.agent.lower())
            if presence is not None and self._id in presence.listening:
                rest = {wait: end for wait, end in presence.listening.items() if wait != self._id}
                work.presence.put(evolve(presence, last_seen=work.now, listening=rest))

        try:
            await self._ctx.transact(unmark)
        except MascError:
            # The mark ends by itself; what the call gives matters more.
            return
