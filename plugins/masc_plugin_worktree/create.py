"""Making a worktree: an own directory and an own branch for one agent and task."""

from __future__ import annotations

import os

from masc_core.context import Context
from masc_core.errors import InvalidArgument
from masc_core.frozen import evolve, frozen
from masc_core.values import agent_name
from masc_plugin_worktree.errors import BranchNotFound, GitFailed, WorktreeConflict
from masc_plugin_worktree.lease import exclusive
from masc_plugin_worktree.records import WORKTREES, Worktree, worktree_key
from masc_plugin_worktree.repository import DIRECTORY, HEADS, Checkout, Repository, open_repository
from masc_plugin_worktree.ties import tie

__all__ = ["Created", "branch_of", "check_names", "create"]


@frozen
class Created:
    """Where to work."""

    path: str
    branch: str
    base: str
    base_commit: str
    created: bool
    reused_branch: bool
    fetched: bool


def check_names(agent: str, task_id: str) -> None:
    """Refuse names that are good elsewhere but not here: git takes no branch that begins with ``-``, and whoever types
    the name of one after a git command would give it an option."""
    agent_name("agent_name", agent)
    if agent.startswith("-"):
        expected = f"git takes no branch {branch_of(agent, task_id)}; join under a name that does not begin with -"
        raise InvalidArgument(field="agent_name", reason="leading_dash", expected=expected)
    if task_id.startswith("-"):
        expected = f"{task_id} reads like an option of git; use an id that does not begin with -"
        raise InvalidArgument(field="task_id", reason="leading_dash", expected=expected)


def branch_of(agent: str, task_id: str) -> str:
    """The branch for an agent's task; git takes no colon."""
    return f"{agent}/{task_id.replace(':', '-')}"


async def create(ctx: Context, task_id: str, base_branch: str | None) -> Created:
    """Make the caller's worktree for a task, or find it made."""
    check_names(ctx.agent, task_id)
    repository = await open_repository(ctx)
    branch = await repository.check_branch_name("task_id", branch_of(ctx.agent, task_id))
    if base_branch is not None:
        await repository.check_branch_name("base_branch", base_branch)
    if not repository.directory_is_inside:
        raise WorktreeConflict(path=repository.directory, branch=branch, reason="leads_elsewhere")
    async with exclusive(ctx, repository.root) as lease:
        fetched = await _fetch(ctx, repository)
        await lease.renew()
        making = _Making(ctx, repository, task_id, branch, await ctx.transact(_records), await repository.checkouts())
        record, created, reused = await making.run(base_branch)
        await ctx.transact(lambda work: _remember(work, record, created), concludes=True)
    return Created(record.path, record.branch, record.base, record.base_commit, created, reused, fetched)


async def _records(ctx: Context) -> dict[str, Worktree]:
    return {worktree_key(w.agent, w.task_id): w for w in await ctx.collection(WORKTREES).scan()}


async def _fetch(ctx: Context, repository: Repository) -> bool:
    """Fetch origin where there is one; what is known already must do when that fails."""
    if b"origin" not in (await repository.git("remote")).out.split(b"\n"):
        return False
    try:
        await repository.git("fetch", "--quiet", "--no-recurse-submodules", "origin")
    except GitFailed as error:
        ctx.warn("fetch_failed", f"origin could not be fetched, its branches may be old: {error.stderr}")
        return False
    return True


async def _remember(ctx: Context, record: Worktree, created: bool) -> None:
    worktrees = ctx.collection(WORKTREES)
    known = await worktrees.find(worktree_key(record.agent, record.task_id))
    if known is None or evolve(known, version=record.version) != record:
        worktrees.put(record)
    if created:
        ctx.event("worktree_created", record.task_id, agent=record.agent, path=record.path, branch=record.branch)
    await tie(ctx, record)


