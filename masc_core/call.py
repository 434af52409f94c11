"""One call, from arguments to outcome. There is no other path to a handler.

find the tool, check the mode → find the room → resolve the caller → guards → validate → redact → in one unit of work:
presence, auto-join, handler, guards' records → commit → render.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

from masc_core.agents import PRESENCE_SECONDS
from masc_core.context import Context
from masc_core.contracts import Contract
from masc_core.convert import unstructure
from masc_core.errors import (
    AgentNameRequired,
    BindingRequired,
    InternalError,
    InvalidArgument,
    MascError,
    NotInitialised,
    PathNotAllowed,
    StartError,
)
from masc_core.identity import Bindings, Client, join, resolve
from masc_core.modes import Active
from masc_core.records import ROOM_ID, ROOMS, Room
from masc_core.render import render
from masc_core.rooms import OpenRoom, resolve_base
from masc_core.store.collections import View
from masc_core.store.transaction import Transaction, transact
from masc_core.tools import CallerUse, Tool

if TYPE_CHECKING:
    from masc_core.kernel import Kernel

__all__ = ["Call", "Outcome", "run"]

logger = logging.getLogger(__name__)
Progress = Callable[[float, float | None, str | None], Awaitable[None]]


@define
class Call:
    """A request on its way through the pipeline."""

    contract: Contract
    arguments: Mapping[str, Any]
    client: Client
    bindings: Bindings
    active: Active
    progress: Progress | None = None
    """``await progress(elapsed seconds, total, text)``, where the client asked for it."""
    reading: Transaction | None = None
    """What was read of the start room to find the mode."""
    joined_as: tuple[str, str] | None = None
    """Requested and given name, once this call has joined its caller."""
    room_created: bool = False

    @property
    def tool(self) -> Tool:
        """The tool called."""
        return self.contract.tool


@frozen
class Outcome:
    """What a call came to: both renderings of the same facts."""

    structured: Mapping[str, Any]
    text: str
    error: MascError | None = None
    delivered: tuple[Callable[[], Awaitable[None]], ...] = field(default=(), repr=False)
    """To be awaited once the answer was handed to the transport."""


def failure(error: MascError) -> Outcome:
    """The outcome of a refused or failed call."""
    return Outcome({"error": error.as_dict()}, f"{error.code}: {error}", error)


async def run(kernel: Kernel, call: Call) -> Outcome:
    """Run one call. Never raises but on cancellation: a defect becomes `internal_error` with an incident id."""
    try:
        return await _run(kernel, call)
    except MascError as error:
        return failure(error)
    except Exception:  # the one place: whatever a handler broke must not reach the wire
        incident = secrets.token_hex(4)
        logger.exception("incident %s in %s", incident, call.tool.name)
        return failure(InternalError(incident=incident))


async def _run(kernel: Kernel, call: Call) -> Outcome:
    room = await _find_room(kernel, call)
    primed = await _prepare(kernel, call, room)
    arguments = call.contract.validate(_without_caller(call))
    await primed.ask("masc_redact", call=call, arguments=arguments)
    if call.tool.transactional:
        ctx, result, joined = await _in_unit_of_work(call, room, primed, arguments)
    else:
        ctx, result, joined = await _outside(call, room, primed, arguments)
    if call.joined_as is not None:
        call.bindings.joined(call.client, str(room.base.path), *call.joined_as)
    if call.tool.room_argument and call.arguments.get(call.tool.room_argument) is not None:
        for binding in call.client.bindings:
            call.bindings.rooms[binding] = room.base.path
    return _render(kernel, call, ctx, result, joined)


def _without_caller(call: Call) -> dict[str, Any]:
    arguments = dict(call.arguments)
    if call.tool.caller is not CallerUse.NONE and isinstance(arguments.get(call.tool.caller_field), str | None):
        arguments.pop(call.tool.caller_field, None)
    return arguments


async def _find_room(kernel: Kernel, call: Call) -> OpenRoom:
    """The room the caller chose with this call or an earlier one, else the server's start room."""
    tool = call.tool
    given = call.arguments.get(tool.room_argument) if tool.room_argument else None
    if given is not None:
        base = resolve_base(_directory(kernel, call, given), explicit=True)
        try:
            return kernel.rooms.at(base)
        except StartError as error:  # that room's config.toml is at fault
            raise InvalidArgument(field=tool.room_argument, reason="settings", expected=str(error)) from error
    chosen = None if tool.start_room else call.bindings.room(call.client)
    return kernel.start_room if chosen is None else kernel.rooms.at(resolve_base(chosen, explicit=True))


def _directory(kernel: Kernel, call: Call, given: object) -> Path:
    field_name = call.tool.room_argument
    if not isinstance(given, str) or not 1 <= len(given) <= 500 or "\0" in given:
        raise InvalidArgument(field=field_name, reason="type", expected="must be a path of 1 to 500 characters")
    if not call.client.bindings:
        raise BindingRequired(tool=call.tool.name)
    try:
        path = Path(given).expanduser().resolve()
        found = path.is_dir()
    except (OSError, RuntimeError):
        found = False
    if not found:
        raise InvalidArgument(field=field_name, reason="not_a_directory", expected="must be an existing directory")
    if kernel.allow_rooms is not None and not any(path.is_relative_to(a) for a in kernel.allow_rooms):
        raise PathNotAllowed(path=str(path))
    return path


