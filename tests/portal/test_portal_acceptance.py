"""Portals, as portal.md accepts them."""

from __future__ import annotations

from portal_support import ask, opened, status, view

from masc_core.testing import ManualClock, MascApp


async def test_two_portals_are_listed_and_closing_one_leaves_the_other(masc: MascApp) -> None:
    """Acceptance 1."""
    await opened(masc, "gemini", "codex")
    both = await status(masc, "claude")
    assert both["status"] == "open"
    assert sorted(p["peer"] for p in both["portals"]) == ["codex", "gemini"]
    assert await masc.call("masc_portal_close", "claude", to="gemini") == {"peer": "gemini", "canceled": []}
    assert [p["peer"] for p in (await status(masc, "claude"))["portals"]] == ["codex"]
    assert (await status(masc, "gemini"))["status"] == "no_portal"


async def test_a_task_is_unread_once_and_open_from_then_on(masc: MascApp) -> None:
    """Acceptance 2."""
    await opened(masc, "gemini")
    task = await ask(masc, "look at src/login.py")
    first, second = await view(masc, "gemini"), await view(masc, "gemini")
    assert [(t["id"], t["message"]) for t in first["unread"]] == [(task, "look at src/login.py")]
    assert first["open"] == second["unread"] == []
    assert [(t["id"], t["message"], t["status"]) for t in second["open"]] == [(task, "look at src/login.py", "running")]
    assert second["open"][0]["seen_at"]


async def test_a_result_is_shown_once_and_a_second_answer_refused(masc: MascApp) -> None:
    """Acceptance 3."""
    await opened(masc, "gemini")
    task = await ask(masc)
    answer = {"reply_to": task, "result_status": "completed"}
    sent = await masc.call("masc_portal_send", "gemini", message="looks good", **answer)
    assert (sent["answered"], sent["portal_task"]["status"]) == (task, "completed")
    first, second = await view(masc, "claude"), await view(masc, "claude")
    assert [(r["id"], r["status"], r["result"]) for r in first["results"]] == [(task, "completed", "looks good")]
    assert second["results"] == []
    error = await masc.error("masc_portal_send", "gemini", message="no, wait", **answer)
    assert (error["code"], error["retryable"]) == ("portal_task_closed", False)
    assert error["details"] == {"portal_task_id": task, "status": "completed"}


async def test_with_two_portals_somebody_must_be_named_unless_a_task_is_answered(masc: MascApp) -> None:
    """Acceptance 4."""
    await opened(masc, "gemini", "codex")
    error = await masc.error("masc_portal_send", "claude", message="for whom?")
    assert (error["code"], error["details"]) == ("ambiguous_agent", {"candidates": ["codex", "gemini"]})
    assert (await masc.error("masc_portal_close", "claude"))["code"] == "ambiguous_agent"
    question = await ask(masc, "which branch?", agent="codex")
    sent = await masc.call("masc_portal_send", "claude", message="what for?", reply_to=question)
    assert (sent["portal_task"]["to"], sent["portal_task"]["reply_to"]) == ("codex", question)
    assert (await view(masc, "gemini"))["unread"] == []


async def test_an_agent_that_never_joined_is_not_found(masc: MascApp) -> None:
    """Acceptance 5."""
    await masc.call("masc_join", "gemini")
    error = await masc.error("masc_portal_open", "claude", target_agent="gemni")
    assert (error["code"], error["details"]) == ("agent_not_found", {"agent": "gemni", "candidates": ["gemini"]})
    assert (await masc.error("masc_portal_close", "claude", to="nobody"))["code"] == "agent_not_found"
    assert (await masc.error("masc_portal_send", "claude", to="nobody", message="x"))["code"] == "agent_not_found"


async def test_a_peek_changes_no_status(masc: MascApp) -> None:
    """Acceptance 6."""
    await opened(masc, "gemini")
    task, answered = await ask(masc), await ask(masc, "another")
    await masc.call("masc_portal_send", "gemini", message="done", reply_to=answered, result_status="completed")
    for agent in ("claude", "gemini"):
        first, second = await view(masc, agent, peek=True), await view(masc, agent, peek=True)
        assert first == second
    assert [t["id"] for t in (await view(masc, "gemini", peek=True))["unread"]] == [task]
    assert [r["id"] for r in (await view(masc, "claude", peek=True))["results"]] == [answered]
    assert (await view(masc, "claude"))["sent_open"][0]["status"] == "pending"


async def test_a_zombies_portals_are_closed(masc: MascApp, clock: ManualClock) -> None:
    """Acceptance 7."""
    await opened(masc, "gemini", "codex")
    task = await ask(masc, to="gemini")
    await clock.advance(200)
    for agent in ("claude", "codex"):
        await masc.call("masc_heartbeat", agent)
    await clock.advance(101)
    (cleaned,) = (await masc.call("masc_cleanup_zombies"))["cleaned"]
    assert (cleaned["agent"], cleaned["portals_closed"]) == ("gemini", ["claude"])
    told = await view(masc, "claude", "gemini")
    assert (told["closed_reason"], [(t["id"], t["status"]) for t in told["results"]]) == (
        "zombie",
        [(task, "canceled")],
    )
    assert [p["peer"] for p in (await status(masc, "claude"))["portals"]] == ["codex"]
    error = await masc.error("masc_portal_send", "claude", to="gemini", message="there?")
    assert (error["code"], error["details"]) == ("portal_not_open", {"peer": "gemini", "closed_reason": "zombie"})
    await masc.call("masc_portal_open", "claude", target_agent="gemini")
    error = await masc.error("masc_portal_send", "gemini", message="late", reply_to=task, result_status="failed")
    assert (error["code"], error["details"]["status"]) == ("portal_task_closed", "canceled")
