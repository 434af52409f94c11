"""What the portal tests share."""

from __future__ import annotations

import asyncio
from typing import Any

from masc_core.context import Context
from masc_core.hookspecs import hookimpl
from masc_core.records import EVENTS, Event
from masc_core.store.collections import LogView
from masc_core.store.transaction import Transaction
from masc_core.testing import MascApp

__all__ = ["Meeting", "ask", "events", "join", "opened", "status", "view"]


async def join(masc: MascApp, *names: str) -> None:
    for name in names:
        await masc.call("masc_join", name)


async def opened(masc: MascApp, *peers: str, agent: str = "claude") -> None:
    """``agent`` and ``peers`` are here, and ``agent`` has a portal to each."""
    await join(masc, agent, *peers)
    for peer in peers:
        result = await masc.call("masc_portal_open", agent, target_agent=peer)
        assert result["already_open"] is False


async def ask(masc: MascApp, message: str = "please review", agent: str = "claude", **arguments: Any) -> str:
    """The id of a task that ``agent`` sends."""
    result = await masc.call("masc_portal_send", agent, message=message, **arguments)
    return str(result["portal_task"]["id"])


async def status(masc: MascApp, agent: str, **arguments: Any) -> dict[str, Any]:
    return await masc.call("masc_portal_status", agent, **arguments)


async def view(masc: MascApp, agent: str, peer: str | None = None, **arguments: Any) -> dict[str, Any]:
    """The agent's only portal, or the one with ``peer``."""
    found = (await status(masc, agent, **arguments))["portals"]
    (one,) = [p for p in found if peer is None or p["peer"] == peer]
    return dict(one)


async def events(masc: MascApp, *types: str) -> list[Event]:
    driver = masc.kernel.start_room.driver
    return [e for e in await LogView(EVENTS, Transaction(driver)).read(limit=10_000) if e.type in types]


class Meeting:
    """A plugin that lets ``size`` calls of some tools reach their commit before any of them commits."""

    def __init__(self, *tools: str, size: int = 2) -> None:
        self.tools = tools
        self.size = size
        self.arrived = 0
        self.complete = asyncio.Event()

    @hookimpl
    async def masc_in_commit(self, ctx: Context) -> None:
        if ctx.call.tool.name not in self.tools or self.complete.is_set():
            return
        self.arrived += 1
        if self.arrived == self.size:
            self.complete.set()
        await asyncio.wait_for(self.complete.wait(), 5)
