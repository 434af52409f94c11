"""``masc schemas``: the contract files."""

from __future__ import annotations

from pathlib import Path

import click

from masc_core.cli._common import common, print_json
from masc_core.cli._group import MascCommand

__all__ = ["schemas"]


@click.command(cls=MascCommand)
@click.option("--check", is_flag=True, help="Compare both ways; exit with status 1 if a file differs.")
@click.option("--write", is_flag=True, help="Write the files anew and remove those of tools that are gone.")
@click.option("--plugin", metavar="NAME", help="The tools of this installed plugin, of another package.")
@click.argument("directory", metavar="[DIR]", required=False)
@common
def schemas(
    check: bool, write: bool, plugin: str | None, directory: str | None, project: str | None, as_json: bool
) -> None:
    """Compare or write the contracts of the first-party tools, or of a plugin's, DIR/<category>/<tool>.json.

    A contract says what goes into a tool and what comes out, who may call it and how it fails. It is derived from the
    code; the files are what was reviewed. DIR is schemas/ of the checkout MASC runs from; with --plugin it must be given.
    """
    if check == write:
        raise click.UsageError("say either --check or --write")
    if plugin is not None and directory is None:
        raise click.UsageError("say which directory has the contracts of the plugin")
    from masc_core import schema_files
    from masc_core.plugins import load

    place = Path(directory) if directory else schema_files.default_directory(writing=write)
    registry = load(enabled=() if plugin is None else [plugin])
    found = (schema_files.write if write else schema_files.compare)(registry, place, plugin)
    tools = len(schema_files.described(registry, plugin))
    if as_json:
        differences = [{"path": d.path, "problem": d.problem} for d in found]
        print_json({"directory": str(place), "tools": tools, "differences": differences})
    else:
        for difference in found:
            click.echo(f"{difference.problem}: {place / difference.path}")
        command = " ".join(["masc schemas --write", *(["--plugin", plugin] if plugin else []), directory or ""])
        click.echo(_summary(tools, len(found), write, command.strip()), err=check and bool(found))
    if check and found:
        click.get_current_context().exit(1)


def _summary(tools: int, differences: int, written: bool, command: str) -> str:
    if not differences:
        return f"{tools} contracts agree with the code"
    if written:
        return f"{tools} contracts, {differences} files changed"
    return f"{differences} files differ; if that is meant: {command}"
