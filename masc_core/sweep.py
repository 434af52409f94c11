"""The sweep: what is due by time, every 60 s, in one of the serving processes."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from attrs import frozen

from masc_core.call import Call
from masc_core.context import Caller, Context
from masc_core.contracts import contract_of
from masc_core.errors import MascError
from masc_core.identity import Client
from masc_core.modes import DEFAULT_MODE, Selection
from masc_core.records import ROOM_ID, ROOMS
from masc_core.store.collections import View
from masc_core.store.driver import Acquire, Conflict, Release
from masc_core.store.transaction import Transaction
from masc_core.tools import ADMIN, WRITE, CallerUse, declaration, tool

if TYPE_CHECKING:
    from masc_core.kernel import Kernel

__all__ = ["INTERVAL", "sweep_forever", "sweep_once"]

INTERVAL = 60.0
"""Seconds between two sweeps of a process."""
_LEASE = "sweep"
_LEASE_SECONDS = 50.0

logger = logging.getLogger(__name__)


@frozen
class Swept:
    """The sweep has no result of its own."""


@tool(effect=WRITE, role=ADMIN, caller=CallerUse.NONE, transactional=False)
async def masc_sweep_timer(ctx: Context) -> Swept:
    """Do what is due by time; run by the server itself, offered to nobody."""
    await ctx.ask("masc_sweep", ctx=ctx)
    return Swept()


async def sweep_forever(kernel: Kernel) -> None:
    """Sweep every 60 s until cancelled; a failed sweep is logged and tried again with the next."""
    while True:
        await kernel.start_room.clock.sleep(INTERVAL)
        try:
            await sweep_once(kernel)
        except MascError as error:
            logger.warning("the sweep failed: %s", error)


async def sweep_once(kernel: Kernel) -> bool:
    """Sweep the start room now; false when it does not exist or another process sweeps."""
    room = kernel.start_room
    if not await room.connect(create=False):
        return False
    taking = Transaction(room.driver)
    record = await View(ROOMS, taking).find(ROOM_ID)
    if record is None:
        return False
    taking.add(Acquire(_LEASE, f"pid {os.getpid()}", _LEASE_SECONDS))
    try:
        await taking.commit()
    except Conflict:
        return False
    client = Client("local", "local", person="system")
    active = kernel.modes.resolve(Selection(DEFAULT_MODE))
    call = Call(contract_of(declaration(masc_sweep_timer, "kernel")), {}, client, kernel.bindings, active)
    ctx = kernel.context(call, room, record, None)
    ctx.caller = Caller("system", ADMIN, "local")
    try:
        await masc_sweep_timer(ctx)
    finally:
        giving = Transaction(room.driver)
        giving.add(Release(_LEASE, taking.acquired[0].fence))
        try:
            await giving.commit()
        except Conflict:
            logger.debug("the sweep outlived its lease")
    return True
