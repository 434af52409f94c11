"""Category cost: what work cost, reports, budgets.

Read :mod:`.money` and :mod:`.records` for what is kept, :mod:`.adding` and :mod:`.buckets` for how sums stay fast,
:mod:`.entries` and :mod:`.report` for the tools, :mod:`.budget` and :mod:`.limits` for budgets, :mod:`.commands` for the
command line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from masc_core.context import Context
from masc_core.hookspecs import hookimpl
from masc_core.records import Task
from masc_core.store.collections import Collection, Log
from masc_plugin_cost.budget import ensure_within_budget
from masc_plugin_cost.entries import masc_cost_log
from masc_plugin_cost.records import BUCKETS, COSTS, LIMITS
from masc_plugin_cost.report import masc_cost_report
from masc_plugin_cost.settings import CostSettings

__all__: list[str] = []


@hookimpl
def masc_tools(register: Callable[[Callable[..., Any]], None]) -> None:
    """The category's tools, in listing order."""
    for function in (masc_cost_log, masc_cost_report):
        register(function)


@hookimpl
def masc_records(register: Callable[[Collection[Any] | Log[Any]], None]) -> None:
    """Entries and their sums go with a reset; limits are settings and stay."""
    for declared in (COSTS, BUCKETS, LIMITS):
        register(declared)


@hookimpl
def masc_settings(register: Callable[[str, type], None]) -> None:
    """``[costs]``."""
    register("costs", CostSettings)


@hookimpl
async def masc_work_starts(ctx: Context, agent: str, task: Task | None) -> None:
    """An agent over a hard budget begins nothing new; a person at the command line may."""
    if ctx.caller.auth != "local":
        await ensure_within_budget(ctx, agent)
