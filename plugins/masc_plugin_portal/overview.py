"""masc_portal_status: what an agent's portals hold for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from attrs import define

from masc_core.agents import recorded_status
from masc_core.context import Context
from masc_core.frozen import evolve, frozen
from masc_core.records import AGENTS, PRESENCE, AgentStatus
from masc_core.store.driver import Key
from masc_core.tools import READER, WRITE, tool
from masc_core.values import Bound
from masc_plugin_portal.line import open_portals, portal_tasks, portals
from masc_plugin_portal.records import (
    ClosedReason,
    Portal,
    PortalTask,
    PortalTaskStatus,
    Waiting,
    number_of,
)

__all__ = ["PortalStatus", "masc_portal_status"]

EXCERPT = 100
MOST_TASKS = 400
"""Marked as shown by one call, so that its change fits every store."""
MOST_CHARACTERS = 600_000
"""Of texts in one answer: a store takes 4 MB at once, and a character may take up to six bytes."""

Place = Annotated[str, Bound(pattern="^a2a-[0-9]{6,15}$")]
PerList = Annotated[int, Bound(minimum=1, maximum=100)]


@frozen
class ReceivedTask:
    """A task for the caller."""

    id: str
    status: PortalTaskStatus
    message: str
    created_at: str
    reply_to: str | None = None
    seen_at: str | None = None


@frozen
class SentTask:
    """A task of the caller that is not ended."""

    id: str
    status: PortalTaskStatus
    created_at: str
    excerpt: str


@frozen
class Result:
    """A task of the caller that was answered or canceled."""

    id: str
    status: PortalTaskStatus
    excerpt: str
    """Of the task."""
    created_at: str
    updated_at: str
    result: str | None = None
    """Absent where the task was canceled."""


@frozen
class Counts:
    """How many there are, shown or not."""

    unread: int
    open: int
    sent_open: int
    results: int


@frozen
class PortalView:
    """One portal as one of its agents sees it."""

    peer: str
    peer_status: AgentStatus
    opened_at: str
    unread: list[ReceivedTask]
    open: list[ReceivedTask]
    sent_open: list[SentTask]
    results: list[Result]
    counts: Counts
    closed_reason: ClosedReason | None = None
    """Set where the portal is closed and still has results to show."""


@frozen
class PortalStatus:
    """The caller's portals, the one that was opened first first."""

    status: Literal["open", "no_portal"]
    portals: list[PortalView]
    unread_total: int


@tool(
    effect=WRITE,
    role=READER,
    idempotent=True,
    limit="read",
    examples=({"agent_name": "claude"}, {"agent_name": "claude", "peek": True}),
    keywords=(
        "show request answer reply respond result ask sent portal connect conversation private whisper peer "
        "unanswered what; status check inbox read look unread wait delegate responsive outcome received came news "
        "anything open message pending ready yet incoming outstanding assign link chat partner line send return "
        "finish already side"
    ),
)
async def masc_portal_status(
    ctx: Context, peek: bool = False, limit: PerList = 20, after: Place | None = None
) -> PortalStatus:
    """Read tasks and results from your portals; peek leaves them unread; after goes on where an answer was full."""
    # A result can be all that is left of a portal which its peer has closed.
    left = await portals(ctx).scan("waiting", ctx.agent.lower(), "closed")
    open_ = await open_portals(ctx, ctx.agent)
    looks = await _look(ctx, [*open_, *left], limit, after)
    if not peek and ctx.caller.by is None:
        for look in looks:
            _mark_shown(ctx, look)
    _warn_of_the_rest(ctx, looks, peek)
    statuses = await _peer_statuses(ctx, [look.portal.peer_of(ctx.agent) for look in looks])
    return PortalStatus(
        "open" if open_ else "no_portal",
        [_view(ctx.agent, look, status) for look, status in zip(looks, statuses, strict=True)],
        sum(look.portal.waiting_for(ctx.agent).pending for look in looks),
    )


@define
class _Shown:
    """Tasks to show, and what they are the beginning of."""

    tasks: Sequence[PortalTask] = ()
    rest: Sequence[PortalTask] = ()
    """Left out; at least the first of them, if there is any."""


@define
class _Look:
    """A portal with the tasks to show of it."""

    portal: Portal
    unread: _Shown
    results: _Shown
    running: _Shown
    sent: _Shown


@define
class _Room:
    """What still fits into the answer."""

    tasks: int = MOST_TASKS
    characters: int = MOST_CHARACTERS

    def fitting(self, found: Sequence[PortalTask], limit: int) -> _Shown:
        """The first of ``found`` that fit. The very first one always does, or it could never be read."""
        shown = 0
        for task in found[:limit]:
            size = len(task.message) + len(task.result or "")
            untouched = self.characters == MOST_CHARACTERS
            if self.tasks <= 0 or (size > self.characters and not untouched):
                self.tasks = 0
                break
            self.tasks -= 1
            self.characters -= size
            shown += 1
        return _Shown(found[:shown], found[shown:])


