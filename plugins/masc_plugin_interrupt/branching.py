"""masc_branch: try another way from an earlier step."""

from __future__ import annotations

from typing import Annotated, Any

from masc_core.context import Context
from masc_core.errors import InvalidArgument
from masc_core.frozen import evolve, frozen
from masc_core.tools import WORKER, WRITE, tool
from masc_core.values import Bound, Parsed, TaskId, one_line
from masc_plugin_interrupt.ask import LAST_STEP, Step
from masc_plugin_interrupt.errors import CheckpointInvalidState, CheckpointNotFound
from masc_plugin_interrupt.lifecycle import write_due
from masc_plugin_interrupt.records import CHECKPOINTS, Checkpoint, Decision, OnTimeout, Status

__all__ = ["BranchName", "Branched", "CheckpointView", "masc_branch", "view"]

BranchName = Annotated[str, Bound(minLength=1, maxLength=200), Parsed(one_line)]


@frozen
class CheckpointView:
    """A checkpoint as it is shown: everything but what identifies the asking client."""

    id: str
    task_id: str
    step: int
    action: str
    agent: str
    status: Status
    created_at: str
    schema_version: int
    on_timeout: OnTimeout
    version: int
    escalated: bool | None = None
    total_steps: int | None = None
    state: dict[str, Any] | None = None
    interrupt_message: str | None = None
    decision: Decision | None = None
    expires_at: str | None = None
    resolved_at: str | None = None
    resolved_by: str | None = None
    comment: str | None = None
    reject_reason: str | None = None
    parent_checkpoint_id: str | None = None
    branch_name: str | None = None
    edited_state: dict[str, Any] | None = None
    delivered_at: str | None = None


def view(checkpoint: Checkpoint) -> CheckpointView:
    """What is shown of a checkpoint."""
    return CheckpointView(
        id=checkpoint.id,
        task_id=checkpoint.task_id,
        step=checkpoint.step,
        action=checkpoint.action,
        agent=checkpoint.agent,
        status=checkpoint.status,
        created_at=checkpoint.created_at,
        schema_version=checkpoint.schema_version,
        on_timeout=checkpoint.on_timeout,
        version=checkpoint.version,
        escalated=True if checkpoint.escalated else None,
        total_steps=checkpoint.total_steps,
        state=checkpoint.state,
        interrupt_message=checkpoint.interrupt_message,
        decision=checkpoint.decision if checkpoint.interrupt else None,
        expires_at=checkpoint.expires_at,
        resolved_at=checkpoint.resolved_at,
        resolved_by=checkpoint.resolved_by,
        comment=checkpoint.comment,
        reject_reason=checkpoint.reject_reason,
        parent_checkpoint_id=checkpoint.parent_checkpoint_id,
        branch_name=checkpoint.branch_name,
        edited_state=checkpoint.edited_state,
        delivered_at=checkpoint.delivered_at,
    )


@frozen
class Branched:
    """The new checkpoint, and the one it comes from."""

    checkpoint: CheckpointView
    source_id: str


@tool(
    effect=WRITE,
    role=WORKER,
    errors=(CheckpointNotFound, CheckpointInvalidState),
    examples=({"agent_name": "claude", "task_id": "task-001", "source_step": 3, "branch_name": "other way"},),
    keywords=(
        "off fork old checkpoint step give_back rewind return alternative save different; branch going try retry path "
        "way plan explore variant start run state second workflow approach roll rollback revert undo redo resume "
        "point time split route attempt version experience duplicate copy failed idea"
    ),
    counter="checkpoint",
)
async def masc_branch(ctx: Context, task_id: TaskId, source_step: Step, branch_name: BranchName) -> Branched:
    """Go another way from an earlier step: a new checkpoint with that step's state."""
    if source_step >= LAST_STEP:
        raise InvalidArgument(
            field="source_step", reason="maximum", expected=f"must leave a step after it: below {LAST_STEP}"
        )
    await write_due(ctx)
    checkpoints = ctx.collection(CHECKPOINTS)
    newest = await checkpoints.scan("step", task_id, source_step, reverse=True, limit=1)
    if not newest:
        raise CheckpointNotFound(task_id=task_id, step=source_step)
    source = await checkpoints.get(newest[0].id)
    if source.status in {"interrupted", "reverted"}:
        raise CheckpointInvalidState(checkpoint_id=source.id, status=source.status, action="branch")
    if source.status != "branched":
        ended = source.resolved_at or ctx.now
        checkpoints.put(
            evolve(source, status="branched", resolved_at=ended, resolved_by=source.resolved_by or ctx.agent)
        )
    made = await _branch(ctx, source, branch_name)
    ctx.event("checkpoint_branched", made.id, source_id=source.id, old=source.status, task_id=task_id, step=made.step)
    return Branched(view(made), source.id)


async def _branch(ctx: Context, source: Checkpoint, branch_name: str) -> Checkpoint:
    step = source.step + 1
    number = await ctx.next_number("checkpoint")
    agent = await ctx.agents.find(ctx.agent.lower())
    return await ctx.collection(CHECKPOINTS).add(
        Checkpoint(
            id=f"cp-{source.task_id}-{step}-{number}",
            task_id=source.task_id,
            step=step,
            action=source.action,
            agent=ctx.agent,
            status="pending",
            created_at=ctx.now,
            on_timeout=source.on_timeout,
            total_steps=source.total_steps if (source.total_steps or 0) >= step else None,
            state=source.effective_state,
            session_id=agent.meta.session_id if agent is not None else None,
            parent_checkpoint_id=source.id,
            branch_name=branch_name,
        )
    )
