"""What the room sees of a worktree: its task shows where it is worked on, its agent where it works."""

from __future__ import annotations

from masc_core.context import Context
from masc_core.frozen import evolve
from masc_core.records import TaskWorktree
from masc_plugin_worktree.records import WORKTREES, Worktree

__all__ = ["tie", "untie"]


async def tie(ctx: Context, record: Worktree) -> None:
    """Show the worktree on its agent, which works there from now on, and on its task where the agent is the assignee."""
    task = await ctx.tasks.find(record.task_id)
    own = task is not None and (task.assignee or "").lower() == record.agent.lower()
    place = TaskWorktree(record.path, record.branch)
    if task is not None and own and task.worktree != place:
        ctx.tasks.put(evolve(task, worktree=place, updated_at=ctx.now))
    agent = await ctx.agents.find(record.agent.lower())
    if agent is None:
        return
    working = task is not None and own and task.status in {"claimed", "in_progress"}
    current = record.task_id if working else agent.current_task
    shown = evolve(agent, current_task=current, meta=evolve(agent.meta, worktree=record.path))
    if shown != agent:
        ctx.agents.put(shown)


async def untie(ctx: Context, record: Worktree) -> None:
    """Forget the worktree; its agent is shown in the newest one that it has left."""
    worktrees = ctx.collection(WORKTREES)
    worktrees.delete(record)
    task = await ctx.tasks.find(record.task_id)
    if task is not None and task.worktree is not None and task.worktree.path == record.path:
        ctx.tasks.put(evolve(task, worktree=None, updated_at=ctx.now))
    agent = await ctx.agents.find(record.agent.lower())
    if agent is not None and agent.meta.worktree == record.path:
        left = await worktrees.scan("agent", record.agent.lower())
        newest = max(left, key=lambda w: w.created_at, default=None)
        ctx.agents.put(evolve(agent, meta=evolve(agent.meta, worktree=newest.path if newest else None)))
