"""What ``masc doctor`` says of worktrees: records without a checkout, checkouts without an owner."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from masc_core.context import Context
from masc_core.doctor.findings import Report, answer
from masc_plugin_worktree.errors import GitFailed, NotAGitRepository
from masc_plugin_worktree.records import WORKTREES, Worktree
from masc_plugin_worktree.repository import DIRECTORY, open_repository
from masc_plugin_worktree.ties import untie

__all__ = ["examine"]

_ELSEWHERE = "unless another machine has it at this path, call masc_worktree_remove for that agent and task"


async def examine(ctx: Context, fix: bool) -> Mapping[str, Any] | None:
    """Compare the records with what is on this machine; those of other machines' checkouts are left alone.

    Machines that share a store may well have the repository at one path, such as in containers, so there nobody can tell
    that a checkout which is not here is gone.
    """
    local = ctx.backend in {"sqlite", "memory"}
    try:
        repository = await open_repository(ctx)
        present = {checkout.path for checkout in await repository.checkouts()}
    except (NotAGitRepository, GitFailed):
        return None
    place = os.path.join(repository.root, DIRECTORY)
    report = Report(fix)

    async def look(work: Context) -> tuple[list[Worktree], set[str]]:
        agents = await work.agents.scan()
        gone = {agent.name.lower() for agent in agents if agent.left_at}
        known = {agent.name.lower() for agent in agents}
        records = [w for w in await work.collection(WORKTREES).scan() if os.path.dirname(w.path) == place]
        return records, {w.agent.lower() for w in records if w.agent.lower() in gone or w.agent.lower() not in known}

    records, away = await ctx.transact(look)
    for record in records:
        if not _there(record):
            fixed = fix and local and await _forget(ctx, record)
            report.warn(
                "worktree_missing",
                f"{record.path} of {record.agent} for {record.task_id} is gone, its record is not",
                "masc doctor --fix forgets it" if local else _ELSEWHERE,
                fixed=fixed,
            )
        elif record.agent.lower() in away:
            report.warn(
                "worktree_orphaned",
                f"{record.path} belongs to {record.agent}, who has left",
                "look for work in it, then call masc_worktree_remove for that agent and task",
            )
    for path in sorted(present - {record.path for record in records}):
        if os.path.dirname(path) == place:
            report.warn("worktree_unmanaged", f"{path} is none that MASC knows", f"git worktree remove '{path}'")
    return answer({"worktrees": len(records)}, report.findings)


async def _forget(ctx: Context, record: Worktree) -> bool:
    async def change(work: Context) -> bool:
        found = next((w for w in await work.collection(WORKTREES).scan() if w.path == record.path), None)
        if found is not None and not _there(found):
            await untie(work, found)
            return True
        return False

    return await ctx.transact(change, concludes=True)


def _there(record: Worktree) -> bool:
    # git goes on listing a checkout whose directory was removed by other means.
    return os.path.lexists(record.path)
