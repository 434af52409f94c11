"""A process that takes the database's clock for an hour later than it is learns better before it changes anything."""

from __future__ import annotations

import secrets

import pytest
from postgres_support import Make
from redis_server import RedisServer

from masc_core.store.driver import Key, Put
from masc_core.store.postgres import PostgresDriver
from masc_core.store.redis import RedisDriver
from masc_core.store.transaction import Transaction, transact

HOUR = 3600.0
N = Key("counters", "n")


@pytest.fixture(params=["postgres", "redis"])
def following(request: pytest.FixtureRequest) -> PostgresDriver | RedisDriver:
    """A driver, not yet open, whose clock follows the database's."""
    if request.param == "postgres":
        make: Make = request.getfixturevalue("make_postgres")
        return make()
    server: RedisServer = request.getfixturevalue("redis_server")
    return RedisDriver(server.url, cluster=secrets.token_hex(8))


async def test_what_was_decided_by_a_wrong_clock_is_decided_again(following: PostgresDriver | RedisDriver) -> None:
    went_by: list[float] = []

    async def run(tx: Transaction) -> None:
        went_by.append(driver.clock.now())
        tx.dated(went_by[-1])
        await tx.get([N])
        tx.put(N, b"1")

    async with following as driver:
        await driver.commit([], [Put(Key("counters", "other"), b"1")])
        right = driver.clock.now()
        driver.clock._offset += HOUR  # type: ignore[attr-defined]
        await transact(driver, run)
        (found,) = await driver.get([N])
    assert found is not None
    assert found.version == 1
    assert [round((now - right) / HOUR) for now in went_by] == [1, 0]
