"""A git repository to test against, driven by the real git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from masc_core.frozen import frozen

__all__ = ["Repo", "bare", "init"]

_IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false")


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "LC_ALL": "C"}


@frozen
class Repo:
    """One checkout."""

    path: Path

    def git(self, *arguments: str) -> str:
        """Run git here and give what it prints."""
        done = subprocess.run(
            ["git", *_IDENTITY, *arguments],
            cwd=self.path,
            env=_environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, name: str = "README", content: str = "hello\n") -> str:
        """Commit one file; the commit's id."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        self.git("add", "--", name)
        self.git("commit", "-q", "-m", f"change {name!r}")
        return self.git("rev-parse", "HEAD")

    def at(self, path: str) -> Repo:
        """Another checkout."""
        return Repo(Path(path))


def init(path: Path, branch: str = "trunk") -> Repo:
    """A repository with one commit."""
    path.mkdir(parents=True, exist_ok=True)
    repo = Repo(path)
    repo.git("init", "-q", "-b", branch)
    repo.commit()
    return repo


def bare(path: Path, branch: str = "main") -> Repo:
    """An empty bare repository, to be a remote."""
    path.mkdir(parents=True)
    repo = Repo(path)
    repo.git("init", "-q", "--bare", "-b", branch)
    return repo
