"""Which interrupt a call of masc_interrupt is about: the one named, the one its user was asked about, an earlier equal
one, or a new one."""

from __future__ import annotations

from typing import Any

from masc_core.context import Context
from masc_core.dialog import Returned
from masc_core.errors import InvalidArgument
from masc_core.frozen import evolve, frozen
from masc_core.records import AGENTS, COUNTERS
from masc_core.store.driver import Key
from masc_plugin_interrupt.errors import CheckpointNotFound
from masc_plugin_interrupt.lifecycle import settle
from masc_plugin_interrupt.records import CHECKPOINTS, Checkpoint, OnTimeout, ask_key
from masc_plugin_interrupt.settings import InterruptSettings

__all__ = ["Found", "Request", "find_or_raise"]

MOST_BINDINGS = 20
"""Remembered of one interrupt; the first, that of the client which raised it, is never given up."""


@frozen
class Request:
    """What one call asks for."""

    task_id: str
    step: int
    action: str
    message: str
    state: dict[str, Any] | None
    total_steps: int | None
    on_timeout: OnTimeout


@frozen
class Found:
    """The interrupt a call is about."""

    checkpoint: Checkpoint
    raised: bool
    """By this very call."""


async def find_or_raise(ctx: Context, request: Request, wanted: str | None, back: Returned | None) -> Found:
    """The interrupt of this call: ``wanted`` is the id it gives, ``back`` what it brought back from a form.

    Raises :class:`InvalidArgument` for a state or id that does not fit the call, :class:`CheckpointNotFound`.
    """
    if back is not None and wanted is not None and wanted != back.about:
        raise _unusable("foreign", "must be about the same checkpoint")
    if (known := wanted or (back.about if back is not None else None)) is not None:
        found = Found(await ctx.transact(lambda work: _earlier(work, request, known, wanted is not None)), False)
    else:
        found = await ctx.transact(lambda work: _repeated_or_raised(work, request), concludes=True, at_once=True)
    if not found.raised and wanted is None:
        _warn_of_changes(ctx, request, found.checkpoint)
    return found


def _unusable(reason: str, expected: str) -> InvalidArgument:
    return InvalidArgument(field="requestState", reason=reason, expected=expected)


async def _earlier(work: Context, request: Request, checkpoint_id: str, named: bool) -> Checkpoint:
    """The caller's interrupt of that id, whether the call named it or came back about it."""
    found = await work.collection(CHECKPOINTS).find(checkpoint_id)
    if found is None or not found.interrupt or found.agent.lower() != work.agent.lower():
        raise CheckpointNotFound(checkpoint_id=checkpoint_id)
    differing = [n for n in ("task_id", "step", "action") if getattr(found, n) != getattr(request, n)]
    if named and differing:
        raise InvalidArgument(field=differing[0], reason="foreign", expected=f"must be that of {checkpoint_id}")
    if differing:
        raise _unusable("foreign", "must come back with the same call")
    if not named and found.delivered_at is not None:
        # The answer was to a question that is over; the one this call may ask has not been shown to anybody.
        raise _unusable("used", "was answered before; call again without it")
    return _remembering(work, await settle(work, found))


async def _repeated_or_raised(work: Context, request: Request) -> Found:
    """The caller's earlier interrupt for the same thing whose decision it has not been given, or a new one."""
    key = ask_key(work.agent, request.task_id, request.step, request.action)
    checkpoints = work.collection(CHECKPOINTS)
    # Both in one query, and before the scan: an equal interrupt that is raised meanwhile takes a number.
    await work.tx.peek([Key(AGENTS.name, work.agent.lower()), Key(COUNTERS.name, "checkpoint")])
    for scanned in await checkpoints.scan("ask", key, reverse=True, limit=1):
        return Found(_remembering(work, await settle(work, await checkpoints.get(scanned.id))), False)
    return Found(await _raise(work, request), True)


def _remembering(work: Context, found: Checkpoint) -> Checkpoint:
    """The interrupt, which from now on knows the caller's client as one of the requester's."""
    new = [b for b in work.call.client.bindings if b not in found.bindings]
    if not new or not found.open or len(found.bindings) >= MOST_BINDINGS:
        return found
    return work.collection(CHECKPOINTS).put(evolve(found, bindings=[*found.bindings, *new][:MOST_BINDINGS]))


def _warn_of_changes(ctx: Context, request: Request, found: Checkpoint) -> None:
    """Say which arguments of a repeat were not taken over, lest a decision be taken for one on them."""
    asked: dict[str, Any] = {"message": found.interrupt_message, "state": found.state}
    asked |= {"total_steps": found.total_steps, "on_timeout": found.on_timeout}
    given = ctx.call.arguments
    changed = [name for name, old in asked.items() if given.get(name) is not None and getattr(request, name) != old]
    if changed:
        ctx.warn(
            "repeat_unchanged",
            f"this is {found.id} as it was first asked, without the changed {', '.join(changed)}; "
            "to ask something else give another action",
        )


async def _raise(work: Context, request: Request) -> Checkpoint:
    settings = work.settings.of(InterruptSettings)
    agent = await work.agents.find(work.agent.lower())
    number = await work.next_number("checkpoint")
    raised = work.collection(CHECKPOINTS)
    checkpoint = await raised.add(
        Checkpoint(
            id=f"cp-{request.task_id}-{request.step}-{number}",
            task_id=request.task_id,
            step=request.step,
            action=request.action,
            agent=work.agent,
            status="interrupted",
            created_at=work.now,
            on_timeout=request.on_timeout,
            total_steps=request.total_steps,
            state=request.state,
            session_id=agent.meta.session_id if agent is not None else None,
            interrupt_message=request.message,
            expires_at=None if request.on_timeout == "wait" else work.after(settings.timeout),
            bindings=list(work.call.client.bindings),
            raised_with=list(work.call.client.bindings),
        )
    )
    work.event(
        "interrupt_raised",
        checkpoint.id,
        agent=work.agent,
        task_id=request.task_id,
        step=request.step,
        on_timeout=request.on_timeout,
        expires_at=checkpoint.expires_at,
    )
    of = f"/{request.total_steps}" if request.total_steps is not None else ""
    work.system_message(
        f"{work.agent} asks for a decision on step {request.step}{of} of {request.task_id}: "
        f"{request.action} ({checkpoint.id})"
    )
    return checkpoint
