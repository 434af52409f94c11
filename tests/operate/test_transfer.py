"""A room goes from store to store and comes back as it was."""

from __future__ import annotations

import gzip
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from operate_support import STORES, Places, furnish, snapshot

from masc_core.plugins import Registry
from masc_core.store.driver import Acquire, Append, Delete, IndexEntry, Key, Put, Remove, Write
from masc_core.store.memory import MemoryDriver
from masc_core.store.sealed import raw
from masc_core.store.snapshot import Snapshot, StoredDocument
from masc_core.testing import ManualClock, MascApp
from masc_core.transfer.errors import ExportFileUnusable, ExportInvalid, RestoreRefused, RoomNotEmpty
from masc_core.transfer.files import read_file, write_file
from masc_core.transfer.lines import encode
from masc_core.transfer.operations import Taken, restore, take_in, write_out
from masc_core.transfer.parsing import Broken, parse
from masc_plugin_audit.verifying import verify_room

KEY = "a1" * 32


async def exported(app: MascApp, file: Path, *, compress: bool = False) -> Path:
    outcome = await write_out(app.kernel, file, compress=compress)
    assert outcome.error is None
    return file


@pytest.mark.parametrize("source", STORES)
async def test_a_room_is_the_same_on_every_store_and_goes_on(source: str, places: Places, tmp_path: Path) -> None:
    """export(import(export(x))) == export(x), byte for byte, and ids, numbers, versions and fences go on."""
    async with places.empty(source) as app:
        await furnish(app)
        status = await app.call("masc_status")
        first = (await exported(app, tmp_path / "first")).read_bytes()
        fence = (await snapshot(app)).fence
    for target in STORES:
        async with places.empty(target) as app:
            taken = await take_in(app.kernel, tmp_path / "first")
            assert isinstance(taken, Taken)
            assert (taken.backend, taken.sealed) == (target, False)
            second = (await exported(app, tmp_path / f"second-{target}")).read_bytes()
            assert second == first
            now = await app.call("masc_status")
            assert {**now, "path": "", "backend": ""} == {**status, "path": "", "backend": ""}
            verified = await verify_room(app.kernel.start_room.driver, [], None, lambda _: None)
            assert verified.warnings == []
            task = (await app.call("masc_add_task", "codex", title="next"))["task"]
            assert task["id"] == "task-008"
            leased = await raw(app.kernel.start_room.driver).commit([], [Acquire("new", "me", 1)])
            assert leased.leases[0].fence == fence + 1 > 1
            archived = await app.call("masc_archive_view")
            assert "task-001" in orjson.dumps(archived).decode()
            await verify_room(app.kernel.start_room.driver, [], None, lambda _: None)


@pytest.mark.parametrize("source", ["sqlite", "redis"])
async def test_an_encrypted_room_stays_so_in_its_export(
    source: str, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", KEY)
    async with places.empty(source) as app:
        await app.call("masc_init")
        await app.call("masc_encryption_enable")
        await app.call("masc_join", "claude")
        await app.call("masc_broadcast", "claude", message="a secret word")
        shown = await app.call("masc_messages", "claude")
        await exported(app, tmp_path / "export")
        await exported(app, tmp_path / "backup", compress=True)
    plain, packed = (tmp_path / "export").read_bytes(), (tmp_path / "backup").read_bytes()
    assert gzip.decompress(packed) != packed
    for content in (plain, gzip.decompress(packed)):
        assert b"secret word" not in content
        assert b'"_sealed":1' in content
    for target in ("postgres", "redis", "sqlite"):
        async with places.empty(target) as app:
            taken = await take_in(app.kernel, tmp_path / "export")
            assert isinstance(taken, Taken)
            assert (taken.sealed, taken.key_source) == (True, "env")
            assert await app.call("masc_messages", "claude") == shown
            again = (await exported(app, tmp_path / f"again-{target}")).read_bytes()
            assert again == plain


# --- files


async def test_a_file_is_private_whole_and_never_in_the_place_of_another(places: Places, tmp_path: Path) -> None:
    async with places.empty("sqlite") as app:
        await app.call("masc_init")
        old = os.umask(0)
        try:
            file = await exported(app, tmp_path / "file")
        finally:
            os.umask(old)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        content = file.read_bytes()
        refused = await write_out(app.kernel, file, compress=False)
        assert refused.error is not None
        assert refused.error.code == "export_file_unusable"
        assert file.read_bytes() == content
        nowhere = await write_out(app.kernel, tmp_path / "no" / "where", compress=False)
        assert nowhere.error is not None
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == ["file"]


async def test_writing_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with MemoryDriver(ManualClock()) as driver:
        found = await driver.dump()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExportFileUnusable, match="No space"):
        write_file(tmp_path / "file", found, compress=False)
    assert list(tmp_path.iterdir()) == []


