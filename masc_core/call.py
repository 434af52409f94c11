"""One call, from arguments to outcome. There is no other path to a handler.

find the tool, check the mode → find the room → resolve the caller → guards → validate → redact → in one unit of work:
presence, auto-join, handler, guards' records → commit → render.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import Factory, define, field

from masc_core.attempts import Attempts, Overtaken, be_present, may_go_unmarked
from masc_core.choice import find_room, present_room
from masc_core.context import Context
from masc_core.contracts import Contract
from masc_core.convert import unstructure
from masc_core.dialog import Dialog, InputRequired
from masc_core.errors import (
    AgentNameRequired,
    GuardBroken,
    InternalError,
    MascError,
    NotInitialised,
    StartError,
    StorageBusy,
    StorageUnavailable,
    Unavailable,
)
from masc_core.frozen import evolve, frozen
from masc_core.identity import Bindings, Client, resolve
from masc_core.interruption import cancelled
from masc_core.modes import Active
from masc_core.records import AGENTS, COUNTERS, PRESENCE, ROOM_ID, ROOMS, Room
from masc_core.render import printable, render
from masc_core.rooms import OpenRoom
from masc_core.store.collections import View
from masc_core.store.driver import Key
from masc_core.store.transaction import Transaction
from masc_core.tools import CallerUse, Effect, Tool
from masc_core.values import NAME_LENGTH

if TYPE_CHECKING:
    from masc_core.kernel import Kernel

__all__ = ["Call", "Outcome", "Progress", "refuse", "run"]

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
    dialog: Dialog | None = None
    """How to ask the user behind the client, where it declared that it can."""
    chosen: str | None = None
    """What the first attempt chose to act on, so that a repeated one does not choose something else."""
    joined_as: tuple[str, str] | None = None
    """Requested and given name, once this call has joined its caller."""
    joined_earlier: bool = False
    """The call this one continues has joined its caller."""
    room_created: bool = False
    ctx: Context | None = None
    """The context, once the room is found."""
    redacted: dict[str, int] = field(factory=dict)
    """How many secrets of each kind the arguments held."""
    entering: bool = False
    """It chooses another room than its client is in."""
    by_secret: bool = False
    """Its client joins with the room's secret."""
    other_named: str | None = None
    """The name in the arguments, where the endpoint has another one."""
    marking: bool = False
    """The last attempt refreshes the caller's presence."""
    unmarked: bool = False
    """The caller's presence is not refreshed: the store takes no writes, and a reading call needs none."""
    undo: list[Callable[[], None]] = field(factory=list, repr=False)
    """Run when the call is over, however it ended; each finds out by itself whether there is something to undo."""
    given: Mapping[str, Any] | None = None
    """The validated arguments without the caller, free of secrets; ``None`` until then."""
    founding: bool = False
    """It makes its room with what it does, and nobody has asked the guards of a room that another made."""
    unattended: bool = False
    """The server's own: nobody waits for it, and each of its units of work that writes concludes."""
    concluding: bool = False
    """Guards were asked in the last attempt of a unit of work."""
    concluded: bool = False
    """What the call did is in a unit of work that guards have seen."""
    tool: Tool = field(init=False, default=Factory(lambda call: call.contract.tool, takes_self=True), repr=False)
    """The tool called."""


@frozen
class Outcome:
    """What a call came to: both renderings of the same facts."""

    structured: Mapping[str, Any]
    text: str
    error: MascError | None = None
    delivered: tuple[Callable[[], Awaitable[None]], ...] = field(default=(), repr=False)
    """To be awaited once the answer was handed to the transport."""
    input_required: InputRequired | None = None
    """Set when the client is to ask its user and to repeat the call; there is no result yet."""


def failure(error: MascError) -> Outcome:
    """The outcome of a refused or failed call."""
    return Outcome({"error": error.as_dict()}, f"{error.code}: {printable(str(error))}", error)


