"""``masc mode``: show or switch the room's mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from masc_core.cli._common import (
    agent_option,
    checked_agent,
    common,
    console,
    open_kernel,
    print_json,
    run,
    split_categories,
    succeed,
)
from masc_core.cli._group import MascCommand

__all__ = ["mode"]


@click.command(cls=MascCommand)
@click.argument("name", required=False)
@click.option("--categories", metavar="A,B", help="The categories of mode custom; core is always included.")
@click.option("--max-tokens", type=int, metavar="N", help="Mode budget: the categories that fit in N tokens.")
@click.option("--order", type=click.Choice(["value", "use"]), help="What a budget is spent on first.")
@click.option("--suggest", is_flag=True, help="Say which listed categories are never used, and what they cost.")
@agent_option("With --suggest: advice for this agent too.")
@common
def mode(
    name: str | None,
    categories: str | None,
    max_tokens: int | None,
    order: str | None,
    suggest: bool,
    agent: str | None,
    project: str | None,
    as_json: bool,
) -> None:
    """Show the room's mode, or switch it to NAME; inherit goes back to the default.

    A mode decides which tools agents see, and so what the tool list costs them in every conversation. A switch is stored
    in the room and reaches connected clients, except those whose server or URL fixes the mode.

    \b
    masc mode
    masc mode minimal
    masc mode --categories comm,health
    masc mode budget --max-tokens 2000
    masc mode --suggest
    """
    wanted: dict[str, Any] = {"categories": split_categories(categories), "max_tokens": max_tokens, "order": order}
    wanted = {key: value for key, value in wanted.items() if value}
    if name or wanted:
        if suggest:
            raise click.UsageError("--suggest only looks; leave out what it should switch to")
        wanted |= {"mode": name or ("custom" if "categories" in wanted else "budget"), "scope": "room"}
    config = run(_config(wanted, checked_agent(agent) if suggest else None, project))
    if as_json:
        print_json(config)
    elif suggest:
        _advise(config)
    else:
        _show(config)


async def _config(wanted: Mapping[str, Any], agent: str | None, project: str | None) -> Mapping[str, Any]:
    from masc_core.kernel import local_client

    async with open_kernel(project) as kernel:
        tool = "masc_switch_mode" if wanted else "masc_get_config"
        return succeed(await kernel.call(tool, wanted, local_client(agent))).structured


def _advise(config: Mapping[str, Any]) -> None:
    out = console()
    if (advice := config.get("advice")) is None:
        reason = "everything it lists is used, or too few calls were counted (servers write theirs once a minute)"
        out.print(f"mode {config['mode']}: nothing to suggest; {reason}", markup=False)
        return
    for who in ("room", "agent"):
        if (found := advice.get(who)) is not None:
            never, keep = ", ".join(found["unused"]), ",".join(found["keep"])
            counted = f"{found['calls']} calls in {advice['days']} days"
            out.print(f"this {who} never used {never} ({counted})", style="bold", markup=False)
            out.print(f"  leaving out saves {found['saves_tokens']} tokens a conversation", markup=False)
            out.print(f"  masc mode custom --categories {keep}", markup=False)
    out.print(advice["when"], markup=False)


def _show(config: Mapping[str, Any]) -> None:
    from rich.table import Table

    out = console()
    if (previous := config.get("previous_mode")) is not None:
        out.print(f"{previous} → {config['mode']}" if config["changed"] else f"still {config['mode']}", markup=False)
    enabled = ", ".join(config["enabled_categories"])
    out.print(
        f"mode {config['mode']} (from {config['mode_source']}): {config['enabled_tool_count']} tools", style="bold"
    )
    out.print(f"categories: {enabled}; the list costs {config['tool_tokens']} tokens", markup=False)
    table = Table(box=None, pad_edge=False)
    for column in ("mode", "tools", "tokens", "categories", "for"):
        table.add_column(column, justify="right" if column in {"tools", "tokens"} else "left")
    for known in config["available_modes"]:
        marked = f"{known['name']} *" if known["name"] == config["mode"] else known["name"]
        numbers = (str(known["tool_count"]), str(known["tokens"]))
        table.add_row(marked, *numbers, ", ".join(known["categories"]), known["description"])
    out.print(table)
    if missing := config.get("plugins_missing"):
        out.print(f"stored, but not installed: {', '.join(missing)}", style="yellow", markup=False)