async def test_an_export_by_a_person_is_in_the_audit_log_but_not_in_the_file(places: Places, tmp_path: Path) -> None:
    async with places.empty("sqlite") as app:
        await app.call("masc_init")
        await exported(app, tmp_path / "file")
        last = orjson.loads((await app.kernel.start_room.driver.read_log("audit", reverse=True))[0].body)
        assert (last["tool"], last["outcome"]) == ("masc_export", "ok")
        assert b'"masc_export","' not in (tmp_path / "file").read_bytes()


# --- what is refused


@pytest.mark.parametrize("target", STORES)
async def test_a_room_that_is_not_empty_is_left_alone(target: str, places: Places, tmp_path: Path) -> None:
    async with places.empty("memory") as app:
        await furnish(app)
        await exported(app, tmp_path / "file")
    async with places.empty(target) as app:
        await app.call("masc_init")
        before = await snapshot(app)
        with pytest.raises(RoomNotEmpty):
            await take_in(app.kernel, tmp_path / "file")
        assert await snapshot(app) == before


def replaced(number: int, old: bytes, new: bytes) -> Callable[[list[bytes]], list[bytes]]:
    def change(found: list[bytes]) -> list[bytes]:
        assert old in found[number], found[number]
        return [*found[:number], found[number].replace(old, new, 1), *found[number + 1 :]]

    return change


