"""The four tools, on each store: what they change, say and refuse, and that no key gets anywhere."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from room_support import KEY, OTHER, convert, files_with, inner, masc, sealed_driver

from masc_core.errors import StorageBusy
from masc_core.identity import Client
from masc_core.plugins import Registry
from masc_core.store.driver import Put, Scan
from masc_core.store.envelope import is_sealed
from masc_core.store.sealing import STATE_KEY
from masc_core.testing.app import MascApp, masc_app
from masc_plugin_encryption.errors import EncryptionKeyMissing, EncryptionKeyWrong


@pytest.fixture
async def room(masc: MascApp) -> MascApp:
    """A room with an agent in it, and no key anywhere."""
    os.environ.pop("MASC_ENCRYPTION_KEY", None)
    await masc.call("masc_join", "claude")
    return masc


@pytest.fixture
async def on(room: MascApp, monkeypatch: pytest.MonkeyPatch) -> MascApp:
    """The same room, encrypted with the key in the environment."""
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", KEY)
    await room.call("masc_encryption_enable")
    await convert(room)
    return room


async def events(app: MascApp) -> list[dict[str, Any]]:
    entries = await sealed_driver(app).read_log("events", limit=1000)
    return [e for e in (orjson.loads(entry.body) for entry in entries) if e["type"] == "encryption_changed"]


async def test_status_of_a_room_that_was_never_encrypted(room: MascApp, monkeypatch: pytest.MonkeyPatch) -> None:
    status = await room.call("masc_encryption_status")
    plain = status.pop("plain")
    assert plain > 0
    assert status == {"state": "off", "key_available": False, "key_ids": [], "envelope_version": 1, "sealed": 0}
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", KEY)
    assert (await room.call("masc_encryption_status"))["key_available"]


async def test_the_tools_need_a_room(tmp_path: Path, registry: Registry) -> None:
    async with masc_app(tmp_path / "none", backend="sqlite", registry=registry) as app:
        assert (await app.error("masc_encryption_status"))["code"] == "not_initialised"
        assert (await app.error("masc_generate_key"))["code"] == "not_initialised"


async def test_enabling_says_what_was_done_and_doing_it_again_changes_nothing(on: MascApp) -> None:
    status = await on.call("masc_encryption_status")
    assert status["state"] == "on"
    assert status["key_source"] == "env"
    assert status["key_available"]
    assert status["key_ids"] == [status["active_key_id"]]
    assert len(status["active_key_id"]) == 16
    assert (status["plain"], status["envelope_version"]) == (0, 1)
    before = await inner(on).get([STATE_KEY])
    again = await on.call("masc_encryption_enable")
    assert again == {"state": "on", "key_source": "env", "active_key_id": status["active_key_id"], "changed": False}
    assert await inner(on).get([STATE_KEY]) == before
    assert [(e["data"]["old"], e["data"]["new"]) for e in await events(on)] == [
        ("off", "converting"),
        ("converting", "on"),
    ]


@pytest.mark.parametrize("source", ["env", "passphrase", "file:gone", "file:/no/such/file"])
async def test_a_source_with_nothing_changes_nothing(room: MascApp, source: str) -> None:
    error = await room.error("masc_encryption_enable", key_source=source)
    assert error["code"] == "encryption_key_missing"
    assert error["details"]["source"]
    assert (await room.call("masc_encryption_status"))["state"] == "off"
    assert await inner(room).get([STATE_KEY]) == [None]


@pytest.mark.parametrize("source", ["", "ENV", "vault", "file:", "env ", "env\n", "generate\n", 7, ["env"]])
async def test_an_unknown_source_is_refused(room: MascApp, source: Any) -> None:
    error = await room.error("masc_encryption_enable", key_source=source)
    assert (error["code"], error["details"]["field"]) == ("invalid_argument", "key_source")
    assert await inner(room).get([STATE_KEY]) == [None]


async def test_null_is_absent_and_deliver_is_checked(room: MascApp) -> None:
    assert (await room.error("masc_encryption_enable", key_source=None))["code"] == "encryption_key_missing"
    for tool in ("masc_encryption_enable", "masc_generate_key"):
        assert (await room.error(tool, deliver="mail"))["code"] == "invalid_argument"
    assert (await room.error("masc_generate_key", output="raw"))["code"] == "invalid_argument"


async def test_a_relative_file_is_relative_to_the_project_and_stored_whole(room: MascApp) -> None:
    (room.path / "key").write_text(KEY)
    error = await room.error("masc_encryption_enable", key_source="file:key")
    assert error["code"] == "encryption_key_invalid"
    assert error["details"]["source"] == str(room.path / "key")
    (room.path / "key").chmod(0o600)
    assert (await room.call("masc_encryption_enable", key_source="file:key"))[
        "key_source"
    ] == f"file:{room.path / 'key'}"


async def test_a_generated_key_goes_into_a_file_of_the_owners(room: MascApp, tmp_path: Path) -> None:
    result = await room.call("masc_encryption_enable", key_source="generate")
    path = Path(result["key_path"])
    assert "key" not in result
    assert [w["code"] for w in result["warnings"]] == ["key_needed"]
    assert path.parent == tmp_path / ".masc" / "secrets"
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    key = path.read_text().strip()
    assert len(bytes.fromhex(key)) == 32
    assert (result["key_source"], result["state"]) == ("env", "converting")
    await convert(room)
    assert (await room.call("masc_broadcast", "claude", message="still here"))["seq"]
    assert files_with(tmp_path, key) == []
    assert key not in json.dumps(await events(room))


async def test_a_key_whose_change_fails_is_taken_back(room: MascApp, monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(*_: object) -> None:
        raise StorageBusy()

    monkeypatch.setattr(inner(room), "commit", busy)
    assert (await room.error("masc_encryption_enable", key_source="generate"))["code"] == "storage_busy"
    monkeypatch.undo()
    assert list((room.path / ".masc" / "secrets").iterdir()) == []
    assert (await room.call("masc_encryption_status"))["state"] == "off"


async def test_the_next_start_needs_the_generated_key(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with masc_app(tmp_path, backend="sqlite", registry=registry) as app:
        await app.call("masc_join", "claude")
        result = await app.call("masc_encryption_enable", key_source="generate", deliver="result")
        key = result["key"]
        assert "key_path" not in result
        assert not (tmp_path / ".masc" / "secrets").exists()
        assert key not in json.dumps(await app.call("masc_encryption_status"))
        assert await app.call("masc_who")
    with pytest.raises(EncryptionKeyMissing):
        async with masc_app(tmp_path, backend="sqlite", registry=registry):
            pass
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", OTHER)
    with pytest.raises(EncryptionKeyWrong):
        async with masc_app(tmp_path, backend="sqlite", registry=registry):
            pass
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", key)
    async with masc_app(tmp_path, backend="sqlite", registry=registry) as app:
        assert await app.call("masc_who")


async def test_clients_on_other_machines_get_the_key_in_the_result(room: MascApp) -> None:
    client = Client("http", "10.0.0.7", remote=True, selection=room.client().selection)
    here = (await room.outcome("masc_generate_key")).structured
    there = (await room.outcome("masc_generate_key", client)).structured
    asked = (await room.outcome("masc_generate_key", client, deliver="file")).structured
    assert ("key" in here, "key" in there, "key" in asked) == (False, True, False)


async def test_generated_keys_are_well_formed_and_kept_nowhere(room: MascApp, tmp_path: Path) -> None:
    first = await room.call("masc_generate_key", deliver="result")
    second = await room.call("masc_generate_key", output="base64", deliver="result")
    assert (first["output"], len(bytes.fromhex(first["key"]))) == ("hex", 32)
    assert (second["output"], len(base64.b64decode(second["key"]))) == ("base64", 32)
    delivered = [Path((await room.call("masc_generate_key"))["key_path"]) for _ in range(3)]
    assert [path.name for path in delivered] == ["key-hex", "key-hex-2", "key-hex-3"]
    assert len({path.read_text() for path in delivered}) == 3
    assert files_with(tmp_path, first["key"], second["key"], *(path.read_text().strip() for path in delivered)) == []
    for document in await inner(room).scan(Scan("counters")):
        assert first["key"].encode() not in document.body


async def test_a_new_master_key_rewraps_and_rewrites_no_record(on: MascApp, monkeypatch: pytest.MonkeyPatch) -> None:
    await on.call("masc_broadcast", "claude", message="hello")
    bodies = [e.body for e in await inner(on).read_log("messages")]
    before = await on.call("masc_encryption_status")
    result = await on.call("masc_encryption_enable", key_source="generate", deliver="result")
    assert (result["changed"], result["state"], "migration" in result) == (True, "on", False)
    assert result["active_key_id"] == before["active_key_id"]
    assert [e.body for e in await inner(on).read_log("messages")] == bodies
    assert (await on.call("masc_messages", "claude", since_seq=1))["messages"][0]["content"] == "hello"
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", result["key"])
    assert not (await on.call("masc_encryption_enable"))["changed"]


async def test_a_second_generated_key_that_fails_leaves_the_first_in_use(
    room: MascApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    await room.call("masc_encryption_enable", key_source="generate")
    await convert(room)
    commit = inner(room).commit

    async def busy(checks: Any, writes: Any) -> Any:
        if any(isinstance(write, Put) and write.key == STATE_KEY for write in writes):
            raise StorageBusy()
        return await commit(checks, writes)

    monkeypatch.setattr(inner(room), "commit", busy)
    assert (await room.error("masc_encryption_enable", key_source="generate"))["code"] == "storage_busy"
    monkeypatch.undo()
    assert (await room.call("masc_encryption_disable"))["changed"]
    assert await room.call("masc_who")


async def test_a_passphrase_opens_the_room_again(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASC_ENCRYPTION_PASSPHRASE", "correct horse battery")
    async with masc_app(tmp_path, backend="sqlite", registry=registry) as app:
        await app.call("masc_join", "claude")
        assert (await app.call("masc_encryption_enable", key_source="passphrase"))["changed"]
        assert not (await app.call("masc_encryption_enable", key_source="passphrase"))["changed"]
        await convert(app)
    async with masc_app(tmp_path, backend="sqlite", registry=registry) as app:
        assert (await app.call("masc_encryption_status"))["key_source"] == "passphrase"
    monkeypatch.setenv("MASC_ENCRYPTION_PASSPHRASE", "incorrect horse battery")
    with pytest.raises(EncryptionKeyWrong, match="MASC_ENCRYPTION_PASSPHRASE"):
        async with masc_app(tmp_path, backend="sqlite", registry=registry):
            pass
    assert files_with(tmp_path, "horse") == []


async def test_switching_on_again_after_off_needs_the_key_of_what_is_sealed(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", KEY)
    async with masc_app(tmp_path, backend="sqlite", registry=registry) as app:
        await app.call("masc_join", "claude")
        first = await app.call("masc_encryption_enable")
        await convert(app)
        await app.call("masc_encryption_disable")
        again = await app.call("masc_encryption_enable")
        assert (again["changed"], again["active_key_id"]) == (True, first["active_key_id"])
        await convert(app)
        assert (await app.call("masc_encryption_status"))["plain"] == 0
        await app.call("masc_encryption_disable")
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", OTHER)
    async with masc_app(tmp_path, backend="sqlite", registry=registry) as app:  # off: the start needs no key
        error = await app.error("masc_encryption_status")  # but the room's own record is still sealed
        assert (error["code"], error["details"]["reason"]) == ("record_unreadable", "no_key")
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o600)


async def test_a_running_process_without_the_key_says_so_and_one_with_it_goes_on(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its key is a wrong one. Nothing it is asked to write is written."""
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", KEY)
    async with (
        masc_app(tmp_path, backend="sqlite", registry=registry) as one,
        masc_app(tmp_path, backend="sqlite", registry=registry) as two,
        masc_app(tmp_path, backend="sqlite", registry=registry) as three,
    ):
        for app, name in ((one, "one"), (two, "two"), (three, "three")):
            await app.call("masc_join", name)
        from masc_plugin_encryption.locksmith import Locksmith

        sealed_driver(two).unlock = Locksmith({})
        sealed_driver(three).unlock = Locksmith({"MASC_ENCRYPTION_KEY": OTHER})
        await one.call("masc_encryption_enable")
        for app, name in ((two, "two"), (three, "three")):
            for tool, arguments in (("masc_status", {}), ("masc_who", {}), ("masc_broadcast", {"message": "x"})):
                error = await app.error(tool, name, **arguments)
                assert error["code"] == "encryption_key_missing", tool
                assert error["details"] == {"source": "MASC_ENCRYPTION_KEY"}
        await convert(one)
        assert all(is_sealed(e.body) for e in await inner(one).read_log("messages"))
        assert (await one.call("masc_broadcast", "one", message="goes on"))["seq"]


