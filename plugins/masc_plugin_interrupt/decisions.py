"""masc_approve and masc_reject: what an admin other than the requester decides."""

from __future__ import annotations

from typing import Any

from masc_core.context import Context
from masc_core.frozen import frozen
from masc_core.tools import ADMIN, WRITE, tool
from masc_core.values import Comment, JsonState, TaskId
from masc_plugin_interrupt.ask import CheckpointId
from masc_plugin_interrupt.errors import CheckpointInvalidState, InterruptNotFound
from masc_plugin_interrupt.lifecycle import decide, refuse_requester, write_due
from masc_plugin_interrupt.records import CHECKPOINTS, Checkpoint, Status

__all__ = ["Decided", "masc_approve", "masc_reject"]

SHOWN = 20


@frozen
class Decided:
    """An interrupt after its decision, and the task's further open ones."""

    checkpoint_id: str
    status: Status
    requester: str
    others_open: list[str]


@tool(
    effect=WRITE,
    role=ADMIN,
    errors=(InterruptNotFound, CheckpointInvalidState),
    examples=({"agent_name": "gemini", "task_id": "task-001", "comment": "go ahead"},),
    keywords=(
        "approval yes allowed accept permit grant confirm auth let continue proceed ahead request wait checkpoint "
        "interrupt step dangerous; permission agent risky ask agree sure fine resume unblock clear positive answer "
        "decision carry deploying sign off human say good green nod"
    ),
)
async def masc_approve(
    ctx: Context,
    task_id: TaskId,
    checkpoint_id: CheckpointId | None = None,
    comment: Comment | None = None,
    edited_state: JsonState | None = None,
) -> Decided:
    """Approve another agent's open interrupt; edited_state replaces its state."""
    return await _decide(ctx, task_id, checkpoint_id, True, comment or "", edited_state)


@tool(
    effect=WRITE,
    role=ADMIN,
    errors=(InterruptNotFound, CheckpointInvalidState),
    examples=({"agent_name": "gemini", "task_id": "task-001", "reason": "take a backup first"},),
    keywords=(
        "not say deny refuse turn down stop blocked request permission interrupt human let allowed permit; reject "
        "decline forbid disallow veto disapprove wait agent checkpoint risky step prevent disagree nope negative "
        "answer decision cancelled because wrong dangerous halted shoot pending deploying wont explain against thumbs "
        "bad"
    ),
)
async def masc_reject(
    ctx: Context, task_id: TaskId, reason: Comment = "", checkpoint_id: CheckpointId | None = None
) -> Decided:
    """Reject another agent's open interrupt, saying why."""
    return await _decide(ctx, task_id, checkpoint_id, False, reason)


async def _decide(
    ctx: Context, task_id: str, checkpoint_id: str | None, approve: bool, text: str, edited_state: Any = None
) -> Decided:
    await write_due(ctx)
    waiting = await ctx.collection(CHECKPOINTS).scan("task_open", task_id, reverse=True, limit=SHOWN + 1)
    found = await _chosen(ctx, task_id, checkpoint_id, waiting)
    await refuse_requester(ctx, found, "approve" if approve else "reject")
    done = decide(ctx, found, approve, text, edited_state)
    others = [other.id for other in waiting if other.id != done.id]
    return Decided(done.id, done.status, done.agent, others[:SHOWN])


async def _chosen(ctx: Context, task_id: str, checkpoint_id: str | None, waiting: list[Checkpoint]) -> Checkpoint:
    """The interrupt to decide: the one named, else the task's newest open one, else the one that was resolved last.

    A call that lost a race must not go on to the next interrupt, which its caller has never seen; so what the first attempt
    found is kept.
    """
    checkpoints = ctx.collection(CHECKPOINTS)
    wanted = checkpoint_id or ctx.call.chosen
    if wanted is None:
        newest = waiting or await checkpoints.scan("task_resolved", task_id, reverse=True, limit=1)
        wanted = newest[0].id if newest else None
    found = None if wanted is None else await checkpoints.find(wanted)
    if found is None or found.task_id != task_id:
        raise InterruptNotFound(task_id=task_id, checkpoint_id=checkpoint_id)
    ctx.call.chosen = found.id
    return found
