"""What time asks for, in every open room: deadlines every 2 s, tidying every 60 s in one of the serving processes."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from masc_core.call import Call
from masc_core.context import Caller, Context
from masc_core.contracts import contract_of
from masc_core.errors import MascError
from masc_core.frozen import frozen
from masc_core.identity import Client
from masc_core.modes import DEFAULT_MODE, Selection
from masc_core.records import ROOM_ID, ROOMS
from masc_core.rooms import OpenRoom
from masc_core.store.collections import View
from masc_core.store.driver import Acquire, Conflict, Release
from masc_core.store.transaction import Transaction
from masc_core.telling import tell
from masc_core.tools import ADMIN, WRITE, CallerUse, declaration, tool
from masc_core.usage import flush

if TYPE_CHECKING:
    from masc_core.kernel import Kernel

__all__ = [
    "DUE_SECONDS",
    "SWEEP_SECONDS",
    "due_once",
    "keep_counts",
    "sweep_forever",
    "sweep_once",
    "system_context",
    "tell_once",
]

DUE_SECONDS = 2.0
"""Between two looks for deadlines."""
SWEEP_SECONDS = 60.0
"""Between two sweeps of a process."""
_LAST_SECONDS = 2.0
"""What the end of a server waits for the store to take its counts."""
_LEASE = "sweep"
_LEASE_SECONDS = 50.0

logger = logging.getLogger(__name__)


@frozen
class Done:
    """The timer has no result of its own."""


@tool(effect=WRITE, role=ADMIN, caller=CallerUse.NONE, transactional=False)
async def masc_timer(ctx: Context) -> Done:
    """Do what is due by time; run by the server itself, offered to nobody."""
    return Done()


async def sweep_forever(kernel: Kernel) -> None:
    """Meet deadlines and sweep until cancelled; what fails is logged and tried again with the next turn."""
    clock = kernel.start_room.clock
    next_sweep = clock.monotonic() + SWEEP_SECONDS
    while True:
        await clock.sleep(DUE_SECONDS)
        if kernel.registry.broken_guard is not None:
            continue  # it keeps the rooms shut
        sweeping = clock.monotonic() >= next_sweep
        if sweeping:
            next_sweep = clock.monotonic() + SWEEP_SECONDS
        for room in kernel.rooms.opened():
            try:
                await due_once(kernel, room)
                await tell_once(kernel, room)
                if sweeping:
                    await flush(room)
                    await sweep_once(kernel, room)
            except MascError as error:
                logger.warning("the timer failed in %s: %s", room.base.path, error)
            except (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException:
                logger.exception("the timer failed in %s", room.base.path)


async def keep_counts(kernel: Kernel) -> None:
    """Write what was counted of the use of tools, before the server ends."""
    try:
        async with asyncio.timeout(_LAST_SECONDS):
            for room in kernel.rooms.opened():
                await flush(room)
    except (MascError, TimeoutError) as error:
        logger.debug("the last counts of use are lost: %s", error)


async def due_once(kernel: Kernel, room: OpenRoom) -> None:
    """Do what deadlines ask for in a room, if it exists."""
    if (ctx := await system_context(kernel, room)) is not None:
        await ctx.ask("masc_due", ctx=ctx)


async def tell_once(kernel: Kernel, room: OpenRoom) -> int:
    """Tell plugins what has happened in a room since they were told last; how many events that was, over all of them."""
    if not (listening := kernel.registry.each("masc_events")):
        return 0
    ctx = await system_context(kernel, room)
    return 0 if ctx is None else await tell(ctx, room, listening)


async def sweep_once(kernel: Kernel, room: OpenRoom) -> bool:
    """Sweep a room now; false when it does not exist or another process sweeps it."""
    if (ctx := await system_context(kernel, room)) is None:
        return False
    taking = Transaction(room.driver)
    taking.add(Acquire(_LEASE, f"pid {os.getpid()}", _LEASE_SECONDS))
    try:
        await taking.commit()
    except Conflict:
        return False
    try:
        await ctx.ask("masc_sweep", ctx=ctx)
    finally:
        giving = Transaction(room.driver)
        giving.add(Release(_LEASE, taking.acquired[0].fence))
        try:
            await giving.commit()
        except Conflict:
            logger.debug("the sweep outlived its lease")
    return True


async def system_context(kernel: Kernel, room: OpenRoom) -> Context | None:
    """The context of the server's own call, acting as ``system``; ``None`` while there is no room."""
    if not await room.connect(create=False):
        return None
    if (record := await View(ROOMS, Transaction(room.driver)).find(ROOM_ID)) is None:
        return None
    client = Client("local", "local", person="system")
    active = kernel.modes.resolve(Selection(DEFAULT_MODE))
    call = Call(contract_of(declaration(masc_timer, "kernel")), {}, client, kernel.bindings, active)
    call.unattended = True
    ctx = kernel.context(call, room, record, None)
    ctx.caller = Caller("system", ADMIN, "local")
    return ctx
