"""masc_interrupt: ask a human, and wait for what they say.

The interrupt is durable before anybody is asked. A wait, a form shown to the client's user and a decision made elsewhere are
three ways to the same answer; whichever comes first is given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from masc_core.context import Context
from masc_core.dialog import Dialog, Returned
from masc_core.errors import InvalidArgument
from masc_core.frozen import evolve, frozen
from masc_core.records import EVENTS
from masc_core.tools import WORKER, WRITE, tool
from masc_core.values import Bound, JsonState, Parsed, TaskId, not_blank, one_line
from masc_core.waiting import Waiting
from masc_plugin_interrupt.errors import CheckpointNotFound
from masc_plugin_interrupt.form import FORM, question, read_form
from masc_plugin_interrupt.lifecycle import decide, settle
from masc_plugin_interrupt.raising import Found, Request, find_or_raise
from masc_plugin_interrupt.records import CHECKPOINTS, Checkpoint, Decision, OnTimeout, Status
from masc_plugin_interrupt.settings import InterruptSettings

__all__ = ["LAST_STEP", "Action", "Asked", "CheckpointId", "Step", "masc_interrupt"]

LAST_STEP = 1_000_000

Step = Annotated[int, Bound(minimum=1, maximum=LAST_STEP)]
Total = Annotated[int, Bound(minimum=1, maximum=2**53)]
Action = Annotated[str, Bound(minLength=1, maxLength=200), Parsed(one_line, trims=True)]
Text = Annotated[str, Bound(minLength=1, maxLength=5_000), Parsed(not_blank)]
Seconds = Annotated[int, Bound(minimum=0, maximum=300)]
CheckpointId = Annotated[str, Bound(minLength=1, maxLength=200, pattern="^[A-Za-z0-9_:-]+$")]


@frozen
class Asked:
    """How an interrupt stands."""

    checkpoint_id: str
    status: Status
    decision: Decision
    timed_out: bool
    """The wait was over before anybody decided."""
    how_to_decide: str
    comment: str | None = None
    reject_reason: str | None = None
    edited_state: dict[str, Any] | None = None
    expires_at: str | None = None


@frozen
class _Look:
    """One look at the interrupt; everything up to ``event`` is in it."""

    checkpoint: Checkpoint
    event: int


@tool(
    effect=WRITE,
    role=WORKER,
    idempotent=True,
    transactional=False,
    counter="checkpoint",
    errors=(CheckpointNotFound,),
    examples=({"agent_name": "claude", "task_id": "task-001", "step": 3, "action": "drop table", "message": "Sure?"},),
    keywords=(
        "ask human user permission approval confirm dangerous risky remove wait deploying person somebody need "
        "clearance; check first destructive production paused step whether allowed stop request raise decision "
        "checkpoint save state owner ahead until hold proceed agent sign off escalate urgent irreversible sensitive "
        "manual oversight second pair eyes force push drop table sure continue agrees consult sanity verify"
    ),
)
async def masc_interrupt(
    ctx: Context,
    task_id: TaskId,
    step: Step,
    action: Action,
    message: Text,
    state: JsonState | None = None,
    total_steps: Total | None = None,
    wait_seconds: Seconds = 0,
    on_timeout: OnTimeout = "reject",
    checkpoint_id: CheckpointId | None = None,
) -> Asked:
    """Ask a human for approval before a risky step; wait, or repeat the call later for the answer."""
    started = ctx.clock.monotonic()
    if total_steps is not None and total_steps < step:
        raise InvalidArgument(field="total_steps", reason="minimum", expected=f"must be at least the step, {step}")
    dialog = _dialog(ctx) if wait_seconds else None
    back = await dialog.returned(ctx) if dialog is not None else None
    request = Request(task_id, step, action, message, state, total_steps, on_timeout)
    found = await find_or_raise(ctx, request, checkpoint_id, back)
    checkpoint = found.checkpoint
    if checkpoint.open and dialog is not None and _asked_by(ctx, found, back):
        checkpoint = await _ask_user(ctx, dialog, checkpoint, started, wait_seconds)
    elif checkpoint.open and wait_seconds:
        if back is not None and back.answer is not None:
            ctx.warn("form_ignored", "only the client that asked may show the form; the interrupt is still open")
        checkpoint = await _wait(ctx, checkpoint, started, wait_seconds)
    if not checkpoint.open and checkpoint.delivered_at is None:
        _note_delivery(ctx, checkpoint.id)
    if checkpoint.status == "reverted":
        ctx.warn(
            "reverted", "after the decision the task was taken back to an earlier step; do not go on from this one"
        )
    return _asked(checkpoint, timed_out=bool(wait_seconds) and checkpoint.open)


def _dialog(ctx: Context) -> Dialog | None:
    return ctx.call.dialog if ctx.settings.of(InterruptSettings).elicitation else None


def _asked_by(ctx: Context, found: Found, back: Returned | None) -> bool:
    """This call's client is the one that asked, so its user may be shown the form.

    Without anything to recognise it by, it is so in the call that raised the interrupt, and when that call comes back.
    """
    client, origin = set(ctx.call.client.bindings), set(found.checkpoint.raised_with)
    return bool(client & origin) if client or origin else found.raised or back is not None


async def _ask_user(ctx: Context, dialog: Dialog, checkpoint: Checkpoint, started: float, seconds: int) -> Checkpoint:
    """Show the form and wait for a decision from elsewhere at the same time; what is left open is waited for."""
    asking = asyncio.ensure_future(dialog.form(ctx, question(checkpoint), FORM, about=checkpoint.id))
    waiting = asyncio.ensure_future(_wait(ctx, checkpoint, started, seconds)) if dialog.during_call else None
    try:
        await asyncio.wait([task for task in (asking, waiting) if task], return_when=asyncio.FIRST_COMPLETED)
        if waiting is not None and waiting.done():
            return waiting.result()
        answer = asking.result()
        if answer.action == "accept":
            if (form := await read_form(ctx, answer.content)) is not None:
                return await ctx.transact(lambda work: _decided_by_user(work, checkpoint.id, *form), concludes=True)
            ctx.warn("form_unusable", "the user's form had no usable decision; the interrupt is still open")
        return await (waiting or _wait(ctx, checkpoint, started, seconds))
    finally:
        await _end([task for task in (asking, waiting) if task is not None])


async def _end(tasks: list[asyncio.Future[Any]]) -> None:
    """Cancel what still runs and wait for it: the client must be told to take its form away before it has the answer."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()


