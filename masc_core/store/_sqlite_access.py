"""How the SQLite driver waits for a lock, moves work off the event loop and tells what SQLite's errors mean."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from masc_core.errors import StorageBusy, StorageUnavailable

__all__ = ["Backoff", "in_thread", "is_busy", "roll_back", "to_the_end", "unavailable"]

_T = TypeVar("_T")
# PROTOCOL is what readers get who keep losing the race for a place in the WAL index.
_BUSY = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL))
_LONGEST = 0.004
_HALVED_AFTER = 0.02
_SPIN_AFTER = 0.1
_SPINS = 8


class Backoff:
    """Waits between attempts to get the lock of one database file.

    It is real time, not the store's clock: another process holds the lock, and does not hurry when a test moves its
    clock. Whoever has waited longer asks more often, so nobody starves; the jitter keeps waiters from marching in step.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._start = time.monotonic()
        self._spins = 0

    async def wait(self) -> None:
        """Wait a little. Raises :class:`StorageBusy` when the patience is at its end."""
        waited = time.monotonic() - self._start
        if waited > self._patience:
            raise StorageBusy()
        # Event loops round a sleep up to a millisecond, so the most eager step is one turn of the loop.
        self._spins = (self._spins + 1) % _SPINS if waited > _SPIN_AFTER else 0
        longest = _LONGEST / (1 + waited / _HALVED_AFTER)
        await asyncio.sleep(0 if self._spins else random.uniform(0, longest))


def is_busy(error: sqlite3.Error) -> bool:
    """Somebody else has the lock; trying again can help."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _BUSY


def unavailable(error: sqlite3.Error) -> StorageUnavailable:
    """What a failure of the disk or file is to our callers. Raises ``error`` itself when it shows a defect of ours."""
    if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.InterfaceError):
        raise error
    return StorageUnavailable(backend="sqlite", cause=f"{error} ({getattr(error, 'sqlite_errorname', 'SQLite')})")


def roll_back(db: sqlite3.Connection) -> None:
    """End an open transaction without a trace; when even that fails, the caller drops the connection."""
    if db.in_transaction:
        db.execute("ROLLBACK")


async def in_thread(pool: Executor, work: Callable[[], _T]) -> _T:
    """Run ``work`` in a thread and wait for its end, also when cancelled: it still uses the connection."""
    return await to_the_end(asyncio.get_running_loop().run_in_executor(pool, work))


async def to_the_end(future: asyncio.Future[_T]) -> _T:
    """The result of ``future``; a cancellation is put off until it is done."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return future.result()
    future.exception()  # Seen: whoever wanted to know has gone.
    raise cancelled
