"""What happens when PostgreSQL goes away: nothing acknowledged is lost, and nobody has to restart anything."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from postgres_own import OwnServer
from postgres_support import connections, listens, soon
from postgres_worker import N, Worker

from masc_core.errors import StartError, StorageUnavailable
from masc_core.store.driver import Append, Document, Key, Put, Scan
from masc_core.store.postgres import PostgresDriver

A = Key("things", "a")


@pytest.fixture
def worker(running: OwnServer, postgres_cluster: str) -> Iterator[Worker]:
    started = Worker("write_forever", running.url, postgres_cluster)
    yield started
    started.kill()


@pytest.fixture
async def driver(running: OwnServer, postgres_cluster: str) -> AsyncIterator[PostgresDriver]:
    async with PostgresDriver(running.url, cluster=postgres_cluster) as opened:
        yield opened


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_server_restarted_in_mid_load_loses_nothing_acknowledged(
    running: OwnServer, worker: Worker, postgres_cluster: str, mode: str
) -> None:
    assert await worker.line() == "ready\n"
    worker.go()
    said: list[str] = []
    for _ in range(3):
        said += [(await worker.line()).strip() for _ in range(30)]
        await asyncio.to_thread(running.stop, mode)
        while said[-1] != '"storage_unavailable"':
            said.append((await worker.line()).strip())
        await asyncio.to_thread(running.start)
        while said[-1] == '"storage_unavailable"':
            said.append((await worker.line()).strip())
    said += [str(n) for n in worker.kill()]
    with psycopg.connect(running.url, autocommit=True) as db:
        # What a killed process has sent is carried out all the same.
        await soon(lambda: not connections(db))
    acknowledged = [int(n) for n in said if n.isdecimal()]
    async with PostgresDriver(running.url, cluster=postgres_cluster) as store:
        (head,), (n,) = await store.heads(["log"]), await store.get([N])
        assert head.last >= acknowledged[-1]
        assert n is not None
        assert n.version == head.last
        assert await store.count("all", "by") == {"g": head.last}
        entries = await store.read_log("log", limit=100_000)
        assert [e.seq for e in entries] == list(range(1, head.last + 1))
        assert [d.body for d in await store.scan(Scan("all", limit=100_000))] == [e.body for e in entries]


async def test_calls_say_unavailable_until_the_server_is_back(running: OwnServer, driver: PostgresDriver) -> None:
    await driver.commit([], [Put(A, b"1")])
    await asyncio.to_thread(running.stop)
    for _ in range(3):
        for call in (driver.get([A]), driver.commit([], [Put(A, b"2")]), driver.watch({"log": 0})):
            with pytest.raises(StorageUnavailable) as caught:
                await asyncio.wait_for(call, 20)
            assert caught.value.backend == "postgres"
    await asyncio.to_thread(running.start)
    assert await driver.get([A]) == [Document(A, 1, b"1")]
    await driver.commit([], [Put(A, b"3")])


async def test_a_waiter_outlasts_a_restart_and_misses_nothing(
    running: OwnServer, driver: PostgresDriver, postgres_cluster: str
) -> None:
    task = asyncio.create_task(driver.watch({"log": 0}))
    await listens(driver)
    await asyncio.to_thread(running.stop)
    await asyncio.to_thread(running.start)
    async with PostgresDriver(running.url, cluster=postgres_cluster) as other:
        await other.commit([], [Append("log", b"")])
    assert await asyncio.wait_for(task, 20) == {"log": 1}


async def test_a_waiter_is_told_when_the_server_stays_away(
    running: OwnServer, driver: PostgresDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("masc_core.store._postgres_hints._FAILS_AFTER", 0.3)
    task = asyncio.create_task(driver.watch({"log": 0}))
    await listens(driver)
    await asyncio.to_thread(running.stop)
    with pytest.raises(StorageUnavailable):
        await asyncio.wait_for(task, 20)


async def test_a_server_that_is_just_starting_is_waited_for(own_server: OwnServer) -> None:
    driver = PostgresDriver(own_server.url)
    task = asyncio.create_task(driver.__aenter__())
    # It is refused once before the server that this starts can answer.
    await asyncio.sleep(0)
    await asyncio.to_thread(own_server.start)
    await task
    assert await driver.get([A]) == [None]
    await driver.__aexit__(None, None, None)
    own_server.stop()


async def test_an_unreachable_server_stops_the_start(own_server: OwnServer) -> None:
    with pytest.raises(StartError, match=rf"127.0.0.1:{own_server.port}/postgres did not answer within 0 s"):
        async with PostgresDriver(own_server.url, start_within=0.4):
            pass


async def test_a_wrong_password_stops_the_start_at_once_and_is_never_shown(
    running: OwnServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with psycopg.connect(running.url, autocommit=True) as db:
        db.execute("DROP ROLE IF EXISTS guarded")
        db.execute("CREATE ROLE guarded LOGIN PASSWORD 'right'")
    url = running.url.replace("postgres@", "guarded:wr0ng%2Fsecret@")
    with pytest.raises(StartError, match=r"refuses.*guarded") as caught:
        async with asyncio.timeout(3), PostgresDriver(url):
            pass
    chain: BaseException | None = caught.value
    assert chain is not None and chain.__cause__ is None
    assert "wr0ng" not in str(caught.value) + caplog.text
    with pytest.raises(StartError, match=r'refuses.*"nowhere" does not exist'):
        async with PostgresDriver(running.url.replace("/postgres", "/nowhere").replace("//nowhere", "//postgres")):
            pass


async def test_full_durability_refuses_a_server_without_fsync(own_server: OwnServer) -> None:
    own_server.start(fsync="off")
    try:
        with pytest.raises(StartError, match="fsync off"):
            async with PostgresDriver(own_server.url):
                pass
        async with PostgresDriver(own_server.url, durability="process") as store:
            await store.commit([], [Put(A, b"")])
    finally:
        own_server.stop("immediate")
