"""Every rule of opening, sending, closing and looking."""

from __future__ import annotations

from typing import Any

import pytest
from portal_support import ask, events, join, opened, status, view

from masc_core.kernel import local_client
from masc_core.testing import ManualClock, MascApp

LONG = 50_000


async def test_opening_again_changes_nothing_but_sends_the_message(masc: MascApp, clock: ManualClock) -> None:
    await join(masc, "gemini")
    first = await masc.call("masc_portal_open", "claude", target_agent="GEMINI", initial_message="hello")
    assert (first["peer"], first["opened_by"], first["already_open"], first["joined"]) == (
        "gemini", "claude", False, True,
    )  # fmt: skip
    assert (first["portal_task"]["id"], first["portal_task"]["to"]) == ("a2a-000001", "gemini")
    await clock.advance(1)
    again = await masc.call("masc_portal_open", "gemini", target_agent="claude")
    assert again == {**again, "opened_by": "claude", "opened_at": first["opened_at"], "already_open": True}
    assert "portal_task" not in again
    third = await masc.call("masc_portal_open", "gemini", target_agent="claude", initial_message="hi")
    assert (third["already_open"], third["portal_task"]["to"]) == (True, "claude")
    assert len(await events(masc, "portal_opened")) == 1


async def test_a_closed_portal_opens_anew(masc: MascApp, clock: ManualClock) -> None:
    await opened(masc, "gemini")
    old = await ask(masc)
    await masc.call("masc_portal_close", "claude")
    await clock.advance(1)
    again = await masc.call("masc_portal_open", "gemini", target_agent="claude")
    assert (again["opened_by"], again["already_open"]) == ("gemini", False)
    look = await view(masc, "gemini")
    assert (look["unread"], look["open"], look["opened_at"]) == ([], [], again["opened_at"])
    assert "closed_reason" not in look
    error = await masc.error("masc_portal_send", "gemini", message="x", reply_to=old)
    assert (error["code"], error["details"]["status"]) == ("portal_task_closed", "canceled")


@pytest.mark.parametrize("name", ["claude", "CLAUDE"])
async def test_nobody_has_a_portal_with_itself(masc: MascApp, name: str) -> None:
    await opened(masc, "gemini")
    calls: list[tuple[str, dict[str, Any]]] = [
        ("masc_portal_open", {"target_agent": name}),
        ("masc_portal_send", {"to": name, "message": "x"}),
        ("masc_portal_close", {"to": name}),
    ]
    for tool, arguments in calls:
        error = await masc.error(tool, "claude", **arguments)
        assert (error["code"], error["details"]["reason"]) == ("invalid_argument", "self"), tool


async def test_a_target_that_is_not_here_is_warned_about(masc: MascApp, clock: ManualClock) -> None:
    await join(masc, "gone", "silent")
    await masc.call("masc_leave", "gone")
    await clock.advance(301)
    await join(masc, "here")
    for name, warned in (("gone", True), ("silent", True), ("here", False)):
        result = await masc.call("masc_portal_open", "claude", target_agent=name, initial_message="hello")
        assert [w["code"] for w in result.get("warnings", ())] == (["peer_offline"] if warned else []), name
    found = (await status(masc, "claude"))["portals"]
    assert {p["peer"]: p["peer_status"] for p in found} == {"gone": "inactive", "silent": "zombie", "here": "active"}
    await join(masc, "gone")
    assert [t["message"] for t in (await view(masc, "gone"))["unread"]] == ["hello"]


async def test_a_target_is_found_by_its_type(masc: MascApp) -> None:
    await join(masc, "gemini-2")
    assert (await masc.call("masc_portal_open", "claude", target_agent="Gemini"))["peer"] == "gemini-2"
    assert (await masc.call("masc_portal_send", "claude", to="gemini", message="x"))["portal_task"]["to"] == "gemini-2"
    assert (await masc.call("masc_portal_close", "gemini-2", to="claude"))["peer"] == "claude"


