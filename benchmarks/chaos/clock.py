"""The clock of all servers, also the database's, set an hour forward and back."""

from __future__ import annotations

import os
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from mcp.client.client import Client

from .base import Fault
from .load import Lost, call
from .run import Run
from .servers import HttpServer
from .stores import NotHere

__all__ = ["Clock"]

LIBRARIES = ("/usr/lib", "/usr/local/lib", "/opt/homebrew/lib")
HOUR = 3600


class Clock(Fault):
    """The wall clock is that of libfaketime, which reads from a file by how much it is wrong."""

    name = "clock"
    about = "the clock is set an hour forward and back; what expired stays so"

    def variables(self, directory: Path) -> dict[str, str]:
        found = [path for place in LIBRARIES for path in Path(place).glob("**/faketime/libfaketimeMT.so.1")]
        if not found:
            raise NotHere("setting the clock of one process needs libfaketime (Debian: apt install faketime)")
        self._file = directory / "clock"
        self._write(0)
        return {
            "LD_PRELOAD": str(found[0]), "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip

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
        self._write(seconds)
        run.history.clock_set.append(time.monotonic())

    def _write(self, seconds: int) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        os.replace(new, self._file)


class _Agent:
    """One client of the scenario."""

    def __init__(self, client: Client, run: Run, name: str) -> None:
        self._client = client
        self._run = run
        self._name = name

    async def do(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """A recorded call; its result."""
        return (await call(self._client, self._run.history, self._name, tool, **arguments)).result
