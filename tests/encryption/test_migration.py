"""Converting records: beside normal work, over what cannot be opened, in the background, killed half way."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from masc_forking import launcher
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from room_support import (
    ENVIRONMENT,
    KEY,
    MASC,
    OTHER,
    convert,
    convert_in_background,
    files_with,
    inner,
    masc,
    sealed_driver,
)
from sealed_support import random_word

from masc_core.call import Call, run
from masc_core.contracts import contract_of
from masc_core.kernel import local_client
from masc_core.plugins import Registry
from masc_core.store.driver import Acquire, Append, Document, Key, LogEntry, Put, Rewrite, RewriteEntry, Scan, Version
from masc_core.store.envelope import is_sealed, key_id
from masc_core.store.sealing import PROGRESS, Progress
from masc_core.store.sqlite import SqliteDriver
from masc_core.sweep import due_once
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app
from masc_core.testing.limits import lift_limits
from masc_core.tools import declaration
from masc_plugin_encryption.local import masc_encryption_open, masc_encryption_rotate
from masc_plugin_encryption.migration import BATCH, Converter, Page, pages, progress_of

RECORDS = 1000


@pytest.fixture
async def room(masc: MascApp, monkeypatch: pytest.MonkeyPatch) -> MascApp:
    """A room with some hundred records on each store, the key in the environment."""
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", KEY)
    await masc.call("masc_join", "claude")
    await inner(masc).commit([], [Append("messages", message(n)) for n in range(120)])
    await inner(masc).commit([], [Put(Key("foreign", f"{n:03d}"), f'{{"n": {n}}}'.encode()) for n in range(130)])
    return masc


def message(n: int, word: str = "") -> bytes:
    """A stored message, as comm writes it."""
    stamp = "2026-11-21T08:00:00.000Z"
    return orjson.dumps({"from": "claude", "type": "broadcast", "content": f"{word} {n}", "timestamp": stamp})


async def local(app: MascApp, function: Any) -> dict[str, Any]:
    """A call that only the person at the machine can make."""
    client = local_client()
    call = Call(
        contract_of(declaration(function, "encryption")),
        {},
        client,
        app.kernel.bindings,
        await app.kernel.active(client),
    )
    return dict((await run(app.kernel, call)).structured)


async def opened(app: MascApp) -> dict[str, list[Any]]:
    """Everything there is, with versions, in clear; events, audit and progress apart."""
    driver = sealed_driver(app)
    contents = await driver.contents()
    documents = {
        name: [(d.key.id, d.version, d.body) for d in await driver.scan(Scan(name))] for name in contents.collections
    }
    logs = {name: [(e.seq, e.body) for e in await driver.read_log(name, limit=10_000)] for name in contents.logs}
    found: dict[str, list[Any]] = {**documents, **logs}
    found.pop("events")
    found.pop("audit", None)
    return found


async def kinds(app: MascApp) -> set[bytes]:
    """The key ids of all stored bodies; empty for a plain one."""
    return {key_id(i.body) if is_sealed(i.body) else b"" async for page in pages(inner(app)) for i in page.items}


async def test_sealing_changes_nothing_but_the_form(room: MascApp) -> None:
    """No version grows, no index entry moves, also of what no plugin declares; and back again."""
    before = await opened(room)
    enabled = await room.call("masc_encryption_enable")
    assert enabled["migration"]["direction"] == "seal"
    assert enabled["migration"]["total"] > 250
    assert (await room.call("masc_encryption_status"))["plain"] > 250
    await convert_in_background(room)
    status = await room.call("masc_encryption_status")
    assert (status["state"], status["plain"], "migration" in status) == ("on", 0, False)
    assert await kinds(room) == {bytes.fromhex(enabled["active_key_id"])}
    assert await opened(room) == before
    assert (await local(room, masc_encryption_open))["state"] == "converting"
    await convert(room)
    status = await room.call("masc_encryption_status")
    assert (status["state"], status["sealed"], status["key_ids"], "key_source" in status) == ("off", 0, [], False)
    assert await kinds(room) == {b""}
    assert await opened(room) == before


async def test_a_half_sealed_room_reads_and_writes_as_ever(room: MascApp) -> None:
    await room.call("masc_encryption_enable")
    converter = Converter(sealed_driver(room))
    task = (await room.call("masc_add_task", "claude", title="before"))["task"]
    while await converter.step():
        changed = await room.call(
            "masc_update_priority", "claude", task_id=task["id"], priority=1 + task["version"] % 5
        )
        task = changed["task"]
        await room.call("masc_broadcast", "claude", message="meanwhile")
        status = await room.call("masc_encryption_status")
        assert status["sealed"] + status["plain"] > 0
    assert (await kinds(room)) == {bytes.fromhex((await room.call("masc_encryption_status"))["active_key_id"])}
    assert task["version"] > 5


async def test_progress_is_told_and_grows(room: MascApp) -> None:
    total = (await room.call("masc_encryption_enable"))["migration"]["total"]
    converter, seen = Converter(sealed_driver(room)), []
    while await converter.step():
        status = await room.call("masc_encryption_status")
        if (migration := status.get("migration")) is not None:
            assert (migration["direction"], migration["total"]) == ("seal", total)
            seen.append(migration["done"])
    assert len(seen) >= total // BATCH
    assert seen == sorted(seen)
    assert seen[-1] == total


async def test_a_conversion_is_carried_on_where_another_one_stopped(room: MascApp) -> None:
    await room.call("masc_encryption_enable")
    first = Converter(sealed_driver(room))
    for _ in range(3):
        await first.step()
    migration = sealed_driver(room).known.state.migration
    assert migration is not None
    done = (await progress_of(inner(room), migration)).done
    assert done >= 2
    reports: list[int] = []
    second = Converter(sealed_driver(room), lambda progress, _: reports.append(progress.done))
    while await second.step():
        pass
    assert reports[0] == done
    assert b"" not in await kinds(room)


async def test_two_at_once_lose_nothing(room: MascApp) -> None:
    before = await opened(room)
    await room.call("masc_encryption_enable")
    await asyncio.gather(convert(room), convert(room), convert(room))
    assert b"" not in await kinds(room)
    assert await opened(room) == before


async def test_the_background_leaves_a_conversion_to_the_process_that_does_it(room: MascApp) -> None:
    await room.call("masc_encryption_enable")
    await inner(room).commit([], [Acquire("encryption-migration", "pid of another", 15)])
    await convert_in_background(room)
    assert (await room.call("masc_encryption_status"))["state"] == "converting"
    assert isinstance(room.clock, ManualClock)
    await room.clock.advance(16)
    await convert_in_background(room)
    assert (await room.call("masc_encryption_status"))["state"] == "on"
    await due_once(room.kernel, room.kernel.start_room)  # nothing is due any more
    await inner(room).commit([], [Acquire("encryption-migration", "anybody", 15)])


async def test_closing_ends_a_conversion_in_the_background(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", KEY)
    async with masc_app(tmp_path, backend="sqlite", registry=registry) as app:
        await app.call("masc_join", "claude")
        await inner(app).commit([], [Append("messages", message(n)) for n in range(RECORDS)])
        await app.call("masc_encryption_enable")
        await due_once(app.kernel, app.kernel.start_room)
        work = sealed_driver(app)._work
        assert work is not None
        assert not work.done()
    assert work.cancelled()
    async with masc_app(tmp_path, backend="sqlite", registry=registry) as app:
        await convert(app)
        assert (await app.call("masc_encryption_status"))["plain"] == 0


async def test_what_cannot_be_opened_is_left_and_its_key_kept(room: MascApp) -> None:
    """A record that was tampered with neither stops a rotation nor is made genuine by it."""
    await room.call("masc_encryption_enable")
    await convert(room)
    old = (await room.call("masc_encryption_status"))["active_key_id"]
    (broken,) = await inner(room).get([Key("foreign", "007")])
    assert broken is not None
    bad = broken.body[:-1] + bytes([broken.body[-1] ^ 1])
    await inner(room).commit([], [Rewrite(broken.key, bad), RewriteEntry("messages", 50, b"planted")])
    assert (await local(room, masc_encryption_rotate))["changed"]
    assert (await room.call("masc_encryption_status"))["state"] == "on"  # plain records are refused all the while
    converter = Converter(sealed_driver(room))
    while await converter.step():
        pass
    assert {(e.collection, e.key, e.reason) for e in converter.unreadable} == {
        ("foreign", "007", "bad_tag"),
        ("messages", "50", "plaintext_refused"),
    }
    status = await room.call("masc_encryption_status")
    assert sorted(status["key_ids"]) == sorted([old, status["active_key_id"]])
    assert (await inner(room).get([broken.key])) == [Document(broken.key, 1, bad)]
    assert (await inner(room).read_log("messages", 49, 1)) == [LogEntry(50, b"planted")]
    assert await kinds(room) == {b"", bytes.fromhex(old), bytes.fromhex(status["active_key_id"])}
    assert (await local(room, masc_encryption_open))["changed"]
    while await converter.step():
        pass
    status = await room.call("masc_encryption_status")
    assert (status["state"], status["sealed"]) == ("off", 1)
    assert old in status["key_ids"]


async def test_encryption_cannot_be_changed_during_a_conversion(room: MascApp, monkeypatch: pytest.MonkeyPatch) -> None:
    enabled = await room.call("masc_encryption_enable")
    again = await room.call("masc_encryption_enable")
    assert (again["changed"], again["active_key_id"]) == (False, enabled["active_key_id"])
    error = await room.error("masc_encryption_disable")
    assert (error["code"], error["retryable"]) == ("migration_in_progress", True)
    assert error["details"] == {"direction": "seal", "done": 0, "total": enabled["migration"]["total"]}
    assert (await room.error("masc_encryption_enable", key_source="generate"))["code"] == "migration_in_progress"
    assert not (room.path / ".masc" / "secrets").exists()
    for function in (masc_encryption_open, masc_encryption_rotate):
        assert (await local(room, function))["error"]["code"] == "migration_in_progress"
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", OTHER)
    assert (await room.error("masc_encryption_enable"))["code"] == "migration_in_progress"
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", KEY)
    await convert(room)
    await local(room, masc_encryption_rotate)
    assert (await room.error("masc_encryption_disable"))["code"] == "migration_in_progress"
    await convert(room)
    await local(room, masc_encryption_open)
    for tool in ("masc_encryption_enable", "masc_encryption_disable"):
        error = await room.error(tool)
        assert (error["code"], error["details"]["direction"]) == ("migration_in_progress", "open")


async def test_a_worn_out_key_is_replaced_without_a_word(room: MascApp) -> None:
    await room.call("masc_encryption_enable")
    await convert(room)
    old = (await room.call("masc_encryption_status"))["active_key_id"]
    driver = sealed_driver(room)
    driver._step = driver._most_seals = 1
    await room.call("masc_broadcast", "claude", message="one too many")
    await due_once(room.kernel, room.kernel.start_room)
    status = await room.call("masc_encryption_status")
    assert status["active_key_id"] != old
    assert set(status["key_ids"]) == {old, status["active_key_id"]}
    await room.call("masc_broadcast", "claude", message="under the new one")
    found = (await room.call("masc_messages", "claude", since_seq=121, limit=100))["messages"]
    assert [m["content"] for m in found[-2:]] == ["one too many", "under the new one"]
    assert len(await kinds(room)) == 2


# --- killed


def plant(project: Path, word: str) -> None:
    """A thousand plain messages, all with ``word``."""

    async def append() -> None:
        from masc_core.clock import SystemClock

        async with SqliteDriver(project / ".masc" / "masc.db", SystemClock()) as driver:
            for start in range(0, RECORDS, 500):
                await driver.commit([], [Append("messages", message(n, word)) for n in range(start, start + 500)])

    asyncio.run(append())


def kill_half_way(project: Path, *arguments: str) -> int:
    """Start a conversion and kill it with SIGKILL as soon as it has begun, wherever it is; how many records it had done."""
    db = sqlite3.connect(project / ".masc" / "masc.db", isolation_level=None)
    environment = {**ENVIRONMENT, "MASC_ENCRYPTION_KEY": KEY}
    before = progress(db)
    with subprocess.Popen([*MASC, *arguments], cwd=project, env=environment, stderr=subprocess.PIPE) as process:
        try:
            while progress(db) == before:
                assert process.poll() is None, process.communicate()
        finally:
            os.kill(process.pid, signal.SIGKILL)
    found = progress(db)
    db.close()
    assert found is not None
    assert 0 < found[1] < RECORDS
    return found[1]


def progress(db: sqlite3.Connection) -> tuple[str, int] | None:
    """Which migration was last carried on, and how far."""
    row = db.execute("SELECT body FROM documents WHERE collection = ?", (PROGRESS.name,)).fetchone()
    if row is None:
        return None
    found = orjson.loads(row[0])
    return found["migration"], found["done"]


def texts_of(project: Path) -> list[str]:
    """The texts of all messages, in order, through the sealing."""

    async def read() -> list[str]:
        from masc_core.kernel import Kernel
        from masc_core.plugins import load
        from masc_core.rooms import Base

        async with Kernel(Base(project, may_create=False), load()) as kernel:
            entries = await kernel.start_room.driver.read_log("messages", limit=10 * RECORDS)
            return [orjson.loads(e.body)["content"] for e in entries]

    return asyncio.run(read())


def test_5_killed_half_way_a_migration_ends_with_nothing_lost_and_nothing_plain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given 1000 plain records and enable, killed half way and started again: plain 0, contents equal, no word in any file."""
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", KEY)
    word = random_word()
    assert masc(tmp_path, "call", "masc_init").status == 0
    plant(tmp_path, word)
    assert files_with(tmp_path, word)
    before = texts_of(tmp_path)
    assert len(before) == RECORDS
    assert masc(tmp_path, "call", "masc_encryption_enable", key=KEY).status == 0
    done = kill_half_way(tmp_path, "encryption", "migrate")
    half = masc(tmp_path, "encryption", "status", "--json", key=KEY).json
    assert half["state"] == "converting"
    assert half["migration"]["done"] == done
    assert half["plain"] > 0 < half["sealed"]
    assert texts_of(tmp_path) == before
    ran = masc(tmp_path, "encryption", "migrate", "--json", key=KEY)
    assert ran.status == 0, ran
    assert (ran.json["state"], ran.json["plain"]) == ("on", 0)
    assert texts_of(tmp_path) == before
    assert files_with(tmp_path, word) == []

    # The same for a rotation, and for the way back.
    old = ran.json["active_key_id"]
    kill_half_way(tmp_path, "encryption", "rotate")
    half = masc(tmp_path, "encryption", "status", "--json", key=KEY).json
    assert (half["state"], half["plain"], len(half["key_ids"])) == ("on", 0, 2)
    assert texts_of(tmp_path) == before
    ran = masc(tmp_path, "encryption", "migrate", "--json", key=KEY)
    assert ran.status == 0, ran
    assert old not in ran.json["key_ids"]
    assert len(ran.json["key_ids"]) == 1
    assert texts_of(tmp_path) == before
    assert files_with(tmp_path, word) == []
    kill_half_way(tmp_path, "encryption", "migrate", "--to", "plain")
    assert texts_of(tmp_path) == before
    refused = masc(tmp_path, "encryption", "migrate", "--to", "sealed", "--json", key=KEY)
    assert (refused.status, refused.json["error"]["code"]) == (1, "migration_in_progress")
    ran = masc(tmp_path, "encryption", "migrate", "--json", key=KEY)
    assert (ran.status, ran.json["state"], ran.json["sealed"]) == (0, "off", 0)
    monkeypatch.delenv("MASC_ENCRYPTION_KEY")
    assert texts_of(tmp_path) == before


