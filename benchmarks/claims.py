"""Several MASC servers on one SQLite file, their clients claiming tasks as fast as they can until none is left.

``python benchmarks/claims.py [--servers 8] [--tasks 400] [--json]`` says whether any task went out twice, how the tasks
were spread, and how long a masc_claim_next took as its client sees it. Each client waits for all others before it begins.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
from attrs import define, field
from common import json_option, make_room, masc_stdio, percentile, show
from mcp.client.client import Client

BUDGET_MS = 500


@define
class Claimer:
    """One client and what it got."""

    name: str
    claimed: list[str] = field(factory=list)
    times: list[float] = field(factory=list)
    """Milliseconds of each call, the last of which finds nothing."""
    retried: int = 0

    async def run(self, project: Path, everybody: asyncio.Barrier) -> None:
        """Claim until nothing is left. Raises ``RuntimeError`` for a refusal that no retry helps."""
        async with Client(masc_stdio(project, self.name), mode="legacy") as client:
            await client.call_tool("masc_join", {})
            await everybody.wait()
            while await self._claim(client):
                pass
            await everybody.wait()

    async def _claim(self, client: Client) -> bool:
        begun = time.perf_counter()
        result = await client.call_tool("masc_claim_next", {})
        self.times.append((time.perf_counter() - begun) * 1000)
        content: dict[str, Any] = dict(result.structured_content or {})
        if result.is_error:
            if not content["error"]["retryable"]:
                raise RuntimeError(content["error"])
            self.retried += 1
            return True
        if "task" in content:
            self.claimed.append(content["task"]["id"])
        return "task" in content


async def race(project: Path, servers: int, tasks: int) -> dict[str, Any]:
    """One race; the row of the table."""
    await make_room(project, tasks=tasks)
    everybody = asyncio.Barrier(servers)
    claimers = [Claimer(f"agent-{i + 1}") for i in range(servers)]
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for claimer in claimers:
            group.create_task(claimer.run(project, everybody))
    taken = time.perf_counter() - begun
    went = Counter(task for claimer in claimers for task in claimer.claimed)
    times = [ms for claimer in claimers for ms in claimer.times]
    return {
        "tasks": tasks,
        "claimed": len(went),
        "twice": sum(1 for count in went.values() if count > 1),
        "per_server": " ".join(str(n) for n in sorted(len(claimer.claimed) for claimer in claimers)),
        "retried": sum(claimer.retried for claimer in claimers),
        "p50_ms": round(percentile(times, 50), 1),
        "p95_ms": round(percentile(times, 95), 1),
        "p99_ms": round(percentile(times, 99), 1),
        "slowest_ms": round(max(times), 1),
        "run_s": round(taken, 1),
    }


@click.command(help=__doc__)
@click.option("--servers", default=8, show_default=True, type=click.IntRange(1, 32), help="Processes that claim.")
@click.option("--tasks", default=400, show_default=True, type=click.IntRange(1, 100_000), help="Tasks of a race.")
@click.option("--races", default=3, show_default=True, type=click.IntRange(1, 100), help="Races, each in a new room.")
@json_option
def main(servers: int, tasks: int, races: int, as_json: bool) -> None:
    """Race, print, and fail when a task went out twice or not at all."""
    rows = []
    for _ in range(races):
        with tempfile.TemporaryDirectory() as scratch:
            rows.append(asyncio.run(race(Path(scratch), servers, tasks)))
    show(rows, as_json)
    if not as_json:
        click.echo(f"budget: no task twice, slowest claim under {BUDGET_MS} ms")
    if any(row["twice"] or row["claimed"] != row["tasks"] for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
