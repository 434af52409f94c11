"""How many agents a server carries on each store, as their room grows.

``python benchmarks/scale_teams.py [--store sqlite] [--agents 1,10,100] [--sizes 100,1000,10000,100000] [--servers 1]
[--seconds 3] [--results FILE] [--plot FILE.png] [--json]``. A room of size n has n tasks (a fifth to do, the rest done), n
messages and n events. In it one agent works in process (without HTTP, and the only way on the store ``memory``), then so many
over HTTP at once, each as fast as it is answered. Databases are the run's own. What ``--results`` has already is not measured
again: a run that was broken off goes on, and figures of several runs can be drawn together.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from attrs import define, frozen
from chaos.stores import NotHere
from common import json_option, show
from scale_http import carried, servers
from scale_plot import draw
from scale_rooms import NAMES, Places, made
from scale_work import Agent, Refused, Times

from masc_core.bench.report import Bar
from masc_core.identity import local_client
from masc_core.kernel import Kernel

SMALLEST = 100
SHOWN = (
    "store", "size", "servers", "agents", "calls_per_s", "read_p50_ms", "read_p95_ms", "write_p50_ms", "write_p95_ms",
    "errors", "server_cpu_ms", "client_cpu_ms", "server_mb",
)  # fmt: skip
Row = dict[str, Any]


@frozen
class Plan:
    """What to measure. ``servers`` and ``agents`` are 0 for work in process."""

    stores: tuple[str, ...]
    sizes: tuple[int, ...]
    teams: tuple[tuple[int, int], ...]
    """Servers and agents."""
    seconds: float

    def rows(self, store: str, size: int) -> Iterator[Row]:
        """What each row of a room begins with."""
        for number, agents in ((0, 0), *(self.teams if store != "memory" else ())):
            yield {"store": store, "size": size, "servers": number, "agents": agents}


@define
class Results:
    """Rows that were measured, kept in a file if there is one."""

    file: Path | None
    rows: list[Row]

    def has(self, wanted: Row) -> bool:
        """It was measured before."""
        return any(wanted.items() <= row.items() for row in self.rows)

    def add(self, row: Row) -> None:
        """Keep a row."""
        self.rows.append(row)
        if self.file is not None:
            with self.file.open("a") as file:
                file.write(json.dumps(row) + "\n")


async def measure(plan: Plan, results: Results, bar: Bar) -> None:
    """Measure what is missing, a store after the other; a store that this machine has not is left out and named."""
    missing = [row for size in plan.sizes for store in plan.stores for row in plan.rows(store, size)]
    missing = [row for row in missing if not results.has(row)]
    tick = bar.begin("measuring", len(missing))
    with tempfile.TemporaryDirectory(prefix="masc-scale-") as scratch:
        snapshots: dict[int, Any] = {}
        for store in plan.stores:
            wanted = [row for row in missing if row["store"] == store]
            sizes = sorted({row["size"] for row in wanted})
            directory = Path(tempfile.mkdtemp(dir=scratch))
            for path in (Path(scratch), directory):
                path.chmod(0o711)  # a database runs under an account of its own
            try:
                places = Places(store, directory)
            except NotHere as error:
                click.echo(f"left out {store}: {error}", err=True)
                continue
            try:
                await places.start()
                for size in sizes:
                    if size not in snapshots:
                        snapshots[size] = await made(size, Path(scratch) / f"seed-{size}")
                    rows = [row for row in wanted if row["size"] == size]
                    async for row in _room(places, size, snapshots[size], rows, plan.seconds):
                        results.add(row)
                        tick(1)
            finally:
                await places.stop()


async def _room(places: Places, size: int, snapshot: Any, rows: list[Row], seconds: float) -> Any:
    """Measure in one room."""
    begun = time.perf_counter()
    async with places.filled(size, snapshot) as kernel:
        filled = round(time.perf_counter() - begun, 1)
        for row in rows:
            if row["servers"] == 0:
                yield {**row, **await _in_process(kernel, seconds), "filled_s": filled}
    for number in sorted({row["servers"] for row in rows} - {0}):
        with tempfile.TemporaryFile("w") as log:
            async with servers(number, places.project(size), places.variables(size), log) as running:
                for row in rows:
                    if row["servers"] == number:
                        yield {**row, **await carried(running, row["agents"], seconds)}


async def _in_process(kernel: Kernel, seconds: float) -> Row:
    client = local_client("agent-1")
    client.selection = kernel.modes.check("full", (), "process")

    async def call(tool: str, **arguments: Any) -> dict[str, Any]:
        outcome = await kernel.call(tool, arguments, client)
        if outcome.error is not None:
            raise Refused(outcome.error.code)
        return dict(outcome.structured)

    agent = Agent(call, Times())
    await agent.round()
    agent.times = Times()
    begun, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() < begun + seconds:
        await agent.round()
    taken, facts = time.perf_counter() - begun, agent.times.facts()
    per_call = (time.process_time() - cpu) / facts["calls"] * 1000
    return {**facts, "calls_per_s": round(facts["calls"] / taken, 1), "server_cpu_ms": round(per_call, 3)}


def numbers(text: str, least: int) -> tuple[int, ...]:
    """Numbers that are separated by commas. Raises ``click.BadParameter``."""
    try:
        found = tuple(sorted({int(number) for number in text.split(",")}))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no list of numbers such as 1,10,100") from None
    if found[0] < least:
        raise click.BadParameter(f"{found[0]} is less than {least}")
    return found


def at_least(least: int) -> Any:
    """A callback for an option with such a list."""
    return lambda _context, _option, value: numbers(value, least)


@click.command(help=__doc__)
@click.option("--store", "stores", multiple=True, default=NAMES, type=click.Choice(NAMES), help="Without it, all.")
@click.option("--agents", default="1,10,100", show_default=True, callback=at_least(1), help="At once, over HTTP.")
@click.option("--sizes", default="100,1000,10000,100000", show_default=True, callback=at_least(SMALLEST))
@click.option("--servers", "counts", default="1", show_default=True, callback=at_least(1), help="Of one room.")
@click.option("--seconds", default=3.0, show_default=True, type=click.FloatRange(0.1, 3600), help="For each row.")
@click.option(
    "--results", "file", type=click.Path(dir_okay=False, path_type=Path), help="JSON lines, kept and added to."
)
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw all results into this PNG or SVG.")
@json_option
def main(
    stores: tuple[str, ...], agents: tuple[int, ...], sizes: tuple[int, ...], counts: tuple[int, ...], seconds: float,
    file: Path | None, plot: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Measure, print, draw."""
    before = file.read_text().splitlines() if file is not None and file.exists() else []
    results = Results(file, [json.loads(line) for line in before])
    teams = tuple((servers, team) for servers in counts for team in agents)
    with Bar() as bar:
        asyncio.run(measure(Plan(tuple(dict.fromkeys(stores)), sizes, teams, seconds), results, bar))
    if as_json:
        click.echo(json.dumps(results.rows))
    else:
        show([{name: row[name] for name in SHOWN if name in row} for row in results.rows], as_json=False)
    if plot is not None:
        draw(results.rows, plot)


if __name__ == "__main__":
    main()
