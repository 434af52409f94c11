"""The board's tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Annotated, Literal

from masc_core import READ, READER, WORKER, WRITE, AgentName, Bound, CallerUse, Context, Parsed, TaskId, Title, tool
from masc_core.agents import find_agent, name_meant, unfinished_tasks
from masc_core.errors import AgentNotFound, BudgetExceeded, InvalidFilePath, InvalidTaskId
from masc_core.frozen import evolve, frozen
from masc_core.records import ARCHIVE, FINISHED, UNFINISHED, Task, TaskNotFound, TaskStatus, TaskSummary, held_by
from masc_core.values import (
    Capabilities,
    Capability,
    Comment,
    Description,
    Limit,
    Offset,
    Priority,
    Verbatim,
    VersionNumber,
    file_path,
)
from masc_core.values import (
    task_id as parse_task_id,
)
from masc_plugin_core.board import (
    DAY_SECONDS,
    Action,
    Skipped,
    choose_next,
    ensure_work_may_start,
    on_board,
    transition,
    unblocked_by,
)
from masc_plugin_core.endings import ended_of, ended_since
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
    "masc_add_task",
    "masc_claim",
    "masc_claim_next",
    "masc_done",
    "masc_tasks",
    "masc_transition",
    "masc_update_priority",
]


def _paths(field_name: str, value: list[str]) -> list[str]:
    return list(dict.fromkeys(file_path(f"{field_name}.{i}", path) for i, path in enumerate(value)))


def _task_ids(field_name: str, value: list[str]) -> list[str]:
    return list(dict.fromkeys(parse_task_id(f"{field_name}.{i}", item) for i, item in enumerate(value)))


Paths = Annotated[list[str], Parsed(_paths, raises=InvalidFilePath), Verbatim()]
Dependencies = Annotated[list[str], Bound(maxItems=50), Parsed(_task_ids, raises=InvalidTaskId), Verbatim()]
TaskIds = Annotated[list[str], Parsed(_task_ids, raises=InvalidTaskId), Verbatim()]
Status = Literal["recent", "open", "all", "todo", "claimed", "in_progress", "done", "cancelled"]
_GROUPS: Mapping[str, tuple[TaskStatus, ...]] = {
    "all": (*UNFINISHED, *FINISHED),
    "open": UNFINISHED,
    "recent": UNFINISHED,
}


@frozen
class Added:
    """Result of masc_add_task."""

    task: Task


@tool(
    effect=WRITE,
    role=WORKER,
    limit="task_ops",
    caller=CallerUse.OPTIONAL,
    errors=(TaskNotFound, AgentNotFound),
    examples=({"title": "Fix login", "priority": 2},),
    keywords=(
        "create new open file down write feature request somebody fix task flaky; enter backlog board queue note "
        "remember later bug look item assign depends high priority reserve touching add record plan schedule update "
        "upgrade improve refactor docs test broken memory leak blocked server crash reminder put discovered noticed "
        "found capture jot follow-up idea requirement defect wish prerequisite checklist"
    ),
    counter="task",
)
async def masc_add_task(
    ctx: Context,
    title: Title,
    priority: Priority = 3,
    description: Description = "",
    files: Paths | None = None,
    depends_on: Dependencies | None = None,
    capabilities: Capabilities | None = None,
    assignee: AgentName | None = None,
) -> Added:
    """Create a task on the board."""
    for dependency in depends_on or []:
        await _ensure_exists(ctx, dependency)
    reserved = (await find_agent(ctx, assignee)).name if assignee else None
    number = await ctx.next_number("task")
    task = await ctx.tasks.add(
        Task(
            id=f"task-{number:03d}",
            title=title,
            description=description,
            priority=priority,
            status="todo",
            created_by=ctx.actor,
            created_at=ctx.now,
            updated_at=ctx.now,
            files=files or [],
            depends_on=depends_on or [],
            capabilities=capabilities or [],
            reserved_for=reserved,
        )
    )
    ctx.event("task_added", task.id, priority=priority, reserved_for=reserved or "")
    ctx.system_message(f"{task.id} added by {ctx.actor} p{priority}: {title}")
    if reserved:
        ctx.system_message(f"{task.id} is reserved for {reserved}: {title}", to=reserved)
    return Added(task)


async def _ensure_exists(ctx: Context, task_id: str) -> None:
    present = (await ctx.tasks.peek([task_id]))[0]
    if present is None and (await ctx.collection(ARCHIVE).peek([f"task:{task_id}"]))[0] is None:
        raise TaskNotFound(task_id=task_id)


@frozen
class Listed:
    """Result of masc_tasks; tasks without their log."""

    tasks: list[TaskSummary]
    count: int
    total: int
    more: bool


@tool(
    effect=READ,
    role=READER,
    keywords=(
        "show open pending left progress assign somebody finish wait work task whose cancelled available; backlog "
        "remaining unfinished unassigned mine board kanban everything nobody begun start yet high priority "
        "outstanding upcoming plan sprint overview filter status assignee item unclaimed supposed plate due"
    ),
)
async def masc_tasks(
    ctx: Context, status: Status = "recent", assignee: AgentName | None = None, limit: Limit = 50, offset: Offset = 0
) -> Listed:
    """List tasks by priority."""
    statuses = _GROUPS.get(status, (status,))
    wanted = offset + limit
    if assignee is not None:
        assignee = await name_meant(ctx, assignee)
        found, total = await _assigned(ctx, assignee, statuses, wanted)
    else:
        counts = await ctx.tasks.count("status")
        found = [t for s in statuses if counts.get(s) for t in await ctx.tasks.scan("status", s, limit=wanted)]
        total = sum([counts.get(s, 0) for s in statuses])
    if status == "recent":
        since = ctx.after(-DAY_SECONDS)
        if assignee is None:
            finished, ended = await ended_since(ctx, since, wanted)
        else:
            finished = await ended_of(ctx, assignee, since)
            ended = len(finished)
        found += finished
        total += ended
    found.sort(key=attrgetter("priority", "created_at", "id"))
    # What the result declares decides what is shown, so these need no copy without their log.
    page: list[TaskSummary] = [*found[offset:wanted]]
    return Listed(page, len(page), total, offset + len(page) < total)


async def _assigned(ctx: Context, name: str, statuses: Sequence[str], wanted: int) -> tuple[list[Task], int]:
    """The first ``wanted`` tasks of an agent in each of those statuses, and how many there are."""
    held = [t for t in await unfinished_tasks(ctx, name) if t.status in statuses]
    found, total = held, len(held)
    for status in FINISHED:
        if status in statuses:
            group = held_by(name, status)
            found += await ctx.tasks.scan("assignee", group, limit=wanted)
            total += (await ctx.tasks.count("assignee", group)).get(group, 0)
    return found, total


@frozen
class Claimed:
    """Result of masc_claim."""

    task: Task
    changed: bool


@tool(
    effect=WRITE,
    role=WORKER,
    limit="task_ops",
    idempotent=True,
    errors=(
        TaskNotFound,
        TaskAlreadyClaimed,
        TaskReserved,
        TaskBlocked,
        TaskInvalidState,
        VersionConflict,
        RoomPaused,
        BudgetExceeded,
    ),
    examples=({"task_id": "task-001"},),
    keywords=(
        "take pick assign mine name start task reserve; grab ownership dibs work specific self let mark acquire seize "
        "snag tackle handle owner id book first one commit volunteer"
    ),
)
async def masc_claim(ctx: Context, task_id: TaskId, expected_version: VersionNumber | None = None) -> Claimed:
    """Claim a task before working on it, so that nobody else takes it."""
    done = await transition(ctx, task_id, "claim", expected_version=expected_version)
    return Claimed(done.task, done.changed)


@frozen
class Next:
    """Result of masc_claim_next."""

    changed: bool
    skipped: Skipped
    task: Task | None = None


@tool(
    effect=WRITE,
    role=WORKER,
    limit="task_ops",
    errors=(RoomPaused, BudgetExceeded),
    keywords=(
        "pick something free automatically next work now nothing idle hand task match assign; choose fetch pull "
        "available most important queue dequeue top whatever highest priority find suitable capability unclaimed "
        "unassigned whichever bored spare best care fits urgent auto ready"
    ),
)
async def masc_claim_next(
    ctx: Context, exclude_task_ids: TaskIds | None = None, capability: Capability | None = None
) -> Next:
    """Claim the most urgent task you can do."""
    await ensure_work_may_start(ctx, None)
    agent = await ctx.agents.find(ctx.agent.lower())
    own = agent.capabilities if agent else []
    chosen, skipped = await choose_next(ctx, own, exclude_task_ids or [], capability)
    if chosen is None:
        return Next(False, skipped)
    return Next(True, skipped, (await transition(ctx, chosen.id, "claim")).task)


@frozen
class Transitioned:
    """Result of masc_transition."""

    task: Task
    previous_status: str
    changed: bool
    locks_released: list[str]


_ROW_ERRORS = (
    TaskNotFound,
    TaskAlreadyClaimed,
    TaskReserved,
    TaskBlocked,
    TaskNotClaimed,
    TaskOwnedByOther,
    TaskInvalidState,
    VersionConflict,
    RoomPaused,
    BudgetExceeded,
)


@tool(
    effect=WRITE,
    role=WORKER,
    limit="task_ops",
    idempotent=True,
    errors=_ROW_ERRORS,
    examples=({"task_id": "task-001", "action": "start"},),
    keywords=(
        "status progress cancelled abandon give_back return unassigned begin start work claim release not finish "
        "task; change state move drop duplicate obsolete unclaimed shift update stop paused hand scrap kill call off "
        "close relinquish let nobody queue set take mark undo reopen reassign pool stuck invalid needless"
    ),
)
async def masc_transition(
    ctx: Context,
    task_id: TaskId,
    action: Action,
    expected_version: VersionNumber | None = None,
    notes: Description | None = None,
    reason: Comment | None = None,
) -> Transitioned:
    """Move a task: claim, start, done, cancel or release it."""
    done = await transition(ctx, task_id, action, expected_version=expected_version, notes=notes, reason=reason)
    return Transitioned(done.task, done.previous_status, done.changed, done.locks_released)


@frozen
class Done:
    """Result of masc_done."""

    task: Task
    previous_status: str
    changed: bool
    locks_released: list[str]
    unblocked: list[str]
    next: str


@tool(
    effect=WRITE,
    role=WORKER,
    limit="task_ops",
    idempotent=True,
    auto_join=False,
    errors=(TaskNotFound, TaskNotClaimed, TaskOwnedByOther, TaskInvalidState, VersionConflict),
    examples=({"task_id": "task-001", "notes": "fixed in abc123"},),
    keywords=(
        "finish mark close deliver check off ready wrap merged shipped success hand turn task; resolve accomplished "
        "report tick through unblock note item finalise finalize implemented fix conclude result agent solved work "
        "green set pass fulfilled deliverable unlocks"
    ),
)
async def masc_done(
    ctx: Context, task_id: TaskId, notes: Description | None = None, expected_version: VersionNumber | None = None
) -> Done:
    """Finish your task; names the tasks this unblocks."""
    done = await transition(ctx, task_id, "done", expected_version=expected_version, notes=notes)
    unblocked = await unblocked_by(ctx, done.task) if done.changed else []
    return Done(
        done.task,
        done.previous_status,
        done.changed,
        done.locks_released,
        unblocked,
        "call masc_claim_next for more work",
    )


@frozen
class Reprioritised:
    """Result of masc_update_priority."""

    task: Task
    old_priority: int
    new_priority: int
    changed: bool


@tool(
    effect=WRITE,
    role=WORKER,
    limit="task_ops",
    idempotent=True,
    auto_join=False,
    caller=CallerUse.OPTIONAL,
    errors=(TaskNotFound, TaskInvalidState),
    examples=({"task_id": "task-001", "priority": 1},),
    keywords=(
        "urgent priority lower first; important raise bump down rank more less wait escalate top backlog item handle "
        "hot sooner later low high medium level increase decrease reduce promote downgrade upgrade mark bug move "
        "matters order hurry rush become severity number demote"
    ),
)
async def masc_update_priority(ctx: Context, task_id: TaskId, priority: Priority) -> Reprioritised:
    """Change an unfinished task's priority; 1 is highest."""
    task = await on_board(ctx, task_id)
    if task.status in FINISHED:
        raise TaskInvalidState(task_id=task_id, status=task.status, action="prioritise", allowed=[])
    if task.priority == priority:
        return Reprioritised(task, priority, priority, changed=False)
    stored = ctx.tasks.put(evolve(task, priority=priority, updated_at=ctx.now))
    ctx.event("task_priority", task_id, old=task.priority, new=priority)
    return Reprioritised(stored, task.priority, priority, changed=True)
