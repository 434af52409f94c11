"""An attempt knows the room as its own unit of work has read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from masc_core import WORKER, WRITE, Context, hookimpl, tool
from masc_core.frozen import evolve, frozen
from masc_core.records import ROOM_ID, ROOMS
from masc_core.store.collections import View
from masc_core.store.transaction import Transaction
from masc_core.testing.app import masc_app


@frozen
class Noted:
    """What the last attempt saw."""

    reason: str | None = None


@pytest.mark.parametrize("backend", ["memory", "sqlite"])
async def test_a_room_that_changed_meanwhile_is_seen_by_the_next_attempt_only(tmp_path: Path, backend: str) -> None:
    seen = list[str | None]()

    @tool(effect=WRITE, role=WORKER)
    async def masc_probe(ctx: Context) -> Noted:
        """Write something in a room that another changes meanwhile."""
        assert ctx.room is not None
        seen.append(ctx.room.pause_reason)
        assert ctx.room == await ctx.collection(ROOMS).get(ROOM_ID)
        if len(seen) == 1:
            other = Transaction(ctx.tx.driver)
            rooms = View(ROOMS, other)
            rooms.put(evolve(await rooms.get(ROOM_ID), pause_reason="changed"))
            await other.commit()
        ctx.event("probed")
        return Noted(ctx.room.pause_reason)

    class Plugin:
        @hookimpl
        def masc_tools(self, register: Callable[[Callable[..., Any]], None]) -> None:
            register(masc_probe)

    async with masc_app(tmp_path, backend=backend, extra=[("probe", Plugin())]) as masc:
        await masc.call("masc_join", "claude")
        assert (await masc.call("masc_probe", "claude"))["reason"] == "changed"
        assert seen == [None, "changed"]