async def _look(ctx: Context, found: Sequence[Portal], limit: int, after: str | None) -> list[_Look]:
    """What to show: first all that is new, then what was shown before, as much as fits. With ``after`` nothing new: a peek
    that goes on must not begin with the same again."""
    me, room = ctx.agent.lower(), _Room()
    looks, seen = [], []
    for portal in found:
        peer, waiting = portal.peer_of(me).lower(), portal.waiting_for(me)
        new, running = await _inbox(ctx, me, peer, waiting, limit, after)
        results = (
            await portal_tasks(ctx).scan("results", me, peer, limit=limit + 1)
            if waiting.results and after is None
            else []
        )
        pending, mine = await _inbox(ctx, peer, me, portal.waiting_for(peer), limit, after)
        sent = sorted([*pending, *mine], key=lambda task: number_of(task.id))
        looks.append(
            _Look(
                portal,
                room.fitting(new if after is None else [], limit),
                room.fitting(results, limit),
                _Shown(),
                _Shown(sent[:limit], sent[limit:]),
            )
        )
        seen.append(running)
    _fit_running(room, looks, seen, limit)
    return looks


def _fit_running(room: _Room, looks: Sequence[_Look], found: Sequence[Sequence[PortalTask]], limit: int) -> None:
    """In the order of sending over all portals, so that one place says how far an answer came."""
    every = sorted((task for running in found for task in running[:limit]), key=lambda task: number_of(task.id))
    shown = {task.id for task in room.fitting(every, len(every)).tasks}
    for look, running in zip(looks, found, strict=True):
        count = sum(task.id in shown for task in running[:limit])
        look.running = _Shown(running[:count], running[count:])


async def _inbox(
    ctx: Context, receiver: str, sender: str, waiting: Waiting, limit: int, after: str | None
) -> tuple[list[PortalTask], list[PortalTask]]:
    """Pending and running tasks in the order of sending, at most one more of each than ``limit``."""
    tasks, low = portal_tasks(ctx), number_of(after) + 1 if after else None
    if low is None and 0 < waiting.pending + waiting.running <= limit:
        both = await tasks.scan("inbox", receiver, sender, limit=2 * limit + 2)
        return [t for t in both if t.status == "pending"], [t for t in both if t.status == "running"]
    more = limit + 1
    pending = await tasks.scan("inbox", receiver, sender, "pending", low=low, limit=more) if waiting.pending else []
    running = await tasks.scan("inbox", receiver, sender, "running", low=low, limit=more) if waiting.running else []
    return pending, running


def _warn_of_the_rest(ctx: Context, looks: Sequence[_Look], peek: bool) -> None:
    """Say what did not fit and how to get it."""
    ways = []
    if any(look.unread.rest or look.results.rest for look in looks):
        ways.append(f"for more unread tasks and results call again{' without peek' if peek else ''}")
    rest = [number_of(shown.rest[0].id) for look in looks for shown in (look.running, look.sent) if shown.rest]
    if rest:
        ways.append(f"for more open and sent tasks call again with after=a2a-{min(rest) - 1:06d}")
    if ways:
        ctx.warn("tasks_left_out", f"not all tasks are shown: {'; '.join(ways)}")


def _mark_shown(ctx: Context, look: _Look) -> None:
    """Shown in the same change as it is read: of two calls at once, one shows a task or result as new."""
    portal = look.portal
    for task in look.unread.tasks:
        seen = portal_tasks(ctx).put(evolve(task, status="running", updated_at=ctx.now, seen_at=ctx.now))
        portal = portal.counting(task, seen)
    for task in look.results.tasks:
        portal = portal.counting(task, portal_tasks(ctx).put(evolve(task, result_seen_at=ctx.now)))
    if portal is not look.portal:
        portals(ctx).put(portal)


def _view(me: str, look: _Look, peer_status: AgentStatus) -> PortalView:
    portal = look.portal
    peer = portal.peer_of(me)
    mine, theirs = portal.waiting_for(me), portal.waiting_for(peer)
    return PortalView(
        peer=peer,
        peer_status=peer_status,
        opened_at=portal.opened_at,
        unread=[_received(task) for task in look.unread.tasks],
        open=[_received(task) for task in look.running.tasks],
        sent_open=[SentTask(t.id, t.status, t.created_at, t.message[:EXCERPT]) for t in look.sent.tasks],
        results=[
            Result(t.id, t.status, t.message[:EXCERPT], t.created_at, t.updated_at, t.result)
            for t in look.results.tasks
        ],
        counts=Counts(mine.pending, mine.running, theirs.pending + theirs.running, mine.results),
        closed_reason=portal.closed_reason,
    )


def _received(task: PortalTask) -> ReceivedTask:
    return ReceivedTask(task.id, task.status, task.message, task.created_at, task.reply_to, task.seen_at)


async def _peer_statuses(ctx: Context, peers: Sequence[str]) -> list[AgentStatus]:
    """The peers' statuses; one that is not known (any more) is inactive."""
    keys = [peer.lower() for peer in peers]
    await ctx.tx.peek([Key(records.name, key) for records in (AGENTS, PRESENCE) for key in keys])
    agents, presences = await ctx.agents.peek(keys), await ctx.presence.peek(keys)
    return [
        "inactive" if agent is None else recorded_status(ctx, agent, presence)
        for agent, presence in zip(agents, presences, strict=True)
    ]