async def test_a_server_converts_while_it_serves(tmp_path: Path) -> None:
    """The real one: switched on through a tool, sealed without anybody asking again."""
    lift_limits(tmp_path)
    assert masc(tmp_path, "call", "masc_init").status == 0
    command = [
        *launcher(),
        "serve",
        "--stdio",
        "--mode",
        "full",
        "--project",
        str(tmp_path),
        "--agent",
        "claude",
    ]
    environment = {**ENVIRONMENT, "MASC_ENCRYPTION_KEY": KEY}
    async with Client(
        StdioServerParameters(command=command[0], args=command[1:], env=environment), cache=None
    ) as client:

        async def call(tool: str, **given: Any) -> dict[str, Any]:
            facts: dict[str, Any] = (await client.call_tool(tool, given)).structured_content
            return facts

        await call("masc_broadcast", message="hello")
        assert (await call("masc_encryption_enable"))["state"] == "converting"
        async with asyncio.timeout(20):
            while (await call("masc_encryption_status"))["state"] != "on":
                await call("masc_broadcast", message="meanwhile")
        status = await call("masc_encryption_status")
        assert (status["plain"], "migration" in status) == (0, False)
        assert next(m["content"] for m in (await call("masc_messages", since_seq=1))["messages"]) == "hello"
    assert files_with(tmp_path, "hello", "meanwhile") == []


