"""masc_worktree_remove."""

from __future__ import annotations

from pathlib import Path

import pytest
from worktree_support import Repo

from masc_core.testing import ManualClock, MascApp

CREATE, REMOVE = "masc_worktree_create", "masc_worktree_remove"


async def _made(masc: MascApp, repo: Repo, task_id: str = "a") -> Repo:
    return repo.at((await masc.call(CREATE, "claude", task_id=task_id))["path"])


async def test_a_clean_merged_worktree_goes_with_its_branch(masc: MascApp, repo: Repo) -> None:
    tree = await _made(masc, repo)
    repo.git("merge", "-q", "--ff-only", tree.git("symbolic-ref", "--short", "HEAD"))
    gone = await masc.call(REMOVE, "claude", task_id="a")
    assert gone == {"path": str(tree.path), "removed": True, "branch": "claude/a", "branch_kept": False}
    assert not tree.path.exists()
    assert repo.git("branch", "--format=%(refname:short)") == "trunk"
    assert (await masc.error(REMOVE, "claude", task_id="a"))["code"] == "worktree_not_found"


async def test_untracked_file_is_named_and_force_removes(masc: MascApp, repo: Repo) -> None:
    """Acceptance 5."""
    tree = await _made(masc, repo)
    (tree.path / "notes.txt").write_text("x")
    dirty = await masc.error(REMOVE, "claude", task_id="a")
    assert (dirty["code"], dirty["details"]) == ("worktree_dirty", {"path": str(tree.path), "files": ["notes.txt"]})
    assert tree.path.is_dir()
    assert (await masc.call(REMOVE, "claude", task_id="a", force=True))["removed"] is True
    assert not tree.path.exists()


@pytest.mark.parametrize("name", ["with space.txt", "new\nline", 'quo"te\t', "ünïcödé-日本", "-b", "a -> b"])
async def test_odd_file_names_are_named_as_they_are(masc: MascApp, repo: Repo, name: str) -> None:
    tree = await _made(masc, repo)
    (tree.path / name).write_text("x")
    assert (await masc.error(REMOVE, "claude", task_id="a"))["details"]["files"] == [name]


async def test_a_file_name_that_is_no_text_is_shown_all_the_same(masc: MascApp, repo: Repo) -> None:
    tree = await _made(masc, repo)
    (Path(str(tree.path)) / b"bad-\xff".decode("utf-8", "surrogateescape")).write_text("x")
    assert (await masc.error(REMOVE, "claude", task_id="a"))["details"]["files"] == ["bad-\ufffd"]


async def test_a_changed_tracked_file_is_dirty_and_at_most_20_are_named(masc: MascApp, repo: Repo) -> None:
    tree = await _made(masc, repo)
    (tree.path / "README").write_text("changed")
    for n in range(30):
        (tree.path / f"f{n:02}").write_text("x")
    files = (await masc.error(REMOVE, "claude", task_id="a"))["details"]["files"]
    assert len(files) == 20
    assert "README" in files


async def test_unmerged_commit_is_kept(masc: MascApp, repo: Repo) -> None:
    """Acceptance 6."""
    tree = await _made(masc, repo)
    commit = tree.commit("work")
    refused = await masc.error(REMOVE, "claude", task_id="a")
    assert (refused["code"], refused["details"]) == ("branch_unmerged", {"branch": "claude/a", "commits": 1})
    gone = await masc.call(REMOVE, "claude", task_id="a", force=True)
    assert (gone["removed"], gone["branch_kept"], gone["kept_reason"]) == (True, True, "unmerged")
    assert repo.git("rev-parse", "claude/a") == commit
    again = await masc.call(CREATE, "claude", task_id="a")
    assert (again["created"], again["reused_branch"]) == (True, True)


async def test_a_pushed_commit_is_not_unmerged(masc: MascApp, cloned: Repo) -> None:
    tree = await _made(masc, cloned)
    tree.commit("work")
    tree.git("push", "-q", "-u", "origin", "HEAD")
    gone = await masc.call(REMOVE, "claude", task_id="a")
    assert gone["branch_kept"] is False
    assert "claude/a" not in (cloned.path / ".git/config").read_text()


