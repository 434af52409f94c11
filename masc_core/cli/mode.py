"""``masc mode``: show or switch the room's mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from masc_core.cli._common import common, console, open_kernel, print_json, run, split_categories, succeed
from masc_core.cli._group import MascCommand

__all__ = ["mode"]


@click.command(cls=MascCommand)
@click.argument("name", required=False)
@click.option("--categories", metavar="A,B", help="The categories of mode custom; core is always included.")
@common
def mode(name: str | None, categories: str | None, project: str | None, as_json: bool) -> None:
    """Show the room's mode, or switch it to NAME; inherit goes back to the default.

    A mode decides which tools agents see, and so what the tool list costs them in every conversation. A switch is stored
    in the room and reaches connected clients, except those whose server or URL fixes the mode.

    \b
    masc mode
    masc mode minimal
    masc mode --categories comm,health
    """
    config = run(_config(name, split_categories(categories), project))
    if as_json:
        print_json(config)
    else:
        _show(config)


async def _config(name: str | None, categories: list[str], project: str | None) -> Mapping[str, Any]:
    from masc_core.kernel import local_client

    async with open_kernel(project) as kernel:
        tool, arguments = "masc_get_config", dict[str, Any]()
        if name or categories:
            tool, arguments = "masc_switch_mode", {"mode": name or "custom", "scope": "room"}
        if categories:
            arguments["categories"] = categories
        return succeed(await kernel.call(tool, arguments, local_client())).structured


def _show(config: Mapping[str, Any]) -> None:
    from rich.table import Table

    out = console()
    if (previous := config.get("previous_mode")) is not None:
        out.print(f"{previous} → {config['mode']}" if config["changed"] else f"still {config['mode']}", markup=False)
    enabled = ", ".join(config["enabled_categories"])
    out.print(
        f"mode {config['mode']} (from {config['mode_source']}): {config['enabled_tool_count']} tools", style="bold"
    )
    out.print(f"categories: {enabled}; the list costs about {config['tool_tokens']} tokens", markup=False)
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
