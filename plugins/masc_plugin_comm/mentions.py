"""Who is meant by ``@name``, ``@@type`` and ``@all`` in a text; resolved once, when the message is stored."""

from __future__ import annotations

import re

from masc_core.agents import is_live, live_agents
from masc_core.context import Context
from masc_core.records import Agent, Mention

__all__ = ["find_tokens", "resolve"]

MOST = 50
_MENTION = re.compile(r"(?<![\w@])(@{1,2})([^\W_][\w-]*)")


def find_tokens(text: str) -> list[tuple[bool, str]]:
    """The first 50 distinct mentions, as (written with ``@@``, token without ``@``)."""
    found: dict[tuple[bool, str], str] = {}
    for match in _MENTION.finditer(text):
        token = match[2].rstrip("-_")
        found.setdefault((match[1] == "@@", token.casefold()), token)
        if len(found) == MOST:
            break
    return [(double, token) for (double, _), token in found.items()]


async def resolve(ctx: Context, text: str, sender: str) -> list[Mention]:
    """The mentions of a text. A mention never hides a message from anybody."""
    return [await _resolve(ctx, double, token, sender) for double, token in find_tokens(text)]


async def _resolve(ctx: Context, double: bool, token: str, sender: str) -> Mention:
    if double:
        return Mention(token, "type", await _live_of_type(ctx, token))
    if token.lower() == "all":
        return Mention(token, "all", [a.name for a in await live_agents(ctx) if a.name.lower() != sender.lower()])
    known = (await ctx.agents.peek([token.lower()]))[0]
    if known is not None:
        return Mention(token, "agent", [known.name])
    of_type = await _live_of_type(ctx, token)
    return Mention(token, "type" if of_type else "unknown", of_type)


async def _live_of_type(ctx: Context, agent_type: str) -> list[str]:
    agents: list[Agent] = await ctx.agents.scan("type", agent_type.lower())
    presences = await ctx.presence.peek([a.name.lower() for a in agents])
    threshold = ctx.settings.health.zombie_seconds
    live = [a for a, p in zip(agents, presences, strict=True) if is_live(a, p, ctx.now, threshold)]
    return sorted(a.name for a in live)
