"""What people do with checkpoints on the command line and agents cannot: show, save, resume, revert.

Declared like tools, so that they take the same path with the same guards, and registered by nobody.
"""

from __future__ import annotations

from typing import Annotated, Any

from masc_core.context import Context
from masc_core.errors import InvalidArgument
from masc_core.frozen import evolve, frozen
from masc_core.tools import ADMIN, DESTRUCTIVE, READ, READER, WRITE, tool
from masc_core.values import Bound, JsonState, TaskId
from masc_plugin_interrupt.ask import Action, CheckpointId, Step, Total
from masc_plugin_interrupt.branching import CheckpointView, view
from masc_plugin_interrupt.errors import CheckpointInvalidState, CheckpointNotFound
from masc_plugin_interrupt.lifecycle import expire_due, write_due
from masc_plugin_interrupt.pending import Pending, pending
from masc_plugin_interrupt.records import CHECKPOINTS, Checkpoint

__all__ = [
    "masc_checkpoint_pending",
    "masc_checkpoint_resume",
    "masc_checkpoint_revert",
    "masc_checkpoint_save",
    "masc_checkpoint_show",
]

SHOWN = 100
_BATCH = 15
"""Checkpoints changed in one unit of work; two states of 100 kB each have to fit."""
_LATEST = 10**15

ToStep = Annotated[int, Bound(minimum=0, maximum=1_000_000)]


@frozen
class Shown:
    """One checkpoint."""

    checkpoint: CheckpointView


@frozen
class Saved:
    """A new checkpoint, and those whose work it ends."""

    checkpoint: CheckpointView
    completed: list[str]


@frozen
class Reverted:
    """What was marked reverted, the first 100 by id, and the open interrupts that were left alone."""

    task_id: str
    to_step: int
    count: int
    reverted: list[str]
    still_open: list[str]


@tool(effect=READ, role=READER)
async def masc_checkpoint_pending(
    ctx: Context, task_id: TaskId | None = None, include_resolved: bool = False
) -> Pending:
    """List every open interrupt."""
    return await pending(ctx, task_id, include_resolved, None)


@tool(effect=READ, role=ADMIN, errors=(CheckpointNotFound,))
async def masc_checkpoint_show(ctx: Context, checkpoint_id: CheckpointId) -> Shown:
    """Show a checkpoint with its states."""
    await write_due(ctx)
    return Shown(view(await ctx.collection(CHECKPOINTS).get(checkpoint_id)))


@tool(effect=WRITE, role=ADMIN, transactional=False)
async def masc_checkpoint_save(
    ctx: Context,
    task_id: TaskId,
    step: Step,
    action: Action,
    state: JsonState | None = None,
    total_steps: Total | None = None,
) -> Saved:
    """Save a checkpoint to resume or branch from; checkpoints in progress at earlier steps are completed by it."""
    if total_steps is not None and total_steps < step:
        raise InvalidArgument(field="total_steps", reason="minimum", expected=f"must be at least the step, {step}")

    async def save(work: Context) -> Saved:
        number = await work.next_number("checkpoint")
        saved = await work.collection(CHECKPOINTS).add(
            Checkpoint(
                id=f"cp-{task_id}-{step}-{number}",
                task_id=task_id,
                step=step,
                action=action,
                agent=work.agent,
                status="pending",
                created_at=work.now,
                total_steps=total_steps,
                state=state,
            )
        )
        return Saved(view(saved), await _complete(work, task_id, step))

    done = await ctx.transact(save, concludes=True)
    while some := await ctx.transact(lambda work: _complete(work, task_id, step)):
        done.completed.extend(some)
    return done


async def _complete(work: Context, task_id: str, step: int) -> list[str]:
    checkpoints = work.collection(CHECKPOINTS)
    passed = await checkpoints.scan("in_progress", task_id, high=step, limit=_BATCH)
    for earlier in passed:
        checkpoints.put(evolve(earlier, status="completed", resolved_at=work.now, resolved_by=work.agent))
    return [earlier.id for earlier in passed]


@tool(effect=WRITE, role=ADMIN, idempotent=True, errors=(CheckpointNotFound, CheckpointInvalidState))
async def masc_checkpoint_resume(ctx: Context, checkpoint_id: CheckpointId) -> Shown:
    """Take up a pending checkpoint: it is in progress then, and its state is shown."""
    await write_due(ctx)
    checkpoints = ctx.collection(CHECKPOINTS)
    found = await checkpoints.get(checkpoint_id)
    if found.status == "pending":
        found = checkpoints.put(evolve(found, status="in_progress"))
    if found.status != "in_progress":
        raise CheckpointInvalidState(checkpoint_id=found.id, status=found.status, action="resume")
    return Shown(view(found))


@tool(effect=DESTRUCTIVE, role=ADMIN, idempotent=True, transactional=False)
async def masc_checkpoint_revert(ctx: Context, task_id: TaskId, to_step: ToStep) -> Reverted:
    """Mark the checkpoints of a task after a step as reverted; open interrupts stay open."""
    await expire_due(ctx)
    ids: list[str] = []
    last: Checkpoint | None = None

    async def batch(work: Context) -> tuple[list[str], Checkpoint | None]:
        later = await work.collection(CHECKPOINTS).scan(
            "step", task_id, low=to_step + 1, high=_LATEST, after=last, limit=_BATCH
        )
        return _revert(work, task_id, to_step, later), later[-1] if later else None

    while True:
        some, last = await ctx.transact(batch)
        ids += some
        if last is None:
            break

    async def left(work: Context) -> list[str]:
        waiting = await work.collection(CHECKPOINTS).scan("task_open", task_id, limit=SHOWN)
        return [c.id for c in waiting if c.step > to_step]

    return Reverted(task_id, to_step, len(ids), ids[:SHOWN], await ctx.transact(left))


def _revert(work: Context, task_id: str, to_step: int, later: list[Checkpoint]) -> list[str]:
    going = [checkpoint for checkpoint in later if not checkpoint.open and checkpoint.status != "reverted"]
    for checkpoint in going:
        by = checkpoint.resolved_by or work.agent
        work.collection(CHECKPOINTS).put(
            evolve(checkpoint, status="reverted", resolved_at=checkpoint.resolved_at or work.now, resolved_by=by)
        )
    if going:
        old: dict[str, Any] = {checkpoint.id: checkpoint.status for checkpoint in going}
        work.event("checkpoint_reverted", task_id, to_step=to_step, old=old)
    return [checkpoint.id for checkpoint in going]
