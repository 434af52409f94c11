"""masc_worktree_create."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from worktree_support import Repo, init

from masc_core.clock import SystemClock
from masc_core.rooms import resolve_base
from masc_core.testing.app import MascApp, masc_app

CREATE, REMOVE = "masc_worktree_create", "masc_worktree_remove"


async def test_without_remote_the_current_branch_is_the_base(masc: MascApp, repo: Repo) -> None:
    """Acceptance 1."""
    made = await masc.call(CREATE, "claude", task_id="task-001")
    assert (made["base"], made["fetched"], made["created"], made["reused_branch"]) == ("trunk", False, True, False)
    assert made["path"] == str(repo.path.resolve() / ".worktrees" / "claude-task-001")
    assert made["branch"] == "claude/task-001"
    assert made["base_commit"] == repo.git("rev-parse", "trunk")
    assert repo.at(made["path"]).git("symbolic-ref", "--short", "HEAD") == "claude/task-001"
    assert "warnings" not in made
    assert repo.git("status", "--porcelain") == ""


async def test_remote_default_branch_is_the_base_and_develop_only_when_asked_for(masc: MascApp, cloned: Repo) -> None:
    """Acceptance 2."""
    cloned.git("branch", "develop")
    first = await masc.call(CREATE, "claude", task_id="a")
    second = await masc.call(CREATE, "claude", task_id="b", base_branch="develop")
    assert (first["base"], first["fetched"]) == ("origin/main", True)
    assert second["base"] == "develop"


async def test_a_fetched_commit_is_the_base(
    masc: MascApp, cloned: Repo, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Repo(tmp_path_factory.mktemp("other"))
    other.git("clone", "-q", cloned.git("remote", "get-url", "origin"), ".")
    newest = other.commit("new")
    other.git("push", "-q", "origin", "main")
    assert (await masc.call(CREATE, "claude", task_id="a"))["base_commit"] == newest


async def test_unreachable_remote_is_a_warning(masc: MascApp, repo: Repo) -> None:
    """Acceptance 3."""
    repo.git("remote", "add", "origin", str(repo.path / "nowhere.git"))
    made = await masc.call(CREATE, "claude", task_id="a")
    assert (made["created"], made["fetched"]) == (True, False)
    assert [w["code"] for w in made["warnings"]] == ["fetch_failed"]


async def test_the_same_call_again_finds_the_worktree(masc: MascApp, repo: Repo) -> None:
    """Acceptance 4."""
    first = await masc.call(CREATE, "claude", task_id="a")
    repo.commit("later")
    second = await masc.call(CREATE, "Claude", task_id="a")
    assert first.pop("joined") is True
    assert second == {**first, "created": False}
    exclude = (repo.path / ".git/info/exclude").read_text().splitlines()
    assert exclude.count(".worktrees/") == 1


async def test_a_colon_becomes_a_hyphen_and_traversal_is_refused(masc: MascApp, repo: Repo) -> None:
    """Acceptance 7."""
    assert (await masc.call(CREATE, "claude", task_id="feat:x"))["branch"] == "claude/feat-x"
    assert (await masc.error(CREATE, "claude", task_id="../x"))["code"] == "invalid_task_id"
    taken = await masc.error(CREATE, "claude", task_id="feat-x")
    assert (taken["code"], taken["details"]["reason"]) == ("worktree_conflict", "branch_in_use")


@pytest.mark.parametrize(
    ("agent", "arguments", "code"),
    [
        ("claude", {"task_id": "--upload-pack"}, "invalid_argument"),
        ("claude", {"task_id": "-b"}, "invalid_argument"),
        ("claude", {"task_id": "a/b"}, "invalid_task_id"),
        ("-b", {"task_id": "x"}, "invalid_argument"),
        ("../x", {"task_id": "x"}, "invalid_agent_name"),
        ("claude", {"task_id": "x", "base_branch": "-b"}, "invalid_argument"),
        ("claude", {"task_id": "x", "base_branch": "--upload-pack=touch pwned"}, "invalid_argument"),
        ("claude", {"task_id": "x", "base_branch": "a..b"}, "invalid_argument"),
        ("claude", {"task_id": "x", "base_branch": "@{-1}"}, "invalid_argument"),
        ("claude", {"task_id": "x", "base_branch": "trunk~1"}, "invalid_argument"),
        ("claude", {"task_id": "x", "base_branch": "a\nb"}, "invalid_argument"),
        ("claude", {"task_id": "x", "base_branch": "x.lock"}, "invalid_argument"),
        ("claude", {"task_id": "x", "base_branch": "no-such"}, "branch_not_found"),
        ("claude", {"task_id": "x", "base_branch": "HEAD"}, "branch_not_found"),
        ("claude", {"task_id": "x", "base_branch": "../../trunk"}, "invalid_argument"),
    ],
)
async def test_hostile_names_change_nothing(
    masc: MascApp, repo: Repo, agent: str, arguments: dict[str, str], code: str
) -> None:
    assert (await masc.error(CREATE, agent, **arguments))["code"] == code
    assert not (repo.path / ".worktrees").exists()
    assert repo.git("branch", "--format=%(refname:short)") == "trunk"


@pytest.mark.parametrize("tool", [CREATE, REMOVE])
@pytest.mark.parametrize(
    ("agent", "task_id", "field", "said"),
    [
        ("-x", "t", "agent_name", "git takes no branch -x/t"),
        ("--help", "--help", "agent_name", "git takes no branch --help/--help"),
        ("-", "t", "agent_name", "git takes no branch -/t"),
        ("claude", "--help", "task_id", "--help reads like an option of git"),
        ("claude", "-f", "task_id", "-f reads like an option of git"),
        ("claude", "--", "task_id", "-- reads like an option of git"),
        ("claude", "-d:x", "task_id", "-d:x reads like an option of git"),
    ],
)
async def test_a_name_that_only_git_minds_is_refused_for_what_it_is(
    masc: MascApp, repo: Repo, tool: str, agent: str, task_id: str, field: str, said: str
) -> None:
    """Such names are legal for agents and tasks; the refusal must not say they break that rule."""
    assert (await masc.call("masc_join", agent))["agent"] == agent
    details = (await masc.error(tool, agent, task_id=task_id))["details"]
    assert (details["field"], details["reason"]) == (field, "leading_dash")
    assert said in details["expected"]
    assert repo.git("branch", "--format=%(refname:short)") == "trunk"


async def test_what_only_looks_like_an_option_inside_a_name_works(masc: MascApp, repo: Repo) -> None:
    for agent, task_id in (("x-", "t--help"), ("a--force", "t-"), ("claude", "t:-f")):
        made = await masc.call(CREATE, agent, task_id=task_id)
        assert made["branch"] == f"{agent}/{task_id.replace(':', '-')}"
        assert (await masc.call(REMOVE, agent, task_id=task_id))["removed"] is True
    assert repo.git("branch", "--format=%(refname:short)") == "trunk"


async def test_git_itself_takes_no_branch_that_begins_with_a_dash(repo: Repo) -> None:
    """Why an agent of such a name is refused; the day this fails it can be let in."""
    with pytest.raises(subprocess.CalledProcessError):
        repo.git("worktree", "add", "-q", "-b", "-x/t", "--", str(repo.path / "there"), "trunk")


async def test_two_kernels_on_one_store_create_at_the_same_moment(repo: Repo) -> None:
    """Acceptance 8, with two drivers on one database."""
    async with (
        masc_app(repo.path, backend="sqlite", clock=SystemClock()) as one,
        masc_app(repo.path, backend="sqlite", clock=SystemClock()) as other,
    ):
        await one.call("masc_status")
        made = await asyncio.gather(
            *(
                app.call(CREATE, agent, task_id=f"t{n}")
                for n in range(3)
                for app, agent in ((one, "claude"), (other, "codex"))
            )
        )
    assert [m.get("created") for m in made] == [True] * 6, made
    assert len({m["path"] for m in made}) == 6


async def test_two_processes_create_at_the_same_moment(repo: Repo) -> None:
    """Acceptance 8."""
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "masc_core", "call", CREATE, '{"task_id": "t"}', "--agent", agent, "--json"),
            cwd=repo.path,
            env={k: v for k, v in os.environ.items() if not k.startswith(("MASC_", "GIT_"))},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        for agent in ("claude", "codex")
    ]
    outputs = [(await process.communicate())[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert {p.name for p in (repo.path / ".worktrees").iterdir()} == {"claude-t", "codex-t"}


async def test_an_existing_branch_is_checked_out_as_it_is(masc: MascApp, repo: Repo) -> None:
    repo.git("branch", "claude/a")
    tip = repo.git("rev-parse", "claude/a")
    repo.commit("later")
    made = await masc.call(CREATE, "claude", task_id="a")
    assert made["reused_branch"] is True
    assert repo.at(made["path"]).git("rev-parse", "HEAD") == tip


async def test_a_directory_name_of_another_pair_gets_a_number(masc: MascApp, repo: Repo) -> None:
    await masc.call("masc_join", "a")  # or the name would mean the only live agent of type a
    first = await masc.call(CREATE, "a-b", task_id="c")
    second = await masc.call(CREATE, "a", task_id="b-c")
    assert Path(first["path"]).name == "a-b-c"
    assert Path(second["path"]).name == "a-b-c-2"
    assert second["branch"] == "a/b-c"


async def test_a_branch_in_use_and_a_path_in_the_way_are_conflicts(masc: MascApp, repo: Repo) -> None:
    repo.git("switch", "-q", "-c", "claude/a")
    assert (await masc.error(CREATE, "claude", task_id="a"))["details"]["reason"] == "branch_in_use"
    (repo.path / ".worktrees/claude-b").mkdir(parents=True)
    assert (await masc.error(CREATE, "claude", task_id="b"))["details"]["reason"] == "not_a_worktree"
    repo.git("branch", "codex")
    assert (await masc.error(CREATE, "codex", task_id="b"))["details"]["reason"] == "branch_name_taken"


async def test_a_worktrees_link_to_elsewhere_is_refused(
    masc: MascApp, repo: Repo, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (repo.path / ".worktrees").symlink_to(outside)
    assert (await masc.error(CREATE, "claude", task_id="a"))["details"]["reason"] == "leads_elsewhere"
    assert list(outside.iterdir()) == []


async def test_a_deleted_directory_is_made_again(masc: MascApp, repo: Repo) -> None:
    made = await masc.call(CREATE, "claude", task_id="a")
    Path(made["path"]).rename(repo.path / "moved-away")
    again = await masc.call(CREATE, "claude", task_id="a")
    assert (again["created"], again["reused_branch"], again["path"]) == (True, True, made["path"])


async def test_a_worktree_without_record_is_adopted(repo: Repo) -> None:
    """A call that ended between git and the store, or a reset room."""
    async with masc_app(repo.path) as first:
        made = await first.call(CREATE, "claude", task_id="a")
    async with masc_app(repo.path) as second:
        again = await second.call(CREATE, "claude", task_id="a")
        listed = await second.call("masc_worktree_list")
    assert (again["created"], again["path"]) == (False, made["path"])
    assert [w["is_managed"] for w in listed["worktrees"]] == [False, True]


async def test_a_room_below_the_git_root_uses_the_root(repo: Repo) -> None:
    (repo.path / "sub").mkdir()
    async with masc_app(repo.path / "sub") as masc:
        made = await masc.call(CREATE, "claude", task_id="a")
    assert made["path"] == str(repo.path.resolve() / ".worktrees/claude-a")


async def test_a_room_inside_a_worktree_uses_the_main_checkout(repo: Repo) -> None:
    """Acceptance 10, for the part that is git's."""
    repo.git("worktree", "add", "-q", "-b", "side", ".worktrees/side")
    async with masc_app(repo.path / ".worktrees/side") as masc:
        made = await masc.call(CREATE, "claude", task_id="a")
    assert made["path"] == str(repo.path.resolve() / ".worktrees/claude-a")