async def test_commits_on_no_branch_stay_in_spite_of_force(masc: MascApp, repo: Repo) -> None:
    tree = await _made(masc, repo)
    tree.git("checkout", "-q", "--detach")
    tree.commit("work")
    refused = await masc.error(REMOVE, "claude", task_id="a", force=True)
    assert (refused["code"], refused["details"]["branch"]) == ("branch_unmerged", "HEAD")
    assert tree.path.is_dir()


async def test_a_branch_checked_out_elsewhere_stays(masc: MascApp, repo: Repo) -> None:
    tree = await _made(masc, repo)
    tree.git("switch", "-q", "-c", "side")
    repo.git("switch", "-q", "claude/a")
    gone = await masc.call(REMOVE, "claude", task_id="a")
    assert (gone["branch_kept"], gone["kept_reason"]) == (True, "checked_out_elsewhere")


async def test_a_base_that_is_gone_counts_as_it_was(masc: MascApp, repo: Repo) -> None:
    repo.git("branch", "feature")
    tree = repo.at((await masc.call(CREATE, "claude", task_id="a", base_branch="feature"))["path"])
    repo.git("branch", "-D", "feature")
    tree.commit("work")
    assert (await masc.error(REMOVE, "claude", task_id="a"))["details"]["commits"] == 1


async def test_a_directory_deleted_by_hand_is_forgotten(masc: MascApp, repo: Repo) -> None:
    tree = await _made(masc, repo)
    tree.path.rename(repo.path / "moved-away")
    gone = await masc.call(REMOVE, "claude", task_id="a")
    assert (gone["removed"], gone["branch_kept"]) == (False, False)
    assert repo.git("worktree", "list").count("\n") == 0


async def test_links_are_never_followed(masc: MascApp, repo: Repo, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    tree = await _made(masc, repo)
    tree.path.rename(outside / "real")
    tree.path.symlink_to(outside / "real")
    assert (await masc.error(REMOVE, "claude", task_id="a", force=True))["code"] == "git_failed"
    tree.path.unlink()
    (outside / "real").rename(tree.path)
    (repo.path / ".worktrees").rename(outside / "all")
    (repo.path / ".worktrees").symlink_to(outside / "all")
    assert (await masc.error(REMOVE, "claude", task_id="a", force=True))["code"] == "git_failed"
    assert (outside / "all/claude-a/README").is_file()


async def test_a_worktree_that_lost_its_git_file_is_not_taken_for_the_main_checkout(masc: MascApp, repo: Repo) -> None:
    tree = await _made(masc, repo)
    (tree.path / ".git").unlink()
    assert (await masc.error(REMOVE, "claude", task_id="a"))["code"] == "git_failed"
    assert (await masc.error(REMOVE, "claude", task_id="a", force=True))["code"] == "git_failed"
    assert tree.path.is_dir()


async def test_hostile_names_are_refused(masc: MascApp, repo: Repo) -> None:
    assert (await masc.error(REMOVE, "claude", task_id="--force"))["code"] == "invalid_argument"
    assert (await masc.error(REMOVE, "-rf", task_id="a"))["code"] == "invalid_argument"
    assert (await masc.error(REMOVE, "claude", task_id="a"))["code"] == "worktree_not_found"


async def test_an_inactive_agents_worktree_is_removed_by_naming_it(
    masc: MascApp, repo: Repo, clock: ManualClock
) -> None:
    tree = await _made(masc, repo)
    await masc.call("masc_leave", "claude")
    await clock.advance(3600)
    assert (await masc.call(REMOVE, "claude", task_id="a"))["removed"] is True
    assert not tree.path.exists()
    status = await masc.call("masc_agents", "codex", include_inactive=True)
    assert [a["status"] for a in status["agents"] if a["name"] == "claude"] == ["inactive"]
