"""One run: a room, servers, clients, cycles of a fault, and the verdict."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from masc_core.testing.limits import lift_limits

from .checks import Violation, check
from .final import read_final
from .history import Final, History
from .load import Board, Worker
from .patience import PATIENCE
from .servers import Endpoint, HttpServer, StdioServer, masc
from .stores import STORES, Store, new_key, preloaded

__all__ = ["Order", "Report", "Run", "carry_out"]

PROGRESS_SECONDS = 60.0 * PATIENCE
"""Within this time after a fault every client has to be served again."""
WORKERS_OF_HTTP = 2
# Agents that were given up must not become zombies: their tasks would return to the board.
CONFIG = "[health]\nzombie_seconds = 86400\n"


class NotServed(Exception):
    """A client got no good answer in time."""


@frozen
class Order:
    """What to run."""

    fault: Any
    store: str
    sealed: bool
    cycles: int
    seconds: float
    seed: int
    keep: Path | None
    """A directory for the history."""


@frozen
class Report:
    """What a run came to."""

    store: str
    fault: str
    cycles: int = 0
    operations: int = 0
    ok: int = 0
    refused: int = 0
    unknown: int = 0
    seconds: float = 0.0
    violations: Sequence[Violation] = ()
    skipped: str | None = None
    codes: dict[str, int] = field(factory=dict)
    """How often each refusal was met."""


@define
class Run:
    """What a fault may touch."""

    order: Order
    directory: Path
    project: Path
    store: Store
    history: History
    chance: random.Random
    log: Any
    stack: AsyncExitStack
    environment: dict[str, str] = field(factory=dict)
    board: Board = field(factory=Board)
    endpoints: list[Endpoint] = field(factory=list)
    workers: dict[Endpoint, list[Worker]] = field(factory=dict)
    found: list[Violation] = field(factory=list)
    """Violations that show while it runs."""

    def all_workers(self) -> list[Worker]:
        return [worker for workers in self.workers.values() for worker in workers]

    async def progress(self, workers: Iterable[Worker] | None = None, calls: int = 1) -> None:
        """Wait until each of the workers (default: all) was answered well ``calls`` times more.

        Raises :class:`NotServed` after :data:`PROGRESS_SECONDS`.
        """
        goals = [(worker, worker.done + calls) for worker in workers or self.all_workers()]
        try:
            async with asyncio.timeout(PROGRESS_SECONDS):
                while any(worker.done < goal for worker, goal in goals):
                    await asyncio.sleep(0.005)
        except TimeoutError:
            late = [worker.label for worker, goal in goals if worker.done < goal]
            raise NotServed(f"{', '.join(late)} got no good answer within {PROGRESS_SECONDS:.0f} s") from None

    async def pause(self, most: float) -> None:
        """Let a random time pass."""
        await asyncio.sleep(self.chance.uniform(0, most))

    def add(self, endpoint: Endpoint, workers: int) -> None:
        """Let clients use an endpoint."""
        self.endpoints.append(endpoint)
        place = len(self.endpoints)
        for i in range(workers):
            label = f"{'http' if isinstance(endpoint, HttpServer) else 'stdio'}{place}{chr(ord('a') + i)}"
            seed = f"{self.order.seed} {label}"
            worker = Worker(label, endpoint.connect, self.history, self.board, seed)
            self.workers.setdefault(endpoint, []).append(worker)


async def carry_out(order: Order) -> Report:
    """Run one fault on one store. Raises :class:`NotHere` where this machine cannot."""
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        run = await _prepare(order, stack)
        cycles = await _cycles(run)
        final = await _settle(run)
    violations = run.found + check(run.history.operations, final, run.history.clock_set)
    outcomes = Counter(o.outcome for o in run.history.operations)
    return Report(
        store=f"{order.store}{' sealed' if order.sealed else ''}",
        fault=order.fault.name,
        cycles=cycles,
        operations=len(run.history.operations),
        ok=outcomes["ok"],
        refused=outcomes["fail"],
        unknown=outcomes["unknown"],
        seconds=round(time.monotonic() - started, 1),
        violations=violations,
        codes=dict(Counter(o.code for o in run.history.operations if o.code).most_common()),
    )


async def _prepare(order: Order, stack: AsyncExitStack) -> Run:
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="masc-faults-")))
    os.chmod(directory, 0o711)  # a database runs under an account of its own
    disk = stack.enter_context(order.fault.disk(order.store, directory))
    project = (disk if order.store == "sqlite" else directory) / "project"
    project.mkdir()
    keep = order.keep or directory
    name = f"{order.store}{'-sealed' if order.sealed else ''}-{order.fault.name}"
    sink = stack.enter_context((keep / f"{name}.jsonl").open("w"))
    log = stack.enter_context((keep / f"{name}.log").open("w"))
    variables = order.fault.variables(directory)
    with preloaded(variables):
        store = STORES[order.store](disk)
        stack.push_async_callback(store.remove)
        await store.start()
    chance = random.Random(order.seed)
    run = Run(order, directory, project, store, History(sink), chance, log, stack)
    lift_limits(project)
    with (project / ".masc" / "config.toml").open("a") as config:
        config.write(CONFIG)
    run.environment = {**store.environment(), "MASC_CLUSTER_NAME": "faults", **variables}
    if order.sealed:
        run.environment["MASC_ENCRYPTION_KEY"] = new_key()
    await masc(run.environment, "call", "masc_init", "--project", str(project))
    if order.sealed:
        await masc(
            run.environment, "call", "masc_encryption_enable", '{"key_source": "env"}', "--project", str(project)
        )
    await order.fault.prepare(run)
    return run


def topology(run: Run, environment: dict[str, str], http: int, stdio: int) -> None:
    """So many servers over HTTP and on stdio."""
    for _ in range(http):
        run.add(HttpServer(run.project, environment, run.log), WORKERS_OF_HTTP)
    for i in range(stdio):
        run.add(StdioServer(run.project, environment, run.log, run.directory / f"pid{i}"), 1)


async def _cycles(run: Run) -> int:
    """As many cycles as are ordered and time allows."""
    done = 0
    try:
        async with _working(run):
            await run.progress()
            over = time.monotonic() + run.order.seconds
            while done < run.order.cycles and time.monotonic() < over:
                await run.order.fault.cycle(run, done)
                done += 1
            await run.order.fault.finish(run)
            await run.progress()
    except (NotServed, RuntimeError, TimeoutError) as error:
        run.found.append(Violation("the fault passes and all are served again", f"cycle {done + 1}: {error!r}"))
    return done


@asynccontextmanager
async def _working(run: Run) -> AsyncIterator[None]:
    """Servers are up and clients at work."""
    try:
        await asyncio.gather(*(endpoint.start() for endpoint in run.endpoints))
        tasks = [asyncio.create_task(worker.run()) for worker in run.all_workers()]
        try:
            yield
        finally:
            for worker, task in zip(run.all_workers(), tasks, strict=True):
                worker.stopped = True
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(endpoint.stop() for endpoint in run.endpoints))
    finally:
        with suppress(ProcessLookupError):
            await asyncio.gather(*(endpoint.kill() for endpoint in run.endpoints))


async def _settle(run: Run) -> Final:
    """Read the room with a fresh process, and let the audit log and the file be verified."""
    fresh = StdioServer(run.project, {**run.environment, **run.store.environment()}, run.log, run.directory / "pid")
    await fresh.start()
    async with fresh.connect("reader") as client:
        final = await read_final(client, run.history.operations)
    for verify in (
        partial(masc, run.environment, "audit", "verify", "--project", str(run.project)),
        partial(_intact, run),
    ):
        try:
            await verify()
        except RuntimeError as error:
            run.found.append(Violation("audit log and file are whole", str(error)))
    return final


async def _intact(run: Run) -> None:
    if run.order.store == "sqlite":
        with closing(sqlite3.connect(run.project / ".masc" / "masc.db")) as db:
            found = db.execute("PRAGMA integrity_check").fetchall()
        if found != [("ok",)]:
            raise RuntimeError(str(found))
