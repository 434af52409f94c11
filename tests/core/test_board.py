"""The board: adding, listing, claiming the next task, dependencies, archive, pause."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest
from masc_forking import launcher
from support_core import admin, call

from masc_core.clock import SystemClock
from masc_core.identity import Client
from masc_core.kernel import Kernel, local_client
from masc_core.pause import pause_room
from masc_core.plugins import load
from masc_core.rooms import Base
from masc_core.settings import Settings
from masc_core.testing import ManualClock, MascApp

HOUR = 3600
WORKER = Path(__file__).with_name("claim_worker.py")


async def test_join_add_claim_done_in_turn_work_on_an_empty_room(masc: MascApp) -> None:
    """Acceptance 1."""
    assert (await masc.call("masc_join", "claude"))["agent"] == "claude"
    assert (await masc.call("masc_add_task", title="Fix login"))["task"]["id"] == "task-001"
    assert (await masc.call("masc_claim", "claude", task_id="task-001"))["changed"] is True
    assert (await masc.call("masc_done", "claude", task_id="task-001"))["task"]["status"] == "done"


async def test_old_task_of_low_priority_overtakes_a_new_one(masc: MascApp, clock: ManualClock) -> None:
    """Acceptance 3."""
    await masc.call("masc_add_task", title="Old", priority=5)
    await clock.advance(96 * HOUR)
    await masc.call("masc_add_task", title="New", priority=2)
    assert (await masc.call("masc_claim_next", "claude"))["task"]["title"] == "Old"


async def test_a_day_counts_only_when_it_is_over(masc: MascApp, clock: ManualClock) -> None:
    await masc.call("masc_add_task", title="Old", priority=3)
    await clock.advance(24 * HOUR - 1)
    await masc.call("masc_add_task", title="New", priority=2)
    assert (await masc.call("masc_claim_next", "claude"))["task"]["title"] == "New"


async def test_equal_urgency_goes_by_age_then_by_id(masc: MascApp, clock: ManualClock) -> None:
    for title in ("A", "B"):
        await masc.call("masc_add_task", title=title)
    await clock.advance(1)
    await masc.call("masc_add_task", title="C")
    got = [(await masc.call("masc_claim_next", "claude"))["task"]["title"] for _ in range(3)]
    assert got == ["A", "B", "C"]


async def test_claim_next_passes_over_what_the_caller_cannot_take_and_counts_it(masc: MascApp) -> None:
    await masc.call("masc_join", "gemini")
    await masc.call("masc_join", "claude", capabilities=["Python"])
    await masc.call("masc_add_task", title="excluded", priority=1)
    await masc.call("masc_add_task", title="reserved", priority=1, assignee="gemini")
    await masc.call("masc_add_task", title="rust", priority=1, capabilities=["rust"])
    await masc.call("masc_add_task", title="blocked", priority=1, depends_on=["task-001"])
    await masc.call("masc_add_task", title="python", priority=4, capabilities=["python"])
    result = await masc.call("masc_claim_next", "claude", exclude_task_ids=["task-001"])
    assert result["task"]["title"] == "python"
    assert result["skipped"] == {"blocked": 1, "reserved": 1, "capability": 1, "excluded": 1}
    nothing = await masc.call("masc_claim_next", "claude", exclude_task_ids=["task-001"], capability="go")
    assert nothing["changed"] is False
    assert "task" not in nothing


async def test_claim_next_reads_beyond_a_page_of_tasks_it_cannot_take(masc: MascApp) -> None:
    for n in range(55):
        await masc.call("masc_add_task", title=f"rust {n}", capabilities=["rust"])
    await masc.call("masc_add_task", title="mine")
    result = await masc.call("masc_claim_next", "claude")
    assert result["task"]["title"] == "mine"
    assert result["skipped"]["capability"] == 55


async def test_a_claimed_task_is_refused_to_others_and_repeated_for_its_owner(masc: MascApp) -> None:
    """Acceptance 4."""
    await masc.call("masc_add_task", title="T")
    first = await masc.call("masc_claim", "claude", task_id="task-001")
    error = await masc.error("masc_claim", "gemini", task_id="task-001")
    assert error["code"] == "task_already_claimed"
    assert error["details"]["assignee"] == "claude"
    again = await masc.call("masc_claim", "claude", task_id="task-001")
    assert again["changed"] is False
    assert again["task"]["version"] == first["task"]["version"]


async def test_another_version_than_expected_is_a_conflict_without_change(masc: MascApp) -> None:
    """Acceptance 5."""
    await masc.call("masc_add_task", title="T")
    await masc.call("masc_claim", "claude", task_id="task-001")
    await masc.call("masc_transition", "claude", task_id="task-001", action="start")
    error = await masc.error("masc_transition", "claude", task_id="task-001", action="done", expected_version=2)
    assert error["code"] == "version_conflict"
    assert error["details"] == {"task_id": "task-001", "expected_version": 2, "actual_version": 3}
    assert (await masc.call("masc_tasks"))["tasks"][0]["version"] == 3
    moved = await masc.call("masc_transition", "claude", task_id="task-001", action="done", expected_version=3)
    assert moved["changed"] is True


async def test_a_paused_room_refuses_new_work_and_lets_work_end(masc: MascApp) -> None:
    """Acceptance 9."""
    for title in ("A", "B", "C"):
        await masc.call("masc_add_task", title=title)
    await masc.call("masc_claim", "claude", task_id="task-001")
    await pause_room(masc.kernel, Client("local", "local", person="human:root"), "release day")
    for tool, arguments in (
        ("masc_claim", {"task_id": "task-002"}),
        ("masc_claim_next", {}),
        ("masc_transition", {"task_id": "task-001", "action": "start"}),
        ("masc_transition", {"task_id": "task-002", "action": "claim"}),
    ):
        error = await masc.error(tool, "claude", **arguments)
        assert error["code"] == "room_paused"
        assert error["retryable"] is True
        assert error["details"]["reason"] == "release day"
        assert error["details"]["paused_by"] == "human:root"
    started = await masc.call("masc_start", "gemini", task_title="Mine")
    assert started["warnings"][0]["code"] == "room_paused"
    assert started["task"]["status"] == "todo"
    assert (await masc.call("masc_done", "claude", task_id="task-001"))["changed"] is True
    by_admin = await call(masc, admin(), "masc_claim", task_id="task-002")
    assert by_admin["changed"] is True


async def test_a_dependent_task_waits_and_is_named_when_it_can_go(masc: MascApp) -> None:
    """Acceptance 10."""
    await masc.call("masc_add_task", title="A")
    await masc.call("masc_add_task", title="B", depends_on=["task-001"])
    error = await masc.error("masc_claim", "claude", task_id="task-002")
    assert error["code"] == "task_blocked"
    assert error["details"]["waiting_on"] == ["task-001"]
    await masc.call("masc_claim", "claude", task_id="task-001")
    assert (await masc.call("masc_done", "claude", task_id="task-001"))["unblocked"] == ["task-002"]
    assert (await masc.call("masc_claim", "claude", task_id="task-002"))["changed"] is True


async def test_a_cancelled_dependency_is_finished_and_said_in_the_log(masc: MascApp) -> None:
    await masc.call("masc_add_task", title="A")
    await masc.call("masc_add_task", title="B", depends_on=["task-001"])
    await masc.call("masc_transition", "claude", task_id="task-001", action="cancel")
    claimed = await masc.call("masc_claim", "claude", task_id="task-002")
    assert "task-001 was cancelled" in claimed["task"]["log"][-1]["text"]


@pytest.mark.parametrize(
    "arguments",
    [{"title": "T", "priority": 6}, {"title": "T", "priority": 0}, {"title": "   "}, {"title": ""}, {"title": "a\nb"}],
)
async def test_a_refused_task_uses_no_id(masc: MascApp, arguments: dict[str, Any]) -> None:
    """Acceptance 11."""
    assert (await masc.error("masc_add_task", **arguments))["code"] == "invalid_argument"
    assert (await masc.call("masc_add_task", title="T"))["task"]["id"] == "task-001"


async def test_adding_refuses_unknown_dependencies_and_assignees(masc: MascApp) -> None:
    assert (await masc.error("masc_add_task", title="T", depends_on=["task-9"]))["code"] == "task_not_found"
    await masc.call("masc_join", "gemini")
    error = await masc.error("masc_add_task", title="T", assignee="gemin")
    assert error["code"] == "agent_not_found"
    assert error["details"]["candidates"] == ["gemini"]


async def test_a_reserved_task_is_only_for_its_agent_and_a_claim_ends_the_reservation(masc: MascApp) -> None:
    await masc.call("masc_join", "gemini")
    await masc.call("masc_add_task", title="T", assignee="GEMINI")
    error = await masc.error("masc_claim", "claude", task_id="task-001")
    assert error["code"] == "task_reserved"
    assert error["details"]["reserved_for"] == "gemini"
    claimed = await masc.call("masc_claim", "gemini", task_id="task-001")
    assert "reserved_for" not in claimed["task"]
    assert (await masc.call("masc_status", "gemini"))["unread"]["mentions"] >= 1


async def test_priority_changes_only_on_unfinished_tasks(masc: MascApp) -> None:
    await masc.call("masc_add_task", title="T")
    result = await masc.call("masc_update_priority", task_id="task-001", priority=1)
    assert (result["old_priority"], result["new_priority"], result["changed"]) == (3, 1, True)
    assert (await masc.call("masc_update_priority", task_id="task-001", priority=1))["changed"] is False
    await masc.call("masc_transition", "claude", task_id="task-001", action="cancel")
    error = await masc.error("masc_update_priority", task_id="task-001", priority=2)
    assert error["code"] == "task_invalid_state"


async def test_listed_tasks_are_whole_but_for_their_log(masc: MascApp) -> None:
    await masc.call("masc_add_task", title="T", files=["a"])
    await masc.call("masc_claim", "claude", task_id="task-001")
    released = {"task_id": "task-001", "action": "release", "reason": "stuck"}
    whole = (await masc.call("masc_transition", "claude", **released))["task"]
    assert whole.pop("log")
    outcome = await masc.outcome("masc_tasks")
    assert outcome.structured["tasks"] == [whole]
    assert "log=" not in outcome.text
    assert (
        "log" not in masc.kernel.registry.contracts["masc_tasks"].output["properties"]["tasks"]["items"]["properties"]
    )
    again = await masc.call("masc_claim", "claude", task_id="task-001")
    assert "stuck" in again["task"]["log"][-1]["text"]


async def test_tasks_are_listed_by_priority_in_pages(masc: MascApp) -> None:
    for priority in (5, 1, 3):
        await masc.call("masc_add_task", title=f"p{priority}", priority=priority)
    page = await masc.call("masc_tasks", limit=2, offset=1)
    assert [t["title"] for t in page["tasks"]] == ["p3", "p5"]
    assert (page["count"], page["total"], page["more"]) == (2, 3, False)
    assert (await masc.call("masc_tasks", limit=2))["more"] is True
    assert (await masc.call("masc_tasks", assignee="nobody"))["tasks"] == []


async def test_recent_leaves_out_what_ended_a_day_ago(masc: MascApp, clock: ManualClock) -> None:
    await masc.call("masc_add_task", title="T")
    await masc.call("masc_claim", "claude", task_id="task-001")
    await masc.call("masc_done", "claude", task_id="task-001")
    assert (await masc.call("masc_tasks"))["total"] == 1
    assert (await masc.call("masc_tasks", status="open"))["total"] == 0
    await clock.advance(25 * HOUR)
    assert (await masc.call("masc_tasks"))["total"] == 0
    assert (await masc.call("masc_tasks", status="done", assignee="claude"))["total"] == 1


async def test_archived_tasks_are_found_newest_first_and_their_ids_stay_used(masc: MascApp, clock: ManualClock) -> None:
    assert (await masc.call("masc_archive_view")).get("error", {}).get("code") == "not_initialised"
    for title in ("Fix login", "Write ÄPFEL"):
        added = await masc.call("masc_add_task", title=title)
        await masc.call("masc_claim", "claude", task_id=added["task"]["id"])
        await masc.call("masc_done", "claude", task_id=added["task"]["id"])
        await clock.advance(8 * 24 * HOUR)
        await masc.call("masc_gc")
    view = await masc.call("masc_archive_view")
    assert [t["id"] for t in view["tasks"]] == ["task-002", "task-001"]
    assert (view["count"], view["total"]) == (2, 2)
    found = await masc.call("masc_archive_view", query="äpfel")
    assert [t["title"] for t in found["tasks"]] == ["Write ÄPFEL"]
    assert (await masc.call("masc_archive_view", query="nosuch"))["tasks"] == []
    for tool in ("masc_claim", "masc_done"):
        error = await masc.error(tool, "claude", task_id="task-001")
        assert (error["code"], error["details"]["archived"]) == ("task_not_found", True)
    error = await masc.error("masc_update_priority", task_id="task-001", priority=1)
    assert (error["code"], error["details"]["archived"]) == ("task_not_found", True)
    third = await masc.call("masc_add_task", title="Next", depends_on=["task-001"])
    assert third["task"]["id"] == "task-003"
    assert (await masc.call("masc_claim_next", "claude"))["changed"] is True


async def test_status_says_how_many_it_leaves_out_and_how_to_ask(masc: MascApp) -> None:
    for n in range(23):
        await masc.call("masc_join", f"agent{n}")
        await masc.call("masc_add_task", title=f"task {n}")
    status = await masc.call("masc_status")
    shown = len(status["agents"]), len(status["tasks"])
    assert min(shown) >= 3 and max(shown) <= 20
    assert (status["more"]["agents"], status["more"]["tasks"]) == (23 - shown[0], 23 - shown[1])
    assert status["more"]["ask"] == ["masc_agents", "masc_tasks limit=200"]
    assert status["agents_total"] == 23
    assert status["tasks_by_status"]["todo"] == 23


async def test_status_of_a_small_room_leaves_nothing_out(masc: MascApp) -> None:
    for n in range(3):
        await masc.call("masc_join", f"agent{n}")
        await masc.call("masc_add_task", title="x" * 500)
    status = await masc.call("masc_status")
    assert status["more"] == {"agents": 0, "tasks": 0}
    assert [len(task["title"]) for task in status["tasks"]] == [60] * 3 and status["tasks"][0]["title"].endswith("…")


async def test_status_shows_running_work_first(masc: MascApp) -> None:
    for n in range(4):
        await masc.call("masc_add_task", title=f"T{n}", priority=n + 1)
    await masc.call("masc_claim", "claude", task_id="task-003")
    await masc.call("masc_claim", "claude", task_id="task-004")
    await masc.call("masc_transition", "claude", task_id="task-004", action="start")
    ids = [t["id"] for t in (await masc.call("masc_status"))["tasks"]]
    assert ids == ["task-004", "task-003", "task-001", "task-002"]


def kernel_at(path: Path) -> Kernel:
    """A kernel on the SQLite file of a directory."""
    return Kernel(Base(path, may_create=True), load(), clock=SystemClock(), settings_of=lambda _: Settings())


async def test_fifty_claims_on_two_kernels_take_each_task_once(tmp_path: Path) -> None:
    """Acceptance 2, in one process: two kernels share the file."""
    async with kernel_at(tmp_path) as one, kernel_at(tmp_path) as two:
        for n in range(50):
            await one.call("masc_add_task", {"title": f"T{n}"}, local_client("boss"))
        outcomes = await asyncio.gather(
            *((one, two)[n % 2].call("masc_claim_next", {}, local_client(f"agent{n}")) for n in range(50))
        )
        claimed = [o.structured["task"]["id"] for o in outcomes]
        assert sorted(claimed) == [f"task-{n:03d}" for n in range(1, 51)]
        log = await one.start_room.driver.read_log("messages", 0, 1000)
        assert [entry.seq for entry in log] == list(range(1, len(log) + 1))


async def test_concurrent_adds_on_four_kernels_get_consecutive_ids(tmp_path: Path) -> None:
    """Acceptance 12."""
    async with kernel_at(tmp_path) as a, kernel_at(tmp_path) as b, kernel_at(tmp_path) as c, kernel_at(tmp_path) as d:
        outcomes = await asyncio.gather(
            *(k.call("masc_add_task", {"title": "T"}, local_client("x")) for k in (a, b, c, d) for _ in range(2))
        )
        ids = sorted(o.structured["task"]["id"] for o in outcomes)
        assert ids == [f"task-{n:03d}" for n in range(1, 9)]


async def test_eight_processes_claim_five_hundred_tasks_each_once(tmp_path: Path) -> None:
    """Acceptance 2, with real processes on one file."""
    async with kernel_at(tmp_path) as kernel:
        for n in range(500):
            outcome = await kernel.call("masc_add_task", {"title": f"T{n}"}, local_client("boss"))
            assert outcome.error is None
    workers = [
        subprocess.Popen([*launcher(WORKER), str(tmp_path), f"agent{n}"], stdout=subprocess.PIPE, text=True)
        for n in range(8)
    ]
    claimed = [line for worker in workers for line in worker.communicate(timeout=90)[0].split()]
    assert [worker.returncode for worker in workers] == [0] * 8
    assert len(claimed) == 500
    assert len(set(claimed)) == 500


async def test_a_name_in_masc_tasks_means_whom_it_means_in_masc_add_task(masc: MascApp) -> None:
    await masc.call("masc_add_task", "gemini-a", title="A")
    await masc.call("masc_claim", "gemini-a", task_id="task-001")
    await masc.call("masc_add_task", "claude", title="B", assignee="gemini")
    assert (await masc.call("masc_claim", "gemini-a", task_id="task-002"))["changed"] is True
    await masc.call("masc_done", "gemini-a", task_id="task-002")
    for status in ("recent", "all"):
        tasks = (await masc.call("masc_tasks", assignee="Gemini", status=status))["tasks"]
        assert [t["id"] for t in tasks] == ["task-001", "task-002"]
    await masc.call("masc_join", "gemini-b")
    assert (await masc.error("masc_tasks", assignee="gemini"))["code"] == "ambiguous_agent"