class Interrupted(Converter):
    """Lets something happen after it has read its first page of ``name``, and before it writes it."""

    def __init__(self, app: MascApp, name: str, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(sealed_driver(app))
        self.waiting = [(name, meanwhile)]

    async def _next(self, progress: Progress) -> Page | None:
        page = await super()._next(progress)
        if page is not None and self.waiting and page.name == self.waiting[0][0]:
            await self.waiting.pop()[1]()
        return page


async def test_what_changes_while_it_is_converted_keeps_the_change(room: MascApp) -> None:
    await room.call("masc_encryption_enable")
    key = Key("foreign", "005")

    async def write() -> None:
        await sealed_driver(room).commit([Version(key, 1)], [Put(key, b'{"n": "newer"}')])

    converter = Interrupted(room, "foreign", write)
    while await converter.step():
        pass
    assert await sealed_driver(room).get([key]) == [Document(key, 2, b'{"n": "newer"}')]
    assert b"" not in await kinds(room)


@pytest.mark.parametrize("name", ["foreign", "messages"])
async def test_a_conversion_that_was_held_up_writes_nothing_outdated(room: MascApp, name: str) -> None:
    """Meanwhile another one has finished, the data key was changed, and the one before is forgotten."""
    before = await opened(room)
    await room.call("masc_encryption_enable")

    async def overtake() -> None:
        await convert(room)
        await local(room, masc_encryption_rotate)
        await convert(room)

    converter = Interrupted(room, name, overtake)
    while await converter.step():
        pass
    assert not converter.waiting
    assert await kinds(room) == {bytes.fromhex((await room.call("masc_encryption_status"))["active_key_id"])}
    assert await opened(room) == before
