"""The task board's rules: who may do what in which state, and what follows."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Sequence, Set
from typing import Any, Literal

from attrs import field

from masc_core import Context
from masc_core.agents import current_task_after
from masc_core.clock import parse_time
from masc_core.frozen import evolve, frozen
from masc_core.records import ARCHIVE, LogLine, Task, TaskNotFound, ended_at
from masc_plugin_core.endings import ENDINGS, Ending
from masc_plugin_core.errors import (
    RoomPaused,
    TaskAlreadyClaimed,
    TaskBlocked,
    TaskInvalidState,
    TaskNotClaimed,
    TaskOwnedByOther,
    TaskReserved,
    VersionConflict,
)

__all__ = [
    "Action",
    "Change",
    "choose_next",
    "ensure_work_may_start",
    "line",
    "on_board",
    "transition",
    "unblocked_by",
    "waiting_on",
]

Action = Literal["claim", "start", "done", "cancel", "release"]
LOG_LINES = 50
DAY_SECONDS = 86_400
_FIRST_PAGE, _PAGE = 3, 50
"""Nearly always one of the first tasks can be had; after that, few reads matter more than short ones."""
_LOOKS = 3
"""Before claim_next believes that there is nothing to do."""
_ALLOWED: dict[str, list[str]] = {
    "todo": ["claim", "cancel"],
    "claimed": ["start", "done", "cancel", "release"],
    "in_progress": ["done", "cancel", "release"],
}
_EVENTS = {
    "claim": "task_claimed",
    "start": "task_started",
    "done": "task_done",
    "cancel": "task_cancelled",
    "release": "task_released",
}


@frozen
class Change:
    """What a transition did."""

    task: Task
    previous_status: str
    changed: bool
    locks_released: list[str] = field(factory=list)


def line(ctx: Context, task: Task, text: str) -> list[LogLine]:
    """The task's log with one more line, newest 50."""
    return [*task.log, LogLine(ctx.now, ctx.actor, text)][-LOG_LINES:]


async def ensure_work_may_start(ctx: Context, task: Task | None) -> None:
    """Raise :class:`RoomPaused`, or what a plugin's ``masc_work_starts`` raises."""
    room = ctx.room
    if room is not None and room.paused and not ctx.caller.admin:
        raise RoomPaused(
            reason=room.pause_reason or "no reason given",
            paused_by=room.paused_by or "-",
            paused_at=room.paused_at or "-",
        )
    await ctx.ask("masc_work_starts", ctx=ctx, agent=ctx.agent, task=task)


async def waiting_on(ctx: Context, task: Task) -> list[str]:
    """The task's unfinished dependencies; archived ones are finished."""
    found = [await ctx.tasks.find(dependency) for dependency in task.depends_on]
    return [t.id for t in found if t is not None and t.status not in {"done", "cancelled"}]


async def transition(
    ctx: Context,
    task_id: str,
    action: Action,
    *,
    expected_version: int | None = None,
    notes: str | None = None,
    reason: str | None = None,
) -> Change:
    """Perform one row of the task state machine, with its event, message and lock releases.

    Raises the errors of the row, :class:`TaskNotFound` and :class:`VersionConflict`.
    """
    task = await on_board(ctx, task_id)
    if expected_version is not None and expected_version != task.version:
        raise VersionConflict(task_id=task_id, expected_version=expected_version, actual_version=task.version)
    if _holds_already(ctx, task, action):
        return Change(task, task.status, changed=False)
    _ensure_possible(ctx, task, action)
    if action in ("claim", "start"):
        await ensure_work_may_start(ctx, task)
    if action == "claim" and (unfinished := await waiting_on(ctx, task)):
        raise TaskBlocked(task_id=task.id, waiting_on=unfinished)
    changed = _moved(ctx, task, action, notes, reason)
    stored = ctx.tasks.put(changed)
    locks = await _consequences(ctx, task, stored, action)
    return Change(stored, task.status, changed=True, locks_released=locks)


