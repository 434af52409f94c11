"""What the category promises."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import masc_standup
from masc_core.testing import AppFactory, assert_contract
from masc_standup.command import standup
from masc_standup.notes import StandupSettings

HOUR = 3600


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_the_last_note_of_each_agent_is_shown_and_who_said_nothing(masc_app: AppFactory, store: str) -> None:
    async with masc_app(masc_standup, store=store) as app:
        ada, bob = await app.agent("ada"), await app.agent("bob")
        await app.agent("cy")
        await ada.call("standup_note", text="began with login")
        await app.clock.advance(HOUR)
        await bob.call("standup_note", text="tests are red", blocked_by="no database")
        await app.clock.advance(HOUR)
        await ada.call("standup_note", text="done with login")
        today = await bob.call("standup_today")
        assert [(note["agent"], note["text"]) for note in today["notes"]] == [
            ("ada", "done with login"),
            ("bob", "tests are red"),
        ]
        assert today["notes"][1]["blocked_by"] == "no database"
        assert today["silent"] == ["cy"]


async def test_notes_of_yesterday_are_not_todays(masc_app: AppFactory) -> None:
    async with masc_app(masc_standup, sections=[StandupSettings(hours=8)]) as app:
        ada = await app.agent("ada")
        await ada.call("standup_note", text="done with login")
        await app.clock.advance(9 * HOUR)
        assert (await ada.call("standup_today"))["notes"] == []
        assert len((await ada.call("standup_today", hours=10))["notes"]) == 1


async def test_a_note_says_something(masc_app: AppFactory) -> None:
    async with masc_app(masc_standup) as app:
        ada = await app.agent("ada")
        error = await ada.refused("standup_note", text=" ")
        assert (error["code"], error["details"]["field"]) == ("invalid_argument", "text")
        assert (await ada.call("standup_today"))["notes"] == []


async def test_old_notes_are_collected(masc_app: AppFactory) -> None:
    async with masc_app(masc_standup) as app:
        ada = await app.agent("ada")
        await ada.call("standup_note", text="done with login")
        await app.clock.advance(40 * 24 * HOUR)
        await ada.call("standup_note", text="still here")
        assert (await ada.call("masc_gc", dry_run=True))["archived"]["standup_notes"] == 1
        assert (await ada.call("masc_gc"))["archived"]["standup_notes"] == 1
        assert [note["text"] for note in (await ada.call("standup_today", hours=720))["notes"]] == ["still here"]


async def test_mode_standup_has_the_board_the_messages_and_the_notes(masc_app: AppFactory) -> None:
    async with masc_app(masc_standup) as app:
        ada, bob = await app.agent("ada", mode="standup"), await app.agent("bob", mode="minimal")
        assert {"masc_claim", "masc_broadcast", "standup_note"} <= set(await ada.tools())
        assert "masc_vote_cast" not in await ada.tools()
        assert "standup_note" not in await bob.tools()


async def test_the_person_at_the_machine_sees_it_too(masc_app: AppFactory, tmp_path: Path) -> None:
    async with masc_app(masc_standup, store="sqlite") as app:
        app.clock.jump(time.time() - app.clock.now())  # the command goes by the system's clock
        ada = await app.agent("ada")
        await ada.call("standup_note", text="done with login")
        command = ["--project", str(tmp_path), "--json"]
        shown = await asyncio.to_thread(CliRunner().invoke, standup, command)  # it has an event loop of its own
        assert [note["text"] for note in json.loads(shown.stdout)["notes"]] == ["done with login"]
        refused = await asyncio.to_thread(CliRunner().invoke, standup, [*command, "--hours", "0"])
        assert (refused.exit_code, json.loads(refused.stdout)["error"]["code"]) == (1, "invalid_argument")


def test_the_contracts_are_the_reviewed_ones() -> None:
    assert_contract(masc_standup, Path(__file__).parents[1] / "schemas")


async def test_a_tool_is_found_by_what_people_say_who_want_it(masc_app: AppFactory) -> None:
    async with masc_app(masc_standup) as app:
        ada = await app.agent("ada", mode="lean")
        for query, tool in (
            ("did somebody get stuck today?", "standup_today"),
            ("nothing is in my way", "standup_note"),
        ):
            found = await ada.call("masc_find_tools", query=query, detail="summary")
            assert found["tools"][0]["name"] == tool
