"""Whether each tool of portals, discovery, votes, interrupts and costs keeps the budget of a call in process, in a large room.

``python benchmarks/budgets.py [--size 10000] [--calls 60] [--json]`` repeats short cycles of calls, such as asking and
approving, in a room with so many records of each kind (see scale.py, which goes through all tools in turn instead) and
prints medians and tenths. A durable write waits for the disk: the last row is the least that SQLite can sync on this one,
a commit of one row, and ``TMPDIR`` chooses another disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import click
from common import json_option, percentile, show
from scale import READ_US, SMALLEST, STEPS, WRITE_US, Room, fill

from masc_core.kernel import Kernel
from masc_core.plugins import load
from masc_core.rooms import Base
from masc_core.testing.limits import lift_limits

CYCLES = (
    ("masc_register_capabilities (w)",),
    ("masc_vote_create (w)", "masc_vote_cast (w)", "masc_vote_cast, last (w)"),
    ("masc_portal_open (w)", "masc_portal_close (w)"),
    (
        "masc_portal_send (w)",
        "masc_portal_status, new (w)",
        "masc_portal_send result (w)",
        "masc_portal_status, result (w)",
    ),
    ("masc_interrupt (w)", "masc_approve (w)"),
    ("masc_interrupt, again (w)", "masc_reject (w)"),
    ("masc_cost_log (w)",),
    ("masc_votes",),
    ("masc_vote_status",),
    ("masc_find_by_capability",),
    ("masc_portal_status peek",),
    ("masc_pending_interrupts",),
    ("masc_cost_report",),
    ("masc_cost_report hourly",),
    ("masc_cost_report of one task",),
)
ROUNDS = 5
"""The cycles take turns so often, since the speed of many machines changes by itself."""
WARM_UP = 5


async def measure(project: Path, size: int, calls: int) -> list[dict[str, Any]]:
    """A row for each call."""
    times: dict[str, list[float]] = {}
    lift_limits(project)
    async with Kernel(Base(project, True), load()) as kernel:
        room = Room(size, kernel)
        await fill(room, busy_day=False)
        for step in STEPS.values():
            await step(room)
        with contextlib.closing(_bare(project / "bare.db")) as commits:
            for _ in range(ROUNDS):
                for cycle in CYCLES:
                    for i in range(calls + WARM_UP):
                        for name in cycle:
                            begun = time.perf_counter()
                            await STEPS[name](room)
                            if i >= WARM_UP:
                                times.setdefault(name, []).append((time.perf_counter() - begun) * 1e6)
                times.setdefault("commit of one row", []).extend(next(commits) for _ in range(calls))
    return [_row(name, found) for name, found in times.items()]


def _bare(path: Path) -> Generator[float]:
    """Microseconds of commits without anything of MASC, one after the other."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        for line in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE rows (n INTEGER)"):
            db.execute(line)
        while True:
            begun = time.perf_counter()
            db.execute("INSERT INTO rows VALUES (1)")
            yield (time.perf_counter() - begun) * 1e6


def _row(name: str, times: list[float]) -> dict[str, Any]:
    p50 = percentile(times, 50)
    budget = WRITE_US if name.endswith("(w)") else READ_US
    kept = "" if name.startswith("commit") else "kept" if p50 <= budget else "over"
    return {"call": name, "p10_us": round(percentile(times, 10)), "p50_us": round(p50), "budget": kept}


@click.command(help=__doc__)
@click.option("--size", default=10_000, show_default=True, type=click.IntRange(SMALLEST), help="Records of each kind.")
@click.option(
    "--calls", default=60, show_default=True, type=click.IntRange(1, 10_000), help="Calls of each kind a turn."
)
@json_option
def main(size: int, calls: int, as_json: bool) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        rows = asyncio.run(measure(Path(scratch), size, calls))
    show(rows, as_json)
    if not as_json:
        click.echo(f"budget: reads {READ_US} us, durable writes (w) {WRITE_US} us")


if __name__ == "__main__":
    main()
