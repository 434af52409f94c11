"""Removing a worktree without losing work."""

from __future__ import annotations

from masc_core.agents import is_live, match_agent
from masc_core.context import Context
from masc_core.frozen import frozen
from masc_plugin_worktree.create import check_names
from masc_plugin_worktree.errors import BranchUnmerged, GitFailed, WorktreeDirty, WorktreeNotFound
from masc_plugin_worktree.lease import exclusive
from masc_plugin_worktree.records import WORKTREES, Worktree, worktree_key
from masc_plugin_worktree.repository import HEADS, Checkout, Repository, open_repository
from masc_plugin_worktree.ties import untie

__all__ = ["Removed", "remove"]

MOST_FILES = 20


@frozen
class Removed:
    """What is gone and what was kept."""

    path: str
    removed: bool
    branch: str
    branch_kept: bool
    kept_reason: str | None = None


async def remove(ctx: Context, task_id: str, force: bool) -> Removed:
    """Remove the named agent's worktree for a task, and its branch where no commit would be lost."""
    owner = await ctx.transact(_owner)
    check_names(owner, task_id)
    repository = await open_repository(ctx)
    key = worktree_key(owner, task_id)

    async def find(work: Context) -> Worktree | None:
        return await work.collection(WORKTREES).find(key)

    async with exclusive(ctx, repository.root):
        record = await ctx.transact(find)
        if record is None:
            raise WorktreeNotFound(agent=owner, task_id=task_id)
        if owner != ctx.agent:
            ctx.warnings[:] = [warning for warning in ctx.warnings if warning["code"] != "agent_name_ignored"]
        result = await _Removing(repository, record, await repository.checkouts()).run(force)
        await ctx.transact(lambda work: _forget(work, key, result), concludes=True)
    return result


async def _owner(ctx: Context) -> str:
    """Whose worktree is meant: the caller's, or that of an agent that is gone, whom anybody may name where auth is off."""
    if (named := ctx.call.other_named) is not None and (agent := await match_agent(ctx, named)) is not None:
        presence = (await ctx.presence.peek([agent.name.lower()]))[0]
        if not is_live(agent, presence, ctx.now, ctx.settings.health.zombie_seconds):
            return agent.name
    return ctx.agent


async def _forget(ctx: Context, key: str, result: Removed) -> None:
    record = await ctx.collection(WORKTREES).find(key)
    if record is None:
        return
    await untie(ctx, record)
    ctx.event(
        "worktree_removed",
        record.task_id,
        agent=record.agent,
        path=result.path,
        branch=result.branch,
        branch_kept=result.branch_kept,
    )


@frozen
class _Removing:
    """One removal. The repository's lease is held."""

    repository: Repository
    record: Worktree
    checkouts: list[Checkout]

    @property
    def path(self) -> str:
        return self.repository.place(self.record.path)

    async def run(self, force: bool) -> Removed:
        checkout = next((c for c in self.checkouts if c.path == self.path), None)
        self._check_place(checkout)
        there = checkout is not None and checkout.there
        if there and not force and (files := await self.repository.uncommitted(self.path)):
            raise WorktreeDirty(path=self.path, files=files[:MOST_FILES])
        tip = await self.repository.commit(HEADS + self.record.branch)
        unmerged = await self._unmerged(tip) if tip else 0
        if unmerged and not force:
            raise BranchUnmerged(branch=self.record.branch, commits=unmerged)
        if there:
            await self._check_detached(checkout)
        if checkout is not None:
            await self.repository.git("worktree", "remove", *(["--force"] if force else []), "--", self.path)
        reason = "unmerged" if unmerged else await self._delete_branch(tip)
        return Removed(self.path, there, self.record.branch, branch_kept=reason is not None, kept_reason=reason)

    def _check_place(self, checkout: Checkout | None) -> None:
        """Whatever the record says, only a real directory below ``.worktrees`` that git knows is ever removed."""
        inside = self.repository.directory_is_inside
        known = checkout is not None and self.repository.is_below(self.path)
        if not inside or (self.repository.is_taken(self.path) and not known):
            reason = "not_a_worktree" if inside else "leads_elsewhere"
            raise GitFailed(
                operation="worktree remove", reason=reason, stderr=f"{self.path} is no worktree of this repository"
            )

    async def _unmerged(self, tip: str) -> int:
        """Commits that neither the base nor any remote branch contains; a base that is gone counts as it was."""
        base = await self.repository.commit_of_base(self.record.base)
        base = base or await self.repository.commit(self.record.base_commit)
        return await self.repository.count(tip, "--not", *([base] if base else []), "--remotes")

    async def _check_detached(self, checkout: Checkout | None) -> None:
        """Commits on no branch at all have nothing to keep them, so not even force removes their worktree."""
        if checkout is None or checkout.branch is not None:
            return
        head = await self.repository.git("rev-parse", "--verify", "HEAD", at=self.path)
        lost = await self.repository.count(head.line, "--not", "--branches", "--tags", "--remotes")
        if lost:
            raise BranchUnmerged(branch="HEAD", commits=lost)

    async def _delete_branch(self, tip: str | None) -> str | None:
        """Delete the branch if it is where it was when it was checked; otherwise the reason why it stays."""
        if tip is None:
            return None
        branch = self.record.branch
        if any(c.branch == branch and c.path != self.path for c in self.checkouts):
            return "checked_out_elsewhere"
        # Compare and delete in one step: unlike branch -D it cannot take a commit made since the check.
        try:
            await self.repository.git("update-ref", "-d", HEADS + branch, tip)
        except GitFailed:
            return "changed_meanwhile"
        await self.repository.git("config", "--local", "--remove-section", f"branch.{branch}", accept=(0, 1, 5, 128))
        return None
