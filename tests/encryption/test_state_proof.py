"""The record that says how bodies are kept is in clear; only who holds the key may change what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from room_support import KEY, OTHER, convert, files_with, inner, masc

from masc_core.store.driver import Delete, Key, Put
from masc_core.store.envelope import is_sealed
from masc_core.store.sealing import STATE_KEY
from masc_core.testing.app import MascApp, masc_app

Json = dict[str, Any]
MARKER = "zebra-in-plain"


def off(state: Json) -> None:
    state["state"] = "off"


def opening(state: Json) -> None:
    state |= {"state": "converting", "migration": {"direction": "open", "started_at": "x", "total": 1, "id": "aa"}}


def sealing(state: Json) -> None:
    migration = {"direction": "seal", "started_at": "x", "total": 1, "id": "aa", "target": state["active"]}
    state |= {"state": "converting", "migration": migration}


def unproven(state: Json) -> None:
    off(state)
    del state["proof"]


def keyless(state: Json) -> None:
    off(state)
    del state["active"]


TAMPERED = pytest.mark.parametrize("change", [off, opening, sealing, unproven, keyless], ids=lambda f: f.__name__)


async def alter(app: MascApp, change: Callable[[Json], None]) -> None:
    """Change the state as somebody who can write the store and has no key."""
    (found,) = await inner(app).get([STATE_KEY])
    assert found is not None
    state = orjson.loads(found.body)
    change(state)
    await inner(app).commit([], [Put(STATE_KEY, orjson.dumps(state))])


def refused(result: Json) -> None:
    error = result["error"]
    assert (error["code"], error["details"]) == (
        "record_unreadable",
        {"collection": "encryption", "key": "state", "reason": "bad_tag"},
    )


@TAMPERED
async def test_a_running_server_follows_no_state_that_it_was_not_given_by_a_holder_of_the_key(
    masc: MascApp, monkeypatch: pytest.MonkeyPatch, change: Callable[[Json], None]
) -> None:
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", KEY)
    await masc.call("masc_add_task", "claude", title="first")
    await masc.call("masc_encryption_enable")
    await convert(masc)
    await alter(masc, change)
    refused(await masc.call("masc_add_task", "claude", title=MARKER))
    refused(await masc.call("masc_tasks"))
    refused(await masc.call("masc_encryption_disable"))
    (task,) = await inner(masc).get([Key("tasks", "task-001")])
    assert task is not None and is_sealed(task.body)


@TAMPERED
async def test_no_server_starts_on_it_and_nothing_is_opened_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Json], None]
) -> None:
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", KEY)
    async with masc_app(tmp_path, backend="sqlite") as app:
        await app.call("masc_add_task", "claude", title=MARKER)
        await app.call("masc_encryption_enable")
        await convert(app)
        await alter(app, change)
    for command in (["call", "masc_add_task", f'{{"title": "{MARKER}"}}'], ["encryption", "migrate"], ["status"]):
        ran = masc(tmp_path, *command, key=KEY)
        assert ran.status == 1 and ran.err.startswith("record_unreadable: encryption state"), ran
        assert "Traceback" not in ran.err
    assert files_with(tmp_path, MARKER) == []


async def test_without_the_state_nothing_is_read_and_nothing_written_in_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", KEY)
    async with masc_app(tmp_path, backend="sqlite") as app:
        await app.call("masc_add_task", "claude", title="first")
        await app.call("masc_encryption_enable")
        await convert(app)
        await inner(app).commit([], [Delete(STATE_KEY)])
    for command in (["call", "masc_add_task", f'{{"title": "{MARKER}"}}'], ["call", "masc_tasks"], ["status"]):
        ran = masc(tmp_path, *command, key=KEY)
        assert ran.status == 1 and "record_unreadable: room default cannot be read (unknown_key_id)" in ran.err, ran
        assert "Traceback" not in ran.err
    assert files_with(tmp_path, MARKER) == []


async def test_every_step_of_a_room_leaves_a_state_that_the_next_start_follows(
    masc: MascApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", KEY)
    await masc.call("masc_add_task", "claude", title="first")
    for step in ("masc_encryption_enable", "", "masc_encryption_disable", "masc_encryption_enable", ""):
        if step:
            assert "error" not in await masc.call(step)
        else:
            await convert(masc)
        assert "error" not in await masc.call("masc_tasks")
    made = await masc.call("masc_encryption_enable", key_source="generate", deliver="result")
    assert made["key"] != OTHER and "error" not in await masc.call("masc_tasks")
