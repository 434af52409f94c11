"""The records every room has: room, agents and their presence, tasks, messages, events, archive.

Categories keep further records of their own in ``masc_plugin_<category>/records.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from masc_core.errors import MascError, Refused, error
from masc_core.frozen import frozen
from masc_core.store.collections import Collection, Log, index
from masc_core.store.driver import IndexEntry
from masc_core.values import capability_key

__all__ = [
    "AGENTS",
    "AGENT_MODES",
    "ARCHIVE",
    "COUNTERS",
    "DIALOG_KEYS",
    "EVENTS",
    "FINISHED",
    "HOUR",
    "KERNEL_RECORDS",
    "MESSAGES",
    "PRESENCE",
    "ROOMS",
    "ROOM_ID",
    "TASKS",
    "UNFINISHED",
    "USES",
    "Agent",
    "AgentMeta",
    "AgentMode",
    "AgentStatus",
    "Archived",
    "Counter",
    "DialogKey",
    "Event",
    "LogLine",
    "Mention",
    "Message",
    "Presence",
    "Room",
    "Task",
    "TaskNotFound",
    "TaskStatus",
    "TaskSummary",
    "TaskWorktree",
    "Use",
    "ended_at",
    "held_by",
    "named_in",
]

ROOM_ID = "default"
HOUR = len("2026-11-21T07")
"""Length of a timestamp's beginning down to the hour, by which finished tasks are indexed."""

AgentStatus = Literal["active", "busy", "listening", "inactive", "zombie"]
TaskStatus = Literal["todo", "claimed", "in_progress", "done", "cancelled"]
UNFINISHED: tuple[TaskStatus, ...] = ("in_progress", "claimed", "todo")
FINISHED: tuple[TaskStatus, ...] = ("done", "cancelled")


@error
class TaskNotFound(Refused):
    code = "task_not_found"
    http = 404
    text = "no task {task_id} on the board; masc_tasks lists what is there, masc_archive_view what was"
    task_id: str
    archived: bool = False


@frozen
class Room:
    """The shared state of one project."""

    id: str
    cluster: str
    path: str
    started_at: str
    protocol_version: int = 1
    paused: bool = False
    pause_reason: str | None = None
    paused_by: str | None = None
    paused_at: str | None = None
    mode: str | None = None
    mode_categories: list[str] | None = None
    mode_max_tokens: int | None = None
    mode_order: str | None = None
    version: int = 0


@frozen
class AgentMode:
    """The mode an authenticated agent chose for itself."""

    agent: str
    mode: str
    categories: list[str] | None = None
    max_tokens: int | None = None
    order: str | None = None
    version: int = 0


@frozen
class AgentMeta:
    """What is known of an agent's client."""

    session_id: str
    pid: int | None = None
    hostname: str | None = None
    client: str | None = None
    worktree: str | None = None
    """Where it works: the worktree it made or asked for last, while that is there."""


@frozen
class Agent:
    """A named participant. Its status is derived, never stored; see :mod:`masc_core.agents`."""

    name: str
    requested_name: str
    agent_type: str
    joined_at: str
    meta: AgentMeta
    capabilities: list[str] = []
    current_task: str | None = None
    left_at: str | None = None
    left_reason: Literal["leave", "zombie"] | None = None
    bindings: list[str] = []
    """What ties requests to this agent, such as ``process:host:pid:start``; see :mod:`masc_core.identity`."""
    version: int = 0


@frozen
class Presence:
    """An agent's bookkeeping, apart from its record because it changes all the time."""

    name: str
    last_seen: str
    read_seq: int = 0
    alive_until: str | None = None
    listening: dict[str, str] = {}
    """Until when each of its calls that wait in masc_listen is known to, by an id of the call's own."""
    version: int = 0


@frozen
class LogLine:
    """One line of a task's history."""

    at: str
    by: str
    text: str


@frozen
class TaskWorktree:
    """Where a task is worked on."""

    path: str
    branch: str


@frozen
class TaskSummary:
    """A task as lists show it, without its history."""

    id: str
    title: str
    description: str
    priority: int
    status: TaskStatus
    created_by: str
    created_at: str
    updated_at: str
    files: list[str] = []
    depends_on: list[str] = []
    capabilities: list[str] = []
    reserved_for: str | None = None
    assignee: str | None = None
    claimed_at: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    notes: str | None = None
    cancelled_by: str | None = None
    cancelled_at: str | None = None
    reason: str | None = None
    worktree: TaskWorktree | None = None
    version: int = 0


@frozen
class Task(TaskSummary):
    """A unit of work on the board."""

    log: list[LogLine] = []


@frozen
class Mention:
    """One ``@token`` of a message and whom it meant when the message was stored."""

    token: str
    kind: Literal["agent", "type", "all", "unknown"]
    agents: list[str] = []


