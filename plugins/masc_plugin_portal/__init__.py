"""Category portal: direct work between two agents, which nobody else can read.

Read :mod:`.records` for what is kept, :mod:`.line` for the rules of a portal, then the tools: :mod:`.opening`,
:mod:`.sending`, :mod:`.closing`, :mod:`.overview`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from masc_core.context import Context
from masc_core.hookspecs import hookimpl
from masc_core.records import Agent
from masc_core.store.collections import Collection, Log
from masc_plugin_portal.archive import archive_old
from masc_plugin_portal.closing import close_all, masc_portal_close
from masc_plugin_portal.line import portals
from masc_plugin_portal.opening import masc_portal_open
from masc_plugin_portal.overview import masc_portal_status
from masc_plugin_portal.records import PORTAL_TASKS, PORTALS
from masc_plugin_portal.sending import masc_portal_send

__all__: list[str] = []


@hookimpl
def masc_tools(register: Callable[[Callable[..., Any]], None]) -> None:
    """The category's tools, in listing order."""
    for function in (masc_portal_open, masc_portal_send, masc_portal_close, masc_portal_status):
        register(function)


@hookimpl
def masc_records(register: Callable[[Collection[Any] | Log[Any]], None]) -> None:
    """Portals and portal tasks."""
    register(PORTALS)
    register(PORTAL_TASKS)


@hookimpl
async def masc_unread(ctx: Context, agent: str) -> Mapping[str, Any]:
    """Tasks the agent has not seen and results it was not shown."""
    found = [portal.waiting_for(agent) for portal in await portals(ctx).scan("waiting", agent.lower())]
    return {"portal_tasks": sum(waiting.pending + waiting.results for waiting in found)}


@hookimpl
async def masc_agent_released(ctx: Context, agent: Agent, reason: str) -> Mapping[str, Any]:
    """An agent's portals are closed when it goes."""
    return {"portals_closed": await close_all(ctx, agent, reason)}


@hookimpl
async def masc_gc(ctx: Context, before: str, dry_run: bool) -> Mapping[str, Any]:
    """Archive old portals and portal tasks."""
    return await archive_old(ctx, before, dry_run)
