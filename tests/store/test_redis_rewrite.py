"""What is special about exchanging bodies on Redis, and about counting what is there."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from redis_server import FIT, RedisServer

from masc_core.errors import StorageUnavailable
from masc_core.store._redis_access import Lane
from masc_core.store.driver import (
    Absent,
    Append,
    Conflict,
    Contents,
    Delete,
    Document,
    IndexEntry,
    Key,
    LogEntry,
    Put,
    Remove,
    Rewrite,
    RewriteEntry,
    Version,
)
from masc_core.store.redis import RedisDriver
from masc_core.testing import ManualClock

A = Key("things", "a")
WORD = b"geheimwort-4711"


@pytest.fixture
async def two(redis_server: RedisServer) -> AsyncIterator[list[RedisDriver]]:
    """Two drivers of one room."""
    cluster = secrets.token_hex(8)
    async with AsyncExitStack() as stack:
        drivers = [RedisDriver(redis_server.url, ManualClock(), cluster=cluster) for _ in range(2)]
        yield [await stack.enter_async_context(driver) for driver in drivers]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that writes its file anew as plain commands."""
    running = RedisServer(tmp_path, *FIT, "--aof-use-rdb-preamble", "no")
    running.start()
    yield running
    running.kill()


def files_with_the_word(server: RedisServer) -> list[Path]:
    return [path for path in server.directory.rglob("*") if path.is_file() and WORD in path.read_bytes()]


async def test_what_was_replaced_or_removed_is_in_no_key_and_leaves_the_files_with_their_rewriting(
    server: RedisServer,
) -> None:
    async with RedisDriver(server.url) as store:
        await store.commit([], [Put(A, WORD), Put(Key("things", "b"), WORD), *(Append("log", WORD) for _ in range(3))])
        await store.commit([], [Rewrite(A, b"-"), Delete(Key("things", "b"))])
        await store.commit([], [RewriteEntry("log", 1, b"-"), RewriteEntry("log", 3, b"-"), Remove("log", (2,))])
        # Nobody reads what would be written here, so nobody would ever remove it.
        await store.commit([], [Rewrite(Key("things", "b"), WORD), *(RewriteEntry("log", n, WORD) for n in (2, 4))])
        await store.scrub()
        assert len(files_with_the_word(server)) == 1
        assert server.ask("BGREWRITEAOF").startswith(b"+")
        until = time.monotonic() + 20
        while files_with_the_word(server):
            assert time.monotonic() < until, "a key still holds what was replaced"
            time.sleep(0.01)
        assert await store.read_log("log") == [LogEntry(1, b"-"), LogEntry(3, b"-")]


async def test_a_body_that_builds_on_a_rewritten_one_sees_it_as_it_is(two: list[RedisDriver]) -> None:
    one, other = two

    def chained(seq: int, previous: bytes | None) -> bytes:
        return (previous or b"") + b"%d" % seq

    await one.commit([], [Append("log", chained)])
    await other.commit([], [RewriteEntry("log", 1, b"x")])
    await one.commit([], [Append("log", chained)])
    await one.commit([], [RewriteEntry("log", 2, b"y"), Append("log", chained), RewriteEntry("log", 10**30, b"z")])
    await one.commit([], [Append("log", chained), RewriteEntry("log", 4, b"z")])
    await one.commit([], [Append("log", chained)])
    assert [entry.body for entry in await other.read_log("log")] == [b"x", b"y", b"y3", b"z", b"z5"]


async def test_a_body_that_cannot_be_made_of_what_has_passed_is_made_of_what_is(two: list[RedisDriver]) -> None:
    one, other = two

    def counted(seq: int, previous: bytes | None) -> bytes:
        return b"%d" % (int(previous or b"0") + 1)

    def strict(seq: int, previous: bytes | None) -> bytes:
        if previous != b"x":
            raise ValueError("no body")
        return b"y"

    await one.commit([], [Append("log", counted)])
    await other.commit([], [RewriteEntry("log", 1, b"x")])
    assert (await one.commit([], [Append("log", strict)])).appended == (2,)
    await other.commit([], [Put(A, b"1")])
    with pytest.raises(Conflict):
        await one.commit([Absent(A)], [Append("log", counted), Put(A, b"2")])
    with pytest.raises(ValueError, match="invalid literal"):
        await one.commit([Version(A, 1)], [Put(A, b"2"), Append("log", counted)])
    assert await other.get([A]) == [Document(A, 1, b"1")]
    assert [entry.body for entry in await other.read_log("log")] == [b"x", b"y"]


async def test_a_deleted_document_or_removed_entry_is_not_brought_back(two: list[RedisDriver]) -> None:
    one, other = two
    entry = (IndexEntry("by", "v", "g"),)
    await one.commit([], [Put(A, b"1", entry), Append("log", b"1", entry)])
    await one.commit([], [Delete(A), Remove("log", (1,)), Rewrite(A, b"2"), RewriteEntry("log", 1, b"2")])
    await one.commit([], [Rewrite(A, b"2"), RewriteEntry("log", 1, b"2")])
    assert await other.get([A]) == [None]
    assert await other.contents() == Contents({}, {})
    await other.commit([], [Put(A, b"3"), Rewrite(A, b"4")])
    assert await one.get([A]) == [Document(A, 2, b"4")]


async def test_a_collection_and_a_log_of_one_name_are_counted_each(two: list[RedisDriver]) -> None:
    writes = [Put(Key(name, "a"), b"") for name in ("x", "c:x", "é\0{}", "")]
    await two[0].commit([], [*writes, Append("x", b""), Append("x", b""), Append("", b"")])
    assert await two[1].contents() == Contents({"x": 1, "c:x": 1, "é\0{}": 1, "": 1}, {"x": 2, "": 1})


@pytest.mark.parametrize("writes", [[Put(Key("new", "a"), b"")], [Append("new", b"")]], ids=["collection", "log"])
async def test_contents_see_also_what_comes_up_while_they_are_counted(
    two: list[RedisDriver], monkeypatch: pytest.MonkeyPatch, writes: list[Any]
) -> None:
    one, other = two
    await one.commit([], [Put(A, b"")])
    run, script = Lane.run, one._reads._scripts["contents"]
    pending = [writes]

    async def delayed(lane: Lane, asked: Any, *rest: Any) -> Any:
        if asked.sha == script.sha and pending:
            await other.commit([], [Delete(A), *pending.pop()])
        return await run(lane, asked, *rest)

    monkeypatch.setattr(Lane, "run", delayed)
    found = await one.contents()
    assert {**found.collections, **found.logs} == {"new": 1}


async def test_a_whole_room_may_take_longer_than_any_other_answer(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RedisDriver(redis_server.url, ManualClock(), cluster=secrets.token_hex(8)) as driver:
        keys = [Key("things", f"{n:03}") for n in range(300)]
        await driver.commit([], [Put(key, b"1") for key in keys])
        monkeypatch.setattr(Lane.run, "__defaults__", (0.0,))  # a server that is late with whatever it is asked
        with pytest.raises(StorageUnavailable, match="no answer in time"):
            await driver.read_log("log")
        assert [document.key for document in (await driver.dump()).documents] == keys