async def test_a_reply_without_status_is_a_new_task_and_the_old_one_runs(masc: MascApp) -> None:
    await opened(masc, "gemini")
    task = await ask(masc)
    sent = await masc.call("masc_portal_send", "gemini", message="which file?", reply_to=task)
    assert "answered" not in sent
    assert (sent["portal_task"]["status"], sent["portal_task"]["reply_to"]) == ("pending", task)
    assert [(t["id"], t["status"]) for t in (await view(masc, "claude"))["sent_open"]] == [(task, "running")]
    (running,) = (await view(masc, "gemini"))["open"]
    assert (running["id"], "seen_at" in running) == (task, True)
    await masc.call("masc_portal_send", "gemini", message="and which line?", reply_to=task)
    look = await view(masc, "gemini")
    assert (look["counts"]["open"], look["counts"]["sent_open"]) == (1, 2)


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("result_status", ["completed", "failed"])
async def test_a_task_ends_seen_or_not(masc: MascApp, result_status: str, seen: bool) -> None:
    await opened(masc, "gemini")
    task = await ask(masc)
    if seen:
        await status(masc, "gemini")
    sent = await masc.call(
        "masc_portal_send", "gemini", message="so", reply_to=task, result_status=result_status, to="CLAUDE"
    )
    record = sent["portal_task"]
    assert (record["id"], record["status"], record["result"], record["message"]) == (
        task, result_status, "so", "please review",
    )  # fmt: skip
    assert record["seen_at"]
    look = await view(masc, "gemini")
    assert (look["unread"], look["open"], look["sent_open"]) == ([], [], [])
    assert (await view(masc, "claude"))["results"][0]["excerpt"] == "please review"


@pytest.mark.parametrize("seen", [False, True])
async def test_an_ended_task_never_changes(masc: MascApp, seen: bool) -> None:
    await opened(masc, "gemini")
    task = await ask(masc)
    await masc.call("masc_portal_send", "gemini", message="no", reply_to=task, result_status="failed")
    if seen:
        await status(masc, "claude")
    before = await status(masc, "claude", peek=True)
    for extra in ({}, {"result_status": "completed"}, {"result_status": "failed"}):
        error = await masc.error("masc_portal_send", "gemini", message="yes", reply_to=task, **extra)
        assert (error["code"], error["details"]["status"]) == ("portal_task_closed", "failed")
    assert await status(masc, "claude", peek=True) == before
    canceled = (await masc.call("masc_portal_close", "claude"))["canceled"]
    assert canceled == []


@pytest.mark.parametrize(
    ("arguments", "code", "field"),
    [
        ({"result_status": "completed"}, "invalid_argument", "result_status"),
        ({"result_status": "canceled", "reply_to": "a2a-000001"}, "invalid_argument", "result_status"),
        ({"reply_to": "a2a-000001", "to": "codex"}, "invalid_argument", "to"),
        ({"reply_to": "a2a-000001", "to": "nobody"}, "agent_not_found", None),
        ({"reply_to": "a2a-999999"}, "portal_task_not_found", None),
        ({"reply_to": "a2a-1"}, "portal_task_not_found", None),
        ({"reply_to": "A2A-000001"}, "portal_task_not_found", None),
        ({"reply_to": "codex/gemini\n"}, "portal_task_not_found", None),
        ({"reply_to": "x" * 129}, "invalid_argument", "reply_to"),
        ({"to": "human:"}, "agent_not_found", None),
        ({"reply_to": 1}, "invalid_argument", "reply_to"),
        ({"to": "co dex"}, "invalid_agent_name", "to"),
        ({"to": "all"}, "invalid_agent_name", "to"),
        ({"format": "json"}, "invalid_argument", "format"),
        ({"message": " \n "}, "invalid_argument", "message"),
        ({"message": ""}, "invalid_argument", "message"),
        ({"message": None}, "invalid_argument", "message"),
        ({"message": "x" * (LONG + 1)}, "invalid_argument", "message"),
        ({"message": "a\0b"}, "invalid_argument", "message"),
        ({"message": "\ud800"}, "invalid_argument", "message"),
        ({"agnet": "x"}, "invalid_argument", "agnet"),
    ],
)
async def test_odd_input_is_refused_and_changes_nothing(
    masc: MascApp, arguments: dict[str, Any], code: str, field: str | None
) -> None:
    await opened(masc, "gemini", "codex")
    await ask(masc, to="gemini")
    before = await status(masc, "gemini", peek=True)
    error = await masc.error("masc_portal_send", "gemini", **{"message": "x", **arguments})
    assert (error["code"], error["details"].get("field")) == (code, field)
    assert await status(masc, "gemini", peek=True) == before
    assert await ask(masc, to="codex") == "a2a-000002"


