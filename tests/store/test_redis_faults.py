"""What Redis adds to the contract: connections that break, answers that get lost, servers that go away."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis_proxy import Proxy
from redis_server import RedisServer

from masc_core.errors import StorageBusy, StorageUnavailable
from masc_core.store import _redis_watch
from masc_core.store.driver import (
    Absent,
    Acquire,
    Append,
    Conflict,
    Delete,
    Document,
    Head,
    IndexEntry,
    Key,
    LogEntry,
    Put,
    Remove,
    Rewrite,
    Scan,
    Version,
    Write,
)
from masc_core.store.redis import RedisDriver
from masc_core.testing import ManualClock

A = Key("things", "a")
BOUND = 20.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of this test's own."""
    running = RedisServer(tmp_path)
    running.start()
    yield running
    running.kill()


@pytest.fixture
async def proxy(redis_server: RedisServer) -> AsyncIterator[Proxy]:
    async with Proxy(redis_server.port) as running:
        yield running


def driver(url: str, cluster: str | None = None, **options: Any) -> RedisDriver:
    return RedisDriver(url, ManualClock(), cluster=cluster or secrets.token_hex(8), **options)


async def waiting_in(store: RedisDriver) -> None:
    """Return when a watch has looked and now waits for a hint."""
    while not store._listener._waiters:
        await asyncio.sleep(0)


class TestLostAnswers:
    async def test_a_commit_whose_answer_was_lost_is_done_once_and_reported_as_done(self, proxy: Proxy) -> None:
        async with driver(proxy.url) as store:
            await store.commit([], [Put(A, b"1")])
            proxy.lose_answers_to = b"precious"
            writes: list[Write] = [
                Put(A, b"precious", (IndexEntry("by", "v", "g"),)),
                Append("log", b"1"),
                Acquire("l", "me", 10),
            ]
            committed = await store.commit([Version(A, 1)], writes)
            assert proxy.lost == 1
            assert committed.appended == (1,)
            assert await store.leases(["l"]) == [committed.leases[0]]
            assert await store.get([A]) == [Document(A, 2, b"precious")]
            assert await store.heads(["log"]) == [Head(1, 1)]
            assert await store.count("things", "by") == {"g": 1}
            assert (await store.commit([], [Append("log", b"2")])).appended == (2,)

    async def test_a_refusal_whose_answer_was_lost_is_still_a_refusal(self, proxy: Proxy) -> None:
        async with driver(proxy.url) as store:
            await store.commit([], [Put(A, b"1")])
            proxy.lose_answers_to = b"precious"
            with pytest.raises(Conflict) as caught:
                await store.commit([Absent(A)], [Put(A, b"precious")])
            assert proxy.lost == 1
            assert caught.value.current == {A: Document(A, 1, b"1")}

    async def test_a_read_whose_answer_was_lost_is_asked_again(self, proxy: Proxy) -> None:
        async with driver(proxy.url) as store:
            await store.commit([], [Put(A, b"1")])
            proxy.lose_answers_to = b"HMGET"
            assert await store.get([A]) == [Document(A, 1, b"1")]
            assert proxy.lost == 1

    async def test_a_made_body_whose_answer_was_lost_is_appended_once(self, proxy: Proxy) -> None:
        def chained(seq: int, previous: bytes | None) -> bytes:
            return b"%d after %s" % (seq, (previous or b"nothing")[:1])

        async with driver(proxy.url) as store:
            await store.commit([], [Append("log", chained)])
            proxy.lose_answers_to = b"2 after 1"
            assert (await store.commit([], [Append("log", chained)])).appended == (2,)
            assert proxy.lost == 1
            assert (await store.commit([], [Append("log", chained)])).appended == (3,)
            assert [e.body for e in await store.read_log("log")] == [b"1 after n", b"2 after 1", b"3 after 2"]

    async def test_a_made_body_does_not_rest_on_an_entry_that_was_removed_meanwhile(
        self, redis_server: RedisServer
    ) -> None:
        cluster = secrets.token_hex(8)
        seen: list[tuple[int, bytes | None]] = []

        def noting(seq: int, previous: bytes | None) -> bytes:
            seen.append((seq, previous))
            return b"entry"

        async with driver(redis_server.url, cluster) as one, driver(redis_server.url, cluster) as two:
            await one.commit([], [Append("log", noting)])
            await two.commit([], [Remove("log", (1,))])
            await one.commit([], [Append("log", noting)])
            assert seen[-1] == (2, None)

    async def test_a_copy_that_arrives_late_does_nothing_more(self, proxy: Proxy) -> None:
        async with driver(proxy.url) as store:
            await store.commit([], [Put(Key("things", "b"), b"")])
            proxy.hold_requests_with = b"precious"
            assert (await store.commit([], [Append("log", b"precious")])).appended == (1,)
            await proxy.release()
            await store.commit([], [Put(A, b"")])
            assert await store.read_log("log") == [LogEntry(1, b"precious")]

    async def test_a_late_copy_of_a_refused_commit_is_void(self, proxy: Proxy, redis_server: RedisServer) -> None:
        cluster = secrets.token_hex(8)
        async with driver(proxy.url, cluster) as store, driver(redis_server.url, cluster) as other:
            await other.commit([], [Put(A, b"theirs")])
            await store.get([A])
            proxy.hold_requests_with = b"precious"
            with pytest.raises(Conflict):
                await store.commit([Absent(A)], [Put(A, b"precious")])
            await other.commit([], [Delete(A)])  # What the refused commit wanted is true now.
            assert b"void" in await proxy.release()
            assert await other.get([A]) == [None]

    async def test_a_copy_older_than_the_connections_next_commit_is_void(self, proxy: Proxy) -> None:
        async with driver(proxy.url, patience=0.0, connections=1) as store:
            await store.commit([], [Put(A, b"1")])
            proxy.hold_requests_with = b"precious"
            with pytest.raises(StorageUnavailable):
                await store.commit([], [Put(A, b"precious")])
            await store.commit([], [Put(A, b"2")])
            assert b"void" in await proxy.release()
            assert await store.get([A]) == [Document(A, 2, b"2")]


