"""Another process on the same PostgreSQL room: ``python postgres_worker.py COMMAND URL CLUSTER``.

It connects, prints ``ready``, waits for a line on its standard input, works, and prints one JSON value a line.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

from masc_core.errors import Unavailable
from masc_core.store.driver import Append, Conflict, IndexEntry, Key, Put, Scan, Version, Write
from masc_core.store.postgres import PostgresDriver

N = Key("numbers", "n")


class Worker:
    """A started worker, for the parent."""

    def __init__(self, command: str, url: str, cluster: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, command, url, cluster],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    async def line(self) -> str:
        """Its next line."""
        assert self.process.stdout is not None
        return await asyncio.to_thread(self.process.stdout.readline)

    def go(self) -> None:
        """Let it work."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    async def end(self) -> list[Any]:
        """Wait for its end, which must be a good one; what it printed."""
        out, _ = await asyncio.to_thread(self.process.communicate, timeout=60)
        assert self.process.returncode == 0
        return [json.loads(line) for line in out.splitlines()]

    def kill(self) -> list[Any]:
        """End it with SIGKILL; what it had printed by then."""
        self.process.kill()
        out, _ = self.process.communicate(timeout=60)
        return [json.loads(line) for line in out.splitlines(keepends=True) if line.endswith("\n")]


def say(value: Any) -> None:
    print(json.dumps(value), flush=True)


async def claim(driver: PostgresDriver) -> None:
    """Claim open tasks until there are none; print which."""
    mine = []
    while found := await driver.scan(Scan("tasks", "state", "open", "open~", limit=1)):
        task = found[0]
        done = Put(task.key, str(os.getpid()).encode(), (IndexEntry("state", "done", "done"),))
        try:
            await driver.commit([Version(task.key, task.version)], [done, Append("claims", task.key.id.encode())])
        except Conflict:
            continue
        mine.append(task.key.id)
    say(mine)


async def write_forever(driver: PostgresDriver) -> None:
    """Commit a document, its tally and a log entry that belong together; print each number acknowledged."""
    while True:
        try:
            await write_once(driver)
        except Unavailable as error:
            say(error.code)
            await asyncio.sleep(0.02)


async def write_once(driver: PostgresDriver) -> None:
    (head,) = await driver.heads(["log"])
    n = head.last + 1
    body = str(n).encode() * (1 + n % 500)
    entry = (IndexEntry("by", "v", "g"),)
    writes: list[Write] = [Put(N, body), Put(Key("all", f"{n:08}"), body, entry), Append("log", lambda seq, _: body)]
    committed = await driver.commit([Version(N, n - 1)] if n > 1 else [], writes)
    assert committed.appended == (n,)
    say(n)


async def main(command: str, url: str, cluster: str) -> None:
    async with PostgresDriver(url, cluster=cluster) as driver:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await {"claim": claim, "write_forever": write_forever}[command](driver)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
