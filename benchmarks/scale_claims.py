"""Fifty processes, each with a kernel of its own, claim the tasks of one room at the same moment until none is left.

``python benchmarks/scale_claims.py [--store sqlite] [--processes 50] [--tasks 50] [--json]`` says on each store whether a task
went out twice or not at all, whether a log has a gap, and how long a claim took. Databases are the run's own. No process
claims before all are ready. Exit status 1 says that a rule was broken.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import click
from attrs import frozen
from chaos.stores import STORES, NotHere
from common import json_option, percentile, show
from scale_rooms import Places, environment, prepare

from masc_core.kernel import Kernel, local_client
from masc_core.plugins import load
from masc_core.rooms import Base
from masc_core.store.driver import Check, Committed, Conflict, Driver, Write
from masc_core.store.sealed import raw

SECONDS = 600
"""Within this time all processes are ready."""
LOGS = ("messages", "events", "audit")

_ready: list[Barrier] = []
"""Set once in each process, which can only inherit it."""


@frozen
class Claimed:
    """What one process got."""

    tasks: list[str]
    times: list[float]
    """Milliseconds of each claim, the last of which finds nothing."""
    retried: int
    """Claims that were answered with an error after which one tries again."""
    lost: int
    """Commits that came too late and were made again."""
    begun: float
    ended: float
    """On the clock that all processes of a machine share."""


def work(project: Path, number: int) -> Claimed:
    """Claim until nothing is left. Raises what a call is refused with, unless it helps to try again."""
    return asyncio.run(_claim(project, local_client(f"agent-{number}")))


async def _claim(project: Path, client: Any) -> Claimed:
    tasks: list[str] = []
    times: list[float] = []
    retried = 0
    async with Kernel(Base(project, may_create=False), load()) as kernel:
        await kernel.start_room.connect(create=False)
        lost = _count_lost(raw(kernel.start_room.driver))
        _ready[0].wait(SECONDS)
        started = time.monotonic()
        while True:
            begun = time.perf_counter()
            outcome = await kernel.call("masc_claim_next", {}, client)
            times.append((time.perf_counter() - begun) * 1000)
            if outcome.error is not None:
                if not outcome.error.retryable:
                    raise outcome.error
                retried += 1
            elif "task" in outcome.structured:
                tasks.append(outcome.structured["task"]["id"])
            else:
                return Claimed(tasks, times, retried, len(lost), started, time.monotonic())


def _count_lost(driver: Driver) -> list[Conflict]:
    """The conflicts of the driver from now on."""
    lost: list[Conflict] = []
    commit = driver.commit

    async def counted(checks: Sequence[Check], writes: Sequence[Write]) -> Committed:
        try:
            return await commit(checks, writes)
        except Conflict as conflict:
            lost.append(conflict)
            raise

    setattr(driver, "commit", counted)  # noqa: B010
    return lost


def _begin(barrier: Barrier, variables: Mapping[str, str]) -> None:
    _ready.append(barrier)
    os.environ.update(variables)


def together(project: Path, variables: Mapping[str, str], processes: int) -> list[Claimed]:
    """What each of the processes got. They are forked from one that has imported all there is, so that they start soon."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["scale_claims"])
    begin = (context.Barrier(processes), variables)
    with ProcessPoolExecutor(processes, context, initializer=_begin, initargs=begin) as pool:
        return list(pool.map(work, [project] * processes, range(processes)))


async def race(store: str, processes: int, tasks: int) -> dict[str, Any]:
    """One race; the row of the table. Raises :class:`NotHere` where this machine has no such database."""
    with tempfile.TemporaryDirectory(prefix="masc-scale-") as scratch:
        os.chmod(scratch, 0o711)  # a database runs under an account of its own
        places = Places(store, Path(scratch))
        try:
            await places.start()
            return {"store": store, **await _race(places, processes, tasks)}
        finally:
            await places.stop()


async def _race(places: Places, processes: int, tasks: int) -> dict[str, Any]:
    project, variables = places.project(tasks), places.variables(tasks)
    prepare(project)
    with environment(variables):
        async with Kernel(Base(project, True), load()) as kernel:
            for number in range(tasks):
                outcome = await kernel.call("masc_add_task", {"title": f"task {number}"}, local_client("planner"))
                if outcome.error is not None:
                    raise outcome.error
            begun = time.perf_counter()
            found = await asyncio.to_thread(together, project, variables, processes)
            taken = time.perf_counter() - begun
            gaps = [log for log in LOGS if await _has_gap(kernel, log)]
    times = [ms for claimed in found for ms in claimed.times]
    went = Counter(task for claimed in found for task in claimed.tasks)
    return {
        "processes": len(found),
        "tasks": tasks,
        "claimed": len(went),
        "twice": sum(count > 1 for count in went.values()),
        "gaps": " ".join(gaps) or "none",
        "retried": sum(claimed.retried for claimed in found),
        "lost": sum(claimed.lost for claimed in found),
        "p50_ms": round(percentile(times, 50), 1),
        "p95_ms": round(percentile(times, 95), 1),
        "slowest_ms": round(max(times), 1),
        "race_s": round(max(claimed.ended for claimed in found) - min(claimed.begun for claimed in found), 1),
        "run_s": round(taken, 1),
    }


async def _has_gap(kernel: Kernel, log: str) -> bool:
    """Numbers are missing between 1 and the last."""
    driver, seen = kernel.start_room.driver, 0
    while batch := await driver.read_log(log, seen, 1000):
        if [entry.seq for entry in batch] != list(range(seen + 1, seen + 1 + len(batch))):
            return True
        seen = batch[-1].seq
    return False


@click.command(help=__doc__)
@click.option(
    "--store", "stores", multiple=True, default=tuple(STORES), type=click.Choice([*STORES]), help="Without it, all."
)
@click.option("--processes", default=50, show_default=True, type=click.IntRange(2, 90), help="That claim.")
@click.option("--tasks", default=50, show_default=True, type=click.IntRange(1, 100_000), help="On the board.")
@json_option
def main(stores: tuple[str, ...], processes: int, tasks: int, as_json: bool) -> None:
    """Race, print, and fail when a rule was broken."""
    rows = []
    for store in dict.fromkeys(stores):
        try:
            rows.append(asyncio.run(race(store, processes, tasks)))
        except NotHere as error:
            click.echo(f"left out {store}: {error}", err=True)
    show(rows, as_json)
    if any(row["twice"] or row["claimed"] != row["tasks"] or row["gaps"] != "none" for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
