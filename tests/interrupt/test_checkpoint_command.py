"""``masc checkpoint``, in processes of its own."""

from __future__ import annotations

import asyncio
import getpass
import subprocess
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from cli_support import masc
from dialog_support import ASK, BOUND, facts, stdio

HUMAN = f"human:{getpass.getuser()}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty git repository."""
    path = tmp_path / "project"
    path.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=path, check=True)
    return path


def ask(project: Path, **changed: Any) -> dict[str, Any]:
    """Raise an interrupt as claude."""
    arguments = orjson.dumps({**ASK, "wait_seconds": 0, **changed}).decode()
    ran = masc(project, "call", "masc_interrupt", arguments, "--agent", "claude", "--json")
    assert ran.status == 0, ran
    asked: dict[str, Any] = orjson.loads(ran.out)
    return asked


def json_of(project: Path, *arguments: str, stdin: str = "") -> dict[str, Any]:
    """What a checkpoint command prints for programs."""
    ran = masc(project, "checkpoint", *arguments, "--json", stdin=stdin)
    assert ran.status == 0, ran
    printed: dict[str, Any] = orjson.loads(ran.out)
    return printed


async def test_approving_on_the_command_line_wakes_the_agent_at_once(project: Path) -> None:
    """Acceptance 2: another process decides, and the waiting call returns within a second of it."""
    async with asyncio.timeout(2 * BOUND), stdio(project, "claude", "legacy", None) as claude:
        await claude.call_tool("masc_join", {})
        waiting = asyncio.create_task(claude.call_tool("masc_interrupt", ASK))
        while not (listed := facts(await claude.call_tool("masc_pending_interrupts", {})))["count"]:
            assert not waiting.done()
        checkpoint = listed["interrupts"][0]["checkpoint_id"]
        command = ("checkpoint", "approve", checkpoint, "--comment", "go on", "--edit-state", "-")
        ran = await asyncio.to_thread(masc, project, *command, stdin='{"rows": 3}')
        decided = time.monotonic()
        answer = facts(await waiting)
        assert time.monotonic() - decided < 1
    assert ran.status == 0, ran
    assert checkpoint in ran.out
    assert (answer["decision"], answer["comment"], answer["edited_state"]) == ("approved", "go on", {"rows": 3})


def test_the_command_that_is_named_decides(project: Path) -> None:
    """What how_to_decide says can be run as it stands."""
    how = ask(project)["how_to_decide"].removesuffix(" (or reject)").split()
    assert masc(project, *how[1:]).status == 0
    assert ask(project)["how_to_decide"] == f"decided by {HUMAN}"


def test_a_person_rejects_and_looks_at_what_was_asked(project: Path) -> None:
    asked = ask(project, state={"rows": 3})["checkpoint_id"]
    assert asked in masc(project, "checkpoint", "pending").out
    shown = json_of(project, "show", asked)["checkpoint"]
    assert (shown["state"], shown["interrupt_message"], shown["decision"]) == (
        {"rows": 3},
        ASK["message"],
        "pending",
    )
    assert not {"bindings", "session_id"} & set(shown)
    done = json_of(project, "reject", asked, "--reason", "not today")
    assert (done["status"], done["requester"]) == ("rejected", "claude")
    resolved = json_of(project, "pending", "--resolved", "--task", "task-001")["resolved"]
    assert [(r["resolved_by"], r["reject_reason"]) for r in resolved] == [(HUMAN, "not today")]


def test_a_local_command_under_the_requesters_name_is_refused(project: Path) -> None:
    ask(project)
    ran = masc(project, "call", "masc_approve", '{"task_id": "task-001"}', "--agent", "claude", "--json")
    assert ran.status == 1
    assert orjson.loads(ran.out)["error"]["details"]["reason"] == "self_approval"


def test_refusals_exit_with_1_and_wrong_usage_with_2(project: Path) -> None:
    asked = ask(project)["checkpoint_id"]
    missing = masc(project, "checkpoint", "approve", "cp-task-001-3-99")
    assert (missing.status, missing.err.split(":")[0]) == (1, "interrupt_not_found")
    unknown = masc(project, "checkpoint", "show", "cp-task-001-3-99")
    assert (unknown.status, unknown.err.split(":")[0]) == (1, "checkpoint_not_found")
    wrong: tuple[tuple[str, ...], ...] = (
        ("approve",),
        ("approve", "task-001"),
        ("approve", asked, "--edit-state", "nosuch.json"),
        ("approve", asked, "--edit-state", "-"),
        ("save", "--task", "t", "--step", "0", "--action", "a"),
        ("revert", "--task", "t"),
    )
    for arguments in wrong:
        assert masc(project, "checkpoint", *arguments, stdin="[1]").status == 2, arguments
    assert json_of(project, "pending")["count"] == 1


def test_a_person_keeps_takes_up_and_leaves_checkpoints(project: Path) -> None:
    first = json_of(
        project, "save", "--task", "t", "--step", "1", "--action", "copy", "--state", "-", stdin='{"rows": 3}'
    )["checkpoint"]
    assert (first["id"], first["status"], first["agent"]) == ("cp-t-1-1", "pending", HUMAN)
    taken = json_of(project, "resume", "cp-t-1-1")["checkpoint"]
    assert (taken["status"], taken["state"]) == ("in_progress", {"rows": 3})
    assert json_of(project, "resume", "cp-t-1-1")["checkpoint"] == taken
    second = json_of(project, "save", "--task", "t", "--step", "2", "--action", "check")
    assert (second["checkpoint"]["id"], second["completed"]) == ("cp-t-2-2", ["cp-t-1-1"])
    late = masc(project, "checkpoint", "resume", "cp-t-1-1")
    assert (late.status, late.err.split(":")[0]) == (1, "checkpoint_invalid_state")
    branched = json_of(project, "branch", "--task", "t", "--step", "1", "--name", "other")
    assert (branched["checkpoint"]["state"], branched["source_id"]) == ({"rows": 3}, "cp-t-1-1")
    waiting = ask(project, task_id="t", step=5)["checkpoint_id"]
    reverted = json_of(project, "revert", "--task", "t", "--to", "1")
    assert reverted == {
        "task_id": "t",
        "to_step": 1,
        "count": 2,
        "reverted": ["cp-t-2-2", "cp-t-2-3"],
        "still_open": [waiting],
    }
    assert json_of(project, "show", "cp-t-2-2")["checkpoint"]["status"] == "reverted"
    assert json_of(project, "revert", "--task", "t", "--to", "1")["count"] == 0
    refused = masc(project, "checkpoint", "branch", "--task", "t", "--step", "2", "--name", "n")
    assert (refused.status, refused.err.split(":")[0]) == (1, "checkpoint_invalid_state")
