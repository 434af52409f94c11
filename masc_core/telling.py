"""Tells plugins what has happened in a room: each event once, in order, after its commit.

How far a plugin was told is kept in the room, and a lease lets one process at a time tell it, so that several servers of
one room do not tell it twice. The place is written after the hook: what was told last before a crash is told again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from masc_core.context import Context
from masc_core.frozen import evolve
from masc_core.hookspecs import LONGER
from masc_core.records import COUNTERS, EVENTS, Counter, Event
from masc_core.rooms import OpenRoom
from masc_core.store.collections import LogView, View
from masc_core.store.driver import Acquire, Conflict, Release
from masc_core.store.transaction import Transaction

__all__ = ["MOST", "tell"]

MOST = 100
"""Events a hook is given at once; what there is beyond, the next turn brings."""
_MARGIN_SECONDS = 30.0

logger = logging.getLogger(__name__)
Asking = Callable[[Mapping[str, Any]], Any]


async def tell(ctx: Context, room: OpenRoom, listening: Iterable[tuple[str, Asking]]) -> int:
    """Tell each plugin in its turn; how many events they were told."""
    told = 0
    last = (await LogView(EVENTS, Transaction(room.driver)).ends())[1]
    for plugin, ask in listening:
        place = await View(COUNTERS, Transaction(room.driver)).find(_name(plugin))
        if place is None or place.last < last:
            told += await _leased(ctx, room, plugin, ask, last)
    return told


def _name(plugin: str) -> str:
    return f"told:{plugin}"


async def _leased(ctx: Context, room: OpenRoom, plugin: str, ask: Asking, last: int) -> int:
    # More than the hook may take, so that nobody else tells meanwhile; given back at once.
    seconds = LONGER * ctx.settings.plugins.hook_seconds + _MARGIN_SECONDS
    taking = Transaction(room.driver)
    taking.add(Acquire(_name(plugin), f"pid {os.getpid()}", seconds))
    try:
        await taking.commit()
    except Conflict:
        return 0  # another process tells it
    try:
        return await _tell(ctx, room, plugin, ask, last)
    finally:
        giving = Transaction(room.driver)
        giving.add(Release(_name(plugin), taking.acquired[0].fence))
        try:
            await giving.commit()
        except Conflict:
            logger.debug("telling plugin %s outlived its lease", plugin)


async def _tell(ctx: Context, room: OpenRoom, plugin: str, ask: Asking, last: int) -> int:
    place = await View(COUNTERS, Transaction(room.driver)).find(_name(plugin))
    if place is None:
        await _reached(room, plugin, last)  # it hears of what happens from now on
        return 0
    if events := await LogView(EVENTS, Transaction(room.driver)).read(place.last, limit=MOST):
        await _ask(ctx, plugin, ask, events)
        await _reached(room, plugin, events[-1].seq)
    return len(events)


async def _ask(ctx: Context, plugin: str, ask: Asking, events: list[Event]) -> None:
    try:
        await ask({"ctx": ctx, "events": tuple(events)})
    except Exception:
        logger.exception("plugin %s could not be told of events %d to %d", plugin, events[0].seq, events[-1].seq)


async def _reached(room: OpenRoom, plugin: str, seq: int) -> None:
    async def keep(tx: Transaction) -> None:
        places = View(COUNTERS, tx)
        places.put(evolve(await places.find(_name(plugin)) or Counter(_name(plugin)), last=seq))

    await room.transact(keep)
