"""Budgets: which limits are in force, how much of them is spent, and who may not begin new work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from masc_core import Context
from masc_core.errors import BudgetExceeded
from masc_core.frozen import frozen
from masc_plugin_cost.buckets import money_since
from masc_plugin_cost.crossing import seconds_until_below
from masc_plugin_cost.money import usd
from masc_plugin_cost.records import LIMITS, LIMITS_ID, StoredLimits
from masc_plugin_cost.settings import CostSettings, limit_of

__all__ = ["DAY", "Budget", "Limits", "Spent", "ensure_within_budget", "limits_in_force", "spent_of", "standing"]

DAY = 86_400
"""Seconds that budgets cover."""

Scope = Literal["agent", "room"]


@frozen
class Limits:
    """The limits in force, in micro-dollars; ``None`` where there is none."""

    agent_day: int | None
    room_day: int | None
    hard: bool

    def of(self, scope: Scope) -> int:
        """The limit of a scope that has one."""
        limit = self.agent_day if scope == "agent" else self.room_day
        assert limit is not None
        return limit


@frozen
class Spent:
    """Micro-dollars of the last 86,400 s."""

    agent: int
    room: int


@frozen
class Budget:
    """How one budget stands."""

    scope: Scope
    limit_usd: float
    spent_usd: float
    exceeded: bool


async def limits_in_force(ctx: Context) -> Limits:
    """What a person stored goes before config.toml, limit by limit."""
    stored = await ctx.collection(LIMITS).find(LIMITS_ID) or StoredLimits()
    settings = ctx.settings.of(CostSettings)
    agent, room = settings.budget_agent_day_usd, settings.budget_room_day_usd
    configured = (
        None if agent is None else limit_of("budget_agent_day_usd", agent),
        None if room is None else limit_of("budget_room_day_usd", room),
    )
    return Limits(
        configured[0] if stored.agent_day is None else stored.agent_day or None,
        configured[1] if stored.room_day is None else stored.room_day or None,
        settings.hard if stored.hard is None else stored.hard,
    )


async def spent_of(ctx: Context, agent: str, limits: Limits) -> Spent:
    """What the agent and, where it has a budget, the room spent in the last 86,400 s."""
    (spent,) = await _spent(ctx, [agent.lower()], limits)
    return spent


async def _spent(ctx: Context, names: Sequence[str], limits: Limits) -> list[Spent]:
    """As :func:`spent_of`, of several agents by lower-case name."""
    since = ctx.after(-DAY)
    if limits.room_day is not None:
        money = await money_since(ctx, since)
    else:
        money = {name: sum((await money_since(ctx, since, name)).values()) for name in names}
    return [Spent(money.get(name, 0), sum(money.values())) for name in names]


def standing(limits: Limits, spent: Spent) -> list[Budget]:
    """Every budget there is, the one nearest to its limit (or farthest over it) first."""
    scopes: list[tuple[Scope, int | None, int]] = [
        ("agent", limits.agent_day, spent.agent),
        ("room", limits.room_day, spent.room),
    ]
    limited = [(scope, limit, amount) for scope, limit, amount in scopes if limit is not None]
    limited.sort(key=lambda found: found[2] / found[1], reverse=True)
    return [Budget(scope, usd(limit), usd(amount), amount >= limit) for scope, limit, amount in limited]


async def ensure_within_budget(ctx: Context, agent: str) -> None:
    """Raise :class:`BudgetExceeded` where budgets are hard and the agent's own or the room's is used up.

    Its own is used up when that of any name it goes by is: a client does not get a new budget with a new name.
    """
    limits = await limits_in_force(ctx)
    if not limits.hard or (limits.agent_day is None and limits.room_day is None):
        return
    names = await _names(ctx, agent) if limits.agent_day is not None else [agent.lower()]
    over: dict[tuple[Scope, str | None], Budget] = {}
    for name, spent in zip(names, await _spent(ctx, names, limits), strict=True):
        for budget in standing(limits, spent):
            if budget.exceeded:
                over[budget.scope, name if budget.scope == "agent" else None] = budget
    waits = {(scope, name): await seconds_until_below(ctx, name, limits.of(scope), DAY) for scope, name in over}
    if waits:
        longest = max(waits, key=lambda which: waits[which])
        budget = over[longest]
        raise BudgetExceeded(
            scope=budget.scope, limit_usd=budget.limit_usd, spent_usd=budget.spent_usd, retry_after=waits[longest]
        )


async def _names(ctx: Context, agent: str) -> list[str]:
    """In lower case: the agent, whoever else its client is, and the names these asked for when they were given theirs."""
    names = [
        agent.lower(),
        *(name.lower() for name in sorted(ctx.call.bindings.agents(ctx.call.client, str(ctx.base)))),
    ]
    if ctx.caller.requested is not None:
        names.append(ctx.caller.requested.lower())
    found: dict[str, None] = {}
    while names:
        if (name := names.pop(0)) not in found:
            found[name] = None
            (record,) = await ctx.agents.peek([name])
            if record is not None:
                names.append(record.requested_name.lower())
    return list(found)
