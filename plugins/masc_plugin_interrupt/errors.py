"""Why an interrupt or checkpoint cannot be had or changed."""

from __future__ import annotations

from masc_core.errors import Refused, error

__all__ = ["CheckpointInvalidState", "CheckpointNotFound", "InterruptNotFound"]


@error
class InterruptNotFound(Refused):
    code = "interrupt_not_found"
    http = 404
    task_id: str
    checkpoint_id: str | None = None

    def __str__(self) -> str:
        wanted = f"interrupt {self.checkpoint_id}" if self.checkpoint_id else "interrupt"
        return f"task {self.task_id} has no such {wanted}; masc_pending_interrupts lists what is open"


@error
class CheckpointNotFound(Refused):
    code = "checkpoint_not_found"
    http = 404
    task_id: str | None = None
    step: int | None = None
    checkpoint_id: str | None = None

    def __str__(self) -> str:
        if self.checkpoint_id is not None:
            return f"this call finds no checkpoint {self.checkpoint_id}; masc_pending_interrupts lists what is open"
        return f"task {self.task_id} has no checkpoint at step {self.step}; give the step of one it has"


@error
class CheckpointInvalidState(Refused):
    code = "checkpoint_invalid_state"
    text = "checkpoint {checkpoint_id} is {status}, which {action} does not fit; masc_pending_interrupts lists what is open"
    checkpoint_id: str
    status: str
    action: str
