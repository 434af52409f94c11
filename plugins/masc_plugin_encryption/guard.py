"""The guard: every room's bodies pass the sealing driver, and its migrations go on while a server runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from masc_core.context import Context
from masc_core.errors import MascError
from masc_core.hookspecs import hookimpl
from masc_core.records import ROOM_ID
from masc_core.rooms import OpenRoom
from masc_core.store.collections import Collection, Log
from masc_core.store.driver import Driver
from masc_core.store.sealed import SealedDriver
from masc_core.store.sealing import ENCRYPTION, PROGRESS, STATE_ID, USAGE
from masc_plugin_encryption.locksmith import Locksmith, locksmith_of
from masc_plugin_encryption.records import sealed_in

__all__: list[str] = []

logger = logging.getLogger(__name__)


@hookimpl
def masc_records(register: Callable[[Collection[Any] | Log[Any]], None]) -> None:
    """What is never sealed: the state with its wrapped keys, how far a migration is, how often keys were used."""
    for declared in (ENCRYPTION, PROGRESS, USAGE):
        register(declared)


@hookimpl
async def masc_store(driver: Driver, room: OpenRoom) -> Mapping[str, Any]:
    """The sealing, also while encryption is off: any process can switch it on."""
    return {"driver": SealedDriver(driver, Locksmith())}


@hookimpl
async def masc_known_secrets(ctx: Context, words: Sequence[str]) -> Mapping[str, Any] | None:
    """The master key, for redaction."""
    if ctx.room is None:
        return None
    held = locksmith_of(await sealed_in(ctx)).held
    return {"secrets": [word for word in words if word in held]}


@hookimpl
async def masc_due(ctx: Context) -> None:
    """Go on with a migration; take a new data key when the present one has sealed often enough."""
    driver = await sealed_in(ctx)
    known = driver.known
    if known.problem is not None:
        return
    if known.state.migration is not None:
        driver.background(lambda: _converting(driver))
    elif driver.exhausted and known.seals:
        await ctx.transact(_renew)


@hookimpl
async def masc_doctor(ctx: Context, fix: bool) -> Mapping[str, Any]:
    """Conversions that nobody carries on, and records that could not be opened."""
    from masc_plugin_encryption.doctor import examine

    return await examine(ctx, fix)


async def _converting(driver: SealedDriver) -> None:
    from masc_plugin_encryption.migration import convert_in_background

    try:
        await convert_in_background(driver, f"pid {os.getpid()}")
    except MascError as error:
        logger.warning("the conversion of records stopped and will be tried again: %s", error)


async def _renew(work: Context) -> None:
    from masc_plugin_encryption.changes import Master, renewed

    states = work.collection(ENCRYPTION)
    before = await states.find(STATE_ID)
    driver = await sealed_in(work)
    if before is None or before.migration is not None or before.state != "on" or before.source is None:
        return
    smith = locksmith_of(driver)
    master = Master(await smith.master(before), before.source, before.stretching)
    after = states.put(renewed(before, master, smith.data_keys(before, master.key), work.now))
    work.event("encryption_changed", ROOM_ID, old=before.state, new=after.state, active_key_id=after.active)
