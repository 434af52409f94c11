"""How commands are found and how their failures end."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import click

from masc_core.errors import MascError, StartError
from masc_core.first_party import rank

__all__ = ["LazyGroup", "MascCommand", "command_of", "fail"]

_GROUP = "masc.commands"
_TYPED = re.compile(r"[A-Za-z0-9][\w.-]*\Z", re.ASCII)


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for; plugins add theirs as entry points ``masc.commands``."""

    def __init__(self, *args: Any, commands_at: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._at = commands_at

    @property
    def own(self) -> frozenset[str]:
        """The commands that no plugin added."""
        return frozenset(self._at)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of the help page."""
        added = {p.name for p in entry_points(group=_GROUP) if _TYPED.match(p.name)}
        return [*self._at, *sorted(added - self._at.keys())]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import one command. One that cannot be imported is a command that says so."""
        if (place := self._at.get(name)) is not None:
            module, _, attribute = place.partition(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return command
        points = entry_points(group=_GROUP, name=name)
        return _added(min(points, key=lambda p: rank(p, ()))) if points else None


def command_of(point: EntryPoint) -> tuple[click.Command | None, str | None]:
    """What a plugin adds, or why that cannot be used."""
    from masc_core._stray import prints_aside
    from masc_core.faults import told
    from masc_core.interruption import interruptions

    if not _TYPED.match(point.name):
        return None, "has a name that cannot be typed; use letters, digits, - and _"
    with interruptions() as interrupted:
        try:
            with prints_aside():
                added = point.load()
        except BaseException as error:  # SystemExit too; the other commands still work
            if isinstance(error, KeyboardInterrupt) and interrupted():
                raise
            return None, f"cannot be imported ({point.value}): {told(error)}"
    return (added, None) if isinstance(added, click.Command) else (None, f"is no click command: {point.value}")


def _added(point: EntryPoint) -> click.Command:
    added, problem = command_of(point)
    if added is not None:
        return added

    def refuse() -> None:
        source = point.dist.name if point.dist else point.module
        raise StartError(message=f"command {point.name} of {source} {problem}")

    return MascCommand(
        point.name,
        callback=refuse,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
        short_help="(broken; run it to see why)",
    )


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
