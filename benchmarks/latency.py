"""How long a call takes, beside an echo tool on the bare SDK, in one interleaved run.

``python benchmarks/latency.py [--calls 300] [--json]`` measures calls through the kernel in process, and over stdio and
HTTP in both protocol eras, a MASC call and an echo call in turn, first reads and then durable writes, and prints medians and
ratios. Neither server is called twice in a row, since the second call would find it awake.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click
from common import ECHO, MASC, http_server, json_option, percentile, show, stdio_server
from mcp.client.client import Client

from masc_core.bench import engine
from masc_core.kernel import Kernel, local_client
from masc_core.plugins import load
from masc_core.rooms import Base
from masc_core.testing.limits import lift_limits

WARM_UP = 30
SECONDS = 600

Step = Callable[[int], Awaitable[Any]]


async def timed(steps: dict[str, Step], calls: int) -> dict[str, list[float]]:
    """Milliseconds of each step, taken in turn."""
    lanes = [engine.Lane(name, step) for name, step in steps.items()]
    await engine.measure([lanes], engine.Limits(calls=calls, warm_up=WARM_UP, seconds=SECONDS))
    return {lane.name: lane.times for lane in lanes}


def steps(masc: Client, echo: Client) -> tuple[Step, Step, Step]:
    """A read, a durable write and the yardstick."""
    priorities = itertools.cycle(range(1, 6))

    async def read(_: int) -> None:
        result = await masc.call_tool("masc_tasks", {"limit": 1})
        assert not result.is_error, result

    async def write(_: int) -> None:
        result = await masc.call_tool("masc_update_priority", {"task_id": "task-001", "priority": next(priorities)})
        assert not result.is_error, result

    async def said(_: int) -> None:
        await echo.call_tool("echo", {"text": "hello"})

    return read, write, said


async def over(transport: str, mode: Any, project: str, calls: int) -> dict[str, list[float]]:
    """One transport and era."""
    options = ["--project", project, "--mode", "standard"]
    async with contextlib.AsyncExitStack() as stack:
        if transport == "http":
            masc_at: Any = await stack.enter_async_context(http_server([*MASC, "--http", "--port", "0", *options]))
            echo_at: Any = await stack.enter_async_context(http_server([*ECHO, "http"]))
            masc_at += "?agent=bench"
        else:
            masc_at = stdio_server([*MASC, "--stdio", "--agent", "bench", *options])
            echo_at = stdio_server([*ECHO, "stdio"])
        masc = await stack.enter_async_context(Client(masc_at, mode=mode))
        echo = await stack.enter_async_context(Client(echo_at, mode=mode))
        await masc.call_tool("masc_start", {"task_title": "measured"})
        read, write, said = steps(masc, echo)
        reads, writes = [
            await timed({name: step, f"{name}_echo": said}, calls) for name, step in (("read", read), ("write", write))
        ]
        return reads | writes


async def in_process(project: Path, calls: int) -> dict[str, list[float]]:
    """The kernel alone. Reads take no turns with writes, whose syncs would let the processor doze off; writes do with the
    least that SQLite can make durable on this disk: one row."""
    bare = sqlite3.connect(project / "bare.db", isolation_level=None)
    for line in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE rows (n INTEGER)"):
        bare.execute(line)

    async def commit(i: int) -> None:
        bare.execute("INSERT INTO rows VALUES (?)", (i,))

    async with Kernel(Base(project, True), load()) as kernel:
        client = local_client("bench")
        await kernel.call("masc_start", {"task_title": "measured"}, client)

        priorities = itertools.cycle(range(1, 6))

        async def read(_: int) -> None:
            outcome = await kernel.call("masc_tasks", {"limit": 1}, client)
            assert outcome.error is None, outcome.text

        async def write(_: int) -> None:
            arguments = {"task_id": "task-001", "priority": next(priorities)}
            outcome = await kernel.call("masc_update_priority", arguments, client)
            assert outcome.error is None, outcome.text

        with contextlib.closing(bare):
            return await timed({"read": read}, calls) | await timed({"write": write, "commit": commit}, calls)


def row(name: str, times: dict[str, list[float]]) -> dict[str, Any]:
    """Medians in ms, and ratios to the echo where there is one."""
    found: dict[str, Any] = {"where": name}
    for step, values in times.items():
        found[f"{step}_p50_ms"] = round(percentile(values, 50), 3)
        found[f"{step}_p95_ms"] = round(percentile(values, 95), 3)
    for step in ("read", "write"):
        if echo := times.get(f"{step}_echo"):
            found[f"{step}_ratio"] = round(percentile(times[step], 50) / percentile(echo, 50), 2)
    return found


async def measure(calls: int) -> list[dict[str, Any]]:
    """Every row of the table."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for i, transport in enumerate(("kernel", "stdio", "http")):
            for era in ("auto", "legacy") if transport != "kernel" else ("",):
                project = Path(scratch) / f"{i}{era}"
                project.mkdir()
                lift_limits(project)
                if transport == "kernel":
                    rows.append(row("kernel", await in_process(project, calls)))
                else:
                    name = f"{transport} {'2026-07-28' if era == 'auto' else '2025-11-25'}"
                    rows.append(row(name, await over(transport, era, str(project), calls)))
    return rows


@click.command(help=__doc__)
@click.option("--calls", default=300, show_default=True, help="Measured calls of each kind.")
@json_option
def main(calls: int, as_json: bool) -> None:
    """Measure and print."""
    show(asyncio.run(measure(calls)), as_json)


if __name__ == "__main__":
    main()
