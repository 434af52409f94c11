"""masc_register_capabilities: say what one can do."""

from __future__ import annotations

from masc_core import WORKER, WRITE, Context, tool
from masc_core.errors import AgentNameRequired
from masc_core.frozen import evolve, frozen
from masc_core.values import Capabilities

__all__ = ["Registered", "masc_register_capabilities"]


@frozen
class Registered:
    """What an agent can do now."""

    agent: str
    capabilities: list[str]
    changed: bool


@tool(
    effect=WRITE,
    role=WORKER,
    idempotent=True,
    examples=({"agent_name": "claude", "capabilities": ["python", "review"]},),
    keywords=(
        "mine capability advertise good know profile specialise tag; declared announce publish tell say update change "
        "show add describe java test python agent learned now replace overwrite reset expert languages frameworks "
        "experience speak known write let set docs offer teach trained"
    ),
)
async def masc_register_capabilities(ctx: Context, capabilities: Capabilities) -> Registered:
    """Say what you can do, in place of what you said before."""
    agent = await ctx.agents.find(ctx.agent.lower())
    if agent is None:  # a person at the command line, who is no agent
        raise AgentNameRequired(tool=ctx.call.tool.name)
    if agent.capabilities == capabilities:
        return Registered(agent.name, capabilities, changed=False)
    ctx.agents.put(evolve(agent, capabilities=capabilities))
    ctx.event("capabilities_registered", agent.name, capabilities=capabilities, previous=agent.capabilities)
    return Registered(agent.name, capabilities, changed=True)
