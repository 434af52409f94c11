"""What a plugin builds its commands from; it declares them as entry points of the group ``masc.commands``.

::

    @click.command(cls=MascCommand)
    @common
    def greet(project: str | None, as_json: bool) -> None:
        \"\"\"Say hello.\"\"\"
        run(call_as_person(project, "acme_greet", {}, as_json))
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import IO, TYPE_CHECKING, Any

import click

from masc_core.cli._common import agent_option, checked_agent, common, open_kernel, print_json, run, succeed
from masc_core.cli._group import MascCommand

if TYPE_CHECKING:
    from masc_core.call import Outcome
    from masc_core.identity import Client
    from masc_core.kernel import Kernel

__all__ = [
    "MascCommand",
    "agent_option",
    "call_as_person",
    "call_unlisted",
    "checked_agent",
    "common",
    "open_kernel",
    "print_json",
    "read_object",
    "run",
    "succeed",
]


async def call_as_person(
    project: str | None,
    what: str | Callable[..., Awaitable[Any]],
    arguments: Mapping[str, Any],
    as_json: bool,
    agent: str | None = None,
) -> None:
    """Call a tool as ``human:<os user>``, or for ``agent``, and print its result; guards see it as they see any call.

    ``what`` is a tool's name, or a function decorated with ``@tool`` that no plugin registers: an operation for people
    alone. Absent (``None``) arguments are left out. Raises what the call is refused with.
    """
    from masc_core.kernel import local_client

    given = {name: value for name, value in arguments.items() if value is not None}
    async with open_kernel(project) as kernel:
        client = local_client(agent)
        if isinstance(what, str):
            outcome = succeed(await kernel.call(what, given, client))
        else:
            outcome = succeed(await call_unlisted(kernel, what, given, client))
        if as_json:
            print_json(outcome.structured)
        else:
            click.echo(outcome.text)
        for delivered in outcome.delivered:
            await delivered()


async def call_unlisted(
    kernel: Kernel, function: Callable[..., Awaitable[Any]], arguments: Mapping[str, Any], client: Client
) -> Outcome:
    """Run a function declared with ``@tool`` that no plugin registers, for a client, through the whole pipeline."""
    from masc_core.contracts import contract_of
    from masc_core.tools import declaration

    return await kernel.run(contract_of(declaration(function, "command line")), arguments, client)


def read_object(option: str, source: IO[str] | None) -> dict[str, Any] | None:
    """The JSON object in a file that an option named; ``None`` without one. Wrong usage for anything else."""
    import orjson

    if source is None:
        return None
    try:
        value = orjson.loads(source.read())
    except (orjson.JSONDecodeError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"this is not JSON: {error}", param_hint=option) from None
    if not isinstance(value, dict):
        raise click.BadParameter('give a JSON object, such as {"rows": 3}', param_hint=option)
    return value
