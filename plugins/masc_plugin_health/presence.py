"""masc_heartbeat and masc_agents: who lives, and for how long it will be quiet."""

from __future__ import annotations

from typing import Annotated

from masc_core.agents import agent_status, agents_with_status, find_agent
from masc_core.context import Context
from masc_core.errors import AgentNotFound
from masc_core.frozen import evolve, frozen
from masc_core.records import Agent, AgentStatus, Presence
from masc_core.tools import READ, READER, WRITE, CallerUse, tool
from masc_core.values import Bound, Limit, Offset

__all__ = ["Agents", "Beat", "ListedAgent", "Unread", "masc_agents", "masc_heartbeat"]

Silence = Annotated[int, Bound(minimum=0, maximum=3600)]


@frozen
class Unread:
    """What waits for an agent."""

    mentions: int
    portal_tasks: int


@frozen
class Beat:
    """An agent's presence after a sign of life."""

    agent: str
    status: AgentStatus
    last_seen: str
    unread: Unread
    paused: bool
    alive_until: str | None = None


@frozen
class ListedAgent:
    """One agent as it stands."""

    name: str
    agent_type: str
    status: AgentStatus
    is_zombie: bool
    last_seen: str
    capabilities: list[str]
    current_task: str | None = None
    worktree: str | None = None


@frozen
class Agents:
    """Agents: live by name, then zombies, then inactive ones."""

    agents: list[ListedAgent]
    count: int
    total: int


@tool(
    effect=WRITE,
    role=READER,
    idempotent=True,
    limit="read",
    caller=CallerUse.REQUIRED,
    errors=(AgentNotFound,),
    examples=({"agent_name": "claude", "silent_for": 600},),
    keywords=(
        "alive here ping presence refresh dead long compile silence check stay remove work drop; signal last seen "
        "declared considered treated build test run busy silent quiet away minutes time timeout extend server report "
        "activate connect keep expiring reaped cleaned task right give_back brb afk continue mine not live yes hour "
        "still ahead presume lost slow"
    ),
)
async def masc_heartbeat(ctx: Context, silent_for: Silence = 0) -> Beat:
    """Show you are alive; silent_for announces quiet seconds ahead."""
    agent = await find_agent(ctx, ctx.agent)
    if agent.left_at:
        raise AgentNotFound(agent=agent.name, candidates=[])
    before = await ctx.presence.find(agent.name.lower()) or Presence(agent.name, ctx.now)
    alive_until = ctx.after(silent_for) if silent_for else None
    presence = evolve(before, last_seen=ctx.now, alive_until=alive_until)
    ctx.presence.put(presence)
    return Beat(
        agent=agent.name,
        status=await agent_status(ctx, agent, presence),
        last_seen=presence.last_seen,
        unread=await _unread(ctx, agent, presence),
        paused=ctx.room is not None and ctx.room.paused,
        alive_until=alive_until,
    )


async def _unread(ctx: Context, agent: Agent, presence: Presence) -> Unread:
    mentioning = await ctx.messages.count_after("mentions", agent.name.lower(), presence.read_seq)
    waiting = await ctx.ask("masc_unread", ctx=ctx, agent=agent.name)
    return Unread(mentioning, sum(int(part.get("portal_tasks", 0)) for part in waiting))


@tool(
    effect=READ,
    role=READER,
    keywords=(
        "show every agent details capability type register work name who profile can do; roster directory table full "
        "inactive left old known ever seen last status page everyone overview belongs team people workers finish gone "
        "one count exist membership together include offline know entire"
    ),
)
async def masc_agents(ctx: Context, include_inactive: bool = False, limit: Limit = 50, offset: Offset = 0) -> Agents:
    """List agents with status, current task and capabilities."""
    rows = await agents_with_status(ctx, include_inactive)
    shown = [_listed(agent, presence, status) for agent, presence, status in rows[offset : offset + limit]]
    return Agents(shown, len(shown), len(rows))


def _listed(agent: Agent, presence: Presence | None, status: AgentStatus) -> ListedAgent:
    return ListedAgent(
        name=agent.name,
        agent_type=agent.agent_type,
        status=status,
        is_zombie=status == "zombie",
        last_seen=presence.last_seen if presence is not None else agent.joined_at,
        capabilities=agent.capabilities,
        current_task=agent.current_task,
        worktree=agent.meta.worktree,
    )
