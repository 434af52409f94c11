"""masc_listen: wait for messages of others without polling."""

from __future__ import annotations

import asyncio
from typing import Annotated

from attrs import evolve, frozen

from masc_core.context import Context
from masc_core.errors import MascError
from masc_core.records import EVENTS, Message
from masc_core.tools import READ, READER, CallerUse, tool
from masc_core.values import Bound, Sequence
from masc_plugin_comm.reading import move_read_position

__all__ = ["Heard", "masc_listen"]

MOST = 20
BATCH = 100
PROGRESS_SECONDS = 15.0
MARK_SECONDS = 60.0
"""How far ahead an agent is marked as listening; after a crash it counts as listening for that long."""
MARK_MARGIN = 5.0
EARLY_SECONDS = 0.5

Timeout = Annotated[int, Bound(minimum=1, maximum=300)]


@frozen
class Heard:
    """What a listener was told."""

    messages: list[Message]
    more: bool
    last_seq: int
    """Last of the room."""
    portal_tasks_waiting: int
    timed_out: bool
    waited_seconds: int


@frozen
class _Look:
    """One look at the room."""

    messages: list[Message]
    more: bool
    position: int
    """Everything up to here was delivered or is nothing for the caller."""
    last_message: int
    last_event: int
    portal_tasks: int

    @property
    def anything(self) -> bool:
        """There is something to tell."""
        return bool(self.messages or self.portal_tasks)


@tool(
    effect=READ,
    role=READER,
    idempotent=False,
    caller=CallerUse.REQUIRED,
    auto_join=True,
    transactional=False,
    examples=({"agent_name": "claude", "timeout": 1},),
)
async def masc_listen(
    ctx: Context, timeout: Timeout = 50, since_seq: Sequence | None = None, include_system: bool = False
) -> Heard:
    """Wait for messages from others; returns at once when some are unread."""
    started = ctx.clock.monotonic()
    start = since_seq if since_seq is not None else await ctx.transact(_read_position)
    look = await _look(ctx, start, include_system)
    if not look.anything:
        look = await _Waiting(ctx, started, timeout, include_system).run(look)
    if look.position > start or look.messages:
        move_read_position(ctx, look.position)
    return Heard(
        messages=look.messages,
        more=look.more,
        last_seq=look.last_message,
        portal_tasks_waiting=look.portal_tasks,
        timed_out=not look.anything,
        waited_seconds=int(ctx.clock.monotonic() - started),
    )


async def _read_position(work: Context) -> int:
    presence = (await work.presence.peek([work.agent.lower()]))[0]
    return presence.read_seq if presence is not None else 0


async def _look(ctx: Context, position: int, include_system: bool) -> _Look:
    """Read what came after ``position``, in a unit of work that writes nothing."""
    me = ctx.agent.lower()

    async def read(work: Context) -> _Look:
        # The ends come first: what is committed after them wakes the wait that follows.
        last_message = (await work.messages.ends())[1]
        last_event = (await work.log(EVENTS).ends())[1]
        found, scanned = await _for_me(work, position, me, include_system)
        waiting = await work.ask("masc_unread", ctx=work, agent=work.agent)
        shown = found[:MOST]
        return _Look(
            messages=shown,
            more=len(found) > MOST,
            position=shown[-1].seq if len(found) > MOST else scanned,
            last_message=max(last_message, scanned if found else 0),
            last_event=last_event,
            portal_tasks=sum(int(part.get("portal_tasks", 0)) for part in waiting),
        )

    return await ctx.transact(read)


async def _for_me(work: Context, position: int, me: str, include_system: bool) -> tuple[list[Message], int]:
    """Messages for ``me`` after ``position``, one more than is delivered at most, and how far the log was read."""
    found: list[Message] = []
    while len(found) <= MOST:
        batch = await work.messages.read(position, BATCH)
        found += [message for message in batch if _concerns(message, me, include_system)]
        position = batch[-1].seq if batch else position
        if len(batch) < BATCH:
            break
    return found, position


def _concerns(message: Message, me: str, include_system: bool) -> bool:
    if message.from_.lower() == me:
        return False
    if message.type != "system" or include_system:
        return True
    named = {name.lower() for mention in message.mentions for name in mention.agents}
    return me in named or (message.to or "").lower() == me


class _Waiting:
    """A wait in progress: keeps the agent alive and the client informed, and holds nothing of the store meanwhile."""

    def __init__(self, ctx: Context, started: float, timeout: int, include_system: bool) -> None:
        self.ctx = ctx
        self.started = started
        self.deadline = started + timeout
        self.timeout = timeout
        self.include_system = include_system
        self.marked: str | None = None
        self.mark_ends = started

    async def run(self, look: _Look) -> _Look:
        """Wait until there is something to tell or the time is over; the last look."""
        try:
            while not look.anything and (left := self.deadline - self.ctx.clock.monotonic()) > 0:
                await self._mark()
                seconds = min(left, PROGRESS_SECONDS)
                due = self.ctx.clock.monotonic() + seconds
                if await self.ctx.wait_for({"messages": look.last_message, "events": look.last_event}, seconds):
                    look = await _look(self.ctx, look.position, self.include_system)
                elif self.ctx.clock.monotonic() < due - EARLY_SECONDS:
                    break  # nothing came and the time is not over: the server stops
                else:
                    await self._progress()
            return look
        finally:
            # Shielded, so that a cancelled call still takes its mark back.
            await asyncio.shield(self._unmark())

    async def _progress(self) -> None:
        if (progress := self.ctx.call.progress) is not None:
            elapsed = self.ctx.clock.monotonic() - self.started
            await progress(elapsed, float(self.timeout), "listening")

    async def _mark(self) -> None:
        """Mark the agent as listening for the next minute, if the mark would not last through the next wait."""
        now = self.ctx.clock.monotonic()
        if self.mark_ends >= min(now + PROGRESS_SECONDS, self.deadline) and self.marked is not None:
            return
        ahead = min(self.deadline - now, MARK_SECONDS)
        self.mark_ends = now + ahead

        async def mark(work: Context) -> None:
            presence = await work.presence.find(work.agent.lower())
            if presence is None:
                return
            # Noted before the commit: a call cancelled in the middle of it may have set the mark.
            self.marked = until = work.after(ahead + MARK_MARGIN)
            alive = max(presence.alive_until or "", until)
            work.presence.put(evolve(presence, last_seen=work.now, listening_until=until, alive_until=alive))

        await self.ctx.transact(mark)

    async def _unmark(self) -> None:
        """Take back this call's own mark, not one that a parallel call of the same agent set later."""
        marked = self.marked
        if marked is None:
            return

        async def unmark(work: Context) -> None:
            presence = await work.presence.find(work.agent.lower())
            if presence is not None and presence.listening_until == marked:
                work.presence.put(evolve(presence, last_seen=work.now, listening_until=None))

        try:
            await self.ctx.transact(unmark)
        except MascError:
            # The mark ends by itself; what the call gives matters more.
            return
