"""What the task board refuses."""

from __future__ import annotations

from masc_core import Refused, error

__all__ = [
    "RoomPaused",
    "TaskAlreadyClaimed",
    "TaskBlocked",
    "TaskInvalidState",
    "TaskNotClaimed",
    "TaskOwnedByOther",
    "TaskReserved",
    "VersionConflict",
]


@error
class RoomPaused(Refused):
    code = "room_paused"
    retryable = True
    text = "the room is paused by {paused_by} ({reason}); finish what you hold and try again later"
    reason: str
    paused_by: str
    paused_at: str


@error
class TaskAlreadyClaimed(Refused):
    code = "task_already_claimed"
    text = "{task_id} is held by {assignee}; take another with masc_claim_next"
    task_id: str
    assignee: str


@error
class TaskReserved(Refused):
    code = "task_reserved"
    text = "{task_id} is reserved for {reserved_for}; take another with masc_claim_next"
    task_id: str
    reserved_for: str


@error
class TaskBlocked(Refused):
    code = "task_blocked"
    retryable = True
    text = "{task_id} waits on {waiting_on}; claim one of those first"
    task_id: str
    waiting_on: list[str]


@error
class TaskNotClaimed(Refused):
    code = "task_not_claimed"
    text = "{task_id} is {status}, not claimed; call masc_claim first"
    task_id: str
    status: str


@error
class TaskOwnedByOther(Refused):
    code = "task_owned_by_other"
    text = "{task_id} belongs to {assignee}; ask them, or take another"
    task_id: str
    assignee: str


@error
class TaskInvalidState(Refused):
    code = "task_invalid_state"
    text = "{task_id} is {status}, so action {action} is impossible; possible: {allowed}"
    task_id: str
    status: str
    action: str
    allowed: list[str]


@error
class VersionConflict(Refused):
    code = "version_conflict"
    text = "{task_id} is at version {actual_version}, not {expected_version}; read it again"
    task_id: str
    expected_version: int
    actual_version: int