async def test_only_what_was_sent_to_the_caller_can_be_answered(masc: MascApp) -> None:
    await opened(masc, "gemini", "codex")
    task = await ask(masc, to="gemini")
    for agent in ("claude", "codex"):
        for extra in ({}, {"result_status": "completed"}):
            error = await masc.error("masc_portal_send", agent, message="x", reply_to=task, **extra)
            assert (error["code"], error["details"]) == ("portal_task_not_found", {"portal_task_id": task})


async def test_without_a_portal_nothing_is_sent(masc: MascApp) -> None:
    await join(masc, "claude", "gemini")
    error = await masc.error("masc_portal_send", "claude", message="x")
    assert (error["code"], error["details"]) == ("portal_not_open", {})
    error = await masc.error("masc_portal_send", "claude", to="gemini", message="x")
    assert (error["code"], error["details"]) == ("portal_not_open", {"peer": "gemini"})
    assert (await masc.error("masc_portal_close", "claude", to="gemini"))["code"] == "portal_not_open"
    assert (await masc.error("masc_portal_close", "claude"))["code"] == "portal_not_open"


async def test_after_closing_the_reason_is_told_even_if_nobody_is_named(masc: MascApp, clock: ManualClock) -> None:
    await opened(masc, "gemini", "codex")
    task = await ask(masc, to="gemini")
    await masc.call("masc_portal_close", "claude", to="codex")
    await clock.advance(1)
    await masc.call("masc_leave", "gemini")
    for arguments in ({}, {"to": "gemini"}):
        error = await masc.error("masc_portal_send", "claude", message="x", **arguments)
        assert (error["code"], error["details"]) == ("portal_not_open", {"peer": "gemini", "closed_reason": "leave"})
    error = await masc.error("masc_portal_send", "claude", to="codex", message="x")
    assert error["details"] == {"peer": "codex", "closed_reason": "close"}
    error = await masc.error("masc_portal_send", "gemini", message="x", reply_to=task, result_status="completed")
    assert error["details"] == {"peer": "claude", "closed_reason": "leave"}


async def test_a_closed_portal_cancels_what_was_already_seen(masc: MascApp) -> None:
    await opened(masc, "gemini")
    sent = await ask(masc)
    assert [task["id"] for task in (await view(masc, "gemini"))["unread"]] == [sent]
    assert (await masc.call("masc_portal_close", "claude"))["canceled"] == [sent]


async def test_closing_cancels_both_directions(masc: MascApp) -> None:
    await opened(masc, "gemini", "codex")
    mine, theirs = await ask(masc, to="gemini"), await ask(masc, "what?", agent="gemini")
    await status(masc, "gemini")
    ended = await ask(masc, to="gemini")
    await masc.call("masc_portal_send", "gemini", message="ok", reply_to=ended, result_status="completed")
    other = await ask(masc, to="codex")
    last = await ask(masc, to="gemini")
    closed = await masc.call("masc_portal_close", "gemini")
    assert closed == {"peer": "claude", "canceled": [mine, theirs, last]}
    assert [t["id"] for t in (await view(masc, "codex"))["unread"]] == [other]
    (event,) = await events(masc, "portal_closed")
    assert event.data == {"agents": ["claude", "gemini"], "reason": "close", "canceled": 3}


async def test_closing_leaves_what_a_third_agent_asked(masc: MascApp) -> None:
    await opened(masc, "gemini", "codex")
    await masc.call("masc_portal_open", "codex", target_agent="gemini")
    mine, theirs = await ask(masc, to="gemini"), await ask(masc, "and me?", agent="codex", to="gemini")
    assert (await masc.call("masc_portal_close", "claude", to="gemini"))["canceled"] == [mine]
    assert [task["id"] for task in (await view(masc, "gemini"))["unread"]] == [theirs]


async def test_a_result_outlives_its_portal_until_it_is_shown(masc: MascApp) -> None:
    await opened(masc, "gemini")
    task = await ask(masc)
    await masc.call("masc_portal_send", "gemini", message="done", reply_to=task, result_status="completed")
    await masc.call("masc_portal_close", "gemini")
    assert (await masc.call("masc_status", "claude"))["unread"]["portal_tasks"] == 1
    look = await status(masc, "claude")
    assert look["status"] == "no_portal"
    assert [(p["closed_reason"], p["results"][0]["result"]) for p in look["portals"]] == [("close", "done")]
    assert await status(masc, "claude") == {"status": "no_portal", "portals": [], "unread_total": 0}
    assert (await masc.call("masc_status", "claude"))["unread"]["portal_tasks"] == 0