async def _prepare(kernel: Kernel, call: Call, room: OpenRoom) -> Context:
    """A context that knows room and caller, with what was read on the way."""
    tool = call.tool
    exists = await room.connect(create=False)
    record = None
    tx = None
    if exists:
        tx = call.reading if call.reading is not None and room is kernel.start_room else Transaction(room.driver)
        record = await View(ROOMS, tx).find(ROOM_ID)
    actor = call.client.agent or call.client.person or "anonymous"
    if record is None and (tool.creates_room == "always" or (tool.creates_room == "allowed" and room.base.may_create)):
        await _ensure_acceptable(kernel, call, room)
        await room.connect(create=True)
        if not tool.transactional:
            _, call.room_created = await transact(room.driver, lambda tx: room.found(tx, actor))
        tx, record = Transaction(room.driver), room.record()
    if record is None and tool.needs_room:
        raise NotInitialised(path=str(room.base.path))
    ctx = kernel.context(call, room, record, tx)
    ctx.caller = await resolve(ctx, call.client, call.bindings, call.arguments)
    if tool.caller is CallerUse.REQUIRED and not ctx.caller.known:
        raise AgentNameRequired(tool=tool.name)
    await ctx.ask("masc_before_call", call=call)
    return ctx


async def _ensure_acceptable(kernel: Kernel, call: Call, room: OpenRoom) -> None:
    """Refuse what will be refused anyway before it leaves a new room behind."""
    ctx = kernel.context(call, room, None, None)
    caller = await resolve(ctx, call.client, call.bindings, call.arguments)
    if call.tool.caller is CallerUse.REQUIRED and not caller.known:
        raise AgentNameRequired(tool=call.tool.name)
    call.contract.validate(_without_caller(call))


async def _in_unit_of_work(
    call: Call, room: OpenRoom, primed: Context, arguments: Mapping[str, Any]
) -> tuple[Context, Any, bool]:
    if primed._tx is None:
        return primed, await call.tool.handler(primed, **arguments), False

    async def attempt(tx: Transaction) -> tuple[Context, Any, bool]:
        ctx = await _attempt_context(primed, tx)
        joined = await _be_present(ctx)
        result = await call.tool.handler(ctx, **arguments)
        await ctx.ask("masc_in_commit", ctx=ctx, call=call)
        return ctx, result, joined

    return await transact(room.driver, attempt, primed.tx.seen)


async def _outside(
    call: Call, room: OpenRoom, primed: Context, arguments: Mapping[str, Any]
) -> tuple[Context, Any, bool]:
    joined = False
    if primed._tx is not None:

        async def attempt(tx: Transaction) -> bool:
            return await _be_present(await _attempt_context(primed, tx))

        joined = await transact(room.driver, attempt, primed.tx.seen)
        if call.joined_as is not None:
            primed.caller = evolve(primed.caller, name=call.joined_as[1])
        primed._tx, primed._now = None, 0.0
    return primed, await call.tool.handler(primed, **arguments), joined


async def _attempt_context(primed: Context, tx: Transaction) -> Context:
    """A fresh context for one attempt, so that a repeated one neither says things twice nor keeps what the lost one did."""
    call, client = primed.call, primed.call.client
    call.joined_as = None
    room: Room | None
    if primed.room is not None:
        # A room that is missing is made by the very change that needs it: a refused one leaves none behind.
        actor = client.agent or client.person or "anonymous"
        room, made = await primed._open.found(tx, actor)
        if call.tool.transactional:
            call.room_created = made
    else:
        room = None
    return evolve(primed, tx=tx, room=room, now=primed.clock.now(), warnings=list(primed.warnings), delivered=[])


async def _be_present(ctx: Context) -> bool:
    """Refresh the caller's presence, at most every 5 s; join it first where the tool says so. True when it was joined."""
    if not ctx.caller.known or ctx.caller.auth == "local" or ctx.call.tool.name in {"masc_join", "masc_leave"}:
        return False
    agent = await ctx.agents.find(ctx.caller.name.lower())
    if agent is None or agent.left_at:
        if not ctx.call.tool.auto_join:
            return False
        joined = await join(ctx, ctx.caller.name)
        ctx.caller = evolve(ctx.caller, name=joined.agent.name)
        return True
    presence = (await ctx.presence.peek([agent.name.lower()]))[0]
    if presence is not None and presence.last_seen < ctx.after(-PRESENCE_SECONDS):
        ctx.presence.put(evolve(presence, last_seen=ctx.now))
    return False


def _render(kernel: Kernel, call: Call, ctx: Context, result: Any, joined: bool) -> Outcome:
    structured: dict[str, Any] = unstructure(result)
    if joined:
        structured["joined"] = True
    if ctx.warnings:
        structured["warnings"] = list({w["code"] + w["message"]: w for w in ctx.warnings}.values())
    if kernel.check_results:
        call.contract.check_result(structured)
    headline = result.masc_text(structured) if hasattr(result, "masc_text") else ""
    return Outcome(structured, render(structured, headline), delivered=tuple(ctx.delivered))