async def test_an_export_of_a_sealed_room_stays_sealed(on: MascApp, tmp_path: Path) -> None:
    """Bodies as envelopes, with the wrapped keys that open them; and the room is encrypted after the reset too."""
    await on.call("masc_broadcast", "claude", message="the secretword")
    result = await on.call("masc_reset", confirm=True)
    lines = [orjson.loads(line) for line in Path(result["export_path"]).read_bytes().splitlines()]
    records = [line for line in lines if "record" in line and not str(line.get("collection")).startswith("encryption")]
    assert len(records) > 3
    for line in records:
        envelope = line["record"]
        assert sorted(envelope) == ["_sealed", "ct", "kid", "nonce"]
        assert envelope["_sealed"] == 1
        assert len(base64.b64decode(envelope["nonce"])) == 12
        assert len(bytes.fromhex(envelope["kid"])) == 8
    (state,) = [line["record"] for line in lines if line.get("collection") == "encryption"]
    assert state["active"] == records[0]["record"]["kid"]
    assert b"secretword" not in Path(result["export_path"]).read_bytes()
    assert (await on.call("masc_encryption_status"))["state"] == "on"


def test_the_commands_show_convert_and_refuse(tmp_path: Path) -> None:
    room = tmp_path / "project"
    room.mkdir()
    assert masc(room, "encryption", "status").status == 1
    assert masc(room, "call", "masc_init").status == 0
    shown = masc(room, "encryption", "status", "--project", str(room))
    assert (shown.status, shown.out.splitlines()[0]) == (0, "encryption off")
    refused = masc(room, "encryption", "rotate", "--json", key=KEY)
    assert (refused.status, refused.json["error"]["code"]) == (1, "invalid_argument")
    refused = masc(room, "encryption", "migrate")
    assert refused.status == 1
    assert refused.err.startswith("encryption_key_missing: ")
    done = masc(room, "encryption", "migrate", "--to", "plain", "--json", key=KEY)
    assert (done.status, done.json["state"]) == (0, "off")
    done = masc(room, "encryption", "migrate", "--json", key=KEY)
    assert (done.status, done.json["state"], done.json["plain"]) == (0, "on", 0)
    shown = masc(room, "encryption", "status", key=KEY)
    assert "master key from env: at hand" in shown.out
    assert f"{done.json['active_key_id']} (active)" in shown.out
    assert masc(room, "encryption", "migrate", key=KEY).status == 0  # nothing left to do
    assert masc(room, "encryption", "migrate", "--to", "clear", key=KEY).status == 2
    for command in ("status", "migrate", "rotate"):
        ran = masc(room, "encryption", command, key=OTHER)
        assert ran.status == 1
        assert ran.err.startswith("encryption_key_wrong: ")


