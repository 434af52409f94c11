"""The driver that keeps rooms in one SQLite file, shared by any number of processes of one machine.

Statements run on the event loop: a read takes microseconds and never waits for a writer, and a thread would cost more
than most commits. Only a COMMIT that the disk makes slow, or a large one, goes to a thread.

There are three connections. The *writer* commits, and serves reads while no commit is under way, because its page cache
is warm, and what it read lately is remembered for as long as nobody commits. The *reader* serves the others and notices
commits of other processes. The *keeper*, opened when needed, copies the write-ahead log back into the file beside the
commits.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from masc_core.clock import Clock
from masc_core.errors import StartError, StorageBusy, StorageUnavailable
from masc_core.store import _sqlite_reads as reads
from masc_core.store._limits import check_limits
from masc_core.store._moment import Moment
from masc_core.store._sqlite_access import Backoff, in_thread, is_busy, roll_back, to_the_end, unavailable
from masc_core.store._sqlite_checkpoint import Keeper
from masc_core.store._sqlite_index import asked_by
from masc_core.store._sqlite_recent import Recent
from masc_core.store._sqlite_schema import check_place, connect, create_file, prepare, room_id
from masc_core.store._sqlite_watch import Poller
from masc_core.store._sqlite_writes import Change
from masc_core.store.driver import (
    Check,
    Committed,
    Conflict,
    Contents,
    Document,
    Head,
    Key,
    Lease,
    LogEntry,
    Scan,
    Write,
)

if TYPE_CHECKING:
    from masc_core.store.snapshot import Exchange, Snapshot

__all__ = ["SqliteDriver"]

_T = TypeVar("_T")
_LARGE = 131_072
_WEIGHT = 0.2


class SqliteDriver:
    """A :class:`~masc_core.store.driver.Driver` on the file ``path``.

    ``durability``: ``full`` has every acknowledged commit on disk; ``process`` survives the end of the process, while a
    power loss may take the newest commits. ``patience``: seconds to wait for another process's lock before
    :class:`~masc_core.errors.StorageBusy`. ``slow_commit``: average seconds of a COMMIT from which on it runs in a
    thread. ``allow_network_fs``: start also where SQLite's locks cannot be relied on.
    """

    name = "sqlite"

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        room: str = "default",
        durability: Literal["full", "process"] = "full",
        allow_network_fs: bool = False,
        patience: float = 5.0,
        slow_commit: float = 0.002,
    ) -> None:
        self.clock = clock
        self.line = None
        self.path = path
        self._file = str(path)
        self._name = room
        self._durability = durability
        self._allow_network_fs = allow_network_fs
        self._patience = patience
        self._slow_commit = slow_commit
        self._average = 0.0
        self._open = False
        self._committing = False
        self._turn = asyncio.Lock()
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self.moment = Moment()
        self._recent = Recent()
        self._room = 0
        self._inode = 0
        self._dead: dict[str, int] = {}
        self._pool = ThreadPoolExecutor(2, "masc-sqlite")
        self._keeper = Keeper(self._pool, path, lambda: connect(path, durability=durability))
        self._poller = Poller(self._data_version, self._lasts)

    async def __aenter__(self) -> Self:
        check_place(self.path, allow_network_fs=self._allow_network_fs)
        create_file(self.path)
        backoff = Backoff(self._patience)
        while self._writer is None:
            try:
                self._open_writer()
            except sqlite3.Error as error:
                if not is_busy(error):
                    raise StartError(message=f"cannot use {self.path}: {error}; restore a backup") from error
                try:
                    await backoff.wait()
                except StorageBusy:
                    raise StartError(message=f"{self.path} stayed locked for {self._patience} s") from error
        self._open = True
        self._keeper.opened()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        self._poller.close()
        await to_the_end(asyncio.ensure_future(self._shut()))

    async def get(self, keys: Sequence[Key]) -> list[Document | None]:
        statements = 1 + len(keys) // reads.AT_ONCE
        return await self._read(self._recent.documents, self._room, keys, statements=statements)

    async def scan(self, scan: Scan) -> list[Document]:
        return await self._read(self._recent.rows, asked_by(scan), reads.scan_documents, self._room, scan)

    async def count(self, collection: str, index: str, group: str | None = None) -> dict[str, int]:
        asked = (collection, index, group)
        return await self._read(self._recent.figures, asked, reads.read_count, self._room, *asked)

    async def count_log(self, log: str, index: str, value: str, after: int = 0) -> int:
        asked = (log, index, value, after)
        return await self._read(self._recent.figures, asked, reads.count_entries, self._room, *asked)

    async def read_log(self, log: str, after: int = 0, limit: int = 100, reverse: bool = False) -> list[LogEntry]:
        asked = (log, after, limit, reverse)
        return await self._read(self._recent.rows, asked, reads.read_entries, self._room, *asked)

    async def scan_log(self, scan: Scan) -> list[tuple[str, LogEntry]]:
        if not scan.index:
            raise ValueError("scan_log needs an index; use read_log for the order of the log")
        return await self._read(self._recent.rows, (*asked_by(scan), "log"), reads.scan_entries, self._room, scan)

    async def heads(self, logs: Sequence[str]) -> list[Head]:
        if len(logs) == 1:
            return [await self._read(self._recent.figures, (logs[0],), reads.read_head, self._room, logs[0])]
        self._recent.look_again()
        return await self._read(lambda db: [reads.read_head(db, self._room, log) for log in logs], statements=len(logs))

    async def leases(self, names: Sequence[str]) -> list[Lease | None]:
        self._recent.look_again()
        stored = await self._read(reads.read_leases, self._room, names, statements=len(names))
        now = self.clock.now()
        for lease in stored:
            if lease is not None and lease.expires_at <= now:
                # Remembered until the next commit removes it: a clock that jumps back must not revive it.
                self._dead[lease.name] = lease.fence
        return [lease if lease and lease.fence > self._dead.get(lease.name, 0) else None for lease in stored]

    async def contents(self) -> Contents:
        self._writing()
        return await in_thread(self._pool, lambda: self._beside(self._count_all))  # longer the more there is

    async def scrub(self) -> None:
        async with self._turn:
            self._writing()
            self._check_in_place()
            await self._keeper.scrub(self._patience)

    async def dump(self) -> Snapshot:
        self._writing()
        return await in_thread(self._pool, lambda: self._beside(self._read_all))

    async def exchange(self, change: Exchange) -> None:
        backoff = Backoff(self._patience)
        async with self._turn:
            while True:
                self._writing()
                self._check_in_place()
                try:
                    lasts = await in_thread(self._pool, lambda: self._beside(lambda db: self._refill(db, change)))
                except StorageBusy:
                    await backoff.wait()
                else:
                    self._poller.wake(lasts)
                    return

    async def commit(self, checks: Sequence[Check], writes: Sequence[Write]) -> Committed:
        check_limits(checks, writes)
        backoff = Backoff(self._patience)
        async with self._turn:
            if self._keeper.overdue and self._open:
                await self._keeper.restart()
            while True:
                try:
                    return await self._attempt(checks, writes)
                except sqlite3.Error as error:
                    if not is_busy(error):
                        raise unavailable(error) from error
                await backoff.wait()

    async def watch(self, after: Mapping[str, int]) -> dict[str, int]:
        while True:
            self._recent.look_again()
            lasts = await self._read(reads.read_lasts, self._room, after, statements=len(after))
            if any(lasts[log] > number for log, number in after.items()):
                return lasts
            await self._poller.wait(after)

    async def _read(self, query: Callable[..., _T], *arguments: Any, statements: int = 1) -> _T:
        """``query(db, *arguments)``, in a transaction where it takes more than one statement."""
        backoff: Backoff | None = None
        while True:
            db: sqlite3.Connection | None = None
            try:
                db = self._reading() if self._committing else self._writing()
                if statements > 1:
                    db.execute("BEGIN")
                return query(db, *arguments)
            except sqlite3.Error as error:
                if db is not None:
                    self._drop_broken(db, error)
                if not is_busy(error):
                    raise unavailable(error) from error
            finally:
                if statements > 1 and db is not None:
                    self._undo(db)
            backoff = backoff or Backoff(self._patience)
            await backoff.wait()

    async def _attempt(self, checks: Sequence[Check], writes: Sequence[Write]) -> Committed:
        db = self._writing()
        self._check_in_place()
        try:
            db.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            change = Change(db, self._room, self.clock.now(), self._dead, self._recent.known())
            committed = change.run(checks, writes)
            await self._finish(db, change)
        except Conflict:
            self._dead.update(change.buried)
            raise
        except sqlite3.Error as error:
            self._drop_broken(db, error)
            raise
        finally:
            self._undo(db)
        return committed

    async def _finish(self, db: sqlite3.Connection, change: Change) -> None:
        def work() -> None:
            started = time.perf_counter()
            db.execute("COMMIT")
            change.done = True
            self._average += _WEIGHT * (time.perf_counter() - started - self._average)

        try:
            if self._average < self._slow_commit and change.size < _LARGE:
                work()
            else:
                self._committing = True
                await in_thread(self._pool, work)
        finally:
            self._committing = False
            # Also when the caller was cancelled meanwhile: what is committed has happened, and others wait for it.
            if change.done:
                if self._dead:
                    self._dead = {n: fence for n, fence in self._dead.items() if fence > change.buried.get(n, 0)}
                self._recent.committed(change.changed, change.moved, change.left)
                change.follow()
                self._poller.wake(change.lasts)
                self._keeper.committed(change.size)

    def _beside(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Long work in a thread, on a connection of its own, whose close ends what was not committed."""
        try:
            with closing(connect(self.path, durability=self._durability)) as db:
                return work(db)
        except sqlite3.Error as error:
            raise (StorageBusy() if is_busy(error) else unavailable(error)) from error

    def _count_all(self, db: sqlite3.Connection) -> Contents:
        db.execute("BEGIN")
        return reads.read_contents(db, self._room)

    def _read_all(self, db: sqlite3.Connection) -> Snapshot:
        from masc_core.store._sqlite_rows import read_all

        db.execute("BEGIN")
        return read_all(db, self._room, self.clock.now())

    def _refill(self, db: sqlite3.Connection, change: Exchange) -> Mapping[str, int]:
        from masc_core.store._sqlite_rows import fill, read_all

        db.execute("BEGIN IMMEDIATE")
        snapshot = change(read_all(db, self._room, self.clock.now()))
        fill(db, self._room, snapshot)
        db.execute("COMMIT")
        return snapshot.lasts

    def _open_writer(self) -> None:
        db = connect(self.path, durability=self._durability)
        try:
            prepare(db, self.path)
            self._room = room_id(db, self._name)
            self._inode = os.stat(self._file).st_ino
        except BaseException:
            db.close()
            raise
        self._writer = db
        self._recent = Recent(db, self.moment)

    def _writing(self) -> sqlite3.Connection:
        if not self._open:
            raise StorageUnavailable(backend=self.name, cause="the driver is not open")
        if self._writer is None:
            try:
                self._open_writer()
            except StartError as error:
                raise StorageUnavailable(backend=self.name, cause=str(error)) from error
        assert self._writer is not None
        return self._writer

    def _reading(self) -> sqlite3.Connection:
        if self._reader is None:
            self._reader = connect(self.path, durability=self._durability)
        return self._reader

    def _check_in_place(self) -> None:
        # SQLite would go on writing to a file that was deleted or replaced, and lose what we acknowledge.
        try:
            if os.stat(self._file).st_ino == self._inode:
                return
            cause = f"{self.path} was replaced"
        except OSError as error:
            cause = f"{self.path}: {error.strerror}"
        self._close()
        raise StorageUnavailable(backend=self.name, cause=cause)

    def _undo(self, db: sqlite3.Connection) -> None:
        try:
            if db is self._writer or db is self._reader:
                roll_back(db)
        except sqlite3.Error:
            self._drop(db)

    def _drop_broken(self, db: sqlite3.Connection, error: sqlite3.Error) -> None:
        # After a fault of disk or file the next call starts with a new connection. A full disk leaves this one sound.
        if not is_busy(error) and getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_FULL:
            self._drop(db)

    def _drop(self, db: sqlite3.Connection) -> None:
        if db is self._writer:
            self._writer = None
        elif db is self._reader:
            self._reader = None
            self._poller.forget()
        with suppress(sqlite3.Error):
            db.close()

    def _close(self) -> None:
        for db in (self._reader, self._writer):
            if db is not None:
                self._drop(db)

    async def _shut(self) -> None:
        async with self._turn:
            await self._keeper.close()
            # The last one out copies the log back into the file and syncs it, which can take a while.
            await in_thread(self._pool, self._close)
            self._pool.shutdown()

    def _data_version(self) -> int:
        return int(self._reading().execute("PRAGMA data_version").fetchone()[0])

    def _lasts(self, logs: Collection[str]) -> dict[str, int]:
        return reads.read_lasts(self._reading(), self._room, logs)
