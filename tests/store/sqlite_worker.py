"""Another process on the same SQLite file: ``python sqlite_worker.py COMMAND PATH``.

It prints ``ready``, waits for a line on its standard input, works, and prints one JSON value a line.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from masc_core.clock import SystemClock
from masc_core.errors import StartError, StorageUnavailable
from masc_core.store.driver import Append, Conflict, IndexEntry, Key, Put, Scan, Version, Write
from masc_core.store.sqlite import SqliteDriver

NOBODY = 65_534
N = Key("numbers", "n")


class Worker:
    """A started worker, for the parent."""

    def __init__(self, command: str, *arguments: object, script: str = __file__) -> None:
        self._process = subprocess.Popen(
            [sys.executable, script, command, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert self._out.readline() == "ready\n"

    @property
    def _out(self) -> Any:
        return self._process.stdout

    def go(self) -> None:
        """Let it work."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def line(self) -> Any:
        """The next value it prints."""
        return json.loads(self._out.readline())

    def kill(self) -> list[Any]:
        """End it with SIGKILL; what it had printed by then."""
        self._process.kill()
        return self._rest() if self._process.returncode is None else []

    def end(self) -> list[Any]:
        """Wait for its end, which must be a good one; what it printed."""
        lines = self._rest()
        assert self._process.returncode == 0
        return lines

    def _rest(self) -> list[Any]:
        out, _ = self._process.communicate(timeout=60)
        # A line that was cut off by the end of the process was not acknowledged.
        return [json.loads(line) for line in out.splitlines(keepends=True) if line.endswith("\n")]


def say(value: Any) -> None:
    print(json.dumps(value), flush=True)


async def write_forever(path: Path) -> None:
    """Commit a document, its tally and a log entry that belong together, and print each number acknowledged."""
    async with SqliteDriver(path, SystemClock()) as driver:
        (head,) = await driver.heads(["log"])
        n = head.last
        while True:
            n += 1
            body = str(n).encode() * (1 + n % 500)
            writes: list[Write] = [
                Put(N, body),
                Put(Key("all", f"{n:08}"), body, (IndexEntry("by", "v", "g"),)),
                Append("log", body),
            ]
            committed = await driver.commit([Version(N, n - 1)] if n > 1 else [], writes)
            assert committed.appended == (n,)
            say(n)


async def claim(path: Path) -> None:
    """Claim open tasks until there are none; print which, and the longest commit in seconds."""
    mine, longest = [], 0.0
    async with SqliteDriver(path, SystemClock()) as driver:
        while found := await driver.scan(Scan("tasks", "state", "open", "open~", limit=1)):
            task = found[0]
            started = time.monotonic()
            try:
                done = Put(task.key, str(os.getpid()).encode(), (IndexEntry("state", "done", "done"),))
                await driver.commit([Version(task.key, task.version)], [done, Append("claims", task.key.id.encode())])
                mine.append(task.key.id)
            except Conflict:
                pass
            longest = max(longest, time.monotonic() - started)
    say([mine, longest])


async def open_first(path: Path) -> None:
    """Open a file that others open at the same moment, and write once."""
    async with SqliteDriver(path, SystemClock()) as driver:
        say((await driver.commit([], [Append("log", b"")])).appended)


async def outgrow(path: Path) -> None:
    """Write until the process may not make the file longer, then with the limit lifted."""
    async with SqliteDriver(path, SystemClock()) as driver:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
        say(await fill(driver))
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        say((await driver.commit([], [Append("log", b"after")])).appended)


async def fill(driver: SqliteDriver, body: bytes = bytes(9000)) -> list[Any]:
    """Write until the store is unavailable: how many commits were acknowledged, and the cause."""
    for n in range(10_000):
        try:
            await driver.commit([], [Put(Key("all", f"{n}"), body), Append("log", body)])
        except StorageUnavailable as error:
            return [n, error.cause]
    raise AssertionError("the limit was never met")


async def without_rights(path: Path) -> None:
    """Open a file that this user may only read."""
    if os.geteuid() == 0:
        os.setuid(NOBODY)
    try:
        async with SqliteDriver(path, SystemClock()):
            say("opened")
    except StartError as error:
        say(str(error))


COMMANDS: dict[str, Callable[[Path], Awaitable[None]]] = {
    "write_forever": write_forever,
    "claim": claim,
    "open_first": open_first,
    "outgrow": outgrow,
    "without_rights": without_rights,
}

if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    asyncio.run(COMMANDS[sys.argv[1]](Path(sys.argv[2])))  # type: ignore[arg-type]
