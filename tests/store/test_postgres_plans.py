"""How much of a PostgreSQL table a call reads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
from postgres_support import LATE, A, Make

from masc_core.store.driver import (
    Acquire,
    Append,
    Delete,
    IndexEntry,
    Key,
    Put,
    Remove,
    Scan,
    Version,
)
from masc_core.store.postgres import PostgresDriver


async def test_no_call_reads_more_of_a_table_than_it_needs(new_database: Iterator[str]) -> None:
    url, count = next(new_database), 10_000
    index = (IndexEntry("state", "open", "open"), IndexEntry("who", "me"))
    changed = (IndexEntry("state", "done", "done"), IndexEntry("who", "you"))

    async def use(store: PostgresDriver, n: int) -> None:
        """Every call, somewhere in the middle, some often enough for their plan to be kept."""
        for key in (Key("things", f"{n:05}"), Key("things", f"{n + 1:05}")):
            (found,) = await store.get([key])
            checks = [Version(key, found.version)] if found else []
            await store.commit(checks, [Put(key, b"", changed), LATE, Remove("log", (n,))])
        await store.commit([], [Delete(Key("things", f"{n + 2:05}"))])
        await store.get([A, Key("things", f"{n + 3:05}")])
        await store.scan(Scan("things", "state", "open", limit=5, after=("open", f"{n:05}")))
        await store.scan(Scan("things", "state", limit=5, reverse=True))
        await store.scan(Scan("things", low=f"{n:05}", limit=5))
        await store.scan_log(Scan("log", "who", limit=5))
        await store.read_log("log", limit=5, reverse=True)
        await store.count("things", "state")
        await store.count_log("log", "who", "me", count - 5)
        await store.heads(["log"])
        await store.leases(["lease"])

    with psycopg.connect(url, autocommit=True) as db:

        async def blocks(store: PostgresDriver, mark: int) -> int:
            """Blocks that were looked at so far. A server tells its statistics at the end of a statement, once a second
            at most: they are complete when they know of a last thing done."""
            await store.commit([], [Acquire(f"mark {mark}", "me", 10)])
            async with asyncio.timeout(20):
                while True:
                    async with store._pool.lend() as other:
                        await other.execute("SELECT 1")
                    row = db.execute(
                        "SELECT sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read), "
                        "(SELECT n_tup_ins FROM pg_stat_user_tables WHERE schemaname = 'masc' AND relname = 'leases') "
                        "FROM pg_statio_user_tables WHERE schemaname = 'masc'"
                    ).fetchone()
                    assert row is not None
                    if row[1] >= mark:
                        return int(row[0])
                    await asyncio.sleep(0.05)

        async with PostgresDriver(url) as store:
            await store.commit([], [Put(Key("things", "00001"), b"", index), Append("log", b"", index)])
            db.execute("ANALYZE")
            for _ in range(6):  # PostgreSQL keeps a plan that has served five times
                await use(store, 1)
            for start in range(0, count, 500):
                names = [f"{n:05}" for n in range(start, start + 500)]
                await store.commit([], [Put(Key("things", name), b"", index) for name in names])
                await store.commit([], [Append("log", b"", index) for _ in names])
            before = await blocks(store, 1)
            await use(store, count // 2)
            used = await blocks(store, 2) - before

            assert used < 400


async def test_no_plan_is_compiled_for_a_table_without_an_index(make_postgres: Make) -> None:
    """A compiler has to be loaded in every new connection, which takes longer than the start of everything else."""
    async with make_postgres() as store:
        db = await store._pool.connect()
        try:
            query = "EXPLAIN (ANALYZE, FORMAT JSON) SELECT max(number) FROM masc.meta"
            row = await (await db.execute(query)).fetchone()
            assert row is not None
            assert row[0][0]["Plan"]["Total Cost"] > 1e9 and "JIT" not in row[0][0]
        finally:
            await db.close()
