"""What does not fit into one answer, what became of canceled requests, lines that a person opened."""

from __future__ import annotations

import re
from typing import Any

import pytest
from portal_support import ask, join, opened, status, view

from masc_core.identity import Client
from masc_core.testing import ManualClock, MascApp

LONG = "x" * 50_000


def place(result: dict[str, Any]) -> str | None:
    """Where a warning says to go on."""
    (warning,) = [w for w in result.get("warnings", ()) if w["code"] == "tasks_left_out"] or [{"message": ""}]
    found = re.search(r"after=(a2a-[0-9]+)", warning["message"])
    return found[1] if found else None


async def walk(masc: MascApp, agent: str, **arguments: Any) -> tuple[list[str], list[str]]:
    """Every running and every sent task, followed from answer to answer."""
    running: list[str] = []
    sent: list[str] = []
    after: dict[str, str] = {}
    for _ in range(50):
        result = await status(masc, agent, **arguments, **after)
        running += [task["id"] for portal in result["portals"] for task in portal["open"]]
        sent += [task["id"] for portal in result["portals"] for task in portal["sent_open"]]
        if (following := place(result)) is None:
            return running, sent
        assert following > after.get("after", "")
        after = {"after": following}
    raise AssertionError("the answers do not end")


@pytest.mark.parametrize("peek", [False, True])
async def test_running_tasks_beyond_one_answer_can_all_be_read(masc: MascApp, peek: bool) -> None:
    await opened(masc, "codex", "claude", agent="gemini")
    asked = []
    for i in range(20):
        asked.append(await ask(masc, LONG, agent="codex"))
        if i % 4 == 0:
            asked.append(await ask(masc, f"short {i}", agent="claude"))
    for _ in range(3):
        result = await status(masc, "gemini")
    assert result["unread_total"] == 0
    first = await status(masc, "gemini", peek=True)
    assert sum(len(portal["open"]) for portal in first["portals"]) < len(asked)
    assert "not all tasks are shown" in str(first["warnings"])
    running, _ = await walk(masc, "gemini", peek=peek, limit=100)
    assert sorted(running) == sorted(asked)


async def test_lists_longer_than_the_limit_page_on_and_miss_nothing(masc: MascApp) -> None:
    await opened(masc, "codex", "claude", agent="gemini")
    asked = [await ask(masc, f"t{i}", agent=("codex", "claude")[i % 3 == 0]) for i in range(11)]
    mine = [await ask(masc, f"m{i}", agent="gemini", to="codex") for i in range(5)]
    for _ in range(5):
        await status(masc, "gemini", limit=2)
    running, sent = await walk(masc, "gemini", limit=2)
    assert (set(running), set(sent)) == (set(asked), set(mine))
    whole = await status(masc, "gemini")
    assert "warnings" not in whole
    assert (await masc.error("masc_portal_status", "gemini", after="a2a-1"))["code"] == "invalid_argument"


async def test_what_is_unread_beyond_one_answer_comes_with_the_next_call(masc: MascApp) -> None:
    await opened(masc, "codex", agent="gemini")
    for i in range(5):
        await ask(masc, f"t{i}", agent="codex")
    peeked = await status(masc, "gemini", limit=3, peek=True)
    assert "call again without peek" in peeked["warnings"][0]["message"]
    result = await status(masc, "gemini", limit=3)
    assert [w["code"] for w in result["warnings"]] == ["tasks_left_out"]
    assert "unread" in result["warnings"][0]["message"] and place(result) is None
    assert [t["message"] for t in (await view(masc, "gemini", limit=3))["unread"]] == ["t3", "t4"]


async def test_going_on_shows_and_marks_nothing_new(masc: MascApp) -> None:
    await opened(masc, "codex", agent="gemini")
    old = await ask(masc, "old", agent="codex")
    await status(masc, "gemini")
    await ask(masc, "new", agent="codex")
    later = await view(masc, "gemini", after=old)
    assert (later["unread"], later["open"], later["counts"]["unread"]) == ([], [], 1)
    assert [t["message"] for t in (await view(masc, "gemini"))["unread"]] == ["new"]


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("ending", ["masc_portal_close", "masc_leave"])
async def test_a_sender_is_told_once_that_its_request_was_canceled(masc: MascApp, ending: str, seen: bool) -> None:
    await opened(masc, "gemini")
    task = await ask(masc, "do it")
    if seen:
        await status(masc, "gemini")
    await masc.call(ending, "gemini")
    reason = "close" if ending == "masc_portal_close" else "leave"
    assert (await masc.call("masc_status", "claude"))["unread"]["portal_tasks"] == 1
    for peek in (True, False):
        look = await view(masc, "claude", peek=peek)
        (told,) = look["results"]
        assert (told["id"], told["status"], told["excerpt"], "result" in told) == (task, "canceled", "do it", False)
        assert (look["closed_reason"], look["counts"]["results"]) == (reason, 1)
    assert (await status(masc, "claude"))["portals"] == []
    assert (await masc.call("masc_status", "claude"))["unread"]["portal_tasks"] == 0


async def test_who_canceled_its_own_requests_is_not_told_of_them(masc: MascApp) -> None:
    await opened(masc, "gemini")
    await ask(masc, "do it")
    await masc.call("masc_portal_close", "claude")
    assert (await status(masc, "claude"))["portals"] == (await status(masc, "gemini"))["portals"] == []


async def test_who_was_silent_learns_what_became_of_its_requests(masc: MascApp, clock: ManualClock) -> None:
    await opened(masc, "gemini")
    task = await ask(masc, "do it")
    await clock.advance(301)
    await masc.call("masc_heartbeat", "gemini")
    await masc.call("masc_cleanup_zombies", "gemini")
    await join(masc, "claude")
    assert [t["id"] for t in (await view(masc, "claude"))["results"]] == [task]


async def test_canceled_requests_are_still_told_when_the_portal_opens_again(masc: MascApp) -> None:
    await opened(masc, "gemini")
    task = await ask(masc, "do it")
    await masc.call("masc_portal_close", "gemini")
    await masc.call("masc_portal_open", "gemini", target_agent="claude")
    look = await view(masc, "claude")
    assert ([t["id"] for t in look["results"]], "closed_reason" in look) == ([task], False)
    assert (await view(masc, "claude"))["results"] == []


async def test_a_line_that_a_person_opened_can_be_addressed_and_closed(masc: MascApp) -> None:
    await opened(masc, "gemini")
    person = Client(transport="local", source="local", person="human:root")
    assert (await masc.outcome("masc_portal_open", person, target_agent="claude")).error is None
    error = await masc.error("masc_portal_send", "claude", message="x")
    assert (error["code"], error["details"]["candidates"]) == ("ambiguous_agent", ["gemini", "human:root"])
    assert (await masc.call("masc_portal_send", "claude", message="x", to="Human:root"))["error"]["code"] == (
        "invalid_agent_name"
    )
    sent = await masc.call("masc_portal_send", "claude", message="x", to="human:root")
    assert sent["portal_task"]["to"] == "human:root"
    assert (await masc.error("masc_portal_send", "gemini", message="x", to="human:root"))["code"] == "agent_not_found"
    assert (await masc.call("masc_portal_close", "claude", to="human:root"))["peer"] == "human:root"
    error = await masc.error("masc_portal_close", "claude", to="human:root")
    assert (error["code"], error["details"]["closed_reason"]) == ("portal_not_open", "close")
