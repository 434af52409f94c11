"""Where the room sees an agent at work: in masc_agents and on the task."""

from __future__ import annotations

from typing import Any

from worktree_support import Repo

from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp

CREATE, REMOVE = "masc_worktree_create", "masc_worktree_remove"


async def _shown(masc: MascApp, **arguments: Any) -> Any:
    agents = (await masc.call("masc_agents", **arguments))["agents"]
    return {a["name"]: a.get("worktree") for a in agents}["claude"]


async def test_an_agent_is_shown_where_it_works(masc: MascApp, repo: Repo, clock: ManualClock) -> None:
    await masc.call("masc_add_task", "claude", title="T")
    await masc.call("masc_claim", "claude", task_id="task-001")
    assert await _shown(masc) is None
    first = (await masc.call(CREATE, "claude", task_id="task-001"))["path"]
    assert await _shown(masc) == first
    await clock.advance(1)
    second = (await masc.call(CREATE, "claude", task_id="off-the-board"))["path"]
    assert await _shown(masc) == second
    assert (await masc.call(CREATE, "claude", task_id="task-001"))["created"] is False
    assert await _shown(masc) == first
    await masc.call(REMOVE, "claude", task_id="task-001")
    assert await _shown(masc) == second
    await masc.call(REMOVE, "claude", task_id="off-the-board")
    assert await _shown(masc) is None


async def test_who_left_and_came_back_is_shown_in_the_worktree_that_stayed(masc: MascApp, repo: Repo) -> None:
    path = (await masc.call(CREATE, "claude", task_id="a"))["path"]
    assert (await masc.call("masc_leave", "claude"))["worktrees"] == [path]
    assert await _shown(masc, include_inactive=True) == path
    await masc.call("masc_join", "claude")
    assert await _shown(masc) == path
