"""masc_cost_report: sums by agent, model and task."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from masc_core import READ, READER, Context, TaskId, tool
from masc_core.agents import name_meant
from masc_core.frozen import frozen
from masc_core.remembered import remembered_together, share
from masc_core.values import ActorName
from masc_plugin_cost.buckets import Part, logged_since
from masc_plugin_cost.money import usd

__all__ = ["WINDOWS", "Report", "Share", "masc_cost_report"]

Period = Literal["hourly", "daily", "weekly", "monthly", "all"]
WINDOWS: dict[str, int] = {"hourly": 3_600, "daily": 86_400, "weekly": 604_800, "monthly": 2_592_000}
"""Seconds; all has none."""
_TASK_KEYS = {"": "-", "-": '"-"'}
"""How a report names no task, and a task whose id is what stands for none."""


@frozen
class Share:
    """What one agent, model or task cost."""

    key: str
    entries: int
    input_tokens: int
    output_tokens: int
    cost_usd: float


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
        "total breakdown statistics most cost week month budget overview burned tokens model; sum report show consumption per "
        "agent task today went stats day hour cheapest priciest dearest rate usage"
    ),
)
async def masc_cost_report(
    ctx: Context, period: Period = "daily", agent: ActorName | None = None, task_id: TaskId | None = None
) -> Report:
    """Sum up logged costs by agent, model and task."""
    window = WINDOWS.get(period)
    since = None if window is None else ctx.after(-window)
    logged = await logged_since(ctx, since, None if agent is None else (await name_meant(ctx, agent)).lower())
    by_agent, by_model, by_task, micro = remembered_together(
        logged.pages, (logged.slots, logged.edge, task_id), lambda: _shares(logged.parts(task_id))
    )
    return Report(
        period=period,
        to=ctx.now,
        total_entries=sum(share.entries for share in by_agent),
        total_cost_usd=usd(micro),
        input_tokens=sum(share.input_tokens for share in by_agent),
        output_tokens=sum(share.output_tokens for share in by_agent),
        by_agent=by_agent.copy(),
        by_model=by_model.copy(),
        by_task=by_task.copy(),
        from_=since,
    )


def _shares(parts: Iterable[Part]) -> tuple[list[Share], list[Share], list[Share], int]:
    """The parts added up by agent, by model and by task, and their micro-dollars."""
    agents: dict[str, list[int]] = {}
    models: dict[str, list[int]] = {}
    tasks: dict[str, list[int]] = {}
    for agent, model, task, entries, input_tokens, output_tokens, micro in parts:
        for sums, key in ((agents, agent), (models, model), (tasks, task)):
            if (found := sums.get(key)) is None:
                sums[key] = [entries, input_tokens, output_tokens, micro]
            else:
                found[0] += entries
                found[1] += input_tokens
                found[2] += output_tokens
                found[3] += micro
    named = {_TASK_KEYS.get(task, task): found for task, found in tasks.items()}
    return _dearest(agents), _dearest(models), _dearest(named), sum(found[3] for found in agents.values())


def _dearest(sums: dict[str, list[int]]) -> list[Share]:
    dearest = sorted(sums.items(), key=lambda item: (-item[1][3], item[0]))
    return [share(Share(key, s[0], s[1], s[2], usd(s[3]))) for key, s in dearest]
