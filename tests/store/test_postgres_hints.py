"""How a PostgreSQL room tells waiting agents of news."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from pooler_stand_in import pooler
from postgres_support import LATE, A, Make, listens

from masc_core.store.driver import (
    Append,
    Put,
)
from masc_core.store.postgres import PostgresDriver


class TestHints:
    async def test_a_commit_of_another_process_wakes_at_once(
        self, make_postgres: Make, record_property: Callable[[str, object], None]
    ) -> None:
        async with make_postgres() as store, make_postgres() as other:
            waits = []
            for n in range(10):
                task = asyncio.create_task(store.watch({"log": n}))
                await listens(store)
                started = time.monotonic()
                await other.commit([], [Append("log", b"")])
                assert await asyncio.wait_for(task, 20) == {"log": n + 1}
                waits.append(time.monotonic() - started)
        record_property("longest_wait_ms", round(max(waits) * 1000))
        assert sorted(waits)[5] < 0.5

    async def test_without_hints_a_waiter_is_woken_within_3_s(
        self, make_postgres: Make, postgres_admin: psycopg.Connection[Any]
    ) -> None:
        async with make_postgres() as store, make_postgres() as other:
            await other.commit([], [Append("log", b"")])
            task = asyncio.create_task(store.watch({"log": 1}))
            await listens(store)
            postgres_admin.execute("UPDATE masc.heads SET last = 2 WHERE room = %s", (store._room,))
            assert await asyncio.wait_for(task, 3) == {"log": 2}

    async def test_a_hint_too_long_for_postgres_still_wakes(self, make_postgres: Make) -> None:
        async with make_postgres() as store, make_postgres() as other:
            logs = [f"{n}" + "l" * 500 for n in range(10)]
            task = asyncio.create_task(store.watch({logs[7]: 0}))
            await listens(store)
            await other.commit([], [Append(log, b"") for log in logs])
            assert await asyncio.wait_for(task, 1.5) == {logs[7]: 1}

    async def test_any_number_of_waiters_takes_one_connection(
        self, make_postgres: Make, postgres_admin: psycopg.Connection[Any]
    ) -> None:
        async with make_postgres() as store:
            tasks = [asyncio.create_task(store.watch({"log": 0})) for _ in range(50)]
            await listens(store)
            row = postgres_admin.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            ).fetchone()
            assert row == (1,)
            await store.commit([], [Append("log", b"")])
            assert await asyncio.gather(*tasks) == [{"log": 1}] * 50

    async def test_behind_a_transaction_pooler_waiting_polls_with_one_warning(
        self, make_postgres: Make, postgres_url: str, postgres_cluster: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with pooler(postgres_url) as url, make_postgres() as other:
            async with PostgresDriver(url, cluster=postgres_cluster) as store:
                for n in range(3):
                    task = asyncio.create_task(store.watch({"log": n}))
                    await asyncio.sleep(0)
                    await other.commit([], [Append("log", b"")])
                    assert await asyncio.wait_for(task, 3) == {"log": n + 1}
                await asyncio.gather(*(store.commit([], [LATE, Put(A, b"")]) for _ in range(20)))
                async with store._pool.lend() as db:
                    cursor = await db.execute("SELECT count(*) FROM pg_prepared_statements")
                    assert await cursor.fetchone() == (0,)
        warnings = [r for r in caplog.records if r.levelno >= logging.WARNING]
        assert len(warnings) == 1
        assert "pooler" in warnings[0].message