@frozen
class _Making:
    """One creation, with what was there before it. The repository's lease is held."""

    ctx: Context
    repository: Repository
    task_id: str
    branch: str
    records: dict[str, Worktree]
    checkouts: list[Checkout]

    async def run(self, base_branch: str | None) -> tuple[Worktree, bool, bool]:
        """The worktree's record, whether it was created, whether its branch was there before."""
        if (there := self._made_before()) is not None:
            return there, False, False
        base, commit = await self._base(base_branch)
        if (holder := self._checkout(branch=self.branch)) is not None:
            if not self._is_free_or_own(holder.path) or os.path.dirname(holder.path) != self.repository.directory:
                raise WorktreeConflict(path=holder.path, branch=self.branch, reason="branch_in_use")
            if holder.there:  # made by a call that ended before its record was written
                return self._record(holder.path, base, commit), False, False
            await self._forget(holder)
        path = await self._free_path()
        self._exclude()
        reused = await self._add(path, commit)
        return self._record(path, base, commit), True, reused

    def _record(self, path: str, base: str, commit: str) -> Worktree:
        return Worktree(self.ctx.agent, self.task_id, path, self.branch, base, commit, self.ctx.now)

    def _made_before(self) -> Worktree | None:
        own = self.records.get(worktree_key(self.ctx.agent, self.task_id))
        if own is None:
            return None
        path = self.repository.place(own.path)
        found = self._checkout(path=path)
        return evolve(own, path=path) if found is not None and found.there else None

    def _checkout(self, *, path: str | None = None, branch: str | None = None) -> Checkout | None:
        return next((c for c in self.checkouts if path in (None, c.path) and branch in (None, c.branch)), None)

    def _is_free_or_own(self, path: str) -> bool:
        """No other pair of agent and task has this directory (names as a case-insensitive file system sees them)."""
        own = worktree_key(self.ctx.agent, self.task_id)
        name = os.path.basename(path).lower()
        return all(key == own or os.path.basename(w.path).lower() != name for key, w in self.records.items())

    async def _base(self, asked: str | None) -> tuple[str, str]:
        names = [asked] if asked is not None else await self.repository.default_bases()
        for name in names:
            if (found := await self.repository.resolve_base(name)) is not None:
                return found
        raise BranchNotFound(branch=asked or (names[-1] if names else "HEAD"))

    async def _forget(self, checkout: Checkout) -> None:
        """Drop git's entry of a worktree whose directory somebody deleted; only that one, unlike ``prune``."""
        await self.repository.git("worktree", "remove", "--", checkout.path)

    async def _free_path(self) -> str:
        stem = f"{self.ctx.agent}-{self.task_id.replace(':', '-')}"
        path, number = self.repository.place(stem), 1
        while not self._is_free_or_own(path) or ((holder := self._checkout(path=path)) is not None and holder.there):
            number += 1
            path = self.repository.place(f"{stem}-{number}")
        if holder is not None and holder.branch != self.branch:  # its directory is gone; run() forgot one of our branch
            await self._forget(holder)
        if self.repository.is_taken(path):
            raise WorktreeConflict(path=path, branch=self.branch, reason="not_a_worktree")
        return path

    async def _add(self, path: str, commit: str) -> bool:
        reused = await self.repository.commit(HEADS + self.branch) is not None
        if reused:
            await self.repository.git("worktree", "add", "--quiet", "--no-guess-remote", "--", path, self.branch)
            return True
        agent = self.branch.partition("/")[0]
        if await self.repository.commit(HEADS + agent) is not None:
            raise WorktreeConflict(path=path, branch=agent, reason="branch_name_taken")
        await self.repository.git("worktree", "add", "--quiet", "--no-track", "-b", self.branch, "--", path, commit)
        return False

    def _exclude(self) -> None:
        """Keep the worktrees out of the main checkout's status, without touching a tracked file."""
        line, path = f"{DIRECTORY}/".encode(), os.path.join(self.repository.common, "info", "exclude")
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "a+b") as file:
                file.seek(0)
                before = file.read()
                if line not in {entry.strip() for entry in before.split(b"\n")}:
                    file.write((b"" if not before or before.endswith(b"\n") else b"\n") + line + b"\n")
        except OSError as error:
            self.ctx.warn("exclude_failed", f"{DIRECTORY}/ could not be added to info/exclude: {error.strerror}")
