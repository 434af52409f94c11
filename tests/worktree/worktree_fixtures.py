"""The room's directory as a git repository."""

from __future__ import annotations

from pathlib import Path

import pytest
from worktree_support import Repo, bare, init


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository without remote on branch trunk, in the directory of the room."""
    return init(tmp_path)


@pytest.fixture
def cloned(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A clone, in the directory of the room, of a remote whose default branch is main."""
    origin = bare(tmp_path_factory.mktemp("remote") / "origin.git")
    seed = init(tmp_path_factory.mktemp("seed"), "main")
    seed.git("push", "-q", str(origin.path), "main")
    repo = Repo(tmp_path)
    repo.git("clone", "-q", str(origin.path), ".")
    return repo
