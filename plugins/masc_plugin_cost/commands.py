"""``masc cost``: log and report costs, show and set budgets."""

from __future__ import annotations

from typing import Any, get_args

import click

from masc_core.commands import MascCommand, agent_option, call_as_person, checked_agent, common, run
from masc_plugin_cost.limits import masc_cost_budget, masc_cost_budget_set
from masc_plugin_cost.report import Period

__all__ = ["cost"]


@click.group()
def cost() -> None:
    """What work cost: log it, report it, limit it."""


@cost.command(cls=MascCommand)
@click.option("--cost-usd", type=float, metavar="USD", help="May be left out for models with a price in config.toml.")
@click.option("--model", help="The model used.")
@click.option("--input-tokens", type=int, metavar="N")
@click.option("--output-tokens", type=int, metavar="N")
@click.option("--task-id", metavar="ID", help="The task it was for, on the board or not.")
@agent_option("The agent it was spent by; without it yourself, human:<os user>.")
@common
def log(agent: str | None, project: str | None, as_json: bool, **values: Any) -> None:
    """Log what a model call or piece of work cost."""
    run(call_as_person(project, "masc_cost_log", values, as_json, checked_agent(agent)))


@cost.command(cls=MascCommand)
@click.option("--period", type=click.Choice(get_args(Period)), help="By default daily: the last 24 hours.")
@click.option("--agent", metavar="NAME", help="Only what this agent spent.")
@click.option("--task-id", metavar="ID", help="Only what was spent on this task.")
@common
def report(project: str | None, as_json: bool, **values: Any) -> None:
    """Sum up costs by agent, model and task, dearest first."""
    run(call_as_person(project, "masc_cost_report", values, as_json))


@cost.command(cls=MascCommand)
@click.option("--agent-day", metavar="USD", help="What each agent may spend in 24 hours; none for no limit.")
@click.option("--room-day", metavar="USD", help="What all together may spend in 24 hours; none for no limit.")
@click.option("--hard/--soft", default=None, help="Whether an agent over budget is refused new work or only warned.")
@click.option("--inherit", is_flag=True, help="First forget what was stored, so that config.toml holds again.")
@common
def budget(inherit: bool, project: str | None, as_json: bool, **values: Any) -> None:
    """Show the budgets, or store limits that go before those in config.toml.

    \b
    masc cost budget
    masc cost budget --agent-day 5 --room-day 20 --hard
    masc cost budget --agent-day none
    """
    given = {**values, "inherit": inherit or None}
    asked = any(value is not None for value in given.values())
    run(call_as_person(project, masc_cost_budget_set if asked else masc_cost_budget, given, as_json))
