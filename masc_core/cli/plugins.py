"""``masc plugins``: what is installed."""

from __future__ import annotations

from typing import Any

import click

from masc_core.cli._common import common, console, print_json
from masc_core.cli._group import MascCommand

__all__ = ["plugins"]


@click.group()
def plugins() -> None:
    """See which plugins are installed and what they add."""


@plugins.command("list", cls=MascCommand)
@common
def list_plugins(project: str | None, as_json: bool) -> None:
    """List categories and guards with their distribution, number of tools and estimated tokens.

    A category adds tools, which modes show or hide; a guard adds none and acts in every mode.
    """
    rows = _rows()
    if as_json:
        print_json(rows)
    else:
        _show(rows)


def _rows() -> list[dict[str, Any]]:
    from masc_core.modes import Modes
    from masc_core.plugins import load
    from masc_core.tokens import Cost

    registry = load()
    modes = Modes(registry)
    costs = {
        plugin: Cost(0) if plugin.guard else modes.cost([plugin.name], caller_known=False)
        for plugin in registry.plugins
    }
    return [
        {
            "name": plugin.name,
            "kind": "guard" if plugin.guard else "category",
            "distribution": plugin.distribution,
            "version": plugin.version,
            "tools": 0 if plugin.guard else len(modes.contracts([plugin.name])),
            "tokens": costs[plugin].tokens,
            "estimated": costs[plugin].estimated,
        }
        for plugin in registry.plugins
    ]


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("plugin", "kind", "distribution", "version", "tools", "tokens"):
        table.add_column(column, justify="right" if column in {"tools", "tokens"} else "left")
    for row in rows:
        tokens = f"{'~' if row['estimated'] else ''}{row['tokens']}"
        table.add_row(*(str(row[c]) for c in ("name", "kind", "distribution", "version", "tools")), tokens)
    console().print(table)
