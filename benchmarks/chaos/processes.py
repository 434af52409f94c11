"""Faults of processes: servers that are ended, clients that die, many of both."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import psutil
from attrs import asdict
from common import ENVIRONMENT

from .base import Fault
from .checks import Violation
from .patience import PATIENCE
from .run import Run
from .servers import Endpoint, HttpServer

__all__ = ["DyingClient", "Kill", "Many", "Restart"]

ORPHAN_SECONDS = 10.0 * PATIENCE
"""Within this time a server on stdio ends after its client; its promise is 5 s."""
MOST_LINES = 60


class Many(Fault):
    name = "many"
    about = "ten stdio processes and two HTTP servers on one room; nothing breaks"
    stdio = 10

    async def cycle(self, run: Run, number: int) -> None:
        await run.progress(calls=5)


class Kill(Fault):
    name = "kill"
    about = "kill -9 of servers under load"

    def __init__(self) -> None:
        self._starting: set[asyncio.Task[None]] = set()

    async def end(self, endpoint: Endpoint) -> None:
        await endpoint.kill()

    async def cycle(self, run: Run, number: int) -> None:
        victim = run.endpoints[number % len(run.endpoints)]
        await run.progress(run.workers[victim])
        await run.pause(0.05)
        await self.end(victim)
        # The next cycle strikes another, while this one starts.
        self._starting.add(asyncio.create_task(victim.start()))

    async def finish(self, run: Run) -> None:
        await asyncio.gather(*self._starting)


class Restart(Kill):
    name = "restart"
    about = "servers are ended by SIGTERM and started again in mid-load"

    async def end(self, endpoint: Endpoint) -> None:
        await endpoint.stop()


class DyingClient(Fault):
    name = "client"
    about = "kill -9 of a client between request and answer"

    async def cycle(self, run: Run, number: int) -> None:
        pid_file = run.directory / f"orphan{number}"
        server = run.endpoints[0]
        assert isinstance(server, HttpServer)
        board = {**asdict(run.board), "calls": number * 7}
        given = {
            "label": f"mortal{number}", "seed": f"{run.order.seed} {number}", "project": str(run.project),
            "environment": run.environment, "port": server.port if number % 2 else None, "pid_file": str(pid_file),
            "board": board,
        }  # fmt: skip
        lines = await self._lines(run, given)
        run.history.absorb(lines)
        if given["port"] is None and not await _ended(pid_file):
            run.found.append(Violation("a server ends with its client", f"cycle {number + 1}: it still runs"))

    async def _lines(self, run: Run, given: dict[str, object]) -> list[str]:
        """What a client writes until it is killed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "chaos.mortal", env={**ENVIRONMENT, "PYTHONPATH": str(Path(__file__).parent.parent)},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=run.log, limit=1 << 24,
        )  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(given).encode() + b"\n")
            # Lines of a request and of an answer alternate: half of the clients die with a request under way.
            lines = [await process.stdout.readline() for _ in range(run.chance.randint(1, MOST_LINES))]
            await run.pause(0.005)
        finally:
            process.kill()
        lines += (await process.stdout.read()).splitlines(keepends=True)
        await process.wait()
        return [line.decode() for line in lines]


def _process(pid_file: Path) -> psutil.Process | None:
    try:
        return psutil.Process(int(pid_file.read_text()))
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return None


async def _ended(pid_file: Path) -> bool:
    """The process is gone, or soon is."""
    if (process := _process(pid_file)) is None:
        return True
    try:
        async with asyncio.timeout(ORPHAN_SECONDS):
            while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                await asyncio.sleep(0.02)
    except psutil.NoSuchProcess:
        return True
    except TimeoutError:
        process.kill()
        return False
    return True
