"""Category worktree: isolated git checkouts.

Read :mod:`.create`, :mod:`.remove` and :mod:`.overview` for what the tools do, :mod:`.repository` for what git is asked and
:mod:`.git` for how it is run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from masc_core.context import Context
from masc_core.hookspecs import hookimpl
from masc_core.records import Agent
from masc_core.store.collections import Collection, Log
from masc_core.tools import DESTRUCTIVE, READ, READER, WORKER, WRITE, tool
from masc_core.values import Bound, TaskId, Verbatim
from masc_plugin_worktree.create import Created, create
from masc_plugin_worktree.errors import (
    BranchNotFound,
    BranchUnmerged,
    GitFailed,
    NotAGitRepository,
    WorktreeConflict,
    WorktreeDirty,
    WorktreeNotFound,
)
from masc_plugin_worktree.overview import Worktrees, overview
from masc_plugin_worktree.records import WORKTREES
from masc_plugin_worktree.remove import Removed, remove

__all__: list[str] = []

BranchName = Annotated[str, Bound(minLength=1, maxLength=200), Verbatim()]


@tool(
    effect=WRITE,
    role=WORKER,
    idempotent=True,
    transactional=False,
    open_world=True,
    errors=(NotAGitRepository, BranchNotFound, WorktreeConflict, GitFailed),
    examples=({"task_id": "task-001"},),
    keywords=(
        "new separate mine feature develop clone not repository isolation parallel step worktree branch copy "
        "directory set; create add check work off main disturbing collide task tree fork playground scratch "
        "environment git workspace base release code edits interfere private fresh"
    ),
)
async def masc_worktree_create(ctx: Context, task_id: TaskId, base_branch: BranchName | None = None) -> Created:
    """Make your own git checkout and branch for a task; work there."""
    return await create(ctx, task_id, base_branch)


@tool(
    effect=DESTRUCTIVE,
    role=WORKER,
    auto_join=False,
    transactional=False,
    errors=(WorktreeNotFound, WorktreeDirty, BranchUnmerged, NotAGitRepository, GitFailed),
    examples=({"task_id": "task-001"},),
    keywords=(
        "remove merged finish leftover wipe worktree branch copy directory go cleaned; drop throw away tear down "
        "discard prune force uncommitted cleanup obsolete old stale not feature dismantle git workspace isolation "
        "repository landed unused"
    ),
)
async def masc_worktree_remove(ctx: Context, task_id: TaskId, force: bool = False) -> Removed:
    """Remove a task's checkout and merged branch; refused when work would be lost."""
    return await remove(ctx, task_id, force)


@tool(
    effect=READ,
    role=READER,
    transactional=False,
    errors=(NotAGitRepository, GitFailed),
    keywords=(
        "show directory workspace owner check overlap conflict file merged clash worktree branch copy; who exist "
        "dirty uncommitted ahead behind commits base touching both somebody status fork unmerged modify change "
        "collision common agent whose git isolation repository work same between edits"
    ),
)
async def masc_worktree_list(ctx: Context) -> Worktrees:
    """List checkouts with owner, state and files that others change too."""
    return await overview(ctx)


@hookimpl
def masc_tools(register: Callable[[Callable[..., Any]], None]) -> None:
    """The category's tools, in listing order."""
    for function in (masc_worktree_create, masc_worktree_remove, masc_worktree_list):
        register(function)


@hookimpl
def masc_records(register: Callable[[Collection[Any] | Log[Any]], None]) -> None:
    """The worktrees MASC made."""
    register(WORKTREES)


@hookimpl
async def masc_agent_released(ctx: Context, agent: Agent) -> Mapping[str, Any]:
    """Worktrees stay, with whatever work is in them; they are named."""
    return {"worktrees": [w.path for w in await ctx.collection(WORKTREES).scan("agent", agent.name.lower())]}


@hookimpl
async def masc_doctor(ctx: Context, fix: bool) -> Mapping[str, Any] | None:
    """Records without a checkout, and checkouts without an owner."""
    from masc_plugin_worktree.doctor import examine

    return await examine(ctx, fix)
