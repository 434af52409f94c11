"""``masc tools``: the tools a client would see, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from masc_core.cli._common import (
    checked_agent,
    common,
    console,
    list_options,
    open_kernel,
    print_json,
    run,
    selection_of,
    style_of,
)
from masc_core.cli._group import MascCommand

__all__ = ["tools"]

Row = dict[str, Any]


@click.command(cls=MascCommand)
@click.option("--mode", metavar="NAME", help="The mode to show; by default the one in force in the room.")
@list_options
@click.option("--cost", is_flag=True, help="Add what each tool costs a conversation, in tokens and bytes.")
@click.option("--agent", metavar="NAME", help="The list of a client that names its agent, without that parameter.")
@common
def tools(mode: str | None, cost: bool, agent: str | None, project: str | None, as_json: bool, **options: Any) -> None:
    """List the tools of a mode as an agent gets them.

    With --json it prints exactly the array that tools/list returns in the newest protocol, byte for byte, on one line;
    with --cost --json an object with the cost of each tool and category: tokens of o200k_base for what a model is given,
    that is name, description and input schema; bytes of all that is sent. Tools of other plugins are estimated.
    """
    name, listing, rows = run(_rows(project, mode, checked_agent(agent), **options))
    if as_json:
        print_json(_costs(name, rows) if cost else _as_sent(listing))
    else:
        _show(name, rows, cost)


def _as_sent(listing: list[Row]) -> list[Row]:
    """The array with its keys in the order of the wire, so that the two can be compared as bytes."""
    from mcp_types import methods
    from mcp_types.version import LATEST_MODERN_VERSION

    result = {"tools": listing, "resultType": "complete", "cacheScope": "private", "ttlMs": 0}
    sent: list[Row] = methods.serialize_server_result("tools/list", LATEST_MODERN_VERSION, result)["tools"]
    return sent


async def _rows(
    project: str | None,
    mode: str | None,
    agent: str | None,
    *,
    categories: str | None,
    max_tokens: int | None,
    descriptions: str,
    output_schemas: bool,
) -> tuple[str, list[Row], list[Row]]:
    """The mode's name, the tools/list array, and a row with cost for each tool."""
    import orjson

    from masc_core.identity import Client

    async with open_kernel(project, style_of(descriptions, output_schemas)) as kernel:
        selection = selection_of(kernel.modes, mode, categories, max_tokens)
        client = Client(transport="http", source="local", agent=agent, selection=selection)
        active = await kernel.active(client)
        listing = await kernel.list_tools(client)
        rows = []
        for entry in listing:
            contract = kernel.modes.contract(entry["name"])
            tool, spent = contract.tool, kernel.modes.cost_of(contract, client.caller_known)
            facts = {"name": tool.name, "category": tool.category, "effect": tool.effect.value, "role": tool.role.label}
            cost = {"tokens": spent.tokens, "estimated": spent.estimated, "bytes": len(orjson.dumps(entry))}
            rows.append({**facts, **cost})
        return active.selection.mode, listing, rows


def _by_category(rows: Sequence[Row]) -> list[Row]:
    grouped: dict[str, Row] = {}
    for row in rows:
        none = {"name": row["category"], "tools": 0, "tokens": 0, "estimated": False, "bytes": 0}
        sums = grouped.setdefault(row["category"], none)
        sums["tools"] += 1
        sums["estimated"] |= row["estimated"]
        sums["tokens"] += row["tokens"]
        sums["bytes"] += row["bytes"]
    return list(grouped.values())


def _costs(mode: str, rows: list[Row]) -> Row:
    total = {key: sum(row[key] for row in rows) for key in ("tokens", "bytes")}
    total["estimated"] = any(row["estimated"] for row in rows)
    return {"mode": mode, "tools": rows, "categories": _by_category(rows), "total": {"tools": len(rows), **total}}


def _show(mode: str, rows: list[Row], cost: bool) -> None:
    from rich.table import Table

    numbers = ("tokens", "bytes") if cost else ()
    out = console()
    table = Table(box=None, pad_edge=False)
    for column in ("name", "category", "effect", "role"):
        table.add_column("tool" if column == "name" else column)
    for column in numbers:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(_cell(row, key) for key in ("name", "category", "effect", "role", *numbers)))
    out.print(table)
    if cost:
        for row in _by_category(rows):
            out.print(
                f"{row['name']}: {row['tools']} tools, {_cell(row, 'tokens')} tokens, {row['bytes']} bytes",
                markup=False,
            )
    total = f", {_cell(_costs(mode, rows)['total'], 'tokens')} tokens" if cost else ""
    out.print(f"mode {mode}: {len(rows)} tools{total}", style="bold", markup=False)


def _cell(row: Row, key: str) -> str:
    """A value, marked where it is an estimate."""
    return f"~{row[key]}" if key == "tokens" and row["estimated"] else str(row[key])