ROOM: list[Write] = [
    Put(Key("foreign", "a"), b'{"x":1}', (IndexEntry("by", "v", "g"),)),
    Put(Key("foreign", "b"), b"\xff"),
    Put(Key("foreign", "c"), b"1"),
    Delete(Key("foreign", "c")),
    Put(Key("presence", "claude"), b'{"name":"claude","last_seen":"2026-11-21T08:00:00.000Z"}'),
    Append("foreign log", b"1"),
    Append("foreign log", b"2"),
    Remove("foreign log", (1,)),
    Acquire("held", "me", 1000),
]
"""Lines: 0 header, 1 lease, 2–5 documents, 6 entry, 7 end."""
HOSTILE: dict[str, tuple[int, Callable[[list[bytes]], list[bytes]]]] = {
    "nothing": (1, lambda _: []),
    "no JSON": (1, lambda _: [b"\x00\x01"]),
    "foreign JSON": (1, lambda _: [b'{"rooms":[]}\n']),
    "a newer format": (1, replaced(0, b'"masc_export":1', b'"masc_export":2')),
    "cut off": (8, lambda found: found[:-1]),
    "half a line": (8, lambda found: [*found[:-1], found[-1][:20]]),
    "no last line break": (8, lambda found: [*found[:-1], found[-1].strip()]),
    "something after the end": (9, lambda found: [*found, found[1]]),
    "a line left out": (7, lambda found: [*found[:3], *found[4:]]),
    "a line twice": (4, lambda found: [*found[:3], found[2], *found[3:]]),
    "another digest": (8, replaced(7, b'"sha256":"', b'"sha256":"0')),
    "an altered body": (8, replaced(2, b'{"x":1}', b'{"x":2}')),
    "an unknown field": (3, replaced(2, b'"version"', b'"path":"/etc","version"')),
    "no version": (3, replaced(2, b'"version":1', b'"version":0')),
    "a version that is none": (3, replaced(2, b'"version":1', b'"version":1.5')),
    "a version beyond": (3, replaced(2, b'"version":1', b'"version":99999999999999999')),
    "a key too long": (3, replaced(2, b'"key":"a"', b'"key":"' + b"a" * 600 + b'"')),
    "a key that is none": (3, replaced(2, b'"key":"a"', b'"key":7')),
    "an index of anything": (3, replaced(2, b'[["by","v","g"]]', b'[["by",1]]')),
    "an index without value": (3, replaced(2, b'[["by","v","g"]]', b'[["by"]]')),
    "bad base64": (4, replaced(3, b'"body":"', b'"body":"*')),
    "body and record": (4, replaced(3, b'"body"', b'"record":1,"body"')),
    "a forged seal": (3, replaced(2, b'{"x":1}', b'{"_sealed":1,"kid":"00","nonce":"","ct":""}')),
    "a body too large": (3, replaced(2, b'{"x":1}', b'"' + b"x" * 1_100_000 + b'"')),
    "a deleted one with a body": (5, replaced(4, b'"deleted":true', b'"deleted":true,"record":1')),
    "a record of the wrong shape": (6, replaced(5, b'"last_seen":', b'"seen":')),
    "a record under another key": (6, replaced(5, b'"key":"claude"', b'"key":"codex"')),
    "a collection that is a log": (6, replaced(5, b'"collection":"presence"', b'"collection":"messages"')),
    "a number never given out": (7, replaced(6, b'"seq":2', b'"seq":3')),
    "an entry of no log": (7, replaced(6, b'"foreign log"', b'"other log"')),
    "a lease from beyond": (2, replaced(1, b'"fence":1', b'"fence":2')),
    "a lease without end": (
        2,
        lambda found: [found[0], re.sub(rb'"expires_at":[^}]+', b'"expires_at":"inf"', found[1])],
    ),
    "a lease for longer than there are years": (
        2,
        lambda found: [found[0], re.sub(rb'"expires_at":[^}]+', b'"expires_at":1e300', found[1])],
    ),
    "one that is deleted and is not": (5, replaced(4, b'"deleted":true', b'"deleted":false')),
    "nesting without end": (3, replaced(2, b'{"x":1}', b"[" * 100_000 + b"]" * 100_000)),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_what_is_not_right_is_refused_with_its_line(
    case: str, places: Places, tmp_path: Path, registry: Registry
) -> None:
    async with MemoryDriver(ManualClock()) as driver:
        await driver.commit([], ROOM)
        good = list(encode(await driver.dump()))
    assert len(good) == 8
    parse(good, registry.records)
    line, change = HOSTILE[case]
    file = tmp_path / "hostile"
    async with places.empty("sqlite") as app:
        for content in (b"".join(change(good)), gzip.compress(b"".join(change(good)))):
            file.write_bytes(content)
            with pytest.raises(ExportInvalid) as caught:
                await take_in(app.kernel, file)
            assert caught.value.details["line"] == line, caught.value
        assert not (app.path / ".masc").exists()


async def test_a_damaged_or_endless_compressed_file_is_refused(tmp_path: Path, registry: Registry) -> None:
    async with MemoryDriver(ManualClock()) as driver:
        await driver.commit([], ROOM)
        packed = gzip.compress(b"".join(encode(await driver.dump())))
    file = tmp_path / "file"
    for content in (packed[:-9], packed[:40], packed[:60] + b"\0\0" + packed[62:], b"\x1f\x8b"):
        file.write_bytes(content)
        with pytest.raises((ExportFileUnusable, ExportInvalid)):
            read_file(file, registry.records)
    for place in range(10, len(packed)):  # behind gzip's own header, of which some bytes mean nothing
        file.write_bytes(packed[:place] + bytes((packed[place] ^ 0xFF,)) + packed[place + 1 :])
        with pytest.raises((ExportFileUnusable, ExportInvalid)):
            read_file(file, registry.records)
    file.write_bytes(gzip.compress(b"0" * 40_000_000))
    with pytest.raises(ExportInvalid, match="bytes long"):
        read_file(file, registry.records)


async def test_a_small_file_that_unpacks_to_a_huge_room_is_refused_unless_somebody_unpacks_it(
    tmp_path: Path, registry: Registry
) -> None:
    documents = [StoredDocument(Key("foreign", f"{n:02}"), 1, b'"' + b"x" * 1_000_000 + b'"') for n in range(70)]
    write_file(tmp_path / "packed", Snapshot(documents=documents), compress=True)
    with pytest.raises(ExportInvalid, match="gunzip") as caught:
        read_file(tmp_path / "packed", registry.records)
    assert 1 < caught.value.details["line"] < 70
    write_file(tmp_path / "plain", Snapshot(documents=documents), compress=False)
    assert read_file(tmp_path / "plain", registry.records).documents == documents


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
BODY = st.one_of(
    st.binary(max_size=20),
    st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | TEXT, st.lists, max_leaves=4).map(
        orjson.dumps
    ),
    st.just(b'{"_sealed":1}'),
    st.just(b"\xffMASC\x01"),
)
INDEX = st.lists(st.builds(IndexEntry, TEXT, TEXT, TEXT), max_size=3)


@given(
    st.lists(st.builds(Put, st.builds(Key, TEXT, TEXT), BODY, INDEX) | st.builds(Append, TEXT, BODY, INDEX), max_size=9)
)
async def test_whatever_is_stored_comes_back_byte_for_byte(writes: list[Any]) -> None:
    async with MemoryDriver(ManualClock()) as driver:
        await driver.commit([], writes)
        found = await driver.dump()
    assert parse(encode(found), ()) == found


