"""What tool lists and typical results cost a model, in tokens of o200k_base.

``python benchmarks/token_costs.py [--results] [--runs 200] [--json]`` prints for each mode the number of tools, tokens where
the caller is known and where not, the same with terse descriptions, the bytes sent and how long tools/list takes in
process, warm; with ``--results`` what typical results cost as text and as structured content. A client shows its model one
of the two.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import orjson
from common import json_option, percentile, show

from masc_core.identity import Client
from masc_core.kernel import Kernel
from masc_core.listing import Style
from masc_core.modes import MODES, Modes
from masc_core.plugins import Registry, load
from masc_core.testing.app import MascApp, masc_app
from masc_core.tokens import tokenizer

AGENTS, TASKS = 20, 200


async def lists(registry: Registry, runs: int) -> list[dict[str, Any]]:
    """A row for each mode."""
    terse = Modes(registry, Style(terse=True))
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        async with masc_app(Path(scratch), registry=registry) as masc:
            modes = masc.kernel.modes
            for name in MODES:
                selection = modes.check(name, (), "url")
                categories = modes.resolve(selection).categories
                listed = modes.listing(categories, caller_known=True)
                row = {"mode": name, "tools": len(listed), "tokens": modes.cost(categories, True).tokens}
                row["caller_unknown"] = modes.cost(categories, False).tokens
                row["terse"] = terse.cost(categories, True).tokens
                row["bytes"] = len(orjson.dumps(listed))
                client = Client("http", "bench", "claude", selection=selection)
                rows.append({**row, "list_us": await _latency(masc.kernel, client, runs)})
    return rows


async def _latency(kernel: Kernel, client: Client, runs: int) -> float:
    """Median microseconds of answering tools/list, to the bytes of the array."""
    taken = []
    for _ in range(runs + 1):
        begun = time.perf_counter()
        orjson.dumps(await kernel.list_tools(client))
        taken.append((time.perf_counter() - begun) * 1e6)
    return round(percentile(taken[1:], 50), 1)


async def busy(masc: MascApp) -> None:
    """Fill a room: each agent works on a task, holds a lock and has spoken."""
    for i in range(AGENTS):
        await masc.call("masc_join", f"agent-{i:02}", capabilities=["python"])
    for i in range(TASKS):
        await masc.call(
            "masc_add_task", f"agent-{i % AGENTS:02}", title=f"Rewrite the form of page {i} so that it validates"
        )
    for i in range(AGENTS):
        agent = f"agent-{i:02}"
        await masc.call("masc_claim_next", agent)
        await masc.call("masc_lock", agent, file_path=f"src/pages/page_{i}/form.py")
        await masc.call("masc_broadcast", agent, message=f"@agent-00 page {i} is mine, the validators come next")


CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("masc_status", {"agent_name": "agent-03"}),
    ("masc_tasks", {"limit": 20}),
    ("masc_claim_next", {"agent_name": "agent-03"}),
    ("masc_done", {"agent_name": "agent-03", "task_id": "task-004"}),
    ("masc_messages", {}),
    ("masc_who", {}),
    ("masc_agents", {"limit": 20}),
    ("masc_get_config", {}),
    ("masc_find_tools", {"query": "create vote"}),
    ("masc_claim", {"agent_name": "agent-05", "task_id": "task-001"}),
)


async def results(registry: Registry) -> list[dict[str, Any]]:
    """A row for each typical call in a busy room; the last one is refused."""
    count = tokenizer()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        async with masc_app(Path(scratch), registry=registry) as masc:
            await busy(masc)
            for tool, arguments in CALLS:
                found = await masc.kernel.call(tool, arguments, Client("local", "bench"))
                structured = orjson.dumps(found.structured).decode()
                row = {"call": tool if found.error is None else f"{tool}: {found.error.code}"}
                rows.append(
                    {**row, "text": count(found.text), "structured": count(structured), "bytes": len(structured)}
                )
    return rows


@click.command(help=__doc__)
@click.option("--results", "of_results", is_flag=True, help="Count typical results instead of lists.")
@click.option("--runs", default=200, show_default=True, type=click.IntRange(1, 10_000), help="Lists for the latency.")
@json_option
def main(of_results: bool, runs: int, as_json: bool) -> None:
    """Measure and print."""
    registry = load(enabled=())
    show(asyncio.run(results(registry) if of_results else lists(registry, runs)), as_json)


if __name__ == "__main__":
    main()
