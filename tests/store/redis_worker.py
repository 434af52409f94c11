"""Another process on the same Redis: ``python redis_worker.py COMMAND URL CLUSTER``, spoken to as sqlite_worker is."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable

from masc_core.store.driver import Append, Conflict, IndexEntry, Put, Scan, Version
from masc_core.store.redis import RedisDriver


def say(value: object) -> None:
    print(json.dumps(value), flush=True)


async def claim(driver: RedisDriver) -> None:
    """Claim open tasks until there are none; print which."""
    mine = []
    while found := await driver.scan(Scan("tasks", "state", "open", "open~", limit=1)):
        task = found[0]
        done = Put(task.key, str(os.getpid()).encode(), (IndexEntry("state", "done", "done"),))
        try:
            await driver.commit([Version(task.key, task.version)], [done, Append("claims", task.key.id.encode())])
            mine.append(task.key.id)
        except Conflict:
            pass
    say(mine)


async def chain(driver: RedisDriver) -> None:
    """Append 50 entries, each made from the one before."""

    def chained(seq: int, previous: bytes | None) -> bytes:
        return str(int(previous or b"0") + seq).encode()

    for _ in range(50):
        await driver.commit([], [Append("chain", chained)])
    say("done")


async def append(driver: RedisDriver) -> None:
    """Append one entry."""
    say((await driver.commit([], [Append("log", b"")])).appended)


COMMANDS: dict[str, Callable[[RedisDriver], Awaitable[None]]] = {"claim": claim, "chain": chain, "append": append}


async def main(command: str, url: str, cluster: str) -> None:
    async with RedisDriver(url, cluster=cluster) as driver:
        await COMMANDS[command](driver)


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    asyncio.run(main(*sys.argv[1:]))
