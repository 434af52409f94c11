"""Several processes on one Redis."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import redis_worker
from redis_server import RedisServer
from sqlite_worker import Worker

from masc_core.store.driver import Head, IndexEntry, Key, Put
from masc_core.store.redis import RedisDriver


class TestProcesses:
    def _run(self, command: str, count: int, url: str, cluster: str) -> list[Any]:
        workers = [Worker(command, url, cluster, script=redis_worker.__file__) for _ in range(count)]
        try:
            for worker in workers:
                worker.go()
            return [worker.end()[0] for worker in workers]
        finally:
            for worker in workers:
                worker.kill()

    async def test_eight_processes_claim_each_of_200_tasks_once(self, redis_server: RedisServer) -> None:
        cluster, names = secrets.token_hex(8), [f"{n:03}" for n in range(200)]
        async with RedisDriver(redis_server.url, cluster=cluster) as store:
            entry = (IndexEntry("state", "open", "open"),)
            await store.commit([], [Put(Key("tasks", name), b"", entry) for name in names])
            results = await asyncio.to_thread(self._run, "claim", 8, redis_server.url, cluster)
            assert sorted(name for mine in results for name in mine) == names
            assert await store.count("tasks", "state") == {"done": 200}
            assert await store.heads(["claims"]) == [Head(1, 200)]

    async def test_entries_made_from_the_one_before_form_one_chain_over_processes(
        self, redis_server: RedisServer
    ) -> None:
        cluster = secrets.token_hex(8)
        await asyncio.to_thread(self._run, "chain", 4, redis_server.url, cluster)
        async with RedisDriver(redis_server.url, cluster=cluster) as store:
            entries = await store.read_log("chain", limit=1000)
        assert [int(e.body) for e in entries] == [n * (n + 1) // 2 for n in range(1, 201)]

    async def test_processes_that_open_a_new_room_at_once_are_in_one_room(self, redis_server: RedisServer) -> None:
        results = await asyncio.to_thread(self._run, "append", 6, redis_server.url, secrets.token_hex(8))
        assert sorted(results) == [[n] for n in range(1, 7)]