@frozen
class Message:
    """One entry of the room's message log."""

    from_: str
    type: Literal["broadcast", "system"]
    content: str
    timestamp: str
    mentions: list[Mention] = []
    to: str | None = None
    reply_to: int | None = None
    seq: int = 0


@frozen
class Event:
    """One entry of the room's event log; ``data`` holds old and new values, never texts or secrets."""

    type: str
    at: str
    actor: str
    data: dict[str, Any]
    subject: str | None = None
    seq: int = 0


@frozen
class Archived:
    """A record that gc took out of the way, whole."""

    kind: str
    id: str
    archived_at: str
    record: dict[str, Any]
    version: int = 0


@frozen
class Counter:
    """The last number of a room-wide series; never goes back."""

    name: str
    last: int = 0
    version: int = 0


def ended_at(task: Task) -> str:
    """When the task was done or cancelled; empty while it is neither."""
    return task.completed_at or task.cancelled_at or ""


def named_in(message: Message) -> set[str]:
    """Whom a message is for, in lower case: those it mentions, and the one it is to."""
    named = {name.lower() for mention in message.mentions for name in mention.agents}
    return named | {message.to.lower()} if message.to else named


def held_by(agent: str, status: TaskStatus | Literal["held"] = "held") -> str:
    """The part of index ``assignee`` under which an agent's tasks are: ``held`` (claimed or in progress), done, cancelled."""
    return f"{agent.lower()} {status if status in FINISHED else 'held'}"


@frozen
class DialogKey:
    """What the room signs the state of its dialogs with, in hex; see :mod:`masc_core.dialog`."""

    id: str
    key: str
    version: int = 0


@frozen
class Use:
    """How often tools of each category were called on each of the last days, in the room or by one agent."""

    id: str
    """``room``, or ``agent:`` and the name in lower case."""
    days: dict[str, dict[str, int]] = {}
    """Counts by category, by ``YYYY-MM-DD``."""
    version: int = 0


def _agent_indexes(agent: Agent) -> Iterator[IndexEntry]:
    state = "inactive" if agent.left_at else "present"
    yield index("state", state, agent.name.lower(), counted=True)
    yield index("type", agent.agent_type.lower())
    for key in () if agent.left_at else dict.fromkeys(map(capability_key, agent.capabilities)):
        yield index("capability", key)
    if agent.requested_name.lower() != agent.name.lower():
        yield index("requested", agent.requested_name.lower())


def _task_indexes(task: Task) -> Iterator[IndexEntry]:
    yield index("status", task.status, task.priority, task.created_at, counted=True)
    if ended := ended_at(task):
        yield index("finished", ended[:HOUR], task.priority, task.created_at)
    if task.assignee:
        yield index("assignee", held_by(task.assignee, task.status), task.priority, task.created_at, counted=True)
    if task.status == "todo":
        if task.reserved_for:
            yield index("reserved", task.reserved_for.lower())
        for dependency in task.depends_on:
            yield index("waits_on", dependency)


def _message_indexes(message: Message) -> Iterator[IndexEntry]:
    yield index("from", message.from_.lower(), counted=True)
    if message.type != "system":  # those are found by their sender
        yield index("type", message.type)
    for name in sorted(named_in(message)):
        yield index("mentions", name)


def _archive_indexes(record: Archived) -> Iterable[IndexEntry]:
    return (index("kind", record.kind, record.archived_at, counted=True),)


def _task_missing(key: str) -> MascError:
    return TaskNotFound(task_id=key)


ROOMS = Collection("room", Room, lambda r: r.id, survives_reset=True)
AGENTS = Collection("agents", Agent, lambda a: a.name.lower(), _agent_indexes)
AGENT_MODES = Collection("agent_modes", AgentMode, lambda m: m.agent.lower(), survives_reset=True)
PRESENCE = Collection("presence", Presence, lambda p: p.name.lower())
TASKS = Collection("tasks", Task, lambda t: t.id, _task_indexes, _task_missing)
MESSAGES = Log("messages", Message, _message_indexes)
EVENTS = Log("events", Event)
ARCHIVE = Collection("archive", Archived, lambda a: f"{a.kind}:{a.id}", _archive_indexes)
COUNTERS = Collection("counters", Counter, lambda c: c.name, survives_reset=True)
DIALOG_KEYS = Collection("dialog_keys", DialogKey, lambda k: k.id, survives_reset=True)
USES = Collection("uses", Use, lambda u: u.id)

KERNEL_RECORDS: tuple[Collection[Any] | Log[Any], ...] = (
    ROOMS,
    AGENTS,
    AGENT_MODES,
    PRESENCE,
    TASKS,
    MESSAGES,
    EVENTS,
    ARCHIVE,
    COUNTERS,
    DIALOG_KEYS,
    USES,
)
"""What every room keeps, whatever plugins are installed."""
