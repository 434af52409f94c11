"""``masc call``: one tool call through the whole pipeline."""

from __future__ import annotations

from typing import Any

import click

from masc_core.cli._common import (
    agent_option,
    checked_agent,
    common,
    open_kernel,
    print_json,
    read_arguments,
    run,
    succeed,
)
from masc_core.cli._group import MascCommand

__all__ = ["call"]


@click.command(cls=MascCommand)
@click.argument("tool")
@click.argument("arguments", metavar="[JSON]", default="{}")
@agent_option("Act as this agent; without it as yourself, human:<os user>, who may do everything.")
@common
def call(tool: str, arguments: str, agent: str | None, project: str | None, as_json: bool) -> None:
    """Call one TOOL with the arguments in JSON, an object; - reads it from standard input.

    The call takes the same path as an agent's, but modes do not bind it. It prints the text an agent would see, with
    --json the structured result. A refusal prints its code and what to do next, and exits with status 1.

    \b
    masc call masc_add_task '{"title": "Fix login", "priority": 2}'
    masc call masc_claim '{"task_id": "task-001"}' --agent claude --json
    """
    given = read_arguments(arguments)
    run(_call(tool, given, checked_agent(agent), project, as_json))


async def _call(tool: str, arguments: dict[str, Any], agent: str | None, project: str | None, as_json: bool) -> None:
    from masc_core.kernel import local_client

    async with open_kernel(project) as kernel:
        outcome = succeed(await kernel.call(tool, arguments, local_client(agent)))
        if as_json:
            print_json(outcome.structured)
        else:
            click.echo(outcome.text)
        for delivered in outcome.delivered:
            await delivered()
