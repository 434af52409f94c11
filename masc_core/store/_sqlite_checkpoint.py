"""Makes room in SQLite's write-ahead log and copies it back into the file, beside the commits."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import closing, suppress
from pathlib import Path

from masc_core.errors import StorageBusy
from masc_core.store._sqlite_access import in_thread, is_busy, unavailable

__all__ = ["Keeper"]

_COMMITS = 200
_COMMIT_BYTES = 32_768
_LARGE_LOG = 4 * 1_048_576
_BUSY_AFTER = 4
_LONG_LOG_PAGES = 4096
_PATIENCE = 0.2
_PAUSE = 0.0005


class Keeper:
    """Starts a checkpoint in a thread every few hundred commits, and never two at once.

    What goes wrong in one is left to the next commit, which meets the same fault and reports it.
    """

    def __init__(self, pool: Executor, path: Path, connect: Callable[[], sqlite3.Connection]) -> None:
        self._pool = pool
        self._log = Path(f"{path}-wal")
        self._connect = connect
        self._commits = 0
        self._first = 0
        self._running: Future[None] | None = None
        self.overdue = False
        """The log is long: a checkpoint beside the commits never gets to its end while they keep adding to it, so the
        next commit is to let :meth:`restart` go first."""

    def opened(self) -> None:
        """Start one when processes that were killed have left a large log behind."""
        with suppress(FileNotFoundError):
            if self._log.stat().st_size > _LARGE_LOG:
                self._start()

    def committed(self, size: int) -> None:
        """Count a commit of ``size`` bytes."""
        self._commits += 1 + size // _COMMIT_BYTES
        if self._first < _BUSY_AFTER:
            self._first += 1
            if self._first == _BUSY_AFTER:
                self._running = self._pool.submit(self._make_room)
                return
        if self._commits >= _COMMITS and (self._running is None or self._running.done()):
            self._start()

    async def close(self) -> None:
        """Wait for a running checkpoint."""
        if self._running is not None:
            await asyncio.wrap_future(self._running)

    def _make_room(self) -> None:
        """Give a new log the size it will have: syncing a file that grows takes twice as long as one that is overwritten.

        What follows the last frame means nothing to SQLite, and nobody else adds one while this holds the write lock.
        """
        with suppress(sqlite3.Error, OSError), closing(self._connect()) as db:
            db.execute("BEGIN IMMEDIATE")
            with open(self._log, "r+b", buffering=0) as log:
                size = log.seek(0, os.SEEK_END)
                try:
                    log.write(bytes(max(0, _LARGE_LOG - size)))
                    os.fsync(log.fileno())
                except OSError:
                    log.truncate(size)

    def _start(self) -> None:
        self._commits = 0
        self._running = self._pool.submit(self._checkpoint)

    async def restart(self) -> None:
        """Copy the whole log back and have it begin anew, while the caller keeps this driver from committing."""
        self.overdue = False
        await self.close()
        await in_thread(self._pool, self._restart)

    async def scrub(self, patience: float) -> None:
        """Rewrite the file without what was deleted and empty the log, while the caller keeps this driver from
        committing. Raises :class:`StorageBusy` after ``patience`` seconds."""
        await self.close()
        await in_thread(self._pool, lambda: self._scrub(time.monotonic() + patience))

    def _scrub(self, deadline: float) -> None:
        try:
            with closing(self._connect()) as db:
                # Pages that are built anew hold what was in memory before, unless it is cleared first.
                db.execute("PRAGMA secure_delete = ON")
                self._insist(deadline, lambda: db.execute("VACUUM") is not None)
                self._insist(deadline, lambda: not db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
        except sqlite3.Error as error:
            raise unavailable(error) from error

    def _insist(self, deadline: float, step: Callable[[], bool]) -> None:
        """Repeat a step that others may keep from happening, until it has or the time is over."""
        while True:
            try:
                if step():
                    return
            except sqlite3.Error as error:
                if not is_busy(error):
                    raise
            if time.monotonic() >= deadline:
                raise StorageBusy()
            time.sleep(_PAUSE)

    def _checkpoint(self) -> None:
        # A connection for each: it is cheap beside the work, and one that is kept could outlive the file.
        with suppress(sqlite3.Error), closing(self._connect()) as db:
            _, pages, _ = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            self.overdue = pages > _LONG_LOG_PAGES

    def _restart(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        with suppress(sqlite3.Error), closing(self._connect()) as db:
            # RESTART and not TRUNCATE: syncing a file that grows takes half as long again as one that is overwritten.
            # SQLite's own waiting sleeps up to 100 ms at a time and would always find another process in its way.
            while db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0] and time.monotonic() < deadline:
                time.sleep(_PAUSE)
