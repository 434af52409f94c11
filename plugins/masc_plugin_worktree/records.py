"""What MASC remembers of the worktrees it made."""

from __future__ import annotations

from collections.abc import Iterable

from masc_core.frozen import frozen
from masc_core.store.collections import Collection, index
from masc_core.store.driver import IndexEntry

__all__ = ["WORKTREES", "Worktree", "worktree_key"]


@frozen
class Worktree:
    """One agent's checkout for one task."""

    agent: str
    task_id: str
    path: str
    branch: str
    base: str
    base_commit: str
    """Where the base stood at creation; stands in for the base once that is gone."""
    created_at: str
    version: int = 0


def worktree_key(agent: str, task_id: str) -> str:
    """The key of an agent's worktree for a task; neither part can hold a ``/``."""
    return f"{agent.lower()}/{task_id}"


def _indexes(worktree: Worktree) -> Iterable[IndexEntry]:
    return (index("agent", worktree.agent.lower(), worktree.task_id),)


WORKTREES = Collection("worktrees", Worktree, lambda w: worktree_key(w.agent, w.task_id), _indexes)
