"""Those who lose a race again and again wait in a line that all processes share."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack

import psycopg
import pytest
from pooler_stand_in import pooler
from postgres_support import Make
from redis_server import RedisServer

from masc_core.errors import StorageBusy
from masc_core.store.driver import Driver, Key, Put
from masc_core.store.line import Line
from masc_core.store.postgres import PostgresDriver
from masc_core.store.redis import RedisDriver
from masc_core.store.transaction import Transaction, transact

N = Key("counters", "n")
RACERS = 8


@pytest.fixture(params=["postgres", "redis"])
def make(request: pytest.FixtureRequest) -> Callable[[], Driver]:
    """Makes drivers of one room, each like that of a process of its own."""
    if request.param == "postgres":
        made: Make = request.getfixturevalue("make_postgres")
        return made
    server: RedisServer = request.getfixturevalue("redis_server")
    cluster = secrets.token_hex(8)
    return lambda: RedisDriver(server.url, cluster=cluster)


def line_of(driver: Driver) -> Line:
    """The driver's line, which it must have."""
    assert driver.line is not None
    return driver.line


async def test_a_turn_is_one_at_a_time_and_ends_with_its_context(make: Callable[[], Driver]) -> None:
    async with make() as one, make() as other:
        async with line_of(one).turn(5):
            with pytest.raises(StorageBusy):
                await line_of(other).turn(0.05).__aenter__()
            # The connections of whose turn it is, and of those who gave up, do their work as before.
            await one.commit([], [Put(N, b"1")])
            assert await other.get([N]) == await one.get([N])
        for driver in (other, one, other):
            async with line_of(driver).turn(1):
                pass


async def test_a_turn_that_ends_with_an_error_or_is_cancelled_is_given_up(make: Callable[[], Driver]) -> None:
    async def stay(entered: asyncio.Event) -> None:
        async with line_of(one).turn(5):
            entered.set()
            await asyncio.Event().wait()

    async def cancel(task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.wait([task])

    async with make() as one, make() as other, asyncio.timeout(5):
        with pytest.raises(KeyError):
            async with line_of(one).turn(5):
                raise KeyError
        entered = asyncio.Event()
        task = asyncio.create_task(stay(entered))
        await entered.wait()
        await cancel(task)
        async with line_of(other).turn(1):
            # Also of those who have not come that far.
            task = asyncio.create_task(stay(asyncio.Event()))
            with pytest.raises(StorageBusy):
                await line_of(other).turn(0.1).__aenter__()
            await cancel(task)
        async with line_of(other).turn(1):
            pass


async def test_whoever_stops_in_their_turn_does_not_hold_up_the_others(make: Callable[[], Driver]) -> None:
    async with make() as one, make() as other, line_of(one).turn(5), line_of(other).turn(5):
        # What was cut short is no error for whom it happened to.
        await one.commit([], [Put(N, b"1")])


async def test_a_killed_server_connection_gives_up_its_turn(
    make_postgres: Make, postgres_admin: psycopg.Connection[object]
) -> None:
    async with make_postgres() as one, make_postgres() as other, line_of(one).turn(5):
        locks = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1296126788 AND objid = %s"
        ended = postgres_admin.execute(f"SELECT pg_terminate_backend(pid) FROM ({locks}) AS held", [one.line.room])
        assert ended.fetchall() == [(True,)]
        async with line_of(other).turn(1):
            await one.commit([], [Put(N, b"1")])


async def test_behind_a_pooler_everybody_passes(make_postgres: Make, postgres_url: str, postgres_cluster: str) -> None:
    async with pooler(postgres_url) as url, PostgresDriver(url, cluster=postgres_cluster) as one:
        async with one.line.turn(1), one.line.turn(1):
            pass


async def test_a_line_that_cannot_be_reached_lets_everybody_pass(redis_server: RedisServer) -> None:
    async with RedisDriver(redis_server.url, cluster=secrets.token_hex(8)) as one:
        redis_server.ask("SET", one.line._keys[0].decode(), "something else")
        async with one.line.turn(1), one.line.turn(1):
            pass


async def test_a_ticket_from_before_the_clock_was_set_back_holds_nobody_up(redis_server: RedisServer) -> None:
    """Whoever drew it was killed; it would hold until the clock is there again."""
    async with RedisDriver(redis_server.url, cluster=secrets.token_hex(8)) as one:
        tickets, ends = (key.decode() for key in one.line._keys)
        for key, time in ((tickets, one.clock.now() - 1), (ends, one.clock.now() + 3600)):
            assert redis_server.ask("ZADD", key, str(time), "left") == b":1\r\n"
        async with one.line.turn(0.5):
            pass


async def test_losers_of_many_processes_try_again_one_after_another(make: Callable[[], Driver]) -> None:
    runs: Counter[int] = Counter()
    all_read = asyncio.Barrier(RACERS)

    async def racer(n: int, driver: Driver) -> None:
        async def run(tx: Transaction) -> None:
            runs[n] += 1
            (found,) = await tx.get([N])
            if runs[n] == 1:
                await all_read.wait()
            tx.put(N, b"%d" % (int(found.body) + 1 if found else 1))

        await transact(driver, run)

    async with AsyncExitStack() as stack:
        drivers = [await stack.enter_async_context(make()) for _ in range(RACERS)]
        await asyncio.gather(*(racer(n, driver) for n, driver in enumerate(drivers)))
        (found,) = await drivers[0].get([N])
    assert found is not None
    assert found.body == b"%d" % RACERS
    # One wins at once, the others on their turn.
    assert runs.total() == 2 * RACERS - 1
