"""Every checkout of the repository, and which of them change the same files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from attrs import field

from masc_core.context import Context
from masc_core.frozen import evolve, frozen
from masc_plugin_worktree.errors import GitFailed
from masc_plugin_worktree.git import shown
from masc_plugin_worktree.records import WORKTREES, Worktree
from masc_plugin_worktree.repository import DIRECTORY, Checkout, Repository, open_repository

__all__ = ["Listed", "Overlap", "Worktrees", "overview"]

MOST_FILES = 20
AT_ONCE = 4
"""Checkouts looked at concurrently; each runs one git command at a time."""


@frozen
class Overlap:
    """Another checkout that changes the same files."""

    path: str
    files: list[str]


@frozen(kw_only=True)
class Listed:
    """One checkout."""

    path: str
    branch: str
    """``HEAD`` when no branch is checked out."""
    agent: str | None = None
    task_id: str | None = None
    is_managed: bool
    base: str | None = None
    dirty: bool = False
    ahead: int = 0
    behind: int = 0
    overlaps: list[Overlap] = field(factory=list)


@frozen
class Worktrees:
    """All checkouts, the main one first."""

    worktrees: list[Listed]
    count: int


@frozen
class _Look:
    """A checkout as found, with the files it changes."""

    listed: Listed
    files: frozenset[str] = frozenset()


async def overview(ctx: Context) -> Worktrees:
    """List the checkouts; one that cannot be read is listed with a warning."""

    async def records(work: Context) -> list[Worktree]:
        return await work.collection(WORKTREES).scan()

    repository = await open_repository(ctx)
    managed = {repository.place(w.path): w for w in await ctx.transact(records)}
    default = None
    for name in await repository.default_bases():
        if (default := await repository.resolve_base(name)) is not None:
            break
    slots = asyncio.Semaphore(AT_ONCE)
    looking = _Looking(ctx, repository, managed, default[0] if default else None)

    async def look(checkout: Checkout) -> _Look:
        async with slots:
            return await looking.look(checkout)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(look(checkout)) for checkout in await repository.checkouts()]
    looks = [task.result() for task in tasks]
    listed = [evolve(one.listed, overlaps=_overlaps(one, looks)) for one in looks]
    return Worktrees(listed, len(listed))


def _overlaps(one: _Look, looks: list[_Look]) -> list[Overlap]:
    shared = [(other.listed.path, one.files & other.files) for other in looks if other is not one]
    return [Overlap(path, sorted(files)[:MOST_FILES]) for path, files in shared if files]


@frozen
class _Looking:
    """Looks at checkouts one by one."""

    ctx: Context
    repository: Repository
    managed: Mapping[str, Worktree]
    default: str | None

    async def look(self, checkout: Checkout) -> _Look:
        """The checkout's state; what git cannot say is left at its default, with a warning."""
        record = self.managed.get(checkout.path)
        base = record.base if record else self.default
        listed = Listed(
            path=shown(checkout.path),
            branch=shown(checkout.branch or "HEAD"),
            agent=record.agent if record else None,
            task_id=record.task_id if record else None,
            is_managed=record is not None,
            base=base,
        )
        try:
            return await self._examined(checkout, listed, record)
        except GitFailed as error:
            self.ctx.warn("worktree_unreadable", f"{listed.path}: {error}")
            return _Look(listed)

    async def _examined(self, checkout: Checkout, listed: Listed, record: Worktree | None) -> _Look:
        repository = self.repository
        uncommitted = await repository.uncommitted(checkout.path)
        if checkout.path == repository.root:  # untracked there until the first creation excludes them
            uncommitted = [name for name in uncommitted if not name.startswith(f"{DIRECTORY}{os.sep}")]
        listed = evolve(listed, dirty=bool(uncommitted))
        head = await self._head(checkout)
        base = await repository.commit_of_base(listed.base) if listed.base else None
        base = base or (await repository.commit(record.base_commit) if record else None)
        if head is None or base is None:
            return _Look(listed, frozenset(uncommitted))
        ahead, behind = await repository.count(f"{base}..{head}"), await repository.count(f"{head}..{base}")
        committed = await self._committed(base, head)
        return _Look(evolve(listed, ahead=ahead, behind=behind), frozenset(uncommitted) | committed)

    async def _head(self, checkout: Checkout) -> str | None:
        found = await self.repository.git("rev-parse", "--verify", "--quiet", "HEAD", at=checkout.path, accept=(0, 1))
        return found.line if found.ok else None

    async def _committed(self, base: str, head: str) -> frozenset[str]:
        """Files that differ between where the branch left its base and where it is."""
        fork = await self.repository.git("merge-base", base, head, accept=(0, 1))
        if not fork.ok:
            return frozenset()
        found = await self.repository.git("diff-tree", "-r", "-z", "--name-only", "--no-renames", fork.line, head, "--")
        return frozenset(shown(name) for name in found.names)