async def _decided_by_user(work: Context, checkpoint_id: str, approve: bool, comment: str) -> Checkpoint:
    found = await settle(work, await work.collection(CHECKPOINTS).get(checkpoint_id))
    if not found.open:
        return found  # somebody was faster; their decision stands
    work.act_as(f"human:client:{found.agent}")
    return decide(work, found, approve, comment)


async def _wait(ctx: Context, checkpoint: Checkpoint, started: float, seconds: int) -> Checkpoint:
    """Wait for a decision, from whatever process it comes."""

    async def look(_: _Look) -> _Look:
        async def read(work: Context) -> _Look:
            # The end comes first: what is committed after it wakes the wait that follows.
            end = (await work.log(EVENTS).ends())[1]
            # A reset may have taken it away, and then nobody will ever decide.
            return _Look(await settle(work, await work.collection(CHECKPOINTS).get(checkpoint.id)), end)

        return await ctx.transact(read)

    def seen(look: _Look) -> Mapping[str, int]:
        return {EVENTS.name: look.event}

    waiting: Waiting[_Look] = Waiting(
        ctx,
        look,
        lambda found: not found.checkpoint.open,
        seen,
        started=started,
        seconds=seconds,
        saying="waiting for a decision",
    )
    return (await waiting.run(await look(_Look(checkpoint, 0)))).checkpoint


def _note_delivery(ctx: Context, checkpoint_id: str) -> None:
    """Remember that the requester has the decision, once the answer was handed to the transport."""

    async def note(work: Context) -> None:
        found = await work.collection(CHECKPOINTS).find(checkpoint_id)
        if found is not None and not found.open and found.delivered_at is None:
            work.collection(CHECKPOINTS).put(evolve(found, delivered_at=work.now))

    async def delivered() -> None:
        await ctx.transact(note)

    ctx.delivered.append(delivered)


def _asked(checkpoint: Checkpoint, timed_out: bool) -> Asked:
    return Asked(
        checkpoint_id=checkpoint.id,
        status=checkpoint.status,
        decision=checkpoint.decision,
        timed_out=timed_out,
        how_to_decide=_how_to_decide(checkpoint),
        comment=checkpoint.comment,
        reject_reason=checkpoint.reject_reason,
        edited_state=checkpoint.edited_state,
        expires_at=checkpoint.expires_at,
    )


def _how_to_decide(checkpoint: Checkpoint) -> str:
    if not checkpoint.open:
        return f"decided by {checkpoint.resolved_by}"
    return f"masc checkpoint approve {checkpoint.id} (or reject)"
