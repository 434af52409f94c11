"""masc_find_by_capability: who could do this, and is free for it?"""

from __future__ import annotations

from operator import attrgetter

from masc_core import READ, READER, Context, tool
from masc_core.agents import recorded_status
from masc_core.frozen import frozen
from masc_core.records import Agent, AgentStatus, Presence
from masc_core.remembered import Rows, all_shared, memo_of, remembered_together, share
from masc_core.values import Capability, capability_key

__all__ = ["Capable", "Found", "masc_find_by_capability"]

_ORDER: dict[AgentStatus, int] = {"active": 0, "listening": 1, "busy": 2}
"""The live statuses, whoever is freest first."""
_LAST_SEEN = attrgetter("last_seen")
MOST_LOOKED_AT = 500
MOST_SHOWN = 100


@frozen
class Capable:
    """A live agent and what it is doing."""

    name: str
    status: AgentStatus
    capabilities: list[str]
    last_seen: str
    current_task: str | None = None


@frozen
class Found:
    """The live agents with a capability, the freest first."""

    capability: str
    agents: list[Capable]
    count: int


@tool(
    effect=READ,
    role=READER,
    examples=({"capability": "python"},),
    keywords=(
        "know search look agent somebody capability expert ask database for work; who find good experience "
        "helper secure write whom python rust sql person experienced familiar trained best suited suitable specialise "
        "debug test code way masters fluent understands knowledgeable"
    ),
)
async def masc_find_by_capability(ctx: Context, capability: Capability) -> Found:
    """Find agents that can do something, free ones first."""
    live, more = await _live(ctx, capability)
    live.sort(key=_LAST_SEEN, reverse=True)
    live.sort(key=lambda f: _ORDER[f.status])
    shown = _together(live[:MOST_SHOWN])
    if more or len(live) > len(shown):
        least = "at least " if more else ""
        ctx.warn("more_agents", f"{least}{len(live)} agents have the capability; here are the first {len(shown)}")
    return Found(capability, shown, len(shown))


async def _live(ctx: Context, capability: str) -> tuple[list[Capable], bool]:
    """Live agents that have the capability, by name, and whether there may be more: some hundred agents are looked at, and
    as many again where so many of them are gone that the answer would not be full."""
    wanted, key = capability.casefold(), capability_key(capability)
    live: list[Capable] = []
    last: Agent | None = None
    while True:
        near = await ctx.agents.scan("capability", key, after=last, limit=MOST_LOOKED_AT + 1)
        looked_at = near[:MOST_LOOKED_AT]
        # Very long capabilities share an index value.
        agents = [agent for agent in looked_at if wanted in map(str.casefold, agent.capabilities)]
        presences = await ctx.presence.peek([agent.name.lower() for agent in agents])
        found = [_seen(ctx, agent, presence) for agent, presence in zip(agents, presences, strict=True)]
        live += [one for one in found if one.status in _ORDER]
        more = len(near) > MOST_LOOKED_AT
        if not more or len(live) >= MOST_SHOWN:
            return live, more
        last = looked_at[-1]


def _seen(ctx: Context, agent: Agent, presence: Presence | None) -> Capable:
    status = recorded_status(ctx, agent, presence)
    last_seen = presence.last_seen if presence is not None else agent.joined_at
    memo = memo_of(agent)
    if memo is None:
        return Capable(agent.name, status, agent.capabilities, last_seen, agent.current_task)
    known: Capable | None = memo.get(Capable)
    if known is None or known.status != status or known.last_seen != last_seen:
        known = memo[Capable] = share(Capable(agent.name, status, agent.capabilities, last_seen, agent.current_task))
    return known


def _together(shown: list[Capable]) -> list[Capable]:
    """For the same agents in the same order the same list, of which also what is made of it later is remembered."""

    def rows() -> list[Capable]:
        # What is too much to keep is kept as nothing.
        return share(Rows(shown)) if all_shared(shown) else []

    return (remembered_together(shown, Capable, rows) if shown else []) or shown
