"""masc_pending_interrupts: what waits for a decision, as it stands, from bounded index scans."""

from __future__ import annotations

from masc_core.clock import parse_time
from masc_core.context import Context
from masc_core.frozen import frozen
from masc_core.tools import READ, READER, tool
from masc_core.values import TaskId
from masc_plugin_interrupt.lifecycle import write_due
from masc_plugin_interrupt.records import CHECKPOINTS, Checkpoint, Decision, Status

__all__ = ["Pending", "masc_pending_interrupts", "open_count", "pending"]

SHOWN = 20
RESOLVED = 20
_PAGE = 200
_KINDS = ("escalated", "escalate", "reject", "wait")


@frozen
class Interrupt:
    """One open interrupt."""

    checkpoint_id: str
    task_id: str
    step: int
    action: str
    message: str
    agent: str
    age_seconds: int
    status: Status
    total_steps: int | None = None
    expires_at: str | None = None
    escalated: bool | None = None


@frozen
class Resolved:
    """One decided interrupt."""

    checkpoint_id: str
    task_id: str
    step: int
    action: str
    agent: str
    status: Status
    decision: Decision
    resolved_at: str | None = None
    resolved_by: str | None = None
    comment: str | None = None
    reject_reason: str | None = None


@frozen
class Pending:
    """Open interrupts, escalated ones first, then the oldest first.

    ``count`` is how many are listed, ``total`` how many there are.
    """

    interrupts: list[Interrupt]
    count: int
    total: int
    resolved: list[Resolved] | None = None


@tool(
    effect=READ,
    role=READER,
    examples=({}, {"task_id": "task-001", "include_resolved": True}),
    keywords=(
        "show wait open approval request human permission mine confirm; unanswered question interrupt checkpoint "
        "blocked undecided reject queue sign off somebody decision attention outstanding anything stuck held answer "
        "recent resolve ask decide who"
    ),
)
async def masc_pending_interrupts(
    ctx: Context, task_id: TaskId | None = None, include_resolved: bool = False
) -> Pending:
    """List interrupts that wait for a decision."""
    listed = await pending(ctx, task_id, include_resolved, SHOWN)
    if listed.total > listed.count:
        ctx.warn("more_open", f"these are the first {SHOWN}; give task_id, or use masc checkpoint pending for all")
    return listed


async def pending(ctx: Context, task_id: str | None, include_resolved: bool, most: int | None) -> Pending:
    """The first ``most`` open interrupts, all with ``None``, and the newest resolved ones where they are wanted."""
    checkpoints = ctx.collection(CHECKPOINTS)
    if task_id is None:
        counts = await _open_counts(ctx)
        found = [c for kind in _KINDS if counts.get(kind) for c in await _open(ctx, most, "open", kind)]
        total = sum(counts.values())
    else:
        await write_due(ctx)
        found = await _open(ctx, most, "task_open", task_id)
        full = len(found) == most
        total = sum((await checkpoints.count("task_open", task_id)).values()) if full else len(found)
        if full:
            found += await checkpoints.scan("task_escalated", task_id, limit=SHOWN)
    first = sorted({c.id: c for c in found}.values(), key=lambda c: (not c.escalated, c.number))[:most]
    now = parse_time(ctx.now)
    shown = [_interrupt(checkpoint, now) for checkpoint in first]
    return Pending(
        shown, len(shown), max(total, len(shown)), await _resolved(ctx, task_id) if include_resolved else None
    )


async def open_count(ctx: Context) -> int:
    """How many interrupts are open at this moment."""
    return sum((await _open_counts(ctx)).values())


async def _open_counts(ctx: Context) -> dict[str, int]:
    """How many interrupts of each kind are open, as time has left them; where none is, none can be due."""
    checkpoints = ctx.collection(CHECKPOINTS)
    counts = await checkpoints.count("open")
    if any(counts.values()) and await write_due(ctx):
        counts = await checkpoints.count("open")
    return counts


async def _open(ctx: Context, most: int | None, *by: str) -> list[Checkpoint]:
    """The first ``most`` by an index, read in pages."""
    checkpoints = ctx.collection(CHECKPOINTS)
    found: list[Checkpoint] = []
    while most is None or len(found) < most:
        limit = _PAGE if most is None else most
        page = await checkpoints.scan(*by, after=found[-1] if found else None, limit=limit)
        found += page
        if len(page) < limit:
            break
    return found


async def _resolved(ctx: Context, task_id: str | None) -> list[Resolved]:
    by = ("resolved",) if task_id is None else ("task_resolved", task_id)
    return [
        Resolved(
            c.id, c.task_id, c.step, c.action, c.agent, c.status, c.decision,
            c.resolved_at, c.resolved_by, c.comment, c.reject_reason,
        )
        for c in await ctx.collection(CHECKPOINTS).scan(*by, limit=RESOLVED, reverse=True)
    ]  # fmt: skip


def _interrupt(checkpoint: Checkpoint, now: float) -> Interrupt:
    return Interrupt(
        checkpoint_id=checkpoint.id,
        task_id=checkpoint.task_id,
        step=checkpoint.step,
        action=checkpoint.action,
        message=checkpoint.interrupt_message or "",
        agent=checkpoint.agent,
        age_seconds=max(0, int(now - parse_time(checkpoint.created_at))),
        status=checkpoint.status,
        total_steps=checkpoint.total_steps,
        expires_at=checkpoint.expires_at,
        escalated=True if checkpoint.escalated else None,
    )
