"""The task state machine: every action in every status by everybody."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from support_core import admin, call

from masc_core.testing import MascApp

ACTIONS = ("claim", "start", "done", "cancel", "release")
STATUSES = ("todo", "claimed", "in_progress", "done", "cancelled")
PEOPLE = ("assignee", "other", "admin")
MOVES = {"claim": "claimed", "start": "in_progress", "done": "done", "cancel": "cancelled", "release": "todo"}
ALLOWED = {"todo": {"claim", "cancel"}, "claimed": {"start", "done", "cancel", "release"}}
ALLOWED["in_progress"] = ALLOWED["claimed"] - {"start"}


def expected(action: str, status: str, who: str) -> str:
    """``moved``, ``same`` or the code of the refusal, read off the table in core.md."""
    mine = who == "assignee" and status != "todo"
    if mine and (action, status) in {
        ("claim", "claimed"),
        ("claim", "in_progress"),
        ("start", "in_progress"),
        ("done", "done"),
        ("cancel", "cancelled"),
    }:
        return "same"
    if status in {"done", "cancelled"}:
        return "task_invalid_state"
    if status == "todo":
        return "moved" if action in ALLOWED["todo"] else "task_not_claimed"
    if action == "claim":
        return "task_already_claimed"
    if not mine and (who != "admin" or action == "start"):
        return "task_owned_by_other"
    return "moved" if action in ALLOWED[status] else "task_invalid_state"


async def task_in(masc: MascApp, status: str) -> dict[str, Any]:
    """A task that the agent ``assignee`` brought into a status."""
    await masc.call("masc_add_task", title="Fix login")
    steps = {
        "todo": (),
        "claimed": ("claim",),
        "in_progress": ("claim", "start"),
        "done": ("claim", "done"),
        "cancelled": ("claim", "cancel"),
    }
    for action in steps[status]:
        result = await masc.call("masc_transition", "assignee", task_id="task-001", action=action)
        assert "error" not in result, result
    tasks: dict[str, Any] = (await masc.call("masc_tasks", status="all"))["tasks"][0]
    assert tasks["status"] == status
    return tasks


@pytest.mark.parametrize(("action", "status", "who"), list(itertools.product(ACTIONS, STATUSES, PEOPLE)))
async def test_each_action_in_each_status_does_what_the_table_says(
    masc: MascApp, action: str, status: str, who: str
) -> None:
    before = await task_in(masc, status)
    if who == "admin":
        result = await call(masc, admin(), "masc_transition", task_id="task-001", action=action)
    else:
        result = await masc.call("masc_transition", who, task_id="task-001", action=action)
    after = (await masc.call("masc_tasks", status="all"))["tasks"][0]
    wanted = expected(action, status, who)
    if wanted == "moved":
        assert result["changed"] is True
        assert result["previous_status"] == status
        assert after["status"] == MOVES[action]
        assert after["version"] == before["version"] + 1
    elif wanted == "same":
        assert result["changed"] is False
        assert after == before
    else:
        assert result["error"]["code"] == wanted
        assert after == before
        if status in {"done", "cancelled"}:
            assert result["error"]["details"]["allowed"] == []


async def test_release_clears_assignee_and_times_and_leaves_a_log_line(masc: MascApp) -> None:
    await task_in(masc, "in_progress")
    result = await masc.call("masc_transition", "assignee", task_id="task-001", action="release", reason="stuck")
    assert not {"assignee", "claimed_at", "started_at"} & result["task"].keys()
    assert "stuck" in result["task"]["log"][-1]["text"]


async def test_done_keeps_the_notes_and_cancel_the_reason(masc: MascApp) -> None:
    await task_in(masc, "claimed")
    done = await masc.call("masc_done", "assignee", task_id="task-001", notes="in abc123")
    assert done["task"]["notes"] == "in abc123"
    await masc.call("masc_add_task", title="Other")
    cancelled = await masc.call("masc_transition", "bob", task_id="task-002", action="cancel", reason="no need")
    assert cancelled["task"]["reason"] == "no need"
    assert cancelled["task"]["cancelled_by"] == "bob"


async def test_current_task_follows_claims_and_ends(masc: MascApp) -> None:
    async def current() -> str | None:
        agent: dict[str, Any] = (await masc.call("masc_status"))["agents"][0]
        return agent.get("current_task")

    for title in ("One", "Two"):
        await masc.call("masc_add_task", title=title)
    await masc.call("masc_claim", "claude", task_id="task-001")
    await masc.call("masc_claim", "claude", task_id="task-002")
    assert await current() == "task-002"
    await masc.call("masc_done", "claude", task_id="task-002")
    assert await current() == "task-001"
    await masc.call("masc_done", "claude", task_id="task-001")
    assert await current() is None
