"""Two drivers on one SQLite file, and what one of them asks it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from masc_core.store.driver import Absent, Append, IndexEntry, Key, Put
from masc_core.store.sqlite import SqliteDriver
from masc_core.testing import ManualClock

__all__ = ["INDEX", "KEY", "LOG", "traced", "two"]

KEY = Key("things", "a")
LOG = "told"
INDEX = (IndexEntry("by", "1", "1"),)


@pytest.fixture
async def two(tmp_path: Path, clock: ManualClock) -> AsyncIterator[tuple[SqliteDriver, SqliteDriver]]:
    """Two drivers on one file, which holds a document and a log entry."""
    async with contextlib.AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(SqliteDriver(tmp_path / "masc.db", clock, durability="process"))
            for _ in range(2)
        ]
        await first.commit([Absent(KEY)], [Put(KEY, b"1", INDEX), Append(LOG, b"1", INDEX)])
        yield first, second


def traced(driver: SqliteDriver) -> list[str]:
    """The statements of the driver's writer, as they come."""
    statements: list[str] = []
    assert driver._writer is not None
    driver._writer.set_trace_callback(statements.append)
    return statements
