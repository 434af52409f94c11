"""Acceptance 9: the whole storage contract holds with encryption off, on and while a room is converted."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from redis_server import RedisServer
from sealed_support import FIRST, SECOND, OwningDriver, Vault, state

from masc_core.store.memory import MemoryDatabase, MemoryDriver
from masc_core.store.postgres import PostgresDriver
from masc_core.store.redis import RedisDriver
from masc_core.store.sqlite import SqliteDriver
from masc_core.testing import DriverContract, MakeDriver

STATES = {
    "never on": None,
    "on": state("on", FIRST),
    "off again": state("off", FIRST),
    "sealing": state("converting", FIRST, SECOND),
    "opening": state("converting", FIRST, direction="open"),
}


@pytest.mark.parametrize("mode", STATES)
class TestSealedMemory(DriverContract):
    @pytest.fixture
    def make_driver(self, mode: str) -> MakeDriver:
        database = MemoryDatabase()
        return lambda clock, room: OwningDriver(
            MemoryDriver(clock, database=database, room=room), Vault(room), STATES[mode]
        )


@pytest.mark.parametrize("mode", ["never on", "on"])
class TestSealedSqlite(DriverContract):
    @pytest.fixture
    def make_driver(self, tmp_path: Path, mode: str) -> MakeDriver:
        return lambda clock, room: OwningDriver(
            SqliteDriver(tmp_path / "masc.db", clock, room=room), Vault(room), STATES[mode]
        )


@pytest.mark.parametrize("mode", ["never on", "on"])
class TestSealedRedis(DriverContract):
    @pytest.fixture
    def make_driver(self, redis_server: RedisServer, mode: str) -> MakeDriver:
        cluster = secrets.token_hex(8)
        return lambda clock, room: OwningDriver(
            RedisDriver(redis_server.url, clock, cluster=cluster, room=room), Vault(room), STATES[mode]
        )


@pytest.mark.parametrize("mode", ["never on", "on"])
class TestSealedPostgres(DriverContract):
    @pytest.fixture
    def make_driver(self, postgres_url: str, postgres_cluster: str, mode: str) -> MakeDriver:
        return lambda clock, room: OwningDriver(
            PostgresDriver(postgres_url, clock, cluster=postgres_cluster, room=room), Vault(room), STATES[mode]
        )
