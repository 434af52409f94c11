"""The commands that a package adds to the command line."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points

import click

from masc_core.authoring.findings import Finding
from masc_core.authoring.package import Package, normal
from masc_core.cli import main

__all__ = ["of_commands"]

_GROUP = "masc.commands"


def of_commands(package: Package) -> Iterator[Finding]:
    """Commands whose names are taken, and those that cannot be run."""
    for name, value in package.points.get(_GROUP, {}).items():
        others = [p.dist.name for p in entry_points(group=_GROUP, name=name) if p.dist is not None]
        owners = sorted({owner for owner in others if normal(owner) != normal(package.name)})
        if name in main.own:
            owners = ["MASC itself"]
        if owners:
            yield Finding("names", f"masc {name}", f"the command is taken by {', '.join(owners)}", "rename it")
        if (problem := _problem(EntryPoint(name, value, _GROUP))) is not None:
            yield Finding("load", f"masc {name}", problem, "name a click command, as in module:function")


def _problem(point: EntryPoint) -> str | None:
    try:
        found = point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever it raises is its own problem
        return f"{point.value} cannot be imported: {error!r}"
    return None if isinstance(found, click.Command) else f"{point.value} is no click command"