async def test_status_from_inside_a_worktree_shows_the_main_checkout(masc: MascApp, repo: Repo) -> None:
    """Acceptance 10."""
    made = await masc.call(CREATE, "claude", task_id="a")
    base = resolve_base(Path(made["path"]), explicit=False)
    async with masc_app(base.path) as inside:
        await inside.call("masc_init", "claude")
        status = await inside.call("masc_status")
    assert status["path"] == str(repo.path.resolve())


async def test_outside_git_and_without_commit_nothing_can_be_made(masc: MascApp) -> None:
    assert (await masc.error(CREATE, "claude", task_id="a"))["code"] == "not_a_git_repository"
    assert (await masc.error("masc_worktree_list"))["code"] == "not_a_git_repository"
    Repo(masc.path).git("init", "-q", "-b", "trunk")
    unborn = await masc.error(CREATE, "claude", task_id="a")
    assert (unborn["code"], unborn["details"]["branch"]) == ("branch_not_found", "trunk")


async def test_an_own_task_on_the_board_gets_the_worktree(masc: MascApp, repo: Repo) -> None:
    task = (await masc.call("masc_add_task", "claude", title="Fix login"))["task"]["id"]
    other = (await masc.call("masc_add_task", "claude", title="Write docs"))["task"]["id"]
    assert (await masc.call(CREATE, "codex", task_id=task))["created"] is True
    assert await _worktree_of(masc, task) is None
    await masc.call("masc_claim", "claude", task_id=task)
    await masc.call("masc_claim", "claude", task_id=other)
    made = await masc.call(CREATE, "claude", task_id=task)
    assert await _worktree_of(masc, task) == {"path": made["path"], "branch": made["branch"]}
    agents = (await masc.call("masc_agents"))["agents"]
    assert next(a for a in agents if a["name"] == "claude")["current_task"] == task
    await masc.call("masc_worktree_remove", "claude", task_id=task)
    assert await _worktree_of(masc, task) is None
    log = await masc.kernel.start_room.driver.read_log("events", 0, 100)
    events = [json.loads(entry.body) for entry in log]
    about = [(e["type"], e["actor"], e["subject"]) for e in events if e["type"].startswith("worktree_")]
    assert about == [
        ("worktree_created", "codex", task),
        ("worktree_created", "claude", task),
        ("worktree_removed", "claude", task),
    ]


async def _worktree_of(masc: MascApp, task_id: str) -> object:
    tasks = (await masc.call("masc_tasks"))["tasks"]
    return next(t for t in tasks if t["id"] == task_id).get("worktree")


async def test_leaving_names_the_worktrees_and_keeps_them(masc: MascApp, repo: Repo) -> None:
    made = await masc.call(CREATE, "claude", task_id="a")
    left = await masc.call("masc_leave", "claude")
    assert made["path"] in str(left)
    assert Path(made["path"]).is_dir()


async def test_a_hook_of_the_repository_does_not_run(masc: MascApp, repo: Repo) -> None:
    hook = repo.path / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch '{repo.path}/ran'\n")
    hook.chmod(0o755)
    assert (await masc.call(CREATE, "claude", task_id="a"))["created"] is True
    assert not (repo.path / "ran").exists()


async def test_an_inherited_git_dir_is_not_believed(
    masc: MascApp, repo: Repo, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = init(tmp_path_factory.mktemp("other"))
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.path))
    made = await masc.call(CREATE, "claude", task_id="a")
    assert made["path"].startswith(str(repo.path.resolve()))