def test_a_start_with_encryption_off_loads_no_cryptography(tmp_path: Path) -> None:
    import subprocess
    import sys

    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from masc_core.kernel import Kernel, local_client\n"
        "from masc_core.plugins import load\n"
        "from masc_core.rooms import Base\n"
        "async def main():\n"
        f"    async with Kernel(Base(Path({str(tmp_path)!r}), True), load()) as kernel:\n"
        "        for tool in ('masc_init', 'masc_status'):\n"
        "            assert (await kernel.call(tool, {}, local_client())).error is None\n"
        "asyncio.run(main())\n"
        "heavy = {'cryptography', 'rich', 'masc_plugin_encryption.command'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_command_names_what_it_could_not_convert_and_fails(tmp_path: Path) -> None:
    assert masc(tmp_path, "call", "masc_init").status == 0
    assert masc(tmp_path, "call", "masc_add_task", '{"title": "x"}').status == 0
    assert masc(tmp_path, "encryption", "migrate", key=KEY).status == 0
    with closing(sqlite3.connect(tmp_path / ".masc" / "masc.db")) as db, db:
        db.execute("UPDATE documents SET body = substr(body, 1, length(body) - 1) || x'00' WHERE collection = 'tasks'")
    ran = masc(tmp_path, "encryption", "rotate", key=KEY)
    assert ran.status == 1
    lines = ran.err.splitlines()
    assert any(line.startswith("left as it is: tasks task-001 cannot be read (bad_tag)") for line in lines)
    assert lines[-1].startswith("record_unreadable: tasks task-001")
    status = masc(tmp_path, "encryption", "status", "--json", key=KEY).json
    assert (status["state"], len(status["key_ids"]), "migration" in status) == ("on", 2, False)


async def test_no_text_shows_the_master_key(on: MascApp) -> None:
    added = await on.call("masc_add_task", "claude", title=f"set {KEY.upper()} or {OTHER}")
    assert (added["task"]["title"], added["redacted"]) == (f"set [REDACTED:masc_token] or {OTHER}", {"masc_token": 1})
    made = await on.call("masc_encryption_enable", key_source="generate", deliver="result")
    added = await on.call("masc_add_task", "claude", title=made["key"])
    assert added["task"]["title"] == "[REDACTED:masc_token]"
