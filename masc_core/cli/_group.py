"""How commands are found and how their failures end."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

import click

from masc_core.errors import MascError, StartError

__all__ = ["LazyGroup", "MascCommand", "fail"]

_GROUP = "masc.commands"


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for; plugins add theirs as entry points ``masc.commands``."""

    def __init__(self, *args: Any, commands_at: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._at = commands_at

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of the help page."""
        return [*self._at, *sorted(p.name for p in entry_points(group=_GROUP) if p.name not in self._at)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import one command."""
        if (place := self._at.get(name)) is not None:
            module, _, attribute = place.partition(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return command
        for point in entry_points(group=_GROUP, name=name):
            added: click.Command = point.load()
            return added
        return None


class MascCommand(click.Command):
    """A command that ends with status 1 and the error's code when MASC says no."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; print what MASC refuses."""
        try:
            return super().invoke(ctx)
        except MascError as error:
            fail(error, as_json=bool(ctx.params.get("as_json")))
            ctx.exit(1)


def fail(error: MascError, *, as_json: bool) -> None:
    """Print an error: a sentence on stderr or, for programs, the error object on stdout."""
    if as_json:
        import orjson

        click.echo(orjson.dumps({"error": error.as_dict()}))
        return
    from masc_core.render import printable

    click.echo(f"{'masc' if isinstance(error, StartError) else error.code}: {printable(str(error))}", err=True)
