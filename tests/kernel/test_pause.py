"""The pause switch takes the path of every call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from masc_core.context import Context
from masc_core.errors import PathNotAllowed, ToolNotFound
from masc_core.hookspecs import hookimpl
from masc_core.identity import Client
from masc_core.kernel import local_client
from masc_core.pause import pause_room, resume_room
from masc_core.records import EVENTS, MESSAGES
from masc_core.store.collections import LogView
from masc_core.store.transaction import Transaction
from masc_core.testing.app import MascApp, masc_app

PERSON = Client("local", "local", person="human:root")


class Guard:
    """Notes in the commit who called what, and refuses to pause for the reason `no`."""

    @hookimpl
    async def masc_before_call(self, ctx: Context) -> Mapping[str, Any] | None:
        if ctx.call.arguments.get("reason") == "no":
            raise PathNotAllowed(path="no")
        return None

    @hookimpl
    async def masc_redact(self, ctx: Context, arguments: dict[str, Any]) -> Mapping[str, Any] | None:
        if "reason" in arguments:
            arguments["reason"] = arguments["reason"].replace("hunter2", "***")
        return None

    @hookimpl
    async def masc_in_commit(self, ctx: Context) -> Mapping[str, Any] | None:
        ctx.event("audited", ctx.call.tool.name, role=ctx.call.tool.role.label)
        return None


async def _events(masc: MascApp) -> list[tuple[str, str | None, str]]:
    log = LogView(EVENTS, Transaction(masc.kernel.start_room.driver))
    return [(event.type, event.subject, event.actor) for event in await log.read(0)]


async def test_guards_see_the_switch_and_write_in_its_commit(tmp_path: Path) -> None:
    async with masc_app(tmp_path, extra=[("guard:guard", Guard())]) as masc:
        await masc.call("masc_init")
        before = len(await _events(masc))
        paused = await pause_room(masc.kernel, PERSON, "rotating  hunter2")
        assert (paused.structured["changed"], paused.structured["pause_reason"]) == (True, "rotating ***")
        await resume_room(masc.kernel, PERSON)
        assert (await _events(masc))[before:] == [
            ("room_paused", "default", "human:root"),
            ("audited", "masc_pause", "human:root"),
            ("room_resumed", "default", "human:root"),
            ("audited", "masc_resume", "human:root"),
        ]
        refused = await pause_room(masc.kernel, PERSON, "no")
        assert refused.structured["error"]["code"] == "path_not_allowed"
        assert (await masc.call("masc_status"))["paused"] is False


async def test_pausing_and_resuming_are_idempotent(masc: MascApp) -> None:
    await masc.call("masc_init")
    first = (await pause_room(masc.kernel, PERSON, "a\nb")).structured
    assert (first["paused"], first["changed"], first["paused_by"], first["pause_reason"]) == (
        True, True, "human:root", "a b",
    )  # fmt: skip
    again = (await pause_room(masc.kernel, local_client(), "a b")).structured
    assert again == {**first, "changed": False}
    other = (await pause_room(masc.kernel, PERSON)).structured
    assert other["changed"] is True
    assert "pause_reason" not in other
    assert (await resume_room(masc.kernel, PERSON)).structured == {"paused": False, "changed": True}
    assert (await resume_room(masc.kernel, PERSON)).structured == {"paused": False, "changed": False}
    log = LogView(MESSAGES, Transaction(masc.kernel.start_room.driver))
    assert [message.content for message in await log.read(0)] == [
        "human:root paused the room: a b",
        "human:root paused the room",
        "human:root resumed the room",
    ]


@pytest.mark.parametrize("reason", ["x" * 2001, "a\0", "\ud800"])
async def test_a_reason_is_text_of_bounded_length(masc: MascApp, reason: str) -> None:
    await masc.call("masc_init")
    error = (await pause_room(masc.kernel, PERSON, reason)).structured["error"]
    assert (error["code"], error["details"]["field"]) == ("invalid_argument", "reason")


async def test_there_must_be_a_room_to_pause(masc: MascApp) -> None:
    for outcome in (await pause_room(masc.kernel, PERSON), await resume_room(masc.kernel, PERSON)):
        assert outcome.structured["error"]["code"] == "not_initialised"
    assert (await masc.call("masc_status"))["initialised"] is False


async def test_no_client_can_call_the_switch(masc: MascApp) -> None:
    for name in ("masc_pause", "masc_resume"):
        with pytest.raises(ToolNotFound):
            await masc.kernel.call(name, {}, local_client())
