"""What all guards together cost a call, in one interleaved run: over stdio as an agent makes it, and in the kernel alone.

``python benchmarks/guards.py [--calls 300] [--json]``. Guarded calls carry a token in a room that requires one, whose
records are sealed, with limits counted, texts redacted and an audit entry for each change. The others run on the same tools
with no guard loaded at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest import mock

import click
from common import MASC, json_option, show, stdio_server
from mcp.client.client import Client as McpClient

from masc_core import plugins
from masc_core.cli import main as masc
from masc_core.identity import Client, local_client
from masc_core.kernel import Kernel
from masc_core.plugins import load
from masc_core.rooms import Base
from masc_core.testing.limits import lift_limits

BUDGET = 1.5
WARM_UP = 30
GUARDED_TOOLS = {"auth", "ratelimit", "encryption"}
KEY = {"MASC_ENCRYPTION_KEY": "5a" * 32}

Call = Callable[[str, dict[str, Any]], Awaitable[None]]
Step = Callable[[int], Awaitable[None]]


@contextlib.contextmanager
def unguarded() -> Any:
    """Only the plugins that are no guards are installed, and not the tools that come with one."""
    found = plugins.entry_points()

    class Without:
        def select(self, group: str) -> Any:
            if group == "masc.guards":
                return ()
            return [p for p in found.select(group=group) if p.name not in GUARDED_TOOLS]

    with mock.patch.object(plugins, "entry_points", Without):
        yield


async def prepared(project: Path) -> str:
    """Make a room that requires tokens and is sealed; the token of its agent."""
    lift_limits(project)
    async with Kernel(Base(project, True), load()) as kernel:
        made = None
        for tool, arguments in (
            ("masc_init", {}),
            ("masc_encryption_enable", {"key_source": "env"}),
            ("masc_auth_enable", {"require_token": True, "deliver": "result"}),
            ("masc_auth_create_token", {"agent_name": "bench", "deliver": "result"}),
        ):
            made = await kernel.call(tool, arguments, local_client())
            assert made.error is None, made.text
    assert made is not None
    return str(made.structured["token"])


def steps(call: Call) -> dict[str, Step]:
    """A read, a write with ids alone, and a write with a text."""
    return {
        "read (masc_portal_status, peek)": lambda i: call("masc_portal_status", {"peek": True}),
        "write (masc_update_priority)": lambda i: call(
            "masc_update_priority", {"task_id": "task-001", "priority": 1 + i % 5}
        ),
        "text (masc_broadcast)": lambda i: call("masc_broadcast", {"message": f"the parser is ready, part {i}"}),
    }


@contextlib.asynccontextmanager
async def in_process(project: Path, token: str | None) -> AsyncIterator[Call]:
    """Calls through a kernel."""
    with contextlib.nullcontext() if token else unguarded():
        registry = load()
    async with Kernel(Base(project, True), registry) as kernel:
        selection = kernel.modes.check("full", (), "process")
        client = Client("http", "127.0.0.1", agent="bench", selection=selection, token=token)

        async def call(tool: str, arguments: dict[str, Any]) -> None:
            outcome = await kernel.call(tool, arguments, client)
            assert outcome.error is None, outcome.text

        yield call


@contextlib.asynccontextmanager
async def over_stdio(project: Path, token: str | None) -> AsyncIterator[Call]:
    """Calls of an MCP client to a server process."""
    options = ["--stdio", "--project", str(project), "--mode", "full", "--agent", "bench"]
    command = [*MASC, *options] if token else [sys.executable, __file__, "--unguarded", *options]
    environment = {**os.environ, **KEY, **({"MASC_TOKEN": token} if token else {})}
    async with McpClient(stdio_server(command, environment)) as client:

        async def call(tool: str, arguments: dict[str, Any]) -> None:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, result

        yield call


async def measure(calls: int) -> list[dict[str, Any]]:
    """Medians in microseconds and ratios."""
    os.environ.update(KEY)
    rows = []
    for where, opened in (("stdio", over_stdio), ("in process", in_process)):
        async with contextlib.AsyncExitStack() as stack:
            rooms = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
            both = {}
            for side, room, token in (("on", rooms[0], await prepared(rooms[0])), ("off", rooms[1], None)):
                call = await stack.enter_async_context(opened(room, token))
                await call("masc_start", {"task_title": "measured"})
                both[side] = steps(call)
            rows += [{"where": where, **row} for row in await compared(both, calls)]
    return rows


async def compared(both: dict[str, dict[str, Step]], calls: int) -> list[dict[str, Any]]:
    """Each step on either side, in turn."""
    times: dict[tuple[str, str], list[float]] = {}
    for i in range(calls + WARM_UP):
        for step in both["on"]:
            for side in ("on", "off"):
                begun = time.perf_counter()
                await both[side][step](i)
                if i >= WARM_UP:
                    times.setdefault((step, side), []).append((time.perf_counter() - begun) * 1e6)
    rows = []
    for step in both["on"]:
        guarded, bare = (statistics.median(times[step, side]) for side in ("on", "off"))
        rows.append(
            {"call": step, "guards_on_us": round(guarded), "off_us": round(bare), "ratio": round(guarded / bare, 2)}
        )
    return rows


@click.command(help=__doc__)
@click.option("--calls", default=300, show_default=True, help="Measured calls of each kind.")
@json_option
def main(calls: int, as_json: bool) -> None:
    show(asyncio.run(measure(calls)), as_json)
    if not as_json:
        click.echo(f"budget: at most {BUDGET} times a call with no guard")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--unguarded"]:
        sys.argv[1:2] = ["serve"]
        with unguarded():
            masc()
    else:
        main()
