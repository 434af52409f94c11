"""The commands that a package adds to the command line."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points

from masc_core.authoring.findings import Finding
from masc_core.authoring.package import Package, normal
from masc_core.cli import main
from masc_core.cli._group import command_of

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
        if (problem := command_of(EntryPoint(name, value, _GROUP))[1]) is not None:
            yield Finding("load", f"masc {name}", problem, "name a click command, as in module:function")
