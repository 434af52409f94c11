"""What rewriting and scrubbing are on PostgreSQL, beyond the contract."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from itertools import permutations
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from postgres_support import Make

from masc_core.errors import StorageBusy, StorageUnavailable
from masc_core.store.driver import Append, Delete, IndexEntry, Key, Put, Remove, Rewrite, RewriteEntry, Scan, Write
from masc_core.store.memory import MemoryDriver
from masc_core.store.postgres import PostgresDriver
from masc_core.testing import ManualClock

HERE = Key("things", "here")
GONE = Key("things", "gone")
LARGE = bytes(range(256)) * 400


def longer(seq: int, previous: bytes | None) -> bytes:
    return (previous or b"none") + b"+"


DOCUMENT_WRITES: list[Write] = [
    Rewrite(HERE, b"rewritten"),
    Put(HERE, b"put", (IndexEntry("by", "new", "g"),)),
    Delete(HERE),
    Rewrite(HERE, b""),
]
LOG_WRITES: list[Write] = [
    RewriteEntry("log", 2, b"two"),
    RewriteEntry("log", 3, b"three"),
    Append("log", longer),
    Remove("log", (2,)),
]


@pytest.mark.parametrize("writes", [DOCUMENT_WRITES, LOG_WRITES], ids=["document", "log"])
async def test_writes_of_one_commit_follow_one_another_in_every_order(make_postgres: Make, writes: list[Write]) -> None:
    orders = [order[:n] for order in permutations(writes) for n in (2, 3, 4)]
    for number, order in enumerate(dict.fromkeys(tuple(id(w) for w in order) for order in orders)):
        by_id = {id(write): write for write in writes}
        states = []
        for driver in (
            make_postgres(room=f"r{number}", durability="process"),
            MemoryDriver(ManualClock(), room=f"r{number}"),
        ):
            async with driver as store:
                await store.commit(
                    [], [Put(HERE, b"1", (IndexEntry("by", "old", "f"),)), Put(GONE, b"1"), Delete(GONE)]
                )
                await store.commit([], [Append("log", b"1"), Append("log", longer)])
                done = await store.commit([], [by_id[name] for name in order])
                await store.commit([], [Append("log", longer)])
                states.append(
                    (
                        done.appended,
                        await store.scan(Scan("things", "by")),
                        await store.count("things", "by"),
                        await store.read_log("log"),
                        await store.get([HERE, GONE]),
                    )
                )
        assert states[0] == states[1], [by_id[name] for name in order]


async def test_scrubbing_gives_the_places_back(new_database: Iterator[str]) -> None:
    url = next(new_database)
    async with PostgresDriver(url) as store:
        await store.commit([], [Put(HERE, LARGE), Append("log", LARGE)])
        await store.commit([], [Rewrite(HERE, b"x"), RewriteEntry("log", 1, b"x")])
        await store.scrub()
    with psycopg.connect(url) as db:
        for table in ("documents", "entries"):
            query = f"SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE oid = 'masc.{table}'::regclass"
            assert db.execute(query.encode()).fetchone() == (0,)


async def test_an_older_transaction_keeps_it_from_happening_and_that_is_said(
    make_postgres: Make, postgres_url: str
) -> None:
    async with make_postgres(patience=0.2) as store:
        await store.commit([], [Put(HERE, b"1")])
        with psycopg.connect(postgres_url) as db:
            db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            db.execute("SELECT count(*) FROM masc.documents")
            await store.commit([], [Rewrite(HERE, b"2")])
            with pytest.raises(StorageBusy):
                await store.scrub()
            db.rollback()
        await store.scrub()


async def test_a_locked_table_keeps_it_from_happening_and_that_is_said(make_postgres: Make, postgres_url: str) -> None:
    async with make_postgres(patience=0.2) as store:
        with psycopg.connect(postgres_url) as db:
            db.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            db.execute("LOCK TABLE masc.entries IN SHARE UPDATE EXCLUSIVE MODE")
            with pytest.raises(StorageBusy):
                await store.scrub()
            db.rollback()
        await store.scrub()


async def test_a_role_that_may_not_is_told_of_in_the_log(
    new_database: Iterator[str], caplog: pytest.LogCaptureFixture
) -> None:
    url = next(new_database)
    async with PostgresDriver(url):
        pass
    role = f"masc_scrub_{urlsplit(url).path[1:]}"
    parts = urlsplit(url)
    theirs = urlunsplit(parts._replace(netloc=f"{role}:secret@{parts.netloc.rpartition('@')[2]}"))
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'".encode())
        try:
            db.execute(f"GRANT USAGE ON SCHEMA masc TO {role}".encode())
            db.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA masc TO {role}".encode())
            with caplog.at_level(logging.WARNING):
                async with PostgresDriver(theirs) as store:
                    await store.commit([], [Put(HERE, b"1"), Rewrite(HERE, b"2")])
                    await store.scrub()
            assert "documents" in caplog.text
        finally:
            db.execute(f"DROP OWNED BY {role}".encode())
            db.execute(f"DROP ROLE {role}".encode())


async def test_closing_waits_for_a_connection_whose_making_was_cancelled(make_postgres: Make) -> None:
    for turns in range(1, 12):
        async with make_postgres() as store:
            reading = asyncio.ensure_future(store.get([HERE]))
            for _ in range(turns):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.sleep(0)
        assert reading.done(), turns


async def test_a_closed_driver_cannot_be_scrubbed(make_postgres: Make) -> None:
    store = make_postgres()
    with pytest.raises(StorageUnavailable):
        await store.scrub()
    async with store:
        pass
    with pytest.raises(StorageUnavailable):
        await store.scrub()
