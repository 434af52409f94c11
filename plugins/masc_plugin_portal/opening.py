"""masc_portal_open: begin, or resume, direct work with another agent."""

from __future__ import annotations

from masc_core.agents import is_live
from masc_core.context import Context
from masc_core.errors import AgentNotFound
from masc_core.frozen import frozen
from masc_core.records import AGENTS, COUNTERS, PRESENCE
from masc_core.store.driver import Key
from masc_core.tools import WORKER, WRITE, tool
from masc_core.values import AgentName, Message
from masc_plugin_portal.line import other_agent, portals, send
from masc_plugin_portal.records import PORTALS, SENT, Portal, PortalTask, Waiting, portal_key

__all__ = ["Opened", "masc_portal_open"]


@frozen
class Opened:
    """The portal, and the task that was sent through it."""

    peer: str
    opened_at: str
    opened_by: str
    already_open: bool
    portal_task: PortalTask | None = None


@tool(
    effect=WRITE,
    role=WORKER,
    errors=(AgentNotFound,),
    examples=({"agent_name": "claude", "target_agent": "gemini", "initial_message": "please review src/login.py"},),
    keywords=(
        "connect speak pair portal private talk alone; open start create begin establish agent word first time hidden "
        "rest between both contact reach initialise introduce call dial dedicated secret tunnel bilateral handshake "
        "work line link conversation chat peer partner session collaboration whisper team set only hear individually "
        "delegate third parties"
    ),
)
async def masc_portal_open(ctx: Context, target_agent: AgentName, initial_message: Message | None = None) -> Opened:
    """Open a private line to another agent, to send it tasks and get results."""
    await _read_ahead(ctx, target_agent, initial_message is not None)
    peer = await other_agent(ctx, "target_agent", target_agent)
    await _warn_if_offline(ctx, peer)
    known = await portals(ctx).find(portal_key(ctx.agent, peer))
    already_open = known is not None and known.open
    portal = known if known is not None and known.open else _opened(ctx, known, peer)
    task = None
    if initial_message is not None:
        portal, task = await send(ctx, portal, initial_message)
    if portal is not known:
        portals(ctx).put(portal)
    if not already_open:
        await _tie(ctx, peer)
        ctx.event("portal_opened", peer, agents=portal.agents)
    return Opened(peer, portal.opened_at, portal.opened_by, already_open, task)


async def _read_ahead(ctx: Context, target: str, sends: bool) -> None:
    """Read in one query what nearly every call asks for on its way."""
    keys = [
        Key(PORTALS.name, portal_key(ctx.agent, target)),
        Key(AGENTS.name, target.lower()),
        Key(PRESENCE.name, target.lower()),
    ]
    await ctx.tx.peek([*keys, Key(COUNTERS.name, SENT)] if sends else keys)


def _opened(ctx: Context, before: Portal | None, peer: str) -> Portal:
    """The portal opened now; of an earlier opening stay its task count and the results that nobody was shown."""
    agents = sorted((ctx.agent, peer), key=str.lower)
    return Portal(
        agents=agents,
        opened_by=ctx.agent,
        opened_at=ctx.now,
        status="open",
        waiting=[before.waiting_for(name) for name in agents] if before else [Waiting(), Waiting()],
        task_count=before.task_count if before else 0,
    )


async def _tie(ctx: Context, peer: str) -> None:
    """Rewrite both agents' records: whoever of them is leaving has perhaps looked for its portals already."""
    for name in (ctx.agent, peer):
        if (agent := await ctx.agents.find(name.lower())) is not None:
            ctx.agents.put(agent)


async def _warn_if_offline(ctx: Context, peer: str) -> None:
    agent = (await ctx.agents.peek([peer.lower()]))[0]
    presence = (await ctx.presence.peek([peer.lower()]))[0]
    if agent is None or not is_live(agent, presence, ctx.now, ctx.settings.health.zombie_seconds):
        ctx.warn("peer_offline", f"{peer} is not here now and may not answer")