class TestConnections:
    async def test_killed_connections_lose_and_double_nothing(self, redis_server: RedisServer) -> None:
        async with driver(redis_server.url) as store:
            acknowledged: list[tuple[int, bytes]] = []

            async def write(me: int) -> None:
                for n in range(60):
                    body = b"%d %d" % (me, n)
                    (seq,) = (await store.commit([], [Append("log", body)])).appended
                    acknowledged.append((seq, body))

            writers = asyncio.gather(*(write(me) for me in range(4)))
            for goal in range(6, 240, 6):
                while len(acknowledged) < goal:
                    assert not writers.done()
                    await asyncio.sleep(0)
                await asyncio.to_thread(redis_server.ask, "CLIENT", "KILL", "TYPE", "normal")
            await asyncio.wait_for(writers, 30)
            entries = await store.read_log("log", limit=1000)
        assert [(e.seq, e.body) for e in entries] == sorted(acknowledged)
        assert len(entries) == 240

    async def test_a_watch_survives_the_loss_of_its_connection_and_misses_nothing(
        self, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_redis_watch, "EVERY", 1000.0)
        cluster = secrets.token_hex(8)
        async with driver(redis_server.url, cluster) as one, driver(redis_server.url, cluster) as two:
            for n in range(5):
                task = asyncio.create_task(one.watch({"log": n}))
                await waiting_in(one)
                while b":0" in await asyncio.to_thread(redis_server.ask, "CLIENT", "KILL", "TYPE", "pubsub"):
                    pass
                await two.commit([], [Append("log", b"")])
                assert await asyncio.wait_for(task, BOUND) == {"log": n + 1}

    async def test_without_hints_a_watch_ends_within_three_seconds(self, server: RedisServer) -> None:
        server.ask("ACL", "SETUSER", "deaf", "on", ">pw", "allkeys", "allchannels", "+@all", "-publish")
        async with driver(server.url, "c") as one, driver(server.url.replace("//", "//deaf:pw@"), "c") as two:
            task = asyncio.create_task(one.watch({"log": 0}))
            await waiting_in(one)
            assert (await two.commit([], [Append("log", b"")])).appended == (1,)
            assert await asyncio.wait_for(task, 3) == {"log": 1}

    async def test_a_hint_comes_at_once(self, redis_server: RedisServer) -> None:
        cluster = secrets.token_hex(8)
        async with driver(redis_server.url, cluster) as one, driver(redis_server.url, cluster) as two:
            took = []
            for n in range(11):
                task = asyncio.create_task(one.watch({"log": n}))
                await waiting_in(one)
                started = time.monotonic()
                await two.commit([], [Append("log", b"")])
                await asyncio.wait_for(task, BOUND)
                took.append(time.monotonic() - started)
            # Noise of the machine aside: the look every two seconds would not do this.
            assert sorted(took)[5] < 0.2

    async def test_scripts_the_server_forgot_are_sent_again(self, server: RedisServer) -> None:
        async with driver(server.url) as store:
            await store.commit([], [Put(A, b"1")])
            server.ask("SCRIPT", "FLUSH")
            await store.commit([Version(A, 1)], [Put(A, b"2")])
            assert [d.version for d in await store.scan(Scan("things"))] == [2]

    @pytest.mark.parametrize("turns", [1, 2, 3, 5, 8, 13, 40])
    async def test_closing_ends_a_watch_wherever_it_is(self, redis_server: RedisServer, turns: int) -> None:
        tasks = asyncio.all_tasks()
        async with driver(redis_server.url) as store:
            watch = asyncio.create_task(store.watch({"log": 0}))
            for _ in range(turns):
                await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(watch, BOUND)
        assert asyncio.all_tasks() <= tasks
        with pytest.raises(StorageUnavailable):
            await store.watch({"log": 0})


