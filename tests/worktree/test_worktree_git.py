"""Running git: time bounds, environment, locks of other processes; the lease."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from worktree_support import Repo

from masc_core.clock import SystemClock
from masc_core.store.driver import Acquire
from masc_core.testing import ManualClock, MascApp
from masc_plugin_worktree.errors import GitFailed
from masc_plugin_worktree.git import Git, git_environment
from masc_plugin_worktree.lease import lease_name

CREATE = "masc_worktree_create"


def _fake_git(directory: Path, script: str) -> None:
    program = directory / "git"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_the_environment_names_no_repository_and_asks_nobody() -> None:
    env = git_environment({"GIT_DIR": "/x", "GIT_INDEX_FILE": "y", "GIT_SSH_COMMAND": "ssh -4", "PATH": "/bin"})
    assert "GIT_DIR" not in env
    assert "GIT_INDEX_FILE" not in env
    assert (env["GIT_SSH_COMMAND"], env["GIT_TERMINAL_PROMPT"], env["LC_ALL"]) == ("ssh -4", "0", "C")


async def test_a_command_over_its_time_is_ended_with_its_helpers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repo: Repo
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    _fake_git(programs, f"sh -c 'echo $$ > {tmp_path}/helper; exec sleep 600' & wait")
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    with pytest.raises(GitFailed) as refused:
        await Git(SystemClock(), timeout=0.5).run(str(tmp_path), "fetch", "origin")
    assert (refused.value.reason, refused.value.operation) == ("timeout", "fetch")
    helper = int((tmp_path / "helper").read_text())
    for _ in range(10_000):  # the kernel reaps it in its own time
        state = Path(f"/proc/{helper}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            break
        await asyncio.sleep(0)
    else:
        pytest.fail("the helper outlived its git")


async def test_another_process_lock_is_waited_for_and_then_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_git(
        tmp_path,
        f"echo x >> {tmp_path}/tries; [ $(wc -l < {tmp_path}/tries) -ge 3 ] && exit 0; "
        "echo \"fatal: Unable to create '.git/index.lock': File exists.\" >&2; exit 128",
    )
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    clock = ManualClock()
    running = asyncio.ensure_future(Git(clock).run(str(tmp_path), "worktree", "add"))
    while not running.done():
        await clock.advance(10)
    assert running.result().ok
    _fake_git(tmp_path, "echo \"fatal: 'https://me:secret@host/x' .git/index.lock: File exists\" >&2; exit 128")
    running = asyncio.ensure_future(Git(clock).run(str(tmp_path), "worktree", "add"))
    while not running.done():
        await clock.advance(10)
    with pytest.raises(GitFailed) as refused:
        running.result()
    assert (refused.value.operation, refused.value.exit_code) == ("worktree add", 128)
    assert "secret" not in str(refused.value)


async def test_without_git_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitFailed) as refused:
        await Git(SystemClock()).run(str(tmp_path), "status")
    assert refused.value.reason == "not_started"


async def test_a_held_lease_is_waited_for_until_it_runs_out_of_patience(
    masc: MascApp, repo: Repo, clock: ManualClock
) -> None:
    await masc.call("masc_init", "claude")
    name = lease_name(str(repo.path.resolve()))
    driver = masc.kernel.start_room.driver
    await driver.commit([], [Acquire(name, "other", 120)])
    calling = asyncio.ensure_future(masc.call(CREATE, "claude", task_id="a"))
    while not calling.done():
        await clock.advance(1)
        await asyncio.sleep(0.001)
    assert calling.result()["error"]["code"] == "storage_busy"
    assert clock.monotonic() < 118
    await clock.advance(120 - clock.monotonic())
    assert (await masc.call(CREATE, "claude", task_id="a"))["created"] is True
    assert await driver.leases([name]) == [None]


async def test_a_failed_creation_gives_the_lease_back(masc: MascApp, repo: Repo) -> None:
    (repo.path / ".worktrees/claude-a").mkdir(parents=True)
    assert (await masc.error(CREATE, "claude", task_id="a"))["code"] == "worktree_conflict"
    assert await masc.kernel.start_room.driver.leases([lease_name(str(repo.path.resolve()))]) == [None]
