"""masc_worktree_list."""

from __future__ import annotations

from typing import Any

import pytest
from worktree_support import Repo

from masc_core.testing import MascApp

CREATE, LIST = "masc_worktree_create", "masc_worktree_list"


async def _listed(masc: MascApp) -> dict[str, dict[str, Any]]:
    listed = await masc.call(LIST)
    assert listed["count"] == len(listed["worktrees"])
    return {w["path"]: w for w in listed["worktrees"]}


async def test_both_worktrees_of_a_file_overlap(masc: MascApp, repo: Repo) -> None:
    """Acceptance 9: one committed, one not."""
    one = repo.at((await masc.call(CREATE, "claude", task_id="a"))["path"])
    two = repo.at((await masc.call(CREATE, "codex", task_id="b"))["path"])
    one.commit("src/app.py", "one\n")
    one.commit("only/one.py")
    (two.path / "src").mkdir()
    (two.path / "src/app.py").write_text("two\n")
    listed = await _listed(masc)
    first, second = listed[str(one.path)], listed[str(two.path)]
    assert first["overlaps"] == [{"path": str(two.path), "files": ["src/app.py"]}]
    assert second["overlaps"] == [{"path": str(one.path), "files": ["src/app.py"]}]
    assert (first["dirty"], first["ahead"], first["behind"]) == (False, 2, 0)
    assert (second["dirty"], second["ahead"], second["behind"]) == (True, 0, 0)


async def test_main_and_foreign_checkouts_are_listed_unmanaged(masc: MascApp, repo: Repo) -> None:
    made = await masc.call(CREATE, "claude", task_id="a")
    repo.git("worktree", "add", "-q", "--detach", ".worktrees/by-hand")
    repo.commit("later")
    listed = await _listed(masc)
    main = listed[str(repo.path.resolve())]
    assert (main["branch"], main["is_managed"], main["dirty"]) == ("trunk", False, False)
    assert (listed[made["path"]]["agent"], listed[made["path"]]["task_id"]) == ("claude", "a")
    assert (listed[made["path"]]["is_managed"], listed[made["path"]]["behind"]) == (True, 1)
    by_hand = listed[str(repo.path.resolve() / ".worktrees/by-hand")]
    assert (by_hand["branch"], by_hand["is_managed"]) == ("HEAD", False)
    assert "agent" not in by_hand


async def test_a_broken_worktree_does_not_fail_the_list(masc: MascApp, repo: Repo) -> None:
    one = repo.at((await masc.call(CREATE, "claude", task_id="a"))["path"])
    two = repo.at((await masc.call(CREATE, "claude", task_id="b"))["path"])
    (one.path / ".git").unlink()
    two.path.rename(repo.path / "moved-away")
    listed = await masc.call(LIST)
    assert listed["count"] == 3
    assert [w["code"] for w in listed["warnings"]] == ["worktree_unreadable"] * 2


async def test_a_repository_without_commits_lists_its_checkout(masc: MascApp) -> None:
    repo = Repo(masc.path)
    repo.git("init", "-q", "-b", "trunk")
    (repo.path / "new file").write_text("x")
    await masc.call("masc_init", "claude")
    (only,) = (await _listed(masc)).values()
    assert (only["branch"], only["dirty"], only["ahead"]) == ("trunk", True, 0)


async def test_a_git_directory_elsewhere_leaves_the_checkout_where_it_is(
    masc: MascApp, tmp_path_factory: pytest.TempPathFactory
) -> None:
    repo = Repo(masc.path)
    repo.git("init", "-q", "-b", "trunk", "--separate-git-dir", str(tmp_path_factory.mktemp("git") / "elsewhere"))
    repo.commit()
    (repo.path / "new").write_text("x")
    made = await masc.call(CREATE, "claude", task_id="a")
    listed = await _listed(masc)
    assert set(listed) == {str(repo.path.resolve()), made["path"]}
    main = listed[str(repo.path.resolve())]
    assert (main["branch"], main["is_managed"], main["dirty"]) == ("trunk", False, True)
    assert (await masc.call("masc_worktree_remove", "claude", task_id="a"))["removed"] is True


async def test_at_most_20_files_of_an_overlap_are_named(masc: MascApp, repo: Repo) -> None:
    paths = [repo.at((await masc.call(CREATE, "claude", task_id=t))["path"]).path for t in ("a", "b")]
    for path in paths:
        for n in range(25):
            (path / f"f{n:02} \n").write_text("x")
    listed = await _listed(masc)
    assert [len(o["files"]) for o in listed[str(paths[0])]["overlaps"]] == [20]
