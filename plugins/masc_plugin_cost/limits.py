"""The stored limits: shown and set by a person, through the pipeline like any call, but offered to no agent."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from masc_core import ADMIN, READ, WRITE, Bound, CallerUse, Context, tool
from masc_core.errors import InvalidArgument
from masc_core.frozen import evolve, frozen
from masc_plugin_cost.buckets import money_since
from masc_plugin_cost.budget import DAY, Limits, limits_in_force
from masc_plugin_cost.money import usd
from masc_plugin_cost.records import LIMITS, LIMITS_ID, StoredLimits
from masc_plugin_cost.settings import limit_of

__all__ = ["NO_LIMIT", "BudgetShown", "masc_cost_budget", "masc_cost_budget_set"]

NO_LIMIT = "none"
_PLAIN = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")

Limit = Annotated[str, Bound(minLength=1, maxLength=40)]


@frozen
class BudgetShown:
    """The limits in force, in US dollars of the last 86,400 s, and what the room spent of them."""

    hard: bool
    stored: list[str]
    """Which of agent_day, room_day and hard were set by a person; config.toml holds for the others."""
    room_spent_usd: float
    changed: bool
    agent_day_usd: float | None = None
    room_day_usd: float | None = None


@tool(effect=READ, role=ADMIN, caller=CallerUse.NONE)
async def masc_cost_budget(ctx: Context) -> BudgetShown:
    """Show the budgets in force."""
    stored = await ctx.collection(LIMITS).find(LIMITS_ID) or StoredLimits()
    return await _shown(ctx, await limits_in_force(ctx), stored, changed=False)


@tool(effect=WRITE, role=ADMIN, idempotent=True, caller=CallerUse.NONE, creates_room="never")
async def masc_cost_budget_set(
    ctx: Context,
    agent_day: Limit | None = None,
    room_day: Limit | None = None,
    hard: bool | None = None,
    inherit: bool = False,
) -> BudgetShown:
    """Store limits that go before config.toml: US dollars, or none for no limit; inherit forgets the stored ones first."""
    view = ctx.collection(LIMITS)
    before = await view.find(LIMITS_ID) or StoredLimits()
    given: dict[str, Any] = {
        name: _amount(name, text)
        for name, text in (("agent_day", agent_day), ("room_day", room_day))
        if text is not None
    }
    if hard is not None:
        given["hard"] = hard
    after = evolve(StoredLimits(version=before.version) if inherit else before, **given)
    changed = after != before
    if changed:
        view.put(after)
    return await _shown(ctx, await limits_in_force(ctx), after, changed)


def _amount(field: str, text: str) -> int:
    """Micro-dollars; 0 for no limit."""
    if text == NO_LIMIT:
        return 0
    try:
        # Decimal itself would take 1_0 and 1e1 too.
        return limit_of(field, Decimal(text if _PLAIN.fullmatch(text) else "nan"))
    except (ArithmeticError, ValueError):
        raise InvalidArgument(
            field=field, reason="limit", expected="must be 0.000001 to 1000000000 US dollars, or none"
        ) from None


async def _shown(ctx: Context, limits: Limits, stored: StoredLimits, changed: bool) -> BudgetShown:
    room = sum((await money_since(ctx, ctx.after(-DAY))).values())
    return BudgetShown(
        limits.hard,
        [name for name in ("agent_day", "room_day", "hard") if getattr(stored, name) is not None],
        usd(room),
        changed,
        None if limits.agent_day is None else usd(limits.agent_day),
        None if limits.room_day is None else usd(limits.room_day),
    )
