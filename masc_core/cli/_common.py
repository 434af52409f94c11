"""What the commands share: the common options, a kernel for one command, output."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from masc_core.errors import InvalidArgument, MascError
from masc_core.values import agent_name

if TYPE_CHECKING:
    from rich.console import Console

    from masc_core.call import Outcome
    from masc_core.kernel import Kernel
    from masc_core.listing import Style
    from masc_core.modes import Modes, Selection

__all__ = [
    "agent_option",
    "checked_agent",
    "common",
    "console",
    "json_option",
    "list_options",
    "open_kernel",
    "print_json",
    "read_arguments",
    "run",
    "selection_of",
    "split_categories",
    "style_of",
    "succeed",
]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def common(function: F) -> F:
    """Add ``--project`` and ``--json``."""
    function = json_option(function)
    return click.option(
        "--project", metavar="DIR", help="The project; by default the repository of the current directory."
    )(function)


def json_option(function: F) -> F:
    """Add ``--json``, for a command that needs no project."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")(function)


def agent_option(help_text: str) -> Callable[[F], F]:
    """``--agent``, also from MASC_AGENT."""
    return click.option("--agent", metavar="NAME", envvar="MASC_AGENT", show_envvar=True, help=help_text)


def checked_agent(name: str | None) -> str | None:
    """An agent's name from the command line. Raises ``click.BadParameter`` for what is none."""
    if name is None:
        return None
    try:
        return str(agent_name("--agent", name))
    except MascError as error:
        raise click.BadParameter(str(error), param_hint="--agent") from error


def read_arguments(text: str) -> dict[str, Any]:
    """The JSON object that a command was given as text, or with ``-`` on standard input. Wrong usage for anything else."""
    import orjson

    if text == "-":
        text = sys.stdin.read()
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise click.BadParameter(f"this is not JSON: {error}", param_hint="JSON") from None
    if not isinstance(value, dict):
        raise click.BadParameter('the arguments are a JSON object, such as {"task_id": "task-001"}', param_hint="JSON")
    return value


def split_categories(text: str | None) -> list[str]:
    """The names in ``a,b``."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def list_options(function: F) -> F:
    """``--mode``'s companions and how a list is rendered: ``--categories``, ``--max-tokens``, ``--descriptions``,
    ``--output-schemas``."""
    options = (
        click.option("--categories", metavar="A,B", help="Mode custom with these categories."),
        click.option("--max-tokens", type=int, metavar="N", help="Mode budget: the categories that fit in N tokens."),
        click.option(
            "--descriptions", type=click.Choice(["full", "terse"]), default="full", show_default=True,
            help="Terse ends each with its first sentence.",
        ),
        click.option("--output-schemas", is_flag=True, help="List the schemas of results too."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def style_of(descriptions: str, output_schemas: bool) -> Style:
    """How options want lists to be rendered."""
    from masc_core.listing import Style

    return Style(terse=descriptions == "terse", outputs=output_schemas)


def selection_of(
    modes: Modes, mode: str | None, categories: str | None, max_tokens: int | None = None
) -> Selection | None:
    """The mode that options fix, or ``None`` where they say nothing.

    Raises ``click.UsageError`` listing what there is.
    """
    names = split_categories(categories)
    if mode is None and not names and max_tokens is None:
        return None
    try:
        return modes.check(mode, names, "process", max_tokens)
    except InvalidArgument as error:
        raise click.BadParameter(error.expected, param_hint=f"--{error.field.replace('_', '-')}") from error
    except MascError as error:
        raise click.BadParameter(str(error), param_hint="--max-tokens") from error


@asynccontextmanager
async def open_kernel(project: str | None, style: Style | None = None) -> AsyncIterator[Kernel]:
    """A kernel on the project's room, for one command. Raises :class:`StartError`."""
    from masc_core.kernel import Kernel
    from masc_core.listing import PLAIN
    from masc_core.plugins import load
    from masc_core.rooms import find_base

    async with Kernel(find_base(project), load(), style=style or PLAIN) as kernel:
        yield kernel


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine."""
    return asyncio.run(work)


def succeed(outcome: Outcome) -> Outcome:
    """The outcome, unless it is a refusal, which is raised."""
    if outcome.error is not None:
        raise outcome.error
    return outcome


def print_json(value: Any) -> None:
    """One line of compact JSON."""
    import orjson

    click.echo(orjson.dumps(value))


def console() -> Console:
    """A console that is plain, and wide, when nobody looks."""
    from rich.console import Console

    out = Console(highlight=False, emoji=False)
    return out if out.is_terminal else Console(highlight=False, emoji=False, width=200)