def first_reads(kernel: Kernel, contract: Contract, arguments: Mapping[str, Any], client: Client) -> list[Key]:
    """What a call reads first, besides what every call does: the records of the agent it most likely acts for."""
    numbers = [Key(COUNTERS.name, contract.tool.counter)] if contract.tool.counter else []
    if client.token is not None:
        asked = kernel.registry.answers("masc_token_reads", {"room": kernel.start_room, "token": client.token})
        if keys := [key for keys in asked for key in keys]:
            return keys + numbers
    name = client.agent or (
        None if contract.tool.caller is CallerUse.NONE else arguments.get(contract.tool.caller_field)
    )
    # Not checked yet, and not every store could even look for what is none.
    if isinstance(name, str) and len(name) <= NAME_LENGTH and name.isascii():
        return [Key(AGENTS.name, name.lower()), Key(PRESENCE.name, name.lower()), *numbers]
    return numbers


async def run(kernel: Kernel, call: Call) -> Outcome:
    """Run one call. Never raises but on cancellation: a defect becomes `internal_error` with an incident id."""
    failed: MascError
    try:
        return await _run(kernel, call)
    except MascError as error:
        failed = error
    except InputRequired as asked:
        return Outcome({}, "", input_required=asked)
    except asyncio.CancelledError as error:
        if cancelled():
            raise
        failed = _defect(call, error)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001  # the one place: what broke must not reach the wire
        failed = _defect(call, error)
    finally:
        for undo in call.undo:
            undo()
    return await refuse(kernel, call, failed)


def _defect(call: Call, error: BaseException) -> InternalError:
    """What is told of an exception that nobody foresaw; the log has all of it."""
    incident = secrets.token_hex(4)
    logger.error("incident %s in %s of plugin %s", incident, call.tool.name, call.tool.plugin, exc_info=error)
    return InternalError(incident=incident)


