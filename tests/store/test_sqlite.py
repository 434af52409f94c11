"""What SQLite adds to the contract: files, processes, faults."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlite_worker import N, Worker, fill

from masc_core.errors import StartError, StorageBusy, StorageUnavailable
from masc_core.store import _sqlite_schema
from masc_core.store._sqlite_checkpoint import Keeper
from masc_core.store._sqlite_schema import check_place
from masc_core.store.driver import Append, Head, IndexEntry, Key, Put, Scan
from masc_core.store.sqlite import SqliteDriver
from masc_core.testing import ManualClock

A = Key("things", "a")
Start = Callable[[str, Path], Worker]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "masc.db"


def driver(path: Path, **options: Any) -> SqliteDriver:
    return SqliteDriver(path, ManualClock(), **options)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def filled(path: Path, count: int = 200) -> None:
    """A closed file with ``count`` documents."""
    async with driver(path) as store:
        entry = (IndexEntry("by", "v", "g"),)
        await store.commit([], [Put(Key("things", f"{n}"), bytes(1000), entry) for n in range(count)])


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts workers, and kills those that a failed test leaves behind."""
    workers: list[Worker] = []

    def start_one(command: str, path: Path) -> Worker:
        workers.append(Worker(command, path))
        return workers[-1]

    yield start_one
    for worker in workers:
        worker.kill()


