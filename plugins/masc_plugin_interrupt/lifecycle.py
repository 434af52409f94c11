"""What happens to an interrupt: raised, decided, run out of time. Each is one atomic change with its event and message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from masc_core.agents import live_agents
from masc_core.clock import soon_after
from masc_core.context import Context
from masc_core.errors import Forbidden
from masc_core.frozen import evolve
from masc_core.records import Mention, Message
from masc_core.store.driver import Scan
from masc_plugin_interrupt.errors import CheckpointInvalidState
from masc_plugin_interrupt.records import CHECKPOINTS, SYSTEM, TIMEOUT, Checkpoint, evaluated, not_before
from masc_plugin_interrupt.settings import InterruptSettings

__all__ = ["decide", "expire_due", "refuse_requester", "settle", "write_due"]

_BATCH = 20
"""Checkpoints timed out in one unit of work; two states of 100 kB each have to fit."""


async def settle(work: Context, checkpoint: Checkpoint) -> Checkpoint:
    """Write what time has made of a checkpoint that was read or scanned in this unit of work, with event and message."""
    now = evaluated(checkpoint, work.now, work.settings.of(InterruptSettings).timeout)
    if now is checkpoint:
        return checkpoint
    stored = work.collection(CHECKPOINTS).put(now)
    caller = work.caller
    work.act_as(SYSTEM)
    if now.open:
        await _escalation(work, stored)
    else:
        _resolved(work, stored)
    work.caller = caller
    return stored


async def expire_due(ctx: Context) -> int:
    """Reject or escalate every interrupt whose time is over, in batches; how many."""

    async def batch(work: Context) -> int:
        due = await work.collection(CHECKPOINTS).scan("due", high=not_before(work.now), limit=_BATCH)
        for checkpoint in due:
            await settle(work, checkpoint)
        return len(due)

    done = 0
    while found := await ctx.transact(batch):
        done += found
    return done


async def write_due(work: Context) -> bool:
    """What every access does first, in units of work of their own: write what time has made of the open interrupts. True
    where there was something to write.

    It stays so when the access is refused, and when the clock is set back after it.
    """
    # Looked up apart: what is found is about to change, and this unit of work must not keep it as it was.
    due = await work.tx.reading.scan(Scan(CHECKPOINTS.name, "due", high=soon_after(work.now), limit=1))
    if not due or due[0].value > work.now:
        return False
    await expire_due(work)
    return True


async def refuse_requester(work: Context, checkpoint: Checkpoint, action: str) -> None:
    """Raise :class:`Forbidden` if the caller is the one who asked, under whatever name, or cannot be told from it."""
    client = set(work.call.client.bindings)
    requester = await work.agents.find(checkpoint.agent.lower())
    bound = {*checkpoint.bindings, *(requester.bindings if requester is not None else ())}
    if work.agent.lower() == checkpoint.agent.lower() or client & bound:
        raise _forbidden(work, action, "self_approval", "who asks does not decide; another agent or a person does")
    if not client and work.caller.auth not in {"token", "local"}:
        # A name in an argument is anybody's: the requester could type another one.
        hint = f"connect with ?agent=NAME, or let a person run masc checkpoint {action} {checkpoint.id}"
        raise _forbidden(work, action, "unknown_client", hint)


def _forbidden(work: Context, action: str, reason: str, hint: str) -> Forbidden:
    return Forbidden(
        agent=work.agent,
        action=action,
        required_role=work.call.tool.role.label,
        role=work.caller.role.label,
        reason=reason,
        hint=hint,
    )


def decide(
    work: Context, checkpoint: Checkpoint, approve: bool, text: str, edited_state: Mapping[str, Any] | None = None
) -> Checkpoint:
    """Approve or reject an open interrupt as the caller; ``text`` is the comment or the reason.

    Raises :class:`CheckpointInvalidState` when it is not open.
    """
    if not checkpoint.open:
        action = "approve" if approve else "reject"
        raise CheckpointInvalidState(checkpoint_id=checkpoint.id, status=checkpoint.status, action=action)
    decided = work.collection(CHECKPOINTS).put(
        evolve(
            checkpoint,
            status="completed" if approve else "rejected",
            resolved_at=work.now,
            resolved_by=work.actor,
            comment=text or None if approve else None,
            reject_reason=None if approve else text,
            edited_state=None if edited_state is None else dict(edited_state),
        )
    )
    _resolved(work, decided)
    return decided


def _resolved(work: Context, checkpoint: Checkpoint) -> None:
    """The event of a decision, and its message to who asked."""
    timed_out = checkpoint.resolved_by == SYSTEM and checkpoint.reject_reason == TIMEOUT
    work.event(
        "interrupt_resolved",
        checkpoint.id,
        decision=checkpoint.decision,
        by=checkpoint.resolved_by,
        agent=checkpoint.agent,
        task_id=checkpoint.task_id,
        step=checkpoint.step,
        edited=checkpoint.edited_state is not None,
        timed_out=timed_out,
    )
    what = f"step {checkpoint.step} of {checkpoint.task_id} ({checkpoint.id})"
    said = checkpoint.comment or (checkpoint.reject_reason if not timed_out else "nobody decided in time")
    edited = ", with an edited state" if checkpoint.edited_state is not None else ""
    text = f"{checkpoint.resolved_by} {checkpoint.decision} {what}{edited}{f': {said}' if said else ''}"
    work.system_message(text, to=checkpoint.agent)


async def _escalation(work: Context, checkpoint: Checkpoint) -> None:
    """Tell everybody who may decide, once more."""
    work.event(
        "interrupt_raised",
        checkpoint.id,
        agent=checkpoint.agent,
        task_id=checkpoint.task_id,
        step=checkpoint.step,
        escalated=True,
        expires_at=checkpoint.expires_at,
    )
    answers = await work.ask("masc_admins", ctx=work)
    admins = {str(name).lower() for answer in answers for name in answer["admins"]}
    names = [a.name for a in await live_agents(work) if a.name.lower() != checkpoint.agent.lower()]
    if answers:
        mentions = [Mention(name, "agent", [name]) for name in names if name.lower() in admins]
    else:
        mentions = [Mention("all", "all", names)]
    called = " ".join(f"@{mention.token}" for mention in mentions)
    text = (
        f"{called} {checkpoint.agent} still waits for a decision on step {checkpoint.step} of {checkpoint.task_id}: "
        f"{checkpoint.action} ({checkpoint.id})"
    )
    work.messages.append(Message(SYSTEM, "system", " ".join(text.split()), work.now, mentions))
