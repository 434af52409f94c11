"""What PostgreSQL adds to the contract: processes, locks, lost connections, levels of durability."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from postgres_support import LATE, A, Locked, Make, connections, soon, terminate
from postgres_worker import Worker

from masc_core.errors import StorageBusy, StorageUnavailable
from masc_core.store.driver import (
    Acquire,
    Append,
    Conflict,
    Head,
    Held,
    IndexEntry,
    Key,
    Put,
    Remove,
    Renew,
    Version,
)
from masc_core.store.postgres import PostgresDriver


class TestProcesses:
    async def test_four_processes_claim_each_of_200_tasks_once(
        self, make_postgres: Make, postgres_url: str, postgres_cluster: str
    ) -> None:
        names = [f"{n:03}" for n in range(200)]
        async with make_postgres() as store:
            entry = (IndexEntry("state", "open", "open"),)
            await store.commit([], [Put(Key("tasks", name), b"", entry) for name in names])
            workers = [Worker("claim", postgres_url, postgres_cluster) for _ in range(4)]
            for worker in workers:
                assert await worker.line() == "ready\n"
            for worker in workers:
                worker.go()
            claimed = [(await worker.end())[0] for worker in workers]
            assert sorted(name for mine in claimed for name in mine) == names
            assert sum(bool(mine) for mine in claimed) > 1
            assert await store.count("tasks", "state") == {"done": 200}
            assert await store.heads(["claims"]) == [Head(1, 200)]
            assert [e.seq for e in await store.read_log("claims", limit=500)] == list(range(1, 201))

    async def test_kill_9_leaves_nothing_half_done(
        self,
        make_postgres: Make,
        postgres_url: str,
        postgres_cluster: str,
        postgres_admin: psycopg.Connection[object],
    ) -> None:
        acknowledged = 0
        for cycle in range(4):
            worker = Worker("write_forever", postgres_url, postgres_cluster)
            assert await worker.line() == "ready\n"
            worker.go()
            for _ in range(5 + 7 * cycle):
                acknowledged = int(await worker.line())
            acknowledged = max([acknowledged, *worker.kill()])
            # What a killed process has sent is carried out all the same.
            await soon(lambda: not connections(postgres_admin))
            async with make_postgres() as store:
                (head,), (n,) = await store.heads(["log"]), await store.get([Key("numbers", "n")])
                assert n is not None
                assert n.version == head.last >= acknowledged
                assert await store.count("all", "by") == {"g": head.last}


class TestLock:
    async def test_nobody_sees_a_later_entry_while_an_earlier_one_is_not_committed(
        self, make_postgres: Make, postgres_url: str
    ) -> None:
        async with make_postgres() as store, make_postgres() as other:
            await store.commit([], [Append("log", b"1")])
            with Locked(postgres_url, store) as slow:
                slow.execute("UPDATE masc.heads SET last = 2 WHERE room = %s", (store._room,))
                slow.execute("INSERT INTO masc.entries VALUES (%s, 'log', 2, '{}', '{}', 'slow')", (store._room,))
                task = asyncio.create_task(other.commit([], [Append("log", b"fast")]))
                for _ in range(20):
                    await asyncio.sleep(0.005)
                    assert [e.seq for e in await store.read_log("log")] == [1]
                slow.commit()
            assert (await asyncio.wait_for(task, 20)).appended == (3,)
            assert [e.body for e in await store.read_log("log")] == [b"1", b"slow", b"fast"]

    @pytest.mark.parametrize("write", [Put(A, b"1"), LATE, Acquire("lease", "me", 10)])
    async def test_a_lock_that_stays_taken_is_storage_busy(
        self, make_postgres: Make, postgres_url: str, write: Any
    ) -> None:
        async with make_postgres(patience=0.2) as store:
            with Locked(postgres_url, store):
                started = time.monotonic()
                with pytest.raises(StorageBusy):
                    await asyncio.wait_for(store.commit([], [write]), 20)
                assert time.monotonic() - started < 4
                assert await store.get([A]) == [None]
            await store.commit([], [write])

    @pytest.mark.parametrize("write", [Put(A, b"1"), LATE, Acquire("lease", "me", 10)])
    async def test_a_commit_cancelled_while_it_waits_has_not_happened_and_leaks_nothing(
        self, make_postgres: Make, postgres_url: str, postgres_admin: psycopg.Connection[Any], write: Any
    ) -> None:
        before = connections(postgres_admin)
        async with make_postgres() as store:
            with Locked(postgres_url, store):
                for _ in range(12):
                    task = asyncio.create_task(store.commit([], [Put(A, b""), write]))
                    await asyncio.sleep(0.02)
                    task.cancel()
                    await asyncio.wait([task])
                    assert task.cancelled()
                assert store._pool._lent == set()
            await asyncio.wait_for(store.commit([], [Put(Key("things", "b"), b"")]), 20)
            assert await store.get([A]) == [None]
            assert await store.heads(["log"]) == [Head(0, 0)]
            await soon(lambda: connections(postgres_admin, "idle in transaction%") == 0)
        await soon(lambda: connections(postgres_admin) <= before)

    async def test_readers_do_not_queue_behind_commits_that_wait(self, make_postgres: Make, postgres_url: str) -> None:
        async with make_postgres(patience=20) as store:
            with Locked(postgres_url, store):
                tasks = [asyncio.create_task(store.commit([], [Append("log", b"")])) for _ in range(30)]
                await soon(lambda: bool(store._pool._lent))
                await asyncio.wait_for(asyncio.gather(*(store.get([A]) for _ in range(20))), 20)
                assert not any(task.done() for task in tasks)
            await asyncio.wait_for(asyncio.gather(*tasks), 20)
            assert await store.heads(["log"]) == [Head(1, 30)]

    async def test_bodies_that_build_on_each_other_are_not_made_in_vain(self, make_postgres: Make) -> None:
        made: list[int] = []

        def body(seq: int, previous: bytes | None) -> bytes:
            made.append(seq)
            return b"%d<%s" % (seq, previous or b"")

        async with make_postgres() as store:
            await store.commit([], [Append("log", body)])
            await asyncio.gather(*(store.commit([], [Append("log", body)]) for _ in range(20)))
            assert made == list(range(1, 22))

    async def test_what_the_database_calls_a_lost_race_is_tried_again(
        self, make_postgres: Make, postgres_admin: psycopg.Connection[Any]
    ) -> None:
        postgres_admin.execute(
            "CREATE SEQUENCE tries; CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF nextval('tries') < 4 THEN RAISE 'lost' USING ERRCODE = TG_ARGV[0]; END IF; RETURN NEW; END $$"
        )
        try:
            for code, write in (("40001", Append("log", b"")), ("40P01", LATE), ("40001", Acquire("lease", "me", 9))):
                postgres_admin.execute("SELECT setval('tries', 1)")
                postgres_admin.execute(
                    "CREATE TRIGGER lose BEFORE INSERT ON masc.documents FOR EACH ROW "
                    f"EXECUTE FUNCTION lose('{code}')".encode()
                )
                async with make_postgres(cluster=code + str(write)) as store:
                    committed = await store.commit([], [Put(A, b""), write])
                    assert committed.appended + tuple(lease.fence for lease in committed.leases) == (1,)
                postgres_admin.execute("DROP TRIGGER lose ON masc.documents")
        finally:
            postgres_admin.execute(
                "DROP TRIGGER IF EXISTS lose ON masc.documents; DROP FUNCTION lose(); DROP SEQUENCE tries"
            )

    async def test_a_crowd_shares_eight_connections(
        self, make_postgres: Make, postgres_admin: psycopg.Connection[Any]
    ) -> None:
        async with make_postgres() as store:
            before = connections(postgres_admin)
            await asyncio.gather(*(store.commit([], [Append("log", b"")]) for _ in range(100)))
            assert connections(postgres_admin) - before <= 8
            assert await store.heads(["log"]) == [Head(1, 100)]


class TestMadeBodies:
    async def test_a_log_that_others_wrote_is_read_again(self, make_postgres: Make) -> None:
        async with make_postgres() as one, make_postgres() as two:
            for store in (one, one, two, one, two, two):
                await store.commit([], [LATE])
            assert [e.body for e in await one.read_log("log")][-1] == b"6<5<4<3<2<1<"

    async def test_an_entry_that_others_changed_is_read_again(self, make_postgres: Make) -> None:
        async with make_postgres() as one, make_postgres() as two:
            await one.commit([], [LATE])
            await two.commit([], [Remove("log", (1,))])
            await one.commit([], [LATE])
            assert [e.body for e in await one.read_log("log")] == [b"2<"]

    async def test_a_conflict_before_a_stale_log_is_told(self, make_postgres: Make) -> None:
        async with make_postgres() as one, make_postgres() as two:
            await one.commit([], [LATE])
            await two.commit([], [LATE])
            with pytest.raises(Conflict):
                await one.commit([Version(A, 1)], [LATE])
            assert await one.heads(["log"]) == [Head(1, 2)]

    async def test_a_lease_that_fails_tells_of_failed_checks_too(self, make_postgres: Make) -> None:
        async with make_postgres() as store:
            await store.commit([], [Put(A, b"now")])
            with pytest.raises(Conflict) as caught:
                await store.commit([Version(A, 7), Held("lease", 3)], [LATE, Renew("lease", 3, 5)])
            current = caught.value.current[A]
            assert current is not None
            assert (current.version, caught.value.leases) == (1, {"lease": None})
            await store.commit([], [LATE])


class TestConnections:
    async def test_cut_connections_are_replaced_unnoticed(
        self, make_postgres: Make, postgres_admin: psycopg.Connection[Any]
    ) -> None:
        async with make_postgres() as store:
            for n in range(1, 4):
                assert (await store.commit([], [Append("log", b"")])).appended == (n,)
                assert terminate(postgres_admin)
                await asyncio.sleep(0.05)

    async def test_a_connection_cut_in_mid_commit_is_unavailable_and_changes_nothing(
        self, make_postgres: Make, postgres_url: str, postgres_admin: psycopg.Connection[Any]
    ) -> None:
        async with make_postgres() as store:
            with Locked(postgres_url, store):
                task = asyncio.create_task(store.commit([], [Put(A, b"")]))
                await soon(lambda: connections(postgres_admin, "active") > 0)
                terminate(postgres_admin)
                with pytest.raises(StorageUnavailable):
                    await asyncio.wait_for(task, 20)
            assert await store.get([A]) == [None]

    async def test_a_listener_that_was_cut_off_listens_again_and_missed_nothing(
        self, make_postgres: Make, postgres_admin: psycopg.Connection[Any]
    ) -> None:
        async with make_postgres() as store, make_postgres() as other:
            for n in range(5):
                task = asyncio.create_task(store.watch({"log": n}))
                await asyncio.sleep(0.02 * n)
                terminate(postgres_admin)
                await asyncio.sleep(0.03)
                await other.commit([], [Append("log", b"")])
                assert await asyncio.wait_for(task, 20) == {"log": n + 1}

    async def test_rights_taken_away_are_unavailable(self, new_database: Iterator[str]) -> None:
        url = next(new_database)
        async with PostgresDriver(url) as store:
            with psycopg.connect(url, autocommit=True) as db:
                db.execute("DROP SCHEMA masc CASCADE")
            for call in (store.get([A]), store.commit([], [Put(A, b"")])):
                with pytest.raises(StorageUnavailable):
                    await call

    async def test_another_level_of_isolation_by_default_does_not_matter(self, new_database: Iterator[str]) -> None:
        url = next(new_database)
        with psycopg.connect(url, autocommit=True) as db:
            name = urlsplit(url).path[1:]
            db.execute(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'serializable'".encode())
        async with PostgresDriver(url) as one, PostgresDriver(url) as two:
            await asyncio.gather(*(d.commit([], [LATE]) for d in (one, two) * 20))
            assert await one.heads(["log"]) == [Head(1, 40)]

    async def test_the_levels_of_durability_hold_whatever_the_role_is_set_to(
        self, make_postgres: Make, postgres_admin: psycopg.Connection[Any]
    ) -> None:
        postgres_admin.execute(
            "CREATE FUNCTION pg_temp.nothing() RETURNS int LANGUAGE sql AS 'SELECT 1';"
            "CREATE TABLE seen (level text);"
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN INSERT INTO public.seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$;"
            "CREATE TRIGGER note BEFORE INSERT ON masc.tallies FOR EACH ROW EXECUTE FUNCTION note()"
        )
        try:
            for durability, role, expected in (
                ("full", "off", "on"), ("full", "on", "on"), ("full", "local", "local"), ("process", "on", "off"),
            ):  # fmt: skip
                postgres_admin.execute(f"ALTER ROLE CURRENT_USER SET synchronous_commit = {role}".encode())
                async with make_postgres(durability=durability, cluster=f"{durability} {role}") as store:
                    for writes in ([], [Acquire("lease", "me", 10)]):
                        put = Put(Key("things", f"{len(writes)}"), b"", (IndexEntry("by", "v", f"{len(writes)}"),))
                        await store.commit([], [put, *writes])
                assert postgres_admin.execute("DELETE FROM seen RETURNING level").fetchall() == [(expected,)] * 2
        finally:
            postgres_admin.execute("ALTER ROLE CURRENT_USER RESET synchronous_commit")
            postgres_admin.execute("DROP TRIGGER note ON masc.tallies; DROP FUNCTION note(); DROP TABLE seen")


async def test_clusters_of_one_database_are_apart(make_postgres: Make) -> None:
    async with make_postgres(cluster="one") as one, make_postgres(cluster="other") as other:
        await one.commit([], [Put(A, b""), Append("log", b""), Acquire("lease", "me", 10)])
        assert await other.get([A]) == [None]
        assert await other.heads(["log"]) == [Head(0, 0)]
        assert await other.leases(["lease"]) == [None]
