"""masc_status: the room at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import orjson
from attrs import field

from masc_core import READ, READER, CallerUse, Context, tool
from masc_core.agents import agents_with_status
from masc_core.convert import unstructure
from masc_core.frozen import frozen
from masc_core.records import UNFINISHED, Task
from masc_plugin_core.board import DAY_SECONDS
from masc_plugin_core.endings import counted_since, newest_since

__all__ = ["masc_status"]

SHOWN = 20
"""Most items of a list, however short they are."""
TITLE = 60
REASON = 120
"""Characters of a text that are shown."""
SENDERS = 5
AGENT_BYTES, LOCK_BYTES, LIST_BYTES = 450, 180, 1_080
"""What agents, locks and all lists together may take as JSON, so that the whole of a busy room stays within 600 tokens; what
agents and locks leave is the tasks'."""
L = TypeVar("L")


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
    """How many of each are not shown, and which calls show them."""

    agents: int
    tasks: int
    locks: int | None = None
    senders: int | None = None
    ask: list[str] | None = None


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


@tool(
    effect=READ,
    role=READER,
    caller=CallerUse.OPTIONAL,
    needs_room=False,
    keywords=(
        "overview state room going now agent task unread mentions wait anything paused stand right report snapshot "
        "attention; situation whole happening current moment look project lock catch backend cluster storage pulse "
        "health check digest brief play who new quick news suspended halted run things here everyone left message "
        "everything important today busy short"
    ),
)
async def masc_status(ctx: Context) -> Status:
    """Show agents, tasks, locks and what waits for you."""
    mode = ctx.call.active.selection.mode
    if ctx.room is None:
        return Status(initialised=False, path=str(ctx.base), mode=mode)
    rows = await agents_with_status(ctx)
    agents = _fitting([AgentLine(a.name, st, st == "zombie", a.current_task) for a, _, st in rows[:SHOWN]], AGENT_BYTES)
    parts: dict[str, Any] = {"interrupts_open": 0, "votes_pending": 0}
    for part in await ctx.ask("masc_status", ctx=ctx):
        parts.update(part)
    held = parts.pop("locks", {"active": 0, "files": []})
    files = [LockLine(**line) for line in held["files"]]
    counts = await ctx.tasks.count("status")
    found, total = await _shown_tasks(ctx, counts)
    lines = [TaskLine(t.id, cut(t.title, TITLE), t.status, t.priority, t.assignee) for t in found]
    left = LIST_BYTES - _size(agents)
    tasks = _fitting(lines, left - min(_size(files), LOCK_BYTES))
    locks = LockSummary(held["active"], _fitting(files, left - _size(tasks)))
    _, last = await ctx.messages.ends()
    senders = await ctx.messages.count("from")
    loudest = dict(sorted(senders.items(), key=lambda item: (-item[1], item[0]))[:SENDERS])
    known = ctx.caller.known and (await ctx.agents.peek([ctx.caller.name.lower()]))[0] is not None
    return Status(
        initialised=True,
        path=str(ctx.base),
        mode=mode,
        cluster=ctx.room.cluster,
        room=ctx.room.id,
        backend=ctx.backend,
        paused=ctx.room.paused,
        pause_reason=cut(ctx.room.pause_reason, REASON) if ctx.room.pause_reason else None,
        agents=agents,
        agents_total=len(rows),
        tasks=tasks,
        tasks_by_status=counts,
        messages=MessageCounts(sum(senders.values()), last, loudest),
        locks=locks,
        caller=ctx.caller.name if ctx.caller.known else None,
        unread=await _unread(ctx) if known else None,
        more=_more(
            ctx,
            len(rows) - len(agents),
            total - len(tasks),
            locks.active - len(locks.files),
            len(senders) - len(loudest),
        ),
        **parts,
    )


def cut(text: str, most: int) -> str:
    """A text, or its beginning."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _size(lines: Sequence[Any]) -> int:
    return sum(len(orjson.dumps(unstructure(line))) + 1 for line in lines)


def _fitting(lines: list[L], most: int) -> list[L]:
    """The first of the lines that take no more than so many bytes."""
    for n, line in enumerate(lines):
        most -= _size([line])
        if most < 0:
            return lines[:n]
    return lines


def _more(ctx: Context, agents: int, tasks: int, locks: int, senders: int) -> More:
    """What was left out, and how to ask for it in the present mode."""
    enabled = ctx.call.active.categories or ctx.modes.installed
    ask = []
    if agents:
        ask += [name for name, category in (("masc_agents", "health"), ("masc_who", "comm")) if category in enabled][:1]
    if tasks:
        ask.append("masc_tasks limit=200")
    return More(agents, tasks, locks or None, senders or None, ask or None)


async def _shown_tasks(ctx: Context, counts: dict[str, int]) -> tuple[list[Task], int]:
    """The tasks to show first, and how many there are to show."""
    shown: list[Task] = []
    for status in UNFINISHED:
        if counts.get(status) and len(shown) < SHOWN:
            shown += await ctx.tasks.scan("status", status, limit=SHOWN - len(shown))
    since = ctx.after(-DAY_SECONDS)
    ended = sum((await counted_since(ctx, since)).values())
    total = sum(counts.get(s, 0) for s in UNFINISHED) + ended
    if ended and len(shown) < SHOWN:
        shown += await newest_since(ctx, since, SHOWN - len(shown))
    return shown, max(total, len(shown))


async def _unread(ctx: Context) -> Unread:
    name = ctx.caller.name.lower()
    presence = (await ctx.presence.peek([name]))[0]
    read = presence.read_seq if presence else 0
    mentions = await ctx.messages.count_after("mentions", name, read)
    portal = sum(int(p.get("portal_tasks", 0)) for p in await ctx.ask("masc_unread", ctx=ctx, agent=ctx.caller.name))
    return Unread(mentions, portal)
