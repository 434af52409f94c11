"""After scrubbing, no file of the database holds what was deleted or replaced."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from masc_core.errors import StorageBusy, StorageUnavailable
from masc_core.store.driver import Append, Delete, Key, Put, Remove, Rewrite
from masc_core.store.sqlite import SqliteDriver
from masc_core.testing import ManualClock

WORD = b"geheimwort-4711"
LARGE = WORD * 2000


def found(path: Path) -> list[str]:
    return [p.name for p in sorted(path.parent.iterdir()) if WORD in p.read_bytes()]


async def store_and_remove(store: SqliteDriver) -> None:
    """Bodies, small and over many pages, that are gone again."""
    # Some builds of SQLite overwrite what they delete. Not all, and here the scrubbing is to be seen.
    assert store._writer is not None
    store._writer.execute("PRAGMA secure_delete = OFF")
    await store.commit([], [Put(Key("c", f"{n}"), LARGE) for n in range(20)])
    await store.commit([], [Append("log", WORD), Append("log", LARGE), Put(Key("c", "small"), WORD)])
    await store.commit([], [Delete(Key("c", f"{n}")) for n in range(20)])
    await store.commit([], [Rewrite(Key("c", "small"), b"x" * len(WORD)), Remove("log", (1, 2))])


async def test_no_file_holds_what_was_deleted_or_replaced(tmp_path: Path) -> None:
    path = tmp_path / "masc.db"
    async with SqliteDriver(path, ManualClock()) as store, SqliteDriver(path, ManualClock()) as other:
        await store_and_remove(store)
        assert set(found(path)) == {"masc.db-wal"}
        await store.get([Key("c", "small")])
        await other.get([Key("c", "small")])
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        assert set(found(path)) == {"masc.db", "masc.db-wal"}
        await store.scrub()
        assert found(path) == []
        assert (tmp_path / "masc.db-wal").stat().st_size == 0
        for reader in (store, other):
            (document,) = await reader.get([Key("c", "small")])
            assert document is not None
            assert document.body == b"x" * len(WORD)
        await other.commit([], [Append("log", b"on")])
        assert [e.seq for e in await store.read_log("log")] == [3]


async def test_a_reader_that_stays_keeps_it_from_happening_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "masc.db"
    async with SqliteDriver(path, ManualClock(), patience=0.2) as store:
        await store_and_remove(store)
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM documents").fetchone()
            with pytest.raises(StorageBusy):
                await store.scrub()
            await store.commit([], [Append("log", b"goes on")])
            db.execute("ROLLBACK")
        await store.scrub()
        assert found(path) == []


async def test_commits_wait_for_scrubbing_and_reads_do_not(tmp_path: Path) -> None:
    path = tmp_path / "masc.db"
    async with SqliteDriver(path, ManualClock()) as store:
        await store_and_remove(store)
        scrubbing = asyncio.ensure_future(store.scrub())
        writing = asyncio.ensure_future(store.commit([], [Append("log", b"after")]))
        await asyncio.sleep(0)
        assert (await store.get([Key("c", "small")]))[0] is not None
        await asyncio.gather(scrubbing, writing)
        assert [e.body for e in await store.read_log("log")] == [b"after"]


async def test_a_closed_driver_cannot_be_scrubbed(tmp_path: Path) -> None:
    store = SqliteDriver(tmp_path / "masc.db", ManualClock())
    with pytest.raises(StorageUnavailable):
        await store.scrub()
    async with store:
        pass
    with pytest.raises(StorageUnavailable):
        await store.scrub()
