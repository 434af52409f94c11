"""``masc plugins``: what is installed, and what authors of plugins need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from masc_core.cli._common import common, console, print_json
from masc_core.cli._group import MascCommand
from masc_core.cli.plugins_check import check_plugin
from masc_core.cli.plugins_new import new_plugin
from masc_core.cli.plugins_pip import install, uninstall
from masc_core.cli.plugins_trace import trace
from masc_core.errors import StartError
from masc_core.render import printable

if TYPE_CHECKING:
    from masc_core.authoring.running import Seen

__all__ = ["plugins"]


@click.group()
def plugins() -> None:
    """See, add, remove, write and check plugins."""


@plugins.command("list", cls=MascCommand)
@common
def list_plugins(project: str | None, as_json: bool) -> None:
    """List categories and guards: who brought them, what they add and cost, in which modes, and what is wrong with them.

    A category adds tools, which modes show or hide; a guard adds none and acts in every mode. Tokens are what a
    conversation pays while the category is shown, estimated (~) for those of others. Broken plugins come last, by name:
    those that do not load here and, where a local HTTP server of the room runs, those in which something failed there since
    its start.
    """
    from masc_core.authoring.overview import rows

    seen = _ask_server(project)
    found = rows(seen)
    if as_json:
        print_json(found)
    else:
        _show(found)
        if seen is not None:
            click.echo(f"asked the server at {printable(seen.url)} for what has failed there")


def _ask_server(project: str | None) -> Seen | None:
    from masc_core.authoring.running import ask_server
    from masc_core.rooms import find_base

    try:
        return ask_server(find_base(project).path / ".masc")
    except StartError:
        if project is None:
            return None  # what is installed is to be seen anywhere
        raise


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    out = console()
    table = Table(box=None, pad_edge=False)
    numbers = {"tools", "hooks", "tokens", "ms"}
    for column in ("plugin", "kind", "distribution", "version", "tools", "hooks", "tokens", "ms", "modes"):
        table.add_column(column, justify="right" if column in numbers else "left")
    for row in rows:
        if row["problem"] is None:
            table.add_row(*_cells(row))
    out.print(table)
    for row in rows:
        problem = row["problem"] or ("something has failed in the server; its log says what" if row["faulty"] else None)
        if problem is not None:
            state = "faulty" if row["problem"] is None else "broken"
            origin = f"{row['kind']} {row['name']} of {row['distribution']} {row['version']}"
            text = printable(f"{state}: {origin}: {problem}")
            out.print(text, style="red", markup=False, soft_wrap=True)


def _cells(row: dict[str, Any]) -> list[str]:
    from rich.markup import escape

    tokens = f"{'~' if row['estimated'] else ''}{row['tokens']}"
    modes = "every" if row["kind"] == "guard" else ", ".join(row["modes"]) or "-"
    counts = [str(len(row["tools"])), str(len(row["hooks"]))]
    told = [row["name"], row["kind"], row["distribution"], row["version"]]
    return [escape(printable(cell)) for cell in (*told, *counts, tokens, f"{row['load_ms']:.1f}", modes)]


for command in (new_plugin, check_plugin, install, uninstall, trace):
    plugins.add_command(command)