@given(st.binary(max_size=60), st.integers(0, 7), st.integers(0, 200))
async def test_no_damage_goes_unnoticed(junk: bytes, line: int, place: int) -> None:
    async with MemoryDriver(ManualClock()) as driver:
        await driver.commit([], ROOM)
        good = list(encode(await driver.dump()))
    cut = min(place, len(good[line]))
    damaged = [*good[:line], good[line][:cut] + junk + good[line][cut + len(junk) :], *good[line + 1 :]]
    text = b"".join(damaged)
    if text == b"".join(good):
        return
    with pytest.raises(Broken):
        parse(text.splitlines(keepends=True) or [b""], ())


# --- going back


@pytest.mark.parametrize("store", STORES)
async def test_a_backup_put_back_gives_out_nothing_again(store: str, places: Places, tmp_path: Path) -> None:
    async with places.empty(store) as app:
        await furnish(app)
        backup = await exported(app, tmp_path / "backup", compress=True)
        before = await app.call("masc_status")
        then = await snapshot(app)
        task = (await app.call("masc_add_task", "codex", title="made since"))["task"]["id"]
        await app.call("masc_broadcast", "codex", message="said since")
        await app.call("masc_claim", "codex", task_id="task-004")
        lost = (await app.call("masc_messages", "codex", limit=1))["messages"][-1]["seq"]
        now = await snapshot(app)
        outcome = await restore(app.kernel, backup)
        assert getattr(outcome, "error", None) is None
        after = await app.call("masc_status")
        same = ("agents_total", "tasks_by_status", "locks")
        assert {k: after[k] for k in same} == {k: before[k] for k in same}
        assert (await app.error("masc_claim", "codex", task_id=task))["code"] == "task_not_found"
        found = await snapshot(app)
        versions = {d.key: (d.version, d.body) for d in now.documents}
        for document in found.documents:
            old = versions.get(document.key)
            if old is not None and old[1] != document.body:
                assert document.version >= old[0] + (document.body is not None), document.key
        assert found.fence == now.fence > 0
        assert len([e for e in found.entries if e.log == "messages"]) == len(
            [e for e in then.entries if e.log == "messages"]
        )
        assert (await app.call("masc_add_task", "codex", title="next"))["task"]["id"] > task
        await app.call("masc_broadcast", "codex", message="next")
        assert (await app.call("masc_messages", "codex", limit=1))["messages"][-1]["seq"] > lost
        await verify_room(app.kernel.start_room.driver, [], None, lambda _: None)
        audit = [orjson.loads(e.body)["tool"] for e in await app.kernel.start_room.driver.read_log("audit", 0, 1000)]
        assert "masc_restore" in audit
        assert audit.index("masc_restore") > len([e for e in then.entries if e.log == "audit"])


async def test_who_read_before_a_restore_does_not_write_over_it(places: Places, tmp_path: Path) -> None:
    """A unit of work that read a record at a version finds a conflict, not another record at the same version."""
    from masc_core.store.driver import Conflict, Version

    async with places.empty("sqlite") as app:
        await furnish(app)
        backup = await exported(app, tmp_path / "backup")
        await app.call("masc_claim", "codex", task_id="task-004")
        driver = app.kernel.start_room.driver
        (read,) = await driver.get([Key("tasks", "task-004")])
        assert read is not None
        await restore(app.kernel, backup)
        with pytest.raises(Conflict):
            await driver.commit([Version(read.key, read.version)], [Put(read.key, read.body)])


async def test_a_backup_of_another_room_or_other_keys_is_refused(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", KEY)
    async with places.empty("sqlite") as other:
        await other.call("masc_init")
        foreign = await exported(other, tmp_path / "foreign")
    async with places.empty("sqlite") as app:
        await furnish(app)
        plain = await exported(app, tmp_path / "plain")
        before = await snapshot(app)
        outcome = await restore(app.kernel, foreign)
        error = getattr(outcome, "error", None)
        assert isinstance(error, RestoreRefused)
        assert error.details == {"reason": "foreign"}
        await app.call("masc_encryption_enable")
        outcome = await restore(app.kernel, plain)
        error = getattr(outcome, "error", None)
        assert isinstance(error, RestoreRefused)
        assert error.details == {"reason": "encryption"}
        after = await snapshot(app)
        assert [d for d in after.documents if d.key.collection == "tasks"] == [
            d for d in before.documents if d.key.collection == "tasks"
        ]
