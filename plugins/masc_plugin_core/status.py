"""masc_status: the room at a glance."""

from __future__ import annotations

from typing import Any

from attrs import field

from masc_core import READ, READER, CallerUse, Context, tool
from masc_core.agents import agents_with_status
from masc_core.frozen import frozen
from masc_core.records import UNFINISHED, Task
from masc_plugin_core.board import DAY_SECONDS
from masc_plugin_core.endings import first_since, newest_since

__all__ = ["masc_status"]

SHOWN = 20


@frozen
class AgentLine:
    """One agent."""

    name: str
    status: str
    is_zombie: bool
    current_task: str | None = None


@frozen
class TaskLine:
    """One task."""

    id: str
    title: str
    status: str
    priority: int
    assignee: str | None = None


@frozen
class MessageCounts:
    """The room's messages in numbers."""

    total: int
    last_seq: int
    by_sender: dict[str, int]


@frozen
class LockLine:
    """One held lock; ``expires_soon`` within 300 s."""

    file_path: str
    locked_by: str
    expires_at: str
    expires_soon: bool


@frozen
class LockSummary:
    """The room's locks."""

    active: int = 0
    files: list[LockLine] = field(factory=list)


@frozen
class Unread:
    """What waits for the caller."""

    mentions: int
    portal_tasks: int


@frozen
class More:
    """How many agents and tasks are not shown."""

    agents: int
    tasks: int


@frozen
class Status:
    """Result of masc_status; only the first fields without a room."""

    initialised: bool
    path: str
    mode: str
    cluster: str | None = None
    room: str | None = None
    backend: str | None = None
    paused: bool | None = None
    pause_reason: str | None = None
    agents: list[AgentLine] | None = None
    agents_total: int | None = None
    tasks: list[TaskLine] | None = None
    tasks_by_status: dict[str, int] | None = None
    messages: MessageCounts | None = None
    locks: LockSummary | None = None
    interrupts_open: int | None = None
    votes_pending: int | None = None
    caller: str | None = None
    unread: Unread | None = None
    more: More | None = None


@tool(effect=READ, role=READER, caller=CallerUse.OPTIONAL, needs_room=False)
async def masc_status(ctx: Context) -> Status:
    """Show agents, tasks, locks and what waits for you."""
    mode = ctx.call.active.selection.mode
    if ctx.room is None:
        return Status(initialised=False, path=str(ctx.base), mode=mode)
    rows = await agents_with_status(ctx)
    counts = await ctx.tasks.count("status")
    tasks, more_tasks = await _shown_tasks(ctx, counts)
    _, last = await ctx.messages.ends()
    senders = await ctx.messages.count("from")
    parts: dict[str, Any] = {"interrupts_open": 0, "votes_pending": 0}
    for part in await ctx.ask("masc_status", ctx=ctx):
        parts.update(part)
    known = ctx.caller.known and (await ctx.agents.peek([ctx.caller.name.lower()]))[0] is not None
    return Status(
        initialised=True,
        path=str(ctx.base),
        mode=mode,
        cluster=ctx.room.cluster,
        room=ctx.room.id,
        backend=ctx.backend,
        paused=ctx.room.paused,
        pause_reason=ctx.room.pause_reason,
        agents=[AgentLine(a.name, status, status == "zombie", a.current_task) for a, _, status in rows[:SHOWN]],
        agents_total=len(rows),
        tasks=[TaskLine(t.id, t.title, t.status, t.priority, t.assignee) for t in tasks],
        tasks_by_status=counts,
        messages=MessageCounts(sum(senders.values()), last, senders),
        locks=_locks(parts.pop("locks", None)),
        caller=ctx.caller.name if ctx.caller.known else None,
        unread=await _unread(ctx) if known else None,
        more=More(max(0, len(rows) - SHOWN), more_tasks),
        **parts,
    )


async def _shown_tasks(ctx: Context, counts: dict[str, int]) -> tuple[list[Task], int]:
    shown: list[Task] = []
    for status in UNFINISHED:
        if counts.get(status) and len(shown) < SHOWN:
            shown += await ctx.tasks.scan("status", status, limit=SHOWN - len(shown))
    since = ctx.after(-DAY_SECONDS)
    _, ended = await first_since(ctx, since)
    total = sum(counts.get(s, 0) for s in UNFINISHED) + ended
    if ended and len(shown) < SHOWN:
        shown += await newest_since(ctx, since, SHOWN - len(shown))
    return shown, max(0, total - len(shown))


def _locks(part: Any) -> LockSummary:
    if part is None:
        return LockSummary()
    return LockSummary(part["active"], [LockLine(**line) for line in part["files"]])


async def _unread(ctx: Context) -> Unread:
    name = ctx.caller.name.lower()
    presence = (await ctx.presence.peek([name]))[0]
    read = presence.read_seq if presence else 0
    mentions = await ctx.messages.count_after("mentions", name, read)
    portal = sum(int(p.get("portal_tasks", 0)) for p in await ctx.ask("masc_unread", ctx=ctx, agent=ctx.caller.name))
    return Unread(mentions, portal)
