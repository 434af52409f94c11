"""Redis passes the contract."""

from __future__ import annotations

import secrets

import pytest
from redis_server import RedisServer

from masc_core.store.redis import RedisDriver
from masc_core.testing import DriverContract, MakeDriver


class TestRedis(DriverContract):
    @pytest.fixture
    def make_driver(self, redis_server: RedisServer) -> MakeDriver:
        cluster = secrets.token_hex(8)
        return lambda clock, room: RedisDriver(redis_server.url, clock, cluster=cluster, room=room)
