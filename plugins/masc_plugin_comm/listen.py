"""masc_listen: wait for messages of others without polling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from masc_core.context import Context
from masc_core.frozen import frozen
from masc_core.records import EVENTS, Message
from masc_core.tools import READ, READER, CallerUse, tool
from masc_core.values import Bound, Sequence
from masc_core.waiting import Waiting
from masc_plugin_comm.handing import after_earlier_answers
from masc_plugin_comm.reading import move_read_position

__all__ = ["Heard", "masc_listen"]

MOST = 20
BATCH = 100

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

    @property
    def seen(self) -> Mapping[str, int]:
        """How far the logs had grown."""
        return {"messages": self.last_message, "events": self.last_event}


@tool(
    effect=READ,
    role=READER,
    idempotent=False,
    caller=CallerUse.REQUIRED,
    auto_join=True,
    transactional=False,
    examples=({"agent_name": "claude", "timeout": 1},),
    keywords=(
        "wait blocked answer reply incoming new message arrived subscribe somebody write notify event poll news; "
        "mention respond watch stay say something return timeout seconds minutes received notification alert hear "
        "anything pending until comes standby idle around keep listening tail stream silence tell soon sit stand "
        "instructions question talks speaks next longpoll awake ping"
    ),
)
async def masc_listen(
    ctx: Context, timeout: Timeout = 50, since_seq: Sequence | None = None, include_system: bool = False
) -> Heard:
    """Wait for messages from others; returns at once when some are unread."""
    started = ctx.clock.monotonic()
    await after_earlier_answers(ctx)
    start = since_seq if since_seq is not None else await ctx.transact(_read_position)
    look = await _look(ctx, start, include_system)
    if not look.anything:
        look = await _wait(ctx, look, started, timeout, include_system)
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


async def _wait(ctx: Context, first: _Look, started: float, timeout: int, include_system: bool) -> _Look:
    waiting: Waiting[_Look] = Waiting(
        ctx,
        lambda last: _look(ctx, last.position, include_system),
        lambda look: look.anything,
        lambda look: look.seen,
        started=started,
        seconds=timeout,
        saying="listening",
        listening=True,
    )
    return await waiting.run(first)


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
