"""``masc tools``: the tools a client would see, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from masc_core.cli._common import (
    checked_agent,
    common,
    console,
    open_kernel,
    print_json,
    run,
    selection_of,
)
from masc_core.cli._group import MascCommand

__all__ = ["tools"]

Row = dict[str, Any]


@click.command(cls=MascCommand)
@click.option("--mode", metavar="NAME", help="The mode to show; by default the one in force in the room.")
@click.option("--categories", metavar="A,B", help="The categories of mode custom.")
@click.option("--cost", is_flag=True, help="Add what each tool costs a conversation, in tokens and bytes.")
@click.option("--agent", metavar="NAME", help="The list of a client that names its agent, without that parameter.")
@common
def tools(
    mode: str | None, categories: str | None, cost: bool, agent: str | None, project: str | None, as_json: bool
) -> None:
    """List the tools of a mode as an agent gets them.

    With --json it prints exactly the array that tools/list returns, byte for byte, on one line; with --cost --json an
    object with the cost of each tool and category. Token counts are estimates.
    """
    name, listing, rows = run(_rows(project, mode, categories, checked_agent(agent)))
    if as_json:
        print_json(_costs(name, rows) if cost else _as_sent(listing))
    else:
        _show(name, rows, cost)


def _as_sent(listing: list[Row]) -> list[Row]:
    """The array with its keys in the order of the wire, so that the two can be compared as bytes."""
    from mcp_types import methods
    from mcp_types.version import LATEST_HANDSHAKE_VERSION

    sent: list[Row] = methods.serialize_server_result("tools/list", LATEST_HANDSHAKE_VERSION, {"tools": listing})[
        "tools"
    ]
    return sent


async def _rows(
    project: str | None, mode: str | None, categories: str | None, agent: str | None
) -> tuple[str, list[Row], list[Row]]:
    """The mode's name, the tools/list array, and a row with cost for each tool."""
    import orjson

    from masc_core.identity import Client
    from masc_core.modes import estimate

    async with open_kernel(project) as kernel:
        selection = selection_of(kernel.modes, mode, categories)
        client = Client(transport="http", source="local", agent=agent, selection=selection)
        active = await kernel.active(client)
        listing = await kernel.list_tools(client)
        rows = []
        for entry in listing:
            tool = kernel.registry.contracts[entry["name"]].tool
            facts = {"name": tool.name, "category": tool.category, "effect": tool.effect.value, "role": tool.role.label}
            rows.append({**facts, "tokens": estimate(entry), "bytes": len(orjson.dumps(entry))})
        return active.selection.mode, listing, rows


def _by_category(rows: Sequence[Row]) -> list[Row]:
    grouped: dict[str, Row] = {}
    for row in rows:
        sums = grouped.setdefault(row["category"], {"name": row["category"], "tools": 0, "tokens": 0, "bytes": 0})
        sums["tools"] += 1
        sums["tokens"] += row["tokens"]
        sums["bytes"] += row["bytes"]
    return list(grouped.values())


def _costs(mode: str, rows: list[Row]) -> Row:
    total = {key: sum(row[key] for row in rows) for key in ("tokens", "bytes")}
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
        table.add_row(*(str(row[key]) for key in ("name", "category", "effect", "role", *numbers)))
    out.print(table)
    if cost:
        for row in _by_category(rows):
            out.print(
                f"{row['name']}: {row['tools']} tools, {row['tokens']} tokens, {row['bytes']} bytes", markup=False
            )
    total = f", about {sum(row['tokens'] for row in rows)} tokens" if cost else ""
    out.print(f"mode {mode}: {len(rows)} tools{total}", style="bold", markup=False)
