"""The checkpoint record, what follows from it, and how checkpoints are found.

A checkpoint is a step of a task at which work can be resumed, branched or, while it is *open* (``interrupted``), decided.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal

import orjson
from attrs import field

from masc_core.clock import plus
from masc_core.frozen import evolve, frozen
from masc_core.store.collections import Collection, index
from masc_core.store.driver import IndexEntry
from masc_plugin_interrupt.errors import CheckpointNotFound

__all__ = ["CHECKPOINTS", "Checkpoint", "Decision", "OnTimeout", "Status", "ask_key", "evaluated", "not_before"]

Status = Literal["pending", "in_progress", "interrupted", "completed", "rejected", "reverted", "branched"]
OnTimeout = Literal["reject", "wait", "escalate"]
Decision = Literal["pending", "approved", "rejected"]

TIMEOUT = "timeout"
SYSTEM = "system"


@frozen
class Checkpoint:
    """One checkpoint as it is stored."""

    id: str
    task_id: str
    step: int
    action: str
    agent: str
    status: Status
    created_at: str
    schema_version: int = 1
    on_timeout: OnTimeout = "reject"
    escalated: bool = False
    total_steps: int | None = None
    state: dict[str, Any] | None = None
    session_id: str | None = None
    interrupt_message: str | None = None
    """Only an interrupt has one."""
    expires_at: str | None = None
    """When an open interrupt is rejected or escalated; absent where it waits without limit."""
    resolved_at: str | None = None
    resolved_by: str | None = None
    comment: str | None = None
    reject_reason: str | None = None
    parent_checkpoint_id: str | None = None
    branch_name: str | None = None
    edited_state: dict[str, Any] | None = None
    delivered_at: str | None = None
    bindings: list[str] = field(factory=list)
    """What tied the asking clients to their calls; none of them may decide. Never shown."""
    raised_with: list[str] = field(factory=list)
    """Those of the client that raised it, whose user may be shown the form. Never shown."""
    version: int = 0

    @property
    def number(self) -> int:
        """The room-wide number in its id, which orders checkpoints by age."""
        return int(self.id.rpartition("-")[2])

    @property
    def open(self) -> bool:
        """It waits for a decision."""
        return self.status == "interrupted"

    @property
    def interrupt(self) -> bool:
        """Somebody asked for a decision with it."""
        return self.interrupt_message is not None

    @property
    def decision(self) -> Decision:
        """What was decided, whatever became of the checkpoint later."""
        if not self.interrupt or self.resolved_at is None:
            return "pending"
        return "approved" if self.reject_reason is None else "rejected"

    @property
    def effective_state(self) -> dict[str, Any] | None:
        """The state to go on with: the decider's edit goes before the requester's."""
        return self.state if self.edited_state is None else self.edited_state


def evaluated(checkpoint: Checkpoint, now: str, timeout: float) -> Checkpoint:
    """The checkpoint as it stands at ``now``: past its time it is rejected or escalated; the next ``timeout`` is in seconds."""
    due = checkpoint.expires_at
    if not checkpoint.open or due is None or due > now:
        return checkpoint
    if checkpoint.on_timeout == "escalate":
        following = plus(due, timeout)
        return evolve(checkpoint, escalated=True, expires_at=following if following > now else plus(now, timeout))
    return evolve(checkpoint, status="rejected", reject_reason=TIMEOUT, resolved_at=due, resolved_by=SYSTEM)


def not_before(moment: str) -> str:
    """The bound above every stored time that is not later than ``moment``."""
    return plus(moment, 0.001)


@lru_cache(maxsize=64)
def ask_key(agent: str, task_id: str, step: int, action: str) -> str:
    """What two calls have in common that ask for the same thing."""
    return hashlib.sha256(orjson.dumps([agent.lower(), task_id, step, action])).hexdigest()


def open_kind(checkpoint: Checkpoint) -> str:
    """In which part of the list of open interrupts one stands; each part has an order of its own."""
    return "escalated" if checkpoint.escalated else checkpoint.on_timeout


def _indexes(checkpoint: Checkpoint) -> Iterator[IndexEntry]:
    number, task = checkpoint.number, checkpoint.task_id
    yield index("step", task, checkpoint.step, number)
    if checkpoint.open:
        kind = open_kind(checkpoint)
        by_time = kind in {"reject", "escalate"}
        yield index("open", kind, (checkpoint.expires_at or "") if by_time else "", number, counted=True)
        yield index("task_open", task, number, counted=True)
        if checkpoint.escalated:
            yield index("task_escalated", task, number)
        if checkpoint.expires_at is not None:
            yield index("due", checkpoint.expires_at)
    if checkpoint.interrupt and checkpoint.delivered_at is None:
        yield index("ask", ask_key(checkpoint.agent, task, checkpoint.step, checkpoint.action), number)
    if checkpoint.status == "in_progress":
        yield index("in_progress", task, checkpoint.step, number)
    if checkpoint.resolved_at is not None:
        yield index("ended", checkpoint.resolved_at)
        if checkpoint.interrupt:
            yield index("resolved", checkpoint.resolved_at, number)
            yield index("task_resolved", task, checkpoint.resolved_at, number)


def _missing(key: str) -> CheckpointNotFound:
    return CheckpointNotFound(checkpoint_id=key)


CHECKPOINTS = Collection("checkpoints", Checkpoint, lambda c: c.id, _indexes, _missing)
