"""The PostgreSQL driver passes the contract, on a real server."""

from __future__ import annotations

import pytest

from masc_core.store.postgres import PostgresDriver
from masc_core.testing import DriverContract, MakeDriver


class TestPostgres(DriverContract):
    @pytest.fixture
    def make_driver(self, postgres_url: str, postgres_cluster: str) -> MakeDriver:
        return lambda clock, room: PostgresDriver(postgres_url, clock, cluster=postgres_cluster, room=room)


class TestPostgresInHaste(DriverContract):
    """Commits that do not wait for the disk."""

    @pytest.fixture
    def make_driver(self, postgres_url: str, postgres_cluster: str) -> MakeDriver:
        return lambda clock, room: PostgresDriver(
            postgres_url, clock, cluster=postgres_cluster, room=room, durability="process"
        )
