"""masc_cost_report: sums by agent, model and task."""

from __future__ import annotations

from typing import Literal

from masc_core import READ, READER, Context, TaskId, tool
from masc_core.agents import name_meant
from masc_core.frozen import frozen
from masc_core.values import ActorName
from masc_plugin_cost.buckets import logged_since
from masc_plugin_cost.money import usd
from masc_plugin_cost.sums import Share, sums_of

__all__ = ["WINDOWS", "Report", "masc_cost_report"]

Period = Literal["hourly", "daily", "weekly", "monthly", "all"]
WINDOWS: dict[str, int] = {"hourly": 3_600, "daily": 86_400, "weekly": 604_800, "monthly": 2_592_000}
"""Seconds; all has none."""


@frozen
class Report:
    """The costs of a window that ends now, dearest first."""

    period: Period
    to: str
    total_entries: int
    total_cost_usd: float
    input_tokens: int
    output_tokens: int
    by_agent: list[Share]
    by_model: list[Share]
    by_task: list[Share]
    """What was logged without a task is under ``-``, for a task of that very name under ``"-"``."""
    from_: str | None = None
    """The first moment that counts."""


@tool(
    effect=READ,
    role=READER,
    examples=({"period": "weekly", "agent": "claude"},),
    keywords=(
        "total breakdown statistics most cost week month budget overview burned tokens model; sum report show "
        "consumption per agent task today went stats day hour cheapest priciest dearest rate usage paid highest "
        "overall accumulated financial"
    ),
)
async def masc_cost_report(
    ctx: Context, period: Period = "daily", agent: ActorName | None = None, task_id: TaskId | None = None
) -> Report:
    """Sum up logged costs by agent, model and task."""
    window = WINDOWS.get(period)
    since = None if window is None else ctx.after(-window)
    of = None if agent is None else (await name_meant(ctx, agent)).lower()
    sums = sums_of(ctx, (period, of), task_id, await logged_since(ctx, since, of))
    entries, inputs, outputs, micro = sums.totals()
    return Report(
        period=period,
        to=ctx.now,
        total_entries=entries,
        total_cost_usd=usd(micro),
        input_tokens=inputs,
        output_tokens=outputs,
        by_agent=sums.by_agent.shares(),
        by_model=sums.by_model.shares(),
        by_task=sums.by_task.shares(),
        from_=since,
    )
