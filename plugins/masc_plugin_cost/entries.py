"""masc_cost_log: what a piece of work cost."""

from __future__ import annotations

from typing import Annotated

from masc_core import WORKER, WRITE, Bound, Context, Parsed, TaskId, Verbatim, tool
from masc_core.errors import InvalidArgument
from masc_core.frozen import frozen
from masc_core.store.driver import Key
from masc_core.values import one_line
from masc_plugin_cost.adding import add
from masc_plugin_cost.buckets import keys_to_log
from masc_plugin_cost.budget import DAY, Budget, Limits, Spent, limits_in_force, spent_of, standing
from masc_plugin_cost.money import MICRO, MOST_USD, Usd, micro, priced, usd
from masc_plugin_cost.records import COSTS, LIMITS, LIMITS_ID, CostEntry, LoggedEntry
from masc_plugin_cost.settings import CostSettings, Price

__all__ = ["Logged", "masc_cost_log"]

NEAR_PERCENT = 80

Model = Annotated[str, Bound(minLength=1, maxLength=128), Parsed(one_line), Verbatim()]
Tokens = Annotated[int, Bound(minimum=0, maximum=10**12)]


@frozen
class Logged:
    """The stored entry and how the budgets stand with it."""

    entry: LoggedEntry
    agent_total_today_usd: float
    """Of the last 86,400 s, as the budgets."""
    budget: Budget | None = None
    """The one nearest to its limit."""


@tool(
    effect=WRITE,
    role=WORKER,
    examples=(
        {"agent_name": "claude", "cost_usd": 0.0182, "model": "large", "input_tokens": 4200, "output_tokens": 370},
    ),
    keywords=(
        "record track add mine entries cost tokens used; log note write down save enter book credential report input "
        "output ledger paid burned consumed euros session run api llm prompt finish charge register keep tally usage "
        "model invoice receipt made"
    ),
)
async def masc_cost_log(
    ctx: Context,
    cost_usd: Usd | None = None,
    model: Model = "unknown",
    input_tokens: Tokens = 0,
    output_tokens: Tokens = 0,
    task_id: TaskId | None = None,
) -> Logged:
    """Log what a model call or piece of work cost; cost_usd may be left out for models with a known price."""
    amount = micro(cost_usd) if cost_usd is not None else _price(ctx, model, input_tokens, output_tokens)
    facts = (ctx.agent, model, input_tokens, output_tokens, usd(amount), cost_usd is None, ctx.now, task_id)
    entry = CostEntry(*facts)
    # In one query: the limits, the pages that are added up and those that are written.
    await ctx.tx.peek([Key(LIMITS.name, LIMITS_ID), *keys_to_log(entry.agent, ctx.after(-DAY), ctx.now)])
    limits = await limits_in_force(ctx)
    before = await spent_of(ctx, ctx.agent, limits)
    spent = Spent(before.agent + amount, before.room + amount)
    await add(ctx, entry)
    seq = ctx.log(COSTS).append(entry)
    ctx.event(
        "cost_logged", task_id or ctx.agent, agent=ctx.agent, model=model, input_tokens=input_tokens,
        output_tokens=output_tokens, cost_usd=entry.cost_usd,
    )  # fmt: skip
    budgets = _warned(ctx, limits, spent)
    return Logged(LoggedEntry(*facts, seq=seq), usd(spent.agent), budgets[0] if budgets else None)


def _price(ctx: Context, model: str, input_tokens: int, output_tokens: int) -> int:
    """Micro-dollars by the price table: dollars per million tokens are micro-dollars per token."""
    price: Price | None = ctx.settings.of(CostSettings).prices.get(model)
    if price is None:
        raise InvalidArgument(
            field="cost_usd", reason="no_price",
            expected=f"is required: [costs.prices] in config.toml has no price for model {model!r}",
        )  # fmt: skip
    amount = priced((input_tokens, price.input_per_million), (output_tokens, price.output_per_million))
    if amount > MOST_USD * MICRO:
        raise InvalidArgument(
            field="input_tokens", reason="maximum",
            expected=f"so many tokens cost {usd(amount)} US dollars by the price table, an entry has at most {MOST_USD}",
        )  # fmt: skip
    return amount


def _warned(ctx: Context, limits: Limits, spent: Spent) -> list[Budget]:
    """How the budgets stand, having warned of each that is nearly or wholly used up."""
    budgets = standing(limits, spent)
    for budget in budgets:
        share = f"{budget.spent_usd} of {budget.limit_usd} US dollars in the last 24 hours"
        if budget.exceeded:
            ctx.warn("budget_exceeded", f"the {budget.scope}'s budget is used up: {share}")
        elif _near(limits, spent, budget):
            ctx.warn("budget_near", f"the {budget.scope}'s budget is nearly used up: {share}")
    return budgets


def _near(limits: Limits, spent: Spent, budget: Budget) -> bool:
    limit, amount = (limits.agent_day, spent.agent) if budget.scope == "agent" else (limits.room_day, spent.room)
    return limit is not None and amount * 100 >= limit * NEAR_PERCENT
