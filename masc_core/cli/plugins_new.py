"""``masc plugins new``: a package to start from."""

from __future__ import annotations

from pathlib import Path

import click

from masc_core.cli._common import json_option, print_json
from masc_core.cli._group import MascCommand

__all__ = ["new_plugin"]


@click.command("new", cls=MascCommand)
@click.argument("name")
@click.option("--directory", metavar="DIR", help="Where to write it; by default masc-NAME in the current directory.")
@json_option
def new_plugin(name: str, directory: str | None, as_json: bool) -> None:
    """Write a package for a category NAME, with one tool and its test, to be changed into what you want.

    NAME is of a-z, 0-9 and _. The package has an entry point, the tool's contract, a README and a file for CI; its tests
    pass as soon as it is installed. Nothing is written where the directory exists or the name is taken.
    """
    from masc_core.authoring.scaffold import create, distribution_of

    place = Path(directory or distribution_of(name))
    written = create(name, place)
    if as_json:
        print_json({"directory": str(place.resolve()), "files": written})
        return
    click.echo(f"wrote {place}/")
    for file in written:
        click.echo(f"  {file}")
    click.echo(f"\nnext:\n  cd {place}\n  pip install -e '.[test]'\n  pytest\n  masc plugins check .")