async def on_board(ctx: Context, task_id: str) -> Task:
    """The task; an archived one is named as such in the refusal."""
    if (task := await ctx.tasks.find(task_id)) is None:
        archived = (await ctx.collection(ARCHIVE).peek([f"task:{task_id}"]))[0]
        raise TaskNotFound(task_id=task_id, archived=archived is not None)
    return task


def _mine(ctx: Context, name: str | None) -> bool:
    return name is not None and ctx.caller.known and name.lower() == ctx.agent.lower()


def _holds_already(ctx: Context, task: Task, action: Action) -> bool:
    """The action's result already holds for the caller, so a repeat succeeds without a change."""
    match action:
        case "claim":
            return task.status in {"claimed", "in_progress"} and _mine(ctx, task.assignee)
        case "start":
            return task.status == "in_progress" and _mine(ctx, task.assignee)
        case "done":
            return task.status == "done" and _mine(ctx, task.assignee)
        case "cancel":
            return task.status == "cancelled" and _mine(ctx, task.cancelled_by)
        case _:
            return False


def _ensure_possible(ctx: Context, task: Task, action: Action) -> None:
    if task.status in {"done", "cancelled"}:
        raise TaskInvalidState(task_id=task.id, status=task.status, action=action, allowed=[])
    if action == "claim":
        if task.status != "todo":
            raise TaskAlreadyClaimed(task_id=task.id, assignee=task.assignee or "-")
        if task.reserved_for is not None and not _mine(ctx, task.reserved_for):
            raise TaskReserved(task_id=task.id, reserved_for=task.reserved_for)
        return
    if task.status == "todo":
        if action != "cancel":
            raise TaskNotClaimed(task_id=task.id, status=task.status)
        return
    admin = ctx.caller.admin and action != "start"
    if not _mine(ctx, task.assignee) and not admin:
        raise TaskOwnedByOther(task_id=task.id, assignee=task.assignee or "-")
    if action not in _ALLOWED[task.status]:
        raise TaskInvalidState(task_id=task.id, status=task.status, action=action, allowed=_ALLOWED[task.status])


def _moved(ctx: Context, task: Task, action: Action, notes: str | None, reason: str | None) -> Task:
    now, me = ctx.now, ctx.agent
    noted = line(ctx, task, notes) if notes and action != "done" else task.log
    change: dict[str, Any]
    match action:
        case "claim":
            change = {"status": "claimed", "assignee": me, "claimed_at": now, "reserved_for": None, "log": noted}
        case "start":
            change = {"status": "in_progress", "started_at": now, "log": noted}
        case "done":
            change = {"status": "done", "completed_at": now, "notes": notes if notes is not None else task.notes}
        case "cancel":
            change = {"status": "cancelled", "cancelled_by": me, "cancelled_at": now, "reason": reason, "log": noted}
        case "release":
            text = f"released by {me}" + (f": {reason}" if reason else "")
            log = [*noted, LogLine(now, me, text)][-LOG_LINES:]
            change = {"status": "todo", "assignee": None, "claimed_at": None, "started_at": None, "log": log}
    return evolve(task, updated_at=now, **change)


async def _consequences(ctx: Context, before: Task, after: Task, action: Action) -> list[str]:
    """Event, message, the assignee's current task, dependents' log lines; the locks released."""
    if ended := ended_at(after):
        ctx.log(ENDINGS).append(Ending(after.id, ended, after.assignee or ""))
    ctx.event(_EVENTS[action], after.id, previous=before.status, status=after.status, assignee=after.assignee or "")
    if action == "claim":
        ctx.system_message(f"{after.id} claimed by {ctx.agent}: {after.title}")
    if action in ("claim", "start"):
        agent = await ctx.agents.find(ctx.agent.lower())
        if agent is not None and agent.current_task != after.id:
            ctx.agents.put(evolve(agent, current_task=after.id))
        return []
    holder, concerned = before.assignee, before.assignee or before.reserved_for
    other = None if _mine(ctx, concerned) else concerned
    ctx.system_message(f"{after.id} {after.status} by {ctx.agent}: {after.title}", to=other)
    if holder is not None:
        await current_task_after(ctx, holder, after.id)
    if action == "cancel":
        await _tell_dependents(ctx, after)
    parts = await ctx.ask("masc_task_ended", ctx=ctx, task=after)
    return [path for part in parts for path in part.get("locks_released", ())]


