"""Advice on modes, from what was really called."""

from __future__ import annotations

from masc_core import Context
from masc_core.frozen import frozen
from masc_core.modes import Active
from masc_core.usage import DAYS

__all__ = ["Advice", "advice", "by_use"]

_ENOUGH = 20
"""Fewer calls than this say nothing about what is never used."""
_WHEN = (
    "best before the first turn (--mode, /mcp?mode=, or stored now for later conversations): a list that changes in "
    "mid-conversation costs the model its prompt cache"
)


@frozen
class Unused:
    """Listed categories that somebody never called, and what the list costs less without them."""

    calls: int
    unused: list[str]
    saves_tokens: int
    keep: list[str]


@frozen
class Advice:
    """What the use of the last ``days`` days suggests; only what leaves something out."""

    days: int
    when: str
    room: Unused | None = None
    agent: Unused | None = None


async def advice(ctx: Context, active: Active) -> Advice | None:
    """What could be left out of the list in force; ``None`` where nothing can, or too little was called to tell."""
    if ctx.room is None or active.lean:
        return None
    room = await _unused(ctx, active, None)
    agent = await _unused(ctx, active, ctx.caller.name) if ctx.caller.known else None
    return Advice(DAYS, _WHEN, room, agent) if room or agent else None


async def _unused(ctx: Context, active: Active, agent: str | None) -> Unused | None:
    used = await ctx.used(agent)
    unused = [c for c in active.categories if c != "core" and not used.get(c)]
    if not unused or sum(used.values()) < _ENOUGH:
        return None
    saves = ctx.modes.cost(unused, ctx.call.client.caller_known).tokens
    return Unused(sum(used.values()), unused, saves, [c for c in active.categories if c not in unused])


async def by_use(ctx: Context) -> list[str]:
    """The installed categories, the most used first; ties in the order of value."""
    used = await ctx.used()
    return sorted(ctx.modes.by_value, key=lambda category: -used.get(category, 0))
