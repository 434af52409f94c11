"""``masc plugins install`` and ``uninstall``: plugins in this Python environment."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from masc_core.cli._common import json_option, print_json
from masc_core.cli._group import MascCommand
from masc_core.render import printable

if TYPE_CHECKING:
    from masc_core.authoring.environment import Change

__all__ = ["install", "uninstall"]

_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command("install", cls=MascCommand)
@click.argument("what", metavar="DIST|PATH")
@_yes
@json_option
@click.pass_context
def install(ctx: click.Context, /, what: str, yes: bool, as_json: bool) -> None:
    """Install a plugin into this Python environment with pip: a distribution, or the package in PATH.

    Its code runs in every server that is started from now on, with your rights and all that the room holds, so it asks
    first. What came is loaded once in a new process; the exit status is 1 when something of it does not work. MASC itself is
    never replaced.
    """
    from masc_core.authoring.environment import add, wanted

    source = wanted(what)
    if not yes:
        click.confirm(
            printable(f"{source} will run with your rights in {sys.prefix}. Install it?"), abort=True, err=True
        )
    change = add(what)
    if as_json:
        print_json(_plain(change))
    else:
        _show_added(change)
    if any(fact["problem"] for fact in change.added):
        ctx.exit(1)


@click.command("uninstall", cls=MascCommand)
@click.argument("name", metavar="DIST|NAME")
@_yes
@json_option
def uninstall(name: str, yes: bool, as_json: bool) -> None:
    """Remove a plugin from this Python environment with pip, by its distribution, category or guard.

    What the plugin stored in rooms stays there. Other packages that came with it stay too.
    """
    from masc_core.authoring.environment import removable, remove

    package = removable(name)
    if not yes:
        points = [point for group in package.points.values() for point in group]
        text = printable(f"{package.name} {package.version} ({', '.join(points)}) will be gone. Remove it?")
        click.confirm(text, abort=True, err=True)
    change = remove(package)
    if as_json:
        print_json(_plain(change))
        return
    click.echo(printable(f"removed {package.name} {package.version}"))
    for fact in change.removed:
        said = "; it checks no call any more" if fact["kind"] == "guard" else ""
        click.echo(printable(f"  {fact['kind']} {fact['name']} is gone{said}"))
    click.echo("servers that run keep it until they are started again")


def _plain(change: Change) -> object:
    from masc_core.convert import unstructure

    return unstructure(change)


def _show_added(change: Change) -> None:
    for found in change.distributions:
        click.echo(printable(f"installed {found['name']} {found['version']}"))
    for fact in change.added:
        broken = f" is broken: {fact['problem']}" if fact["problem"] else ""
        click.echo(printable(f"  {fact['kind']} {fact['name']}{broken}"))
    for fact in change.removed:
        click.echo(printable(f"  {fact['kind']} {fact['name']} of {fact['distribution']} is gone"))
    if not change.distributions:
        click.echo("nothing to do: it is installed already")
    elif not change.added:
        click.echo("it adds nothing to MASC: it has no entry point in masc.plugins, masc.guards or masc.commands")
    else:
        click.echo("servers that run do not have it until they are started again")
