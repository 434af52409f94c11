"""The wall clock set an hour forward and back: everybody's, or only that of the servers' machine."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from mcp.client.client import Client

from .base import Fault
from .checks import Violation
from .load import Lost, call
from .run import Run
from .servers import HttpServer
from .stores import NotHere, program

__all__ = ["Clock", "Skew"]

SOURCE = Path(__file__).with_name("shifted_clock.c")
HOUR = 3600
BUSY_TRIES = 20


class Clock(Fault):
    """The wall clock of all processes is wrong by what a file says."""

    name = "clock"
    about = "the clock of all, the database too, is set an hour forward and back; what expired stays so"

    def variables(self, directory: Path) -> dict[str, str]:
        return self.shifted(directory)

    def shifted(self, directory: Path) -> dict[str, str]:
        """The environment of a process whose clock can be set. Raises :class:`NotHere`."""
        if sys.platform != "linux":
            raise NotHere("setting the clock of single processes needs Linux")
        library, self._file = directory / "shifted_clock.so", directory / "clock"
        command = [program("cc"), "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE)]
        subprocess.run(command, check=True)
        self._write(0)
        return {"LD_PRELOAD": str(library), "SHIFTED_CLOCK": str(self._file)}

    async def cycle(self, run: Run, number: int) -> None:
        servers = [endpoint for endpoint in run.endpoints if isinstance(endpoint, HttpServer)]
        base = -HOUR if number % 2 else 0
        self._set(run, base)
        try:
            async with AsyncExitStack() as stack:
                names = (f"keeper{number}", f"other{number}")
                keeper, other = [
                    _Agent(await stack.enter_async_context(server.connect(name)), run, name)
                    for server, name in zip(servers, names, strict=True)
                ]
                await self._expire(run, number, base, keeper, other)
        except Lost as error:
            raise RuntimeError("a call was lost, and nothing but the clock was touched") from error
        finally:
            self._set(run, 0)
        await run.progress()

    async def _expire(self, run: Run, number: int, base: int, keeper: _Agent, other: _Agent) -> None:
        """A lock and a vote end by time, one client sees it, and the clock goes back."""
        path = f"clock/{number}/file.py"
        fence = (await keeper.do("masc_lock", file_path=path, ttl_seconds=60)).get("fence")
        vote = (await keeper.do("masc_vote_create", topic=path, options=["a", "b"], deadline_seconds=10))["vote"]["id"]
        await keeper.do("masc_vote_cast", vote_id=vote, choice="a")
        self._set(run, base + HOUR)
        ways: list[tuple[_Agent, str, dict[str, Any]]] = [
            (keeper, "masc_unlock", {"file_path": path, "fence": fence}),
            (other, "masc_status", {}),
            (other, "masc_lock", {"file_path": path, "ttl_seconds": 60}),
            (other, "masc_lock", {"file_path": f"clock/{number}/", "ttl_seconds": 60}),
        ]
        agent, tool, arguments = ways[number // 2 % len(ways)]
        await agent.do(tool, **arguments)
        await other.do("masc_vote_status", vote_id=vote)
        self._set(run, base)
        await other.do("masc_status")
        await other.do("masc_lock", file_path=path, ttl_seconds=60)
        await keeper.do("masc_lock", file_path=path, ttl_seconds=60)
        await keeper.do("masc_unlock", file_path=path, fence=fence)
        await keeper.do("masc_vote_cast", vote_id=vote, choice="b")
        await other.do("masc_vote_status", vote_id=vote)

    def _set(self, run: Run, seconds: int) -> None:
        # Servers see it at some moment between these two.
        run.history.note_clock()
        self._write(seconds)
        run.history.note_clock()

    def _write(self, seconds: int) -> None:
        # In place: the processes look at this very file.
        file = os.open(self._file, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(file, struct.pack("=q", seconds), 0)
        finally:
            os.close(file)


class Skew(Clock):
    """Only the machine of the MASC servers has a wrong clock; locks follow the database's."""

    name = "skew"
    about = "the clock of the servers' machine is set an hour forward and back, the database's is right"
    stores = ("postgres", "redis")

    def variables(self, directory: Path) -> dict[str, str]:
        return {}

    async def prepare(self, run: Run) -> None:
        run.environment |= self.shifted(run.directory)
        await super().prepare(run)

    async def _expire(self, run: Run, number: int, base: int, keeper: _Agent, other: _Agent) -> None:
        """Nothing expires: the lock keeps its holder and its fence, the vote goes on."""
        path = f"clock/{number}/file.py"
        await keeper.do("masc_lock", file_path=path, ttl_seconds=1800)
        vote = await keeper.do("masc_vote_create", topic=path, options=["a", "b"], deadline_seconds=1800)
        self._set(run, base + HOUR)
        await other.do("masc_lock", file_path=path, ttl_seconds=60)
        await keeper.do("masc_lock", file_path=path, ttl_seconds=1800)
        seen = await other.do("masc_vote_status", vote_id=vote["vote"]["id"])
        if seen["vote"]["status"] != "pending":
            run.found.append(Violation("leases follow the store's clock", f"{vote['vote']['id']} ended early: {seen}"))
        self._set(run, base)
        await other.do("masc_lock", file_path=path, ttl_seconds=60)
        await keeper.do("masc_unlock", file_path=path)

    def _set(self, run: Run, seconds: int) -> None:
        # No excuse for a lock to end early, so the history does not know of it.
        self._write(seconds)


class _Agent:
    """One client of the scenario."""

    def __init__(self, client: Client, run: Run, name: str) -> None:
        self._client = client
        self._run = run
        self._name = name

    async def do(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """A recorded call; its result. It is made again while the store is too busy for it."""
        for _ in range(BUSY_TRIES):
            made = await call(self._client, self._run.history, self._name, tool, **arguments)
            if made.code != "storage_busy":
                return made.result
        raise RuntimeError(f"{tool} was refused {BUSY_TRIES} times because the store is busy")