class TestServer:
    async def test_a_server_killed_in_mid_load_loses_nothing_and_needs_no_restart_of_ours(
        self, server: RedisServer
    ) -> None:
        """Every writer goes on over five crashes; what was acknowledged is there, once, and nothing is half done."""
        chosen = random.Random(7)
        async with driver(server.url, patience=30) as store:
            acknowledged: dict[int, bytes] = {}
            stop = False

            async def write(me: int) -> None:
                n = 0
                while not stop:
                    body = b"%d %d " % (me, n) + b"x" * (n % 700)
                    key = Key("all", f"{me}-{n:06}")
                    put = Put(key, body, (IndexEntry("by", "v", "g"),))
                    try:
                        (seq,) = (await store.commit([Absent(key)], [put, Append("log", body)])).appended
                    except StorageUnavailable:
                        # Known not to have been sent: there was no connection.
                        await asyncio.sleep(0.01)
                        continue
                    acknowledged[seq] = body
                    n += 1

            writers = [asyncio.create_task(write(me)) for me in range(4)]
            for _ in range(5):
                before = len(acknowledged)
                while len(acknowledged) < before + chosen.randrange(10, 60):
                    await asyncio.sleep(0)
                server.kill()
                await asyncio.to_thread(server.start)
            stop = True
            await asyncio.wait_for(asyncio.gather(*writers), 30)
            entries = await store.read_log("log", limit=100_000)
            assert {e.seq: e.body for e in entries} == acknowledged
            assert [e.seq for e in entries] == list(range(1, len(entries) + 1))
            assert await store.count("all", "by") == {"g": len(entries)}
            assert {d.body for d in await store.scan(Scan("all", "by", limit=100_000))} == set(acknowledged.values())

    async def test_a_server_that_is_gone_is_unavailable_on_every_call_and_comes_back_by_itself(
        self, server: RedisServer
    ) -> None:
        async with driver(server.url, patience=0.2) as store:
            await store.commit([], [Put(A, b"1"), Append("log", b"1")])
            waiting = asyncio.create_task(store.watch({"log": 1}))
            await waiting_in(store)
            server.kill()
            with pytest.raises(StorageUnavailable):
                await asyncio.wait_for(waiting, BOUND)
            for _ in range(2):
                for call in (
                    lambda: store.get([A]),
                    lambda: store.scan(Scan("things")),
                    lambda: store.count("things", "by"),
                    lambda: store.heads(["log"]),
                    lambda: store.leases(["l"]),
                    lambda: store.read_log("log"),
                    lambda: store.watch({"log": 1}),
                    lambda: store.commit([], [Put(A, b"2")]),
                ):
                    with pytest.raises(StorageUnavailable) as caught:
                        await asyncio.wait_for(call(), BOUND)
                    assert caught.value.backend == "redis"
            server.start()
            assert await store.get([A]) == [Document(A, 1, b"1")]
            await store.commit([Version(A, 1)], [Put(A, b"2")])
            assert await asyncio.wait_for(store.watch({"log": 0}), BOUND) == {"log": 1}

    async def test_a_full_memory_refuses_writes_whole_and_goes_on_reading(self, server: RedisServer) -> None:
        async with driver(server.url) as store:
            lease = (await store.commit([], [Put(A, b"1"), Acquire("l", "me", 10)])).leases[0]
            server.ask("CONFIG", "SET", "maxmemory", "1")
            with pytest.raises(StorageUnavailable, match="maxmemory"):
                await store.commit([], [Delete(A), Put(Key("things", "b"), b"2"), Append("log", b"")])
            assert await store.scan(Scan("things")) == [Document(A, 1, b"1", "a")]
            assert await store.leases(["l"]) == [lease]
            assert await store.heads(["log"]) == [Head(0, 0)]
            server.ask("CONFIG", "SET", "maxmemory", "0")
            assert (await store.commit([], [Delete(A), Append("log", b"")])).appended == (1,)

    async def test_a_script_of_somebody_else_is_waited_for_and_then_busy(self, server: RedisServer) -> None:
        async with driver(server.url, patience=0.3) as store:
            await store.commit([], [Put(A, b"1")])
            server.ask("CONFIG", "SET", "busy-reply-threshold", "10")
            endless = asyncio.create_task(asyncio.to_thread(server.ask, "EVAL", "while true do end", "0"))
            while b"BUSY" not in await asyncio.to_thread(server.ask, "GET", "x"):
                await asyncio.sleep(0)
            for call in (lambda: store.get([A]), lambda: store.commit([], [Put(A, b"2")])):
                with pytest.raises(StorageBusy):
                    await asyncio.wait_for(call(), BOUND)
            waiting = asyncio.create_task(store.commit([Version(A, 1)], [Put(A, b"2")]))
            server.ask("SCRIPT", "KILL")
            await asyncio.wait_for(waiting, BOUND)
            await endless

    async def test_data_that_was_removed_under_a_running_server_is_not_begun_anew(self, server: RedisServer) -> None:
        async with driver(server.url) as store:
            await store.commit([], [Put(A, b"1"), Append("log", b"")])
            server.ask("FLUSHALL")
            with pytest.raises(StorageUnavailable, match="removed or replaced"):
                await store.commit([], [Append("log", b"")])
            assert await store.heads(["log"]) == [Head(0, 0)]
            assert server.ask("DBSIZE") == b":0\r\n"

    async def test_a_key_that_holds_something_else_stops_the_commit_before_its_first_write(
        self, server: RedisServer
    ) -> None:
        async with driver(server.url, "c") as store:
            server.ask("SET", "masc:{c:default}:s:log", "not a stream")
            with pytest.raises(StorageUnavailable, match="holds something else"):
                await store.commit([], [Put(A, b"1"), Append("log", b"")])
            assert server.ask("DBSIZE") == b":1\r\n"

    @pytest.mark.parametrize("command", ["hset", "hincrby", "hdel", "zadd", "zrem", "xadd", "xdel", "set"])
    async def test_a_right_that_was_taken_away_stops_the_commit_before_its_first_write(
        self, server: RedisServer, command: str
    ) -> None:
        server.ask("ACL", "SETUSER", "clerk", "on", ">pw", "allkeys", "allchannels", "+@all")
        async with driver(server.url.replace("//", "//clerk:pw@"), "c") as store:
            entry = (IndexEntry("by", "v", "g"),)
            await store.commit([], [Put(A, b"1", entry), Append("log", b"", entry)])
            server.ask("ACL", "SETUSER", "clerk", f"-{command}")
            writes: list[Write] = [Rewrite(A, b"2"), Put(A, b"2"), Delete(A), Append("log", b""), Remove("log", (1,))]
            with pytest.raises(StorageUnavailable, match=command.upper()):
                await store.commit([], writes)
            assert await store.get([A]) == [Document(A, 1, b"1")]
            assert await store.heads(["log"]) == [Head(1, 1)]
            assert await store.count("things", "by") == await store.count("log", "by") == {"g": 1}


async def test_closing_cancels_a_waiter_that_is_just_about_to_read(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with driver(redis_server.url) as store:
        reading, closing = asyncio.Event(), asyncio.Event()
        read = store._read_lasts

        async def held(logs: Any) -> dict[str, int]:
            reading.set()
            await closing.wait()
            return await read(logs)

        monkeypatch.setattr(store, "_read_lasts", held)
        task = asyncio.create_task(store.watch({"log": 0}))
        await asyncio.wait_for(reading.wait(), BOUND)
        store._lanes.open = False  # what closing begins with
        closing.set()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, BOUND)
        store._lanes.open = True
