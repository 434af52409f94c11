"""The drivers that need nothing but this machine pass the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from masc_core.store.memory import MemoryDatabase, MemoryDriver
from masc_core.store.sqlite import SqliteDriver
from masc_core.testing import DriverContract, MakeDriver


class TestMemory(DriverContract):
    @pytest.fixture
    def make_driver(self) -> MakeDriver:
        database = MemoryDatabase()
        return lambda clock, room: MemoryDriver(clock, database=database, room=room)


class TestSqlite(DriverContract):
    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> MakeDriver:
        return lambda clock, room: SqliteDriver(tmp_path / "masc.db", clock, room=room)


class TestSqliteOnASlowDisk(DriverContract):
    """Every COMMIT runs in a thread."""

    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> MakeDriver:
        return lambda clock, room: SqliteDriver(
            tmp_path / "masc.db", clock, room=room, durability="process", slow_commit=0
        )