async def test_unshown_results_are_kept_when_the_portal_opens_again(masc: MascApp) -> None:
    await opened(masc, "gemini")
    task = await ask(masc)
    await masc.call("masc_portal_send", "gemini", message="done", reply_to=task, result_status="completed")
    await masc.call("masc_portal_close", "gemini")
    await masc.call("masc_portal_open", "gemini", target_agent="claude")
    look = await view(masc, "claude")
    assert ([r["id"] for r in look["results"]], look["counts"]["results"]) == ([task], 1)


async def test_no_portal_is_success_and_joins_nobody(masc: MascApp) -> None:
    await join(masc, "gemini")
    assert await status(masc, "claude") == {"status": "no_portal", "portals": [], "unread_total": 0}
    await masc.error("masc_portal_close", "claude", to="gemini")
    assert (await masc.call("masc_status"))["agents_total"] == 1
    for tool in ("masc_portal_status", "masc_portal_close"):
        assert (await masc.error(tool))["code"] == "agent_name_required"


async def test_lists_are_bounded_oldest_first_and_counted_whole(masc: MascApp) -> None:
    await opened(masc, "gemini")
    ids = [await ask(masc, f"{n} " + "x" * 200) for n in range(7)]
    first = await status(masc, "gemini", limit=3)
    (look,) = first["portals"]
    assert [t["id"] for t in look["unread"]] == ids[:3]
    assert (first["unread_total"], look["counts"]) == (7, {"unread": 7, "open": 0, "sent_open": 0, "results": 0})
    look = await view(masc, "gemini", limit=3)
    assert [t["id"] for t in look["unread"]] == ids[3:6]
    assert [t["id"] for t in look["open"]] == ids[:3]
    assert look["counts"] == {"unread": 4, "open": 3, "sent_open": 0, "results": 0}
    mine = await view(masc, "claude", limit=2)
    assert [(t["id"], len(t["excerpt"])) for t in mine["sent_open"]] == [(i, 100) for i in ids[:2]]
    assert mine["counts"] == {"unread": 0, "open": 0, "sent_open": 7, "results": 0}
    for task in ids:
        await masc.call("masc_portal_send", "gemini", message="ok", reply_to=task, result_status="completed")
    shown = [[r["id"] for r in (await view(masc, "claude", limit=5))["results"]] for _ in range(3)]
    assert shown == [ids[:5], ids[5:], []]
    for limit in (0, 101, True, "3"):
        assert (await masc.error("masc_portal_status", "claude", limit=limit))["code"] == "invalid_argument"


async def test_an_answer_holds_only_as_much_text_as_a_store_takes_at_once(masc: MascApp) -> None:
    await opened(masc, "gemini")
    for letter in "abcdefghijklmn":
        await ask(masc, letter * LONG)
    seen: list[str] = []
    for _ in range(2):
        look = await view(masc, "gemini")
        assert sum(len(t["message"]) for t in [*look["unread"], *look["open"]]) <= 600_000
        seen += [t["message"][0] for t in look["unread"]]
    assert "".join(seen) == "abcdefghijklmn"
    assert (await view(masc, "gemini"))["counts"] == {"unread": 0, "open": 14, "sent_open": 0, "results": 0}


async def test_what_waits_is_counted_for_each_agent(masc: MascApp) -> None:
    await opened(masc, "gemini", "codex")

    async def waiting(agent: str) -> tuple[int, int]:
        shown = (await masc.call("masc_status", agent))["unread"]["portal_tasks"]
        assert (await masc.call("masc_heartbeat", agent))["unread"]["portal_tasks"] == shown
        return shown, (await status(masc, agent, peek=True))["unread_total"]

    task = await ask(masc, to="gemini")
    await ask(masc, to="gemini")
    assert [await waiting(a) for a in ("claude", "gemini", "codex")] == [(0, 0), (2, 2), (0, 0)]
    await masc.call("masc_portal_send", "gemini", message="ok", reply_to=task, result_status="completed")
    assert [await waiting(a) for a in ("claude", "gemini")] == [(1, 0), (1, 1)]
    await status(masc, "gemini")
    await status(masc, "claude")
    assert [await waiting(a) for a in ("claude", "gemini")] == [(0, 0), (0, 0)]
    await ask(masc, to="codex")
    await masc.call("masc_portal_close", "codex")
    assert await waiting("codex") == (0, 0)


