"""masc_portal_close, and what happens to the portals of an agent that goes."""

from __future__ import annotations

from masc_core.context import Context
from masc_core.errors import AgentNotFound
from masc_core.frozen import frozen
from masc_core.records import Agent
from masc_core.tools import DESTRUCTIVE, WORKER, tool
from masc_core.values import ActorName
from masc_plugin_portal.errors import PortalNotOpen
from masc_plugin_portal.line import close, open_portal_with, open_portals, other_agent, the_only_open_portal

__all__ = ["Closed", "close_all", "masc_portal_close"]


@frozen
class Closed:
    """With whom the portal was, and its tasks that were still open."""

    peer: str
    canceled: list[str]


@tool(
    effect=DESTRUCTIVE,
    role=WORKER,
    auto_join=False,
    errors=(AgentNotFound, PortalNotOpen),
    examples=({"agent_name": "claude", "to": "gemini"},),
    keywords=(
        "end hang stop finish cut disconnect break off drop portal private connect partner pair session; close shut "
        "terminate sever tear down talk longer leave exit discontinue cancelled pending line link conversation chat "
        "peer whisper not both sides collaboration partnership dissolve"
    ),
)
async def masc_portal_close(ctx: Context, to: ActorName | None = None) -> Closed:
    """Close a portal for both sides; its unfinished tasks are canceled."""
    if to is None:
        portal = await the_only_open_portal(ctx)
    else:
        portal = await open_portal_with(ctx, await other_agent(ctx, "to", to))
    return Closed(portal.peer_of(ctx.agent), await close(ctx, portal, ctx.agent, "close"))


async def close_all(ctx: Context, agent: Agent, reason: str) -> list[str]:
    """Close every portal of an agent that left or is taken for gone; the peers' names."""
    found = await open_portals(ctx, agent.name)
    for portal in found:
        await close(ctx, portal, agent.name, "zombie" if reason == "zombie" else "leave")
    return sorted(portal.peer_of(agent.name) for portal in found)
