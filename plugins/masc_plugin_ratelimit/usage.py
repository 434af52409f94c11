"""masc_rate_limit_status: what of the limits is used up."""

from __future__ import annotations

from masc_core import ADMIN, READ, READER, WORKER, AgentName, Context, Role, tool
from masc_core.agents import name_meant
from masc_core.errors import AgentNameRequired
from masc_core.frozen import frozen
from masc_plugin_ratelimit.limits import (
    BURST,
    CATEGORIES,
    FACTORS,
    PRIORITY_FACTOR,
    RateLimitSettings,
    base_of,
    limit_of,
    stored,
)
from masc_plugin_ratelimit.windows import Callers, Windows, key_of

__all__ = ["masc_rate_limit_status"]


@frozen
class CategoryUsage:
    """One category; ``reset_seconds`` until the oldest call that counts no longer does."""

    category: str
    current: int
    limit: int
    remaining: int
    reset_seconds: int


@frozen
class Usage:
    """An agent's limits and what this server process has counted of them."""

    agent: str
    role: str
    multiplier: float
    burst_remaining: int
    categories: list[CategoryUsage]


@tool(
    effect=READ,
    role=READER,
    keywords=(
        "mine left usage call limit; remaining close more allowed available wait until often fast reach error still "
        "budget slowed blocked retry next cooldown consumption current exceeded hit request minutes burst near "
        "consumed reset"
    ),
)
async def masc_rate_limit_status(ctx: Context, agent_name: AgentName | None = None) -> Usage:
    """Show what is left of your calls per minute, or of another agent's."""
    me = ctx.caller.by or ctx.caller.name
    if agent_name is None and not ctx.caller.known:
        raise AgentNameRequired(tool="masc_rate_limit_status")
    if agent_name is None or agent_name.lower() == me.lower():
        return await _usage(ctx, me, ctx.caller.role, ctx.remember(Callers).seen(key_of(ctx)))
    ctx.ensure_role(ADMIN)
    agent_name = await name_meant(ctx, agent_name)
    role, by_token = await _standing(ctx, agent_name)
    return await _usage(ctx, agent_name, role, _windows(ctx, agent_name.lower(), by_token))


async def _standing(ctx: Context, agent: str) -> tuple[Role, bool]:
    """An agent's role, and whether its calls come with a token; with auth off everybody is a worker."""
    for answer in await ctx.ask("masc_agent_role", ctx=ctx, agent=agent):
        return Role[str(answer["role"]).upper()], bool(answer["token"])
    return WORKER, False


def _windows(ctx: Context, agent: str, by_token: bool) -> Windows:
    """The agent's windows: by its token, else on the asker's connection, else on another."""
    callers, mine = ctx.remember(Callers), ctx.call.client.source
    sources = [""] if by_token else sorted(callers.sources(agent), key=lambda source: source != mine)
    return callers.seen((agent, next(iter(sources), mine)))


async def _usage(ctx: Context, agent: str, role: Role, windows: Windows) -> Usage:
    given, now = await stored(ctx.tx), ctx.ticks
    favoured = ctx.settings.of(RateLimitSettings).favours(agent)
    lines = []
    for category, name in CATEGORIES.items():
        limit = limit_of(base_of(ctx, given, name), role, favoured)
        current, reset = windows.used(category, now)
        lines.append(CategoryUsage(category, current, limit, max(0, limit - current), reset))
    return Usage(
        agent=agent,
        role=role.label,
        multiplier=FACTORS[role] * (PRIORITY_FACTOR if favoured else 1.0),
        burst_remaining=max(0, base_of(ctx, given, BURST) - windows.bursts(now)),
        categories=lines,
    )