async def test_leaving_closes_the_leavers_portals_and_no_others(masc: MascApp) -> None:
    """Acceptance 8 of core.md, for portals."""
    await opened(masc, "gemini", "codex")
    await masc.call("masc_portal_open", "gemini", target_agent="codex")
    await ask(masc, to="gemini")
    left = await masc.call("masc_leave", "claude", keep_tasks=True)
    assert left["portals_closed"] == ["codex", "gemini"]
    assert [p["peer"] for p in (await status(masc, "gemini"))["portals"]] == ["codex"]
    assert {e.data["reason"] for e in await events(masc, "portal_closed")} == {"leave"}
    assert (await masc.call("masc_leave", "claude"))["portals_closed"] == []


async def test_a_zombies_successor_starts_without_its_portals(masc: MascApp, clock: ManualClock) -> None:
    await opened(masc, "gemini")
    await ask(masc, agent="gemini", message="for the old claude")
    await clock.advance(301)
    assert (await masc.call("masc_join", "claude"))["taken_over"] is True
    assert (await status(masc, "claude"))["portals"] == []
    assert (await events(masc, "portal_closed"))[0].data["reason"] == "zombie"


async def test_a_person_who_names_an_agent_looks_without_marking(masc: MascApp) -> None:
    await opened(masc, "gemini")
    task = await ask(masc)
    person = await masc.kernel.call("masc_portal_status", {"agent_name": "gemini"}, local_client())
    assert [t["id"] for t in person.structured["portals"][0]["unread"]] == [task]
    assert [t["id"] for t in (await view(masc, "gemini", peek=True))["unread"]] == [task]
    await masc.kernel.call("masc_portal_status", {}, local_client("gemini"))
    assert (await view(masc, "gemini", peek=True))["unread"] == []


async def test_a_person_can_ask_an_agent_and_read_the_answer(masc: MascApp) -> None:
    await join(masc, "gemini")
    person = local_client()
    arguments = {"target_agent": "gemini", "initial_message": "how far are you?"}
    assert (await masc.kernel.call("masc_portal_open", arguments, person)).error is None
    (task,) = (await view(masc, "gemini"))["unread"]
    await masc.call("masc_portal_send", "gemini", message="half", reply_to=task["id"], result_status="completed")
    look = await masc.kernel.call("masc_portal_status", {}, person)
    assert look.structured["portals"][0]["results"][0]["result"] == "half"


async def test_a_reset_takes_portals_but_not_the_numbering(masc: MascApp) -> None:
    await opened(masc, "gemini")
    await ask(masc)
    removed = (await masc.call("masc_reset", confirm=True))["removed"]
    assert (removed["portals"], removed["portal_tasks"]) == (1, 1)
    await opened(masc, "gemini")
    assert (await status(masc, "gemini"))["unread_total"] == 0
    assert await ask(masc) == "a2a-000002"


async def test_every_change_has_its_event_and_no_event_has_a_text(masc: MascApp) -> None:
    await opened(masc, "gemini")
    task = await ask(masc, "MARKER")
    reply = await ask(masc, "MARKER", agent="gemini", reply_to=task)
    await masc.call("masc_portal_send", "gemini", message="MARKER", reply_to=task, result_status="failed")
    await masc.call("masc_portal_close", "gemini")
    found = await events(masc, "portal_opened", "portal_task_sent", "portal_task_finished", "portal_closed")
    assert [(e.type, e.actor, e.subject) for e in found] == [
        ("portal_opened", "claude", "gemini"),
        ("portal_task_sent", "claude", task),
        ("portal_task_sent", "gemini", reply),
        ("portal_task_finished", "gemini", task),
        ("portal_closed", "gemini", "claude"),
    ]
    assert found[2].data == {"from": "gemini", "to": "claude", "reply_to": task}
    assert found[3].data == {"previous": "running", "status": "failed"}
    assert "MARKER" not in str(found)
    assert (await masc.call("masc_messages", include_system=True, limit=100))["count"] == 2, "two joined, no more"
