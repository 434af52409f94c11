"""What the benchmarks share: the two servers, clients for them, percentiles, tables."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import click
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from masc_core.bench.stats import percentile
from masc_core.kernel import Kernel, local_client
from masc_core.plugins import load
from masc_core.rooms import Base
from masc_core.testing.limits import lift_limits

ECHO = [sys.executable, str(Path(__file__).with_name("echo_server.py"))]
MASC = [sys.executable, "-m", "masc_core", "serve"]

# Servers keep their bytecode, as installed ones do; otherwise every start would compile MASC anew, and the SDK not.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

__all__ = [
    "ECHO",
    "ENVIRONMENT",
    "MASC",
    "http_server",
    "json_option",
    "make_room",
    "masc_stdio",
    "percentile",
    "show",
    "stdio_server",
    "structured",
]

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@contextlib.asynccontextmanager
async def http_server(command: Sequence[str]) -> AsyncIterator[str]:
    """A server process that prints its URL to stderr; gives the URL."""
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    process = await asyncio.create_subprocess_exec(*command, **pipes, env=ENVIRONMENT)
    try:
        assert process.stderr is not None
        line = (await process.stderr.readline()).decode()
        yield next(word for word in line.split() if word.startswith("http"))
    finally:
        process.terminate()
        await process.wait()


def stdio_server(command: Sequence[str], environment: dict[str, str] | None = None) -> Any:
    """What a client connects to when it starts ``command`` itself."""
    return stdio_client(StdioServerParameters(command=command[0], args=list(command[1:]), env=environment))


def masc_stdio(project: Path, agent: str) -> Any:
    """A MASC server on stdio for one named agent, in the standard mode."""
    options = ["--project", str(project), "--mode", "standard", "--agent", agent]
    return stdio_server([*MASC, "--stdio", *options])


async def structured(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """The result of a call that must succeed. Raises ``RuntimeError`` with the refusal."""
    result = await client.call_tool(tool, arguments)
    if result.is_error:
        raise RuntimeError(f"{tool}: {result.structured_content}")
    return dict(result.structured_content or {})


async def make_room(project: Path, tasks: int) -> None:
    """A room with some tasks to do and as many messages, in which clients may call as fast as they can."""
    lift_limits(project)
    async with Kernel(Base(project, True), load()) as kernel:
        for i in range(tasks):
            for tool, arguments in (
                ("masc_add_task", {"title": f"task {i}"}),
                ("masc_broadcast", {"message": f"message {i}"}),
            ):
                outcome = await kernel.call(tool, arguments, local_client("bench"))
                if outcome.error is not None:
                    raise outcome.error


def show(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print rows as a table or as JSON; a figure that a row lacks is a dash."""
    if as_json:
        click.echo(json.dumps(rows))
        return
    columns = list(dict.fromkeys(key for row in rows for key in row))
    wide = {c: max(len(c), *(len(str(row.get(c, "-"))) for row in rows)) for c in columns}
    click.echo("  ".join(f"{c:>{wide[c]}}" for c in columns))
    for row in rows:
        click.echo("  ".join(f"{row.get(c, '-')!s:>{wide[c]}}" for c in columns))