class TestProcesses:
    async def test_kill_9_loses_nothing_acknowledged_and_leaves_nothing_half_done(
        self, path: Path, start: Start
    ) -> None:
        acknowledged = 0
        for cycle in range(20):
            worker = start("write_forever", path)
            worker.go()
            for _ in range(1 + cycle * 7 % 31):
                acknowledged = worker.line()
            acknowledged = max([acknowledged, *worker.kill()])
            async with driver(path) as store:
                (head,), (n,) = await store.heads(["log"]), await store.get([N])
                assert head.last >= acknowledged
                assert n is not None
                assert n.version == head.last
                assert await store.count("all", "by") == {"g": head.last}
                last = (await store.read_log("log", limit=1, reverse=True))[0]
                assert n.body == last.body == (await store.scan(Scan("all", reverse=True, limit=1)))[0].body
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

    async def test_eight_processes_claim_each_of_500_tasks_once(
        self, path: Path, start: Start, record_property: Callable[[str, object], None]
    ) -> None:
        names = [f"{n:03}" for n in range(500)]
        async with driver(path) as store:
            entry = (IndexEntry("state", "open", "open"),)
            await store.commit([], [Put(Key("tasks", name), b"", entry) for name in names])
            workers = [start("claim", path) for _ in range(8)]
            for worker in workers:
                worker.go()
            results = [worker.end()[0] for worker in workers]
            assert sorted(name for mine, _ in results for name in mine) == names
            assert await store.count("tasks", "state") == {"done": 500}
            assert await store.heads(["claims"]) == [Head(1, 500)]
        longest = max(seconds for _, seconds in results)
        record_property("longest_commit_ms", round(longest * 1000))
        assert longest < 2.0

    async def test_eight_processes_open_a_fresh_file_at_once(self, tmp_path: Path, start: Start) -> None:
        for attempt in range(3):
            path = tmp_path / f"{attempt}.db"
            workers = [start("open_first", path) for _ in range(8)]
            for worker in workers:
                worker.go()
            assert sorted(worker.end()[0] for worker in workers) == [[n] for n in range(1, 9)]
            assert mode(path) == 0o600

    async def test_a_failing_disk_writes_nothing_half_and_recovers(self, path: Path, start: Start) -> None:
        worker = start("outgrow", path)
        worker.go()
        (count, cause), appended = worker.end()
        assert "disk I/O error" in cause
        assert appended == [count + 1]
        async with driver(path) as store:
            assert len(await store.scan(Scan("all", limit=10_000))) == count
            assert await store.heads(["log"]) == [Head(1, count + 1)]

    async def test_a_file_that_may_only_be_read_does_not_start(self, start: Start) -> None:
        # Not below pytest's own directory, which other users may not enter.
        directory = Path(tempfile.mkdtemp())
        try:
            await filled(directory / "masc.db", 1)
            (directory / "masc.db").chmod(0o444)
            directory.chmod(0o755)
            worker = start("without_rights", directory / "masc.db")
            worker.go()
            assert "is not writable" in worker.end()[0]
        finally:
            shutil.rmtree(directory)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    point = tmp_path / "disk"
    point.mkdir()
    if (
        not shutil.which("mount")
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", point], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("this user cannot mount a small disk")
    yield point
    subprocess.run(["umount", point], check=True)


async def test_a_full_disk_writes_nothing_half_and_recovers_once_there_is_room(small_disk: Path) -> None:
    reserve = small_disk / "reserve"
    reserve.write_bytes(bytes(300_000))
    async with driver(small_disk / "masc.db") as store:
        count, cause = await fill(store)
        assert "SQLITE_FULL" in cause
        assert len(await store.scan(Scan("all", limit=10_000))) == count
        assert await store.heads(["log"]) == [Head(1, count)]
        reserve.unlink()
        assert (await store.commit([], [Append("log", b"")])).appended == (count + 1,)


class TestLock:
    async def test_a_taken_lock_neither_blocks_the_loop_nor_the_readers(self, path: Path) -> None:
        async with driver(path) as store:
            await store.commit([], [Put(A, b"1")])
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                task = asyncio.create_task(store.commit([], [Put(A, b"2")]))
                for _ in range(50):
                    await asyncio.sleep(0)
                    (document,) = await store.get([A])
                    assert document is not None
                    assert document.body == b"1"
                assert not task.done()
                other.execute("ROLLBACK")
                await asyncio.wait_for(task, 20)
            assert await store.get([A]) == [(A, 2, b"2", "")]

    async def test_a_lock_that_stays_taken_is_storage_busy(self, path: Path) -> None:
        async with driver(path, patience=0.15) as store:
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(StorageBusy):
                    await asyncio.wait_for(store.commit([], [Put(A, b"1")]), 20)
            await store.commit([], [Put(A, b"1")])

    async def test_a_file_locked_at_the_start_is_a_start_error(self, path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StartError, match="stayed locked"):
                async with driver(path, patience=0.05):
                    pass

    async def test_a_commit_cancelled_while_it_waits_has_not_happened(self, path: Path) -> None:
        async with driver(path) as store:
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                task = asyncio.create_task(store.commit([], [Put(A, b"1")]))
                queued = asyncio.create_task(store.commit([], [Put(A, b"2")]))
                for _ in range(10):
                    await asyncio.sleep(0)
                task.cancel()
                other.execute("ROLLBACK")
            await asyncio.wait_for(queued, 20)
            assert task.cancelled()
            assert await store.get([A]) == [(A, 1, b"2", "")]


class TestFile:
    async def test_all_three_files_are_the_owners_only(self, path: Path) -> None:
        for _ in range(2):
            async with driver(path) as store:
                await store.commit([], [Put(A, b"")])
                assert {p.name: mode(p) for p in path.parent.iterdir()} == {
                    "masc.db": 0o600,
                    "masc.db-wal": 0o600,
                    "masc.db-shm": 0o600,
                }
            # Closing has copied the log back.
            assert [p.name for p in path.parent.iterdir()] == ["masc.db"]
            path.chmod(0o644)

    async def test_the_log_does_not_grow_without_bound(self, path: Path) -> None:
        async with driver(path, durability="process") as store:
            for n in range(3000):
                await store.commit([], [Put(Key("things", f"{n % 100}"), bytes(5000)), Append("log", b"")])
                if n % 50 == 0:
                    await asyncio.sleep(0)
            # 3,000 commits wrote well over 30 MB.
            assert path.with_name("masc.db-wal").stat().st_size < 20_000_000

    async def test_a_log_gets_room_ahead_which_a_crash_leaves_behind_and_nothing_reads(
        self, path: Path, tmp_path: Path
    ) -> None:
        crashed = tmp_path / "crashed"
        crashed.mkdir()
        async with driver(path) as store:
            for n in range(5):
                await store.commit([], [Put(A, b"%d" % n), Append("log", b"")])
            with ThreadPoolExecutor(1) as pool:
                keeper = Keeper(pool, path, lambda: sqlite3.connect(path, isolation_level=None))
                for _ in range(4):
                    keeper.committed(1)
                await keeper.close()
            room = path.with_name("masc.db-wal").stat().st_size
            await store.commit([], [Put(A, b"last"), Append("log", b"")])
            assert path.with_name("masc.db-wal").stat().st_size == room >= 4 * 1_048_576
            for name in ("masc.db", "masc.db-wal"):
                shutil.copy(path.with_name(name), crashed / name)
        async with driver(crashed / "masc.db") as store:
            assert await store.get([A]) == [(A, 6, b"last", "")]
            assert await store.heads(["log"]) == [Head(1, 6)]

    async def test_a_newer_schema_does_not_start_and_is_left_alone(self, path: Path) -> None:
        await filled(path)
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA user_version = 99")
        before = path.read_bytes()
        with pytest.raises(StartError, match=r"schema 99.*newer"):
            async with driver(path):
                pass
        assert path.read_bytes() == before

    async def test_an_older_schema_is_brought_forward_and_a_copy_kept(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await filled(path, 3)
        more = (*_sqlite_schema.MIGRATIONS, ("CREATE TABLE new (id INTEGER PRIMARY KEY)",))
        with monkeypatch.context() as patch:
            patch.setattr(_sqlite_schema, "MIGRATIONS", more)
            async with driver(path) as store:
                assert len(await store.scan(Scan("things"))) == 3
        with pytest.raises(StartError, match="schema 2"):
            async with driver(path):
                pass
        copy = path.with_name("masc.db.bak-1")
        assert mode(copy) == 0o600
        async with driver(copy) as store:
            assert len(await store.scan(Scan("things"))) == 3

    async def test_a_migration_that_fails_changes_nothing(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        await filled(path, 3)
        more = (*_sqlite_schema.MIGRATIONS, ("CREATE TABLE new (id INTEGER PRIMARY KEY)", "CREATE TABLE rooms (id)"))
        with monkeypatch.context() as patch:
            patch.setattr(_sqlite_schema, "MIGRATIONS", more)
            with pytest.raises(StartError):
                await driver(path).__aenter__()
        async with driver(path) as store:
            assert len(await store.scan(Scan("things"))) == 3

    async def test_somebody_elses_database_does_not_start(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE theirs (id)")
        with pytest.raises(StartError, match="not one of MASC's"):
            async with driver(path):
                pass

    @pytest.mark.parametrize("damage", ["text", "header", "cut", "directory", "nowhere"])
    async def test_a_file_that_is_no_database_is_named(self, path: Path, damage: str) -> None:
        if damage == "text":
            path.write_bytes(b"not a database " * 1000)
        elif damage == "directory":
            path.mkdir()
        elif damage == "nowhere":
            path = path / "missing" / "masc.db"
        else:
            await filled(path)
            content = path.read_bytes()
            path.write_bytes(bytes(50) + content[50:] if damage == "header" else content[: len(content) // 2])
        with pytest.raises(StartError) as caught:
            async with driver(path):
                pass
        assert str(path) in str(caught.value)

    async def test_damage_found_at_run_time_is_unavailable(self, path: Path) -> None:
        await filled(path)
        content = path.read_bytes()
        path.write_bytes(content[:40_000] + os.urandom(len(content) - 40_000))
        async with driver(path) as store:
            for _ in range(2):
                with pytest.raises(StorageUnavailable) as caught:
                    await store.scan(Scan("things"))
                assert "malformed" in caught.value.cause
                assert caught.value.backend == "sqlite"
                with pytest.raises(StorageUnavailable):
                    await store.commit([], [Put(Key("things", f"{n}"), bytes(1000)) for n in range(200)])

    async def test_a_file_taken_away_is_unavailable_until_it_is_back(self, path: Path) -> None:
        async with driver(path) as store:
            await store.commit([], [Put(A, b"1")])
            for name in ("masc.db", "masc.db-wal", "masc.db-shm"):
                path.with_name(name).rename(path.with_name(name.replace("masc", "away")))
            for _ in range(2):
                with pytest.raises(StorageUnavailable):
                    await store.commit([], [Put(A, b"2")])
            assert not path.exists()
            for name in ("masc.db", "masc.db-wal", "masc.db-shm"):
                if path.with_name(name.replace("masc", "away")).exists():
                    path.with_name(name.replace("masc", "away")).rename(path.with_name(name))
            await store.commit([], [Put(A, b"2")])
            assert await store.get([A]) == [(A, 2, b"2", "")]


class TestPlace:
    MOUNTS = (
        "/dev/sda / ext4 rw 0 0\n"
        "host:/x /home nfs4 rw 0 0\n"
        "tmpfs /home/me/local tmpfs rw 0 0\n"
        "me@host: /mnt/my\\040disk fuse.sshfs rw 0 0\n"
    )

    @pytest.mark.parametrize("place", ["/home/you/masc.db", "/home/masc.db", "/mnt/my disk/a/masc.db"])
    def test_a_network_file_system_does_not_start_unless_allowed(self, tmp_path: Path, place: str) -> None:
        mounts = tmp_path / "mounts"
        mounts.write_text(self.MOUNTS)
        with pytest.raises(StartError, match=r"network file system.*allow_network_fs"):
            check_place(Path(place), allow_network_fs=False, mounts=mounts)
        check_place(Path(place), allow_network_fs=True, mounts=mounts)

    @pytest.mark.parametrize("place", ["/masc.db", "/homes/masc.db", "/home/me/local/masc.db", "/mnt/my/masc.db"])
    def test_a_local_disk_passes(self, tmp_path: Path, place: str) -> None:
        mounts = tmp_path / "mounts"
        mounts.write_text(self.MOUNTS)
        check_place(Path(place), allow_network_fs=False, mounts=mounts)
        check_place(Path(place), allow_network_fs=False, mounts=tmp_path / "none")

    def test_an_old_sqlite_does_not_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 37, 2))
        with pytest.raises(StartError, match=r"3\.38"):
            check_place(Path("/masc.db"), allow_network_fs=False)


async def test_a_body_that_others_stored_as_text_comes_out_as_bytes(path: Path) -> None:
    async with driver(path) as store:
        await store.commit([], [Put(A, b"x", (IndexEntry("by", "v"),)), Append("log", b"x", (IndexEntry("by", "v"),))])
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE documents SET body = CAST(x'ff61' AS TEXT)")
            db.execute("UPDATE entries SET body = 5")
        assert [d.body for d in await store.scan(Scan("things")) if d] == [b"\xffa"]
        assert [d.body for d in await store.scan(Scan("things", "by")) if d] == [b"\xffa"]
        assert [d.body for d in await store.get([A]) if d] == [b"\xffa"]
        assert [e.body for e in await store.read_log("log")] == [b"5"]
        assert [e.body for _, e in await store.scan_log(Scan("log", "by"))] == [b"5"]