async def refuse(kernel: Kernel, call: Call, error: MascError) -> Outcome:
    """The outcome of a call that failed, after guards were told."""
    try:
        if call.ctx is None:
            call.ctx = await _refused_early(kernel, call, error)
        if call.ctx is not None and call.ctx.room is not None:
            call.concluding = call.unattended = False
            await call.ctx.ask("masc_call_failed", ctx=call.ctx, error=error)
    except GuardBroken:
        logger.debug("a refused %s is noted nowhere: its guard is broken", call.tool.name)
    except MascError as problem:
        logger.warning("a failed %s could not be noted: %s", call.tool.name, problem)
    except (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException:
        logger.exception("a failed %s could not be noted", call.tool.name)
    return failure(error)


async def _refused_early(kernel: Kernel, call: Call, error: MascError) -> Context | None:
    """The start room's context for a call that was refused before its room was found; ``None`` where there is no room."""
    room = kernel.start_room
    if isinstance(error, Unavailable) or not await room.connect(create=False):
        return None
    tx = Transaction(room.driver)
    ctx = kernel.context(call, room, await View(ROOMS, tx).find(ROOM_ID), tx)
    if ctx.room is not None:
        with contextlib.suppress(MascError):
            await _identify(ctx)
    return ctx


async def _run(kernel: Kernel, call: Call) -> Outcome:
    room = find_room(kernel, call)
    try:
        primed = await _prepare(kernel, call, room)
        arguments = await _checked(primed) if call.given is None else call.given
        perform = _in_unit_of_work if call.tool.transactional else _outside
        ctx, result, joined = await perform(call, room, primed, arguments)
    except Overtaken:  # the room that was to be made is another's by now, and may have rules and secrets of its own
        call.reading = call.given = None
        call.founding = False
        call.redacted.clear()
        return await _run(kernel, call)
    if call.joined_as is not None:
        call.bindings.joined(call.client, str(room.base.path), *call.joined_as)
    if call.tool.room_argument and call.arguments.get(call.tool.room_argument) is not None:
        for binding in call.client.bindings:
            call.bindings.rooms[binding] = room.base.path
    return _render(kernel, call, ctx, result, joined)


def _validated(call: Call) -> dict[str, Any]:
    """The arguments without the caller."""
    arguments, tool = dict(call.arguments), call.tool
    if tool.caller is not CallerUse.NONE:
        named = arguments.get(tool.caller_field)
        if named is None or isinstance(named, str):
            arguments.pop(tool.caller_field, None)
    return call.contract.validate(arguments, call.client.caller_known)


async def _checked(ctx: Context) -> Mapping[str, Any]:
    """The arguments as a handler is given them: valid, and free of secrets."""
    arguments = _validated(ctx.call)
    for counts in await ctx.ask("masc_redact", ctx=ctx, arguments=arguments):
        ctx.call.redacted.update(counts)
    ctx.call.given = arguments
    return arguments


async def _prepare(kernel: Kernel, call: Call, room: OpenRoom) -> Context:
    """A context that knows room and caller, with what was read on the way."""
    tool = call.tool
    if tool.room_argument and (present := present_room(kernel, call)) is not room:
        await _may_leave(kernel, call, present)
    record, tx = None, None
    if await _connect(room, create=False):
        if (tx := call.reading if room is kernel.start_room else None) is None:
            tx = Transaction(room.driver)
            await tx.peek([Key(ROOMS.name, ROOM_ID), *kernel.registry.first_reads])
        record = tx.notes[Room] = await View(ROOMS, tx).find(ROOM_ID)
    if record is None and (tool.creates_room == "always" or (tool.creates_room == "allowed" and room.base.may_create)):
        return await _prepare_first(kernel, call, room)
    ctx = kernel.context(call, room, record, tx)
    if record is None and tool.needs_room:
        await _identify(ctx)
        _validated(call)  # what is refused in any room is told first
        raise NotInitialised(path=str(room.base.path))
    call.ctx = ctx
    await _admit(ctx)
    return ctx


async def _prepare_first(kernel: Kernel, call: Call, room: OpenRoom) -> Context:
    """A context in a room that this call makes, once nothing is left to refuse it."""
    tried = await _tried(kernel, call, room)
    await _connect(room, create=True)
    record, call.room_created, call.founding = room.record(), False, call.tool.transactional
    if not call.founding:
        record, call.room_created = await room.transact(lambda tx: room.found(tx, call.client.actor))
        if not call.room_created:
            raise Overtaken
    call.ctx = ctx = kernel.context(call, room, record, Transaction(room.driver))
    ctx.caller, ctx.granted, ctx.warnings = tried.caller, tried.granted, tried.warnings
    return ctx


async def _tried(kernel: Kernel, call: Call, room: OpenRoom) -> Context:
    """The context of a call that guards let pass, after it ran in an empty room that is thrown away: what is refused leaves no
    room behind. One that was made cannot be taken back, since another process may have begun to use it."""
    async with room.rehearsal() as nowhere:
        ctx = kernel.context(call, nowhere, nowhere.record(), Transaction(nowhere.driver))
        await _admit(ctx)
        admitted = evolve(ctx, warnings=list(ctx.warnings))
        arguments = await _checked(ctx)
        if call.tool.transactional:
            ctx = await Attempts(ctx).context(ctx.tx)
            await be_present(ctx)
            await call.tool.handler(ctx, **arguments)
            await ctx.ask("masc_in_commit", ctx=ctx)
    return admitted


async def _connect(room: OpenRoom, create: bool) -> bool:
    """Connect a room's store; what would have stopped the start is something to mend while the server runs."""
    try:
        return await room.connect(create)
    except StartError as error:
        raise StorageUnavailable(backend=room.settings.storage.type, cause=str(error)) from error


async def _may_leave(kernel: Kernel, call: Call, present: OpenRoom) -> None:
    """Ask the guards of the room the client is in before it goes to another: nobody gets round them by leaving."""
    if await present.connect(create=False):
        tx = Transaction(present.driver)
        if (record := await View(ROOMS, tx).find(ROOM_ID)) is not None:
            call.ctx = kernel.context(call, present, record, tx)
            await _admit(call.ctx)
    call.ctx, call.entering = None, True


async def _identify(ctx: Context) -> None:
    call = ctx.call
    granted = await ctx.ask("masc_authenticate", ctx=ctx)
    ctx.caller = granted[0]["caller"] if granted else await resolve(ctx, call.client, call.bindings, call.arguments)
    if call.tool.caller is CallerUse.REQUIRED and not ctx.caller.known:
        call.contract.ensure_known_names(call.arguments)  # it may be the caller's name, given by another
        raise AgentNameRequired(tool=call.tool.name, argument=call.tool.caller_field)


async def _admit(ctx: Context) -> None:
    """Find out who calls, and let guards refuse the call."""
    await _identify(ctx)
    await ctx.ask("masc_before_call", ctx=ctx)


async def _in_unit_of_work(
    call: Call, room: OpenRoom, primed: Context, arguments: Mapping[str, Any]
) -> tuple[Context, Any, bool]:
    if primed._tx is None:
        result = await call.tool.handler(primed, **arguments)
        await primed.settle()
        return primed, result, False

    repeated = Attempts(primed)

    async def attempt(tx: Transaction) -> tuple[Context, Any, bool]:
        ctx = await repeated.context(tx)
        joined = await be_present(ctx)
        result = await call.tool.handler(ctx, **arguments)
        await ctx.ask("masc_in_commit", ctx=ctx)
        return ctx, result, joined

    # Calls of one tool write the same records, if any do. Readers write none but their own and wait for nobody.
    kind = "" if call.tool.effect is Effect.READ else call.tool.name
    try:
        done = await room.transact(attempt, primed.tx, kind)
    except (StorageUnavailable, StorageBusy):
        if not may_go_unmarked(primed):
            raise
        done = await room.transact(attempt)
    await done[0].settle()
    return done


async def _outside(
    call: Call, room: OpenRoom, primed: Context, arguments: Mapping[str, Any]
) -> tuple[Context, Any, bool]:
    joined = False
    if primed._tx is not None:
        repeated = Attempts(primed)

        async def attempt(tx: Transaction) -> bool:
            return await be_present(await repeated.context(tx))

        try:
            joined = await room.transact(attempt, primed.tx)
        except (StorageUnavailable, StorageBusy):
            if not may_go_unmarked(primed):
                raise
            joined = await room.transact(attempt)
        if call.joined_as is not None:
            # At once: a call that is refused or sent to its user has joined all the same.
            call.bindings.joined(call.client, str(room.base.path), *call.joined_as)
            primed.caller = evolve(primed.caller, name=call.joined_as[1])
        primed._read = None if primed._tx.dirty else primed._tx
        primed._tx, primed._now = None, 0.0
    result = await call.tool.handler(primed, **arguments)
    if primed.room is not None and not call.concluded:
        # A tool that changed nothing, or nothing in the store, concludes with this.
        await primed.transact(lambda ctx: ctx.ask("masc_in_commit", ctx=ctx))
    return primed, result, joined


def _render(kernel: Kernel, call: Call, ctx: Context, result: Any, joined: bool) -> Outcome:
    structured: dict[str, Any] = unstructure(result)
    whole = not (joined or call.joined_earlier or call.redacted or ctx.warnings)
    if joined or call.joined_earlier:
        structured["joined"] = True
    if call.redacted:
        structured["redacted"] = call.redacted
    if ctx.warnings:
        structured["warnings"] = list({w["code"] + w["message"]: w for w in ctx.warnings}.values())
    if kernel.start_room.settings.server.check_results:
        call.contract.check_result(structured)
    text = render(structured, call.tool.headline(result, structured), result, whole=whole)
    return Outcome(structured, text, delivered=tuple(ctx.delivered))
