"""What all guards together cost: calls through the kernel with every guard at work, beside calls with none, in turn.

``python benchmarks/guards.py [--calls 300] [--json]``. Guarded calls carry a token in a room that requires one, whose
records are sealed, with limits counted, texts redacted and an audit entry for each change. The others run on the same tools
with no guard loaded at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest import mock

import click
from common import json_option, show

from masc_core import plugins
from masc_core.identity import Client, local_client
from masc_core.kernel import Kernel
from masc_core.plugins import Registry, load
from masc_core.rooms import Base
from masc_core.testing.limits import lift_limits

BUDGET = 1.5
WARM_UP = 30
GUARDED_TOOLS = {"auth", "ratelimit", "encryption"}

Step = Callable[[int], Awaitable[Any]]


def unguarded() -> Registry:
    """The same plugins without any guard, and without the tools that come with one."""
    found = plugins.entry_points()

    class Without:
        def select(self, group: str) -> Any:
            return () if group == "masc.guards" else found.select(group=group)

    names = [p.name for p in found.select(group="masc.plugins") if p.name not in GUARDED_TOOLS]
    with mock.patch.object(plugins, "entry_points", Without):
        return load(enabled=names)


async def guarded_client(kernel: Kernel) -> Client:
    """A client whose token the room requires, in a room that is sealed."""
    person = local_client()
    for tool, arguments in (
        ("masc_init", {}),
        ("masc_encryption_enable", {"key_source": "env"}),
        ("masc_auth_enable", {"require_token": True, "deliver": "result"}),
    ):
        outcome = await kernel.call(tool, arguments, person)
        assert outcome.error is None, outcome.text
    made = await kernel.call("masc_auth_create_token", {"agent_name": "bench", "deliver": "result"}, person)
    selection = kernel.modes.check("full", (), "process")
    return Client("http", "127.0.0.1", selection=selection, token=made.structured["token"])


def steps(kernel: Kernel, client: Client, named: bool) -> dict[str, Step]:
    """A read, a write with ids alone, and a write with a text."""
    caller = {"agent_name": "bench"} if named else {}

    async def call(tool: str, arguments: dict[str, Any]) -> None:
        outcome = await kernel.call(tool, {**arguments, **caller}, client)
        assert outcome.error is None, outcome.text

    return {
        "read (masc_portal_status, peek)": lambda i: call("masc_portal_status", {"peek": True}),
        "write (masc_update_priority)": lambda i: call(
            "masc_update_priority", {"task_id": "task-001", "priority": 1 + i % 5}
        ),
        "text (masc_broadcast)": lambda i: call("masc_broadcast", {"message": f"the parser is ready, part {i}"}),
    }


async def measure(calls: int) -> list[dict[str, Any]]:
    """Medians in microseconds and ratios."""
    os.environ["MASC_ENCRYPTION_KEY"] = "5a" * 32
    async with contextlib.AsyncExitStack() as stack:
        rooms = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        lift_limits(rooms[0])
        on = await stack.enter_async_context(Kernel(Base(rooms[0], True), load()))
        off = await stack.enter_async_context(Kernel(Base(rooms[1], True), unguarded()))
        client = await guarded_client(on)
        selection = off.modes.check("full", (), "process")
        both = {
            "on": steps(on, client, named=False),
            "off": steps(off, Client("http", "127.0.0.1", selection=selection), named=True),
        }
        for kernel, who, name in (
            (on, client, {}),
            (off, Client("http", "x", selection=selection), {"agent_name": "bench"}),
        ):
            outcome = await kernel.call("masc_start", {"task_title": "measured", **name}, who)
            assert outcome.error is None, outcome.text
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
    main()
