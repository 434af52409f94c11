"""Where git says that a checkout belongs: the main checkout of a linked worktree, as far as anything tells it."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["common_directory", "is_bare", "linked_worktrees", "main_checkout", "top_level"]

_SECONDS = 10


def top_level(start: Path) -> Path | None:
    """The checkout that ``start`` is in, or ``None``."""
    return next((p for p in (start, *start.parents) if (p / ".git").exists()), None)


def common_directory(top: Path) -> Path | None:
    """The git directory that a linked worktree shares with the main checkout; ``None`` for any other checkout (a
    submodule too has a .git file)."""
    git_directory = _git_directory(top)
    try:
        if git_directory is None or not (top / ".git").is_file():
            return None
        return (git_directory / (git_directory / "commondir").read_text(encoding="utf-8").strip()).resolve()
    except (OSError, ValueError):
        return None


def main_checkout(top: Path, common: Path) -> Path | None:
    """The main checkout of the linked worktree ``top``; ``None`` where nothing tells.

    Git leads from a checkout to its git directory. The way back is known by the name ``.git``, by ``core.worktree``
    (which submodules have, and ``git init --separate-git-dir`` leaves out), or because ``top`` lies inside.
    """
    if common.name == ".git":
        return common.parent
    if (told := _config(common).get("core.worktree")) is not None and (main := (common / told).resolve()).is_dir():
        return main
    return next((p for p in top.parents if _git_directory(p) == common), None)


def is_bare(common: Path) -> bool:
    """Whether the repository has no main checkout at all."""
    return _config(common).get("core.bare") == "true"


def linked_worktrees(common: Path) -> list[Path]:
    """The linked worktrees of a repository, by name."""
    found = []
    for pointer in sorted((common / "worktrees").glob("*/gitdir")):
        try:
            found.append((pointer.parent / pointer.read_text(encoding="utf-8").strip()).resolve().parent)
        except (OSError, ValueError):
            continue
    return found


def _git_directory(top: Path) -> Path | None:
    link = top / ".git"
    if not link.is_file():
        return link.resolve() if link.is_dir() else None
    try:
        return (top / link.read_text(encoding="utf-8").removeprefix("gitdir:").strip()).resolve()
    except (OSError, ValueError):
        return None


def _config(common: Path) -> dict[str, str]:
    """What git reads of ``core.bare`` and ``core.worktree`` for the main checkout."""
    command = ["git", f"--git-dir={common}", "config", "--null", "--get-regexp", r"^core\.(bare|worktree)$"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}
    return dict(entry.split("\n", 1) for entry in done.stdout.split("\0") if "\n" in entry)
