"""Why a worktree is not made or not removed."""

from __future__ import annotations

from masc_core.errors import MascError, Refused, error

__all__ = [
    "BranchNotFound",
    "BranchUnmerged",
    "GitFailed",
    "NotAGitRepository",
    "WorktreeConflict",
    "WorktreeDirty",
    "WorktreeNotFound",
]


@error
class NotAGitRepository(Refused):
    code = "not_a_git_repository"
    text = "{path} is in no git checkout; run git init there, or choose another project"
    path: str


@error
class BranchNotFound(Refused):
    code = "branch_not_found"
    http = 404
    text = "no branch {branch} with a commit, neither on origin nor local; give its name without origin/"
    branch: str


@error
class WorktreeNotFound(Refused):
    code = "worktree_not_found"
    http = 404
    text = "{agent} has no worktree for {task_id}; masc_worktree_list shows what there is"
    agent: str
    task_id: str


@error
class WorktreeDirty(Refused):
    code = "worktree_dirty"
    text = "{path} has uncommitted work in {files}; commit it, or repeat with force true to lose it"
    path: str
    files: list[str]


@error
class BranchUnmerged(Refused):
    code = "branch_unmerged"
    text = "{branch} has {commits} commits found nowhere else; merge or push it, or keep it with force true"
    branch: str
    commits: int


@error
class WorktreeConflict(Refused):
    code = "worktree_conflict"
    text = "{path} or branch {branch} is in the way ({reason}); move it, or use another task id"
    path: str
    branch: str
    reason: str


@error
class GitFailed(MascError):
    code = "git_failed"
    http = 500
    text = "git {operation} failed ({reason}): {stderr}"
    operation: str
    reason: str
    exit_code: int | None = None
    stderr: str = ""