async def _tell_dependents(ctx: Context, cancelled: Task) -> None:
    for dependent in await ctx.tasks.scan("waits_on", cancelled.id):
        text = f"dependency {cancelled.id} was cancelled"
        ctx.tasks.put(evolve(dependent, log=line(ctx, dependent, text), updated_at=ctx.now))


async def unblocked_by(ctx: Context, finished: Task) -> list[str]:
    """The todo tasks that waited on ``finished`` alone."""
    dependents = await ctx.tasks.scan("waits_on", finished.id)
    return sorted([t.id for t in dependents if not await waiting_on(ctx, t)])


@frozen
class Skipped:
    """How many tasks were passed over on the way to the chosen one."""

    blocked: int = 0
    reserved: int = 0
    capability: int = 0
    excluded: int = 0


async def choose_next(
    ctx: Context, own: Sequence[str], exclude: Sequence[str], needed: str | None
) -> tuple[Task | None, Skipped]:
    """The todo task to do next: lowest effective priority (one less for each whole day of age, at least 1), then oldest,
    then lowest id, among those the caller can claim. ``own`` are the caller's capabilities."""
    mine = {capability.casefold() for capability in own}
    for _ in range(_LOOKS):
        chosen, skipped, looked_at = await _first_fitting(ctx, mine, exclude, needed)
        # The priorities were read one after the other: a task whose priority changed meanwhile may have been in none.
        if chosen is not None or looked_at == (await ctx.tasks.count("status")).get("todo", 0):
            break
    return chosen, skipped


async def _first_fitting(
    ctx: Context, mine: Set[str], exclude: Sequence[str], needed: str | None
) -> tuple[Task | None, Skipped, int]:
    """The first task that can be had, what was passed over, and how many were looked at."""
    skipped = {"blocked": 0, "reserved": 0, "capability": 0, "excluded": 0}
    async for task in _by_urgency(ctx):
        wants = {capability.casefold() for capability in task.capabilities}
        if task.id in exclude:
            skipped["excluded"] += 1
        elif task.reserved_for is not None and not _mine(ctx, task.reserved_for):
            skipped["reserved"] += 1
        elif not wants <= mine or (needed is not None and needed.casefold() not in wants):
            skipped["capability"] += 1
        elif await waiting_on(ctx, task):
            skipped["blocked"] += 1
        else:
            return task, Skipped(**skipped), sum(skipped.values()) + 1
    return None, Skipped(**skipped), sum(skipped.values())


async def _by_urgency(ctx: Context) -> AsyncIterator[Task]:
    """Todo tasks, most urgent first, read a page at a time: inside one priority the oldest is always the most urgent."""
    now = parse_time(ctx.now)
    waiting: list[tuple[int, str, str, int, Task]] = []
    pages = {p: _of_priority(ctx, p) for p in range(1, 6)}

    async def advance(priority: int) -> None:
        task = await anext(pages[priority], None)
        if task is not None:
            days = int((now - parse_time(task.created_at)) // DAY_SECONDS)
            effective = max(1, priority - max(0, days))
            heapq.heappush(waiting, (effective, task.created_at, task.id, priority, task))

    for priority in pages:
        await advance(priority)
    while waiting:
        *_, priority, task = heapq.heappop(waiting)
        yield task
        await advance(priority)


async def _of_priority(ctx: Context, priority: int) -> AsyncIterator[Task]:
    after: Task | None = None
    size = _FIRST_PAGE
    while True:
        page = await ctx.tasks.scan("status", "todo", priority, after=after, limit=size)
        for task in page:
            yield task
        if len(page) < size:
            return
        after, size = page[-1], _PAGE
