"""What a file has and a room has not comes into the room; above all, a reset is taken back."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import orjson
import pytest
from operate_support import STORES, Places, furnish, snapshot

from masc_core.call import Outcome
from masc_core.store.driver import Acquire, Append, Delete, IndexEntry, Key, Put, Remove, Write
from masc_core.store.memory import MemoryDriver
from masc_core.store.sealed import SealedDriver, raw
from masc_core.store.snapshot import Snapshot
from masc_core.testing import ManualClock, MascApp
from masc_core.transfer.errors import ExportInvalid, ImportConflict, RoomNotEmpty
from masc_core.transfer.files import write_file
from masc_core.transfer.operations import Taken, take_in, write_out
from masc_plugin_audit.verifying import verify_room
from masc_plugin_encryption.migration import Converter

KEY = "a1" * 32


async def merged(app: MascApp, file: Path, *, merging: bool = True) -> dict[str, Any]:
    done = await take_in(app.kernel, file, merging=merging)
    assert isinstance(done, Outcome)
    assert done.error is None
    return dict(done.structured)


async def refused(app: MascApp, file: Path) -> Any:
    """The error, after which the room is as before but for the audit log that says so."""
    before = await snapshot(app)
    done = await take_in(app.kernel, file, merging=True)
    assert isinstance(done, Outcome)
    assert without_audit(await snapshot(app)) == without_audit(before)
    return done.error


def without_audit(found: Snapshot) -> Any:
    entries = [e for e in found.entries if e.log != "audit"]
    lasts = {log: last for log, last in found.lasts.items() if log != "audit"}
    return found.fence, found.leases, found.documents, lasts, entries


def living(found: Snapshot) -> dict[Any, Any]:
    """Everything that is there but for versions, the audit log and what the reset said of itself."""
    documents = {d.key: (d.body, d.indexes) for d in found.documents if d.body is not None}
    entries = {e[:2]: e[2:] for e in found.entries if e.log != "audit" and b'"room_reset"' not in e.body}
    return {**documents, **entries}


async def exported(app: MascApp, file: Path) -> Path:
    assert (await write_out(app.kernel, file, compress=False)).error is None
    return file


async def written(path: Path, writes: list[Write]) -> Path:
    """A file with these records, of no room in particular."""
    async with MemoryDriver(ManualClock()) as driver:
        await driver.commit([], writes)
        await driver.commit([], [Delete(Key("foreign", "gone")), Remove("audit", range(1, 51))])
        write_file(path, await driver.dump(), compress=False)
    return path


async def convert(app: MascApp) -> None:
    """Carry a conversion of encryption to its end."""
    driver = app.kernel.start_room.driver
    assert isinstance(driver, SealedDriver)
    converter = Converter(driver)
    while await converter.step():
        pass


async def reset(app: MascApp) -> Path:
    return Path((await app.call("masc_reset", confirm=True))["export_path"])


@pytest.mark.parametrize("store", STORES)
async def test_a_reset_is_taken_back_exactly(store: str, places: Places) -> None:
    async with places.empty(store) as app:
        await furnish(app)
        before, status = await snapshot(app), await app.call("masc_status")
        tallies = await raw(app.kernel.start_room.driver).count("tasks", "status")
        file = await reset(app)
        assert (await app.call("masc_status"))["tasks_by_status"] == {}
        emptied = await snapshot(app)
        done = await merged(app, file, merging=False)
        after = await snapshot(app)
        assert living(after) == living(before)
        assert done["records"] == len(set(living(before)) - set(living(emptied))) > 20
        again = await app.call("masc_status")
        assert again == status
        assert await raw(app.kernel.start_room.driver).count("tasks", "status") == tallies
        assert (after.fence, after.leases) == (emptied.fence, emptied.leases)
        assert all(after.lasts[log] >= last for log, last in emptied.lasts.items())
        versions = {d.key: d.version for d in emptied.documents}
        for document in after.documents:
            gone = versions.get(document.key, 0)
            assert document.version >= gone, document.key
        (revived,) = (d for d in after.documents if d.key == Key("tasks", "task-002"))
        assert revived.version == versions[revived.key] + 1
        assert (await app.call("masc_add_task", "codex", title="next"))["task"]["id"] == "task-008"
        await verify_room(app.kernel.start_room.driver, [], None, lambda _: None)
        audit = [orjson.loads(e.body)["tool"] for e in await app.kernel.start_room.driver.read_log("audit", 0, 1000)]
        assert audit.index("masc_import") > audit.index("masc_reset")


@pytest.mark.parametrize("store", STORES)
async def test_what_was_done_since_stays_beside_it_and_once_more_changes_nothing(store: str, places: Places) -> None:
    async with places.empty(store) as app:
        await furnish(app)
        file = await reset(app)
        await app.call("masc_join", "gemini")
        await app.call("masc_add_task", "gemini", title="made since")
        await app.call("masc_broadcast", "gemini", message="said since")
        before = await snapshot(app)
        with pytest.raises(RoomNotEmpty, match="--merge"):
            await take_in(app.kernel, file)
        assert await snapshot(app) == before
        done = await merged(app, file)
        assert (done["already"], done["backend"]) == (0, store)
        tasks = {task["title"] for task in (await app.call("masc_tasks", "gemini"))["tasks"]}
        assert {"made since", "after", "task 4 Grüße"} <= tasks
        seqs = [m["seq"] for m in (await app.call("masc_messages", "gemini", limit=100))["messages"]]
        assert len(seqs) == len(set(seqs)) > 5
        # What servers note all the time is no conflict.
        seen = b'{"name":"claude","last_seen":"2026-11-21T08:00:00.000Z"}'
        await app.kernel.start_room.driver.commit([], [Put(Key("presence", "claude"), seen)])
        after = await snapshot(app)
        again = await merged(app, file)
        assert (again["records"], again["already"]) == (0, done["records"])
        assert without_audit(await snapshot(app)) == without_audit(after)


@pytest.mark.parametrize("store", STORES)
async def test_records_that_differ_are_named_and_nothing_is_changed(store: str, places: Places, tmp_path: Path) -> None:
    async with places.empty(store) as app:
        await app.call("masc_init")
        driver = app.kernel.start_room.driver
        keys = [Key("foreign", f"{n:02}") for n in range(25)]
        lost = Key("foreign", "lost")
        await driver.commit([], [*(Put(key, b"1") for key in [*keys, lost]), Append("foreign log", b"1")])
        file = await exported(app, tmp_path / "file")
        await driver.commit([], [*(Put(key, b"2") for key in keys), Delete(lost)])
        error = await refused(app, file)
        assert isinstance(error, ImportConflict)
        names = [f"foreign {n:02}" for n in range(20)]
        assert (error.count, list(error.records)) == (25, names)
        assert "foreign 19 and 5 more" in str(error)
        await driver.commit([], [Put(key, b"1") for key in keys])
        assert (await merged(app, file))["records"] == 1


async def test_an_agent_that_came_back_after_the_reset_is_a_conflict(places: Places) -> None:
    async with places.empty("sqlite") as app:
        await furnish(app)
        file = await reset(app)
        await app.call("masc_join", "claude")
        error = await refused(app, file)
        assert error.details["records"] == ("agents claude",)
        second = await reset(app)
        # In the same second, and yet not in the place of the other.
        assert second.parent.name == f"{file.parent.name}-2"
        assert {stat.S_IMODE(p.stat().st_mode) for p in (second.parent, second.parent.parent)} == {0o700}
        assert (await merged(app, file, merging=False))["records"] > 20


async def test_an_entry_under_a_number_that_is_taken_is_a_conflict(places: Places, tmp_path: Path) -> None:
    writes: list[Write] = [Append("foreign log", b"1"), Append("foreign log", b"2"), Append("foreign log", b"3")]
    file = await written(tmp_path / "file", writes)
    async with places.empty("sqlite") as app:
        await app.call("masc_init")
        driver = app.kernel.start_room.driver
        await driver.commit([], [Append("foreign log", b"1"), Append("foreign log", b"other")])
        error = await refused(app, file)
        assert error.details["records"] == ("foreign log 2",)


@pytest.mark.parametrize("store", STORES)
async def test_numbers_only_grow_and_what_survives_a_reset_is_the_rooms_own(
    store: str, places: Places, tmp_path: Path
) -> None:
    index = (IndexEntry("by", "v", "g"),)
    mode = b'{"agent":"claude","mode":"full"}'
    writes: list[Write] = [
        Put(Key("foreign", "a"), b'{"x":1}', index),
        Put(Key("agent_modes", "claude"), mode),
        Put(Key("counters", "task"), b'{"name":"task","last":40}'),
        *(Append("foreign log", b"%d" % n, index) for n in range(3)),
        *(Append("audit", b"%d" % n) for n in range(50)),
        Put(Key("foreign", "gone"), b"1"),
        Acquire("theirs", "them", 1000),
    ]
    file = await written(tmp_path / "file", writes)
    async with places.empty(store) as app:
        await app.call("masc_init")
        await app.call("masc_add_task", "claude", title="one")
        own: list[Write] = [Put(Key("foreign", "gone"), b"here"), Append("foreign log", b"0", index)]
        await app.kernel.start_room.driver.commit([], own)
        before = await snapshot(app)
        done = await merged(app, file)
        assert (done["records"], done["already"]) == (3, 1)
        assert await app.kernel.start_room.driver.get([Key("foreign", "gone")]) != [None]
        after = await snapshot(app)
        assert after.leases == before.leases
        assert after.fence == max(before.fence, 1)
        collections = {d.key.collection for d in after.documents}
        assert "agent_modes" not in collections
        driver = raw(app.kernel.start_room.driver)
        assert await driver.count("foreign", "by") == await driver.count("foreign log", "by") | {"g": 1}
        assert await driver.count("foreign log", "by") == {"g": 3}
        assert (await app.call("masc_add_task", "claude", title="two"))["task"]["id"] == "task-041"
        committed = await driver.commit([], [Append("foreign log", b"4")])
        assert committed.appended == (4,)
        await verify_room(app.kernel.start_room.driver, [], None, lambda _: None)


async def test_only_a_rooms_own_export_comes_back_unasked(places: Places, tmp_path: Path) -> None:
    async with places.empty("sqlite") as other:
        await furnish(other)
        foreign = await reset(other)
    async with places.empty("sqlite") as app:
        await app.call("masc_init")
        bare = await exported(app, tmp_path / "bare")
        with pytest.raises(RoomNotEmpty):
            await take_in(app.kernel, bare)
        await furnish(app)
        early = await exported(app, tmp_path / "early")
        await reset(app)
        driver = app.kernel.start_room.driver
        new = Key("archive", "task:new")
        await driver.commit([], [Put(new, b"{}")])
        with pytest.raises(RoomNotEmpty):
            await take_in(app.kernel, early)
        (number,) = (await driver.commit([], [Delete(new), Append("messages", b"{}")])).appended
        with pytest.raises(RoomNotEmpty):
            await take_in(app.kernel, early)
        await driver.commit([], [Remove("messages", [number])])
        with pytest.raises(RoomNotEmpty):
            await take_in(app.kernel, foreign)
        assert (await merged(app, early, merging=False))["records"] > 20


async def test_into_an_empty_room_merging_is_importing(places: Places, tmp_path: Path) -> None:
    async with places.empty("memory") as app:
        await furnish(app)
        file = await exported(app, tmp_path / "file")
    async with places.empty("sqlite") as app:
        taken = await take_in(app.kernel, file, merging=True)
        assert isinstance(taken, Taken)
        assert (await exported(app, tmp_path / "again")).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("store", ["sqlite", "postgres", "redis"])
async def test_an_encrypted_room_takes_back_what_its_own_keys_sealed(
    store: str, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", KEY)
    async with places.empty(store) as app:
        await app.call("masc_init")
        plain = await exported(app, tmp_path / "plain")
        await app.call("masc_encryption_enable")
        assert (await refused(app, plain)).code == "import_refused"
        await convert(app)
        await app.call("masc_join", "claude")
        await app.call("masc_broadcast", "claude", message="a secret word")
        driver = app.kernel.start_room.driver
        await driver.commit([], [Put(Key("foreign", "a"), b'{"x":1}')])
        shown = await app.call("masc_messages", "claude")
        file = await reset(app)
        assert b"secret word" not in file.read_bytes()
        done = await merged(app, file, merging=False)
        assert done["sealed"] is True
        assert await app.call("masc_messages", "claude") == shown
        assert not any(b"secret word" in e.body for e in (await snapshot(app)).entries)
        # Sealed anew it has other bytes, and says the same.
        await driver.commit([], [Put(Key("foreign", "a"), b'{"x":1}')])
        again = await merged(app, file)
        assert (again["records"], again["already"]) == (0, done["records"] + 1)
        error = await refused(app, plain)
        assert error.code == "import_refused"
    async with places.empty(store) as app:
        await app.call("masc_init")
        assert (await refused(app, file)).code == "import_refused"
        await app.call("masc_encryption_enable")
        await convert(app)
        assert (await refused(app, file)).code == "import_refused"


async def test_a_file_that_is_not_right_is_refused_before_anything(places: Places) -> None:
    async with places.empty("sqlite") as app:
        await furnish(app)
        file = await reset(app)
        file.write_bytes(file.read_bytes().replace(b"Gr\xc3\xbc\xc3\x9fe", b"Gruesse", 1))
        before = await snapshot(app)
        with pytest.raises(ExportInvalid):
            await take_in(app.kernel, file, merging=True)
        assert await snapshot(app) == before
