"""``masc plugins trace``: which hooks a call fires."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from masc_core.cli._common import agent_option, checked_agent, common, print_json, read_arguments, run
from masc_core.cli._group import MascCommand
from masc_core.render import printable

if TYPE_CHECKING:
    from masc_core.authoring.tracing import HookCall

__all__ = ["trace"]


@click.command("trace", cls=MascCommand)
@click.argument("tool", required=False)
@click.argument("arguments", metavar="[JSON]", default="{}")
@agent_option("Call as this agent; without it as yourself.")
@common
def trace(tool: str | None, arguments: str, agent: str | None, project: str | None, as_json: bool) -> None:
    """Call TOOL with the arguments in JSON and show each hook it fires: plugin, arguments, result, time.

    The call is a real one: what it changes stays. Without TOOL only the room is opened and its tools are listed. Credentials
    are masked, and so are a call's texts until redaction has seen them. A server shows the like on standard error with
    MASC_TRACE_PLUGINS=1.

    \b
    masc plugins trace masc_claim '{"task_id": "task-001"}' --agent claude
    """
    given = read_arguments(arguments)
    loaded, calls, outcome = run(_trace(tool, given, checked_agent(agent), project))
    if as_json:
        from masc_core.convert import unstructure

        print_json({"plugins": loaded, "hooks": [unstructure(c) for c in calls], "outcome": outcome})
        return
    click.echo(f"{len(loaded)} plugins loaded in {sum(plugin['ms'] for plugin in loaded):.0f} ms")
    for call in calls:
        click.echo(printable(_line(call)))
    if tool:
        click.echo(f"{tool}: {outcome}")


async def _trace(
    tool: str | None, arguments: dict[str, Any], agent: str | None, project: str | None
) -> tuple[list[dict[str, Any]], list[HookCall], str | None]:
    from masc_core.authoring.tracing import Tracer
    from masc_core.kernel import Kernel, local_client
    from masc_core.plugins import load
    from masc_core.rooms import find_base

    registry = load()
    tracer = Tracer()
    tracer.watch(registry)
    loaded = [
        {"name": p.name, "distribution": p.distribution, "version": p.version, "ms": round(p.load_ms, 1)}
        for p in registry.plugins
        if p.problem is None
    ]
    async with Kernel(find_base(project), registry) as kernel:
        client = local_client(agent)
        if tool is None:
            await kernel.list_tools(client)
            return loaded, tracer.calls, None
        outcome = await kernel.call(tool, arguments, client)
        for delivered in outcome.delivered:
            await delivered()
        return loaded, tracer.calls, "done" if outcome.error is None else f"refused with {outcome.error.code}"


def _line(call: HookCall) -> str:
    import orjson

    given = ", ".join(f"{name}={orjson.dumps(value).decode()}" for name, value in call.arguments.items())
    came = f"raised {call.error}" if call.error else orjson.dumps(call.result).decode()
    return f"{call.ms:8.3f} ms  {call.plugin}  {call.hook}({given})  -> {came}"
