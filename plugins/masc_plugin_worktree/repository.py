"""A git repository as the category sees it: its main checkout, its branches, its other checkouts."""

from __future__ import annotations

import os
from collections.abc import Iterator

from masc_core.context import Context
from masc_core.errors import InvalidArgument
from masc_core.frozen import evolve, frozen
from masc_plugin_worktree.errors import GitFailed, NotAGitRepository
from masc_plugin_worktree.git import Git, Output, failure, shown

__all__ = ["DIRECTORY", "HEADS", "REMOTES", "Checkout", "Repository", "open_repository"]

DIRECTORY = ".worktrees"
HEADS, REMOTES = "refs/heads/", "refs/remotes/"
_USAGE = 129
_NO_CHECKOUT = ("not a git repository", "must be run in a work tree", "cannot change to")


@frozen
class Checkout:
    """One line of ``git worktree list``: a directory with a branch of the repository in it."""

    path: str
    branch: str | None = None
    """Short name; ``None`` when no branch is checked out."""
    bare: bool = False

    @property
    def there(self) -> bool:
        """Its directory still exists."""
        return os.path.isdir(self.path)


@frozen
class Repository:
    """The repository around a room's base directory; ``root`` is its main checkout, links resolved."""

    root: str
    common: str
    """The git directory all checkouts share."""
    _git: Git

    @property
    def directory(self) -> str:
        """Where managed worktrees live."""
        return os.path.join(self.root, DIRECTORY)

    @property
    def directory_is_inside(self) -> bool:
        """``.worktrees`` is a plain directory of this checkout, or not there yet: no link leads elsewhere."""
        return os.path.realpath(self.directory) == self.directory and (
            os.path.isdir(self.directory) or not os.path.lexists(self.directory)
        )

    def place(self, name: str) -> str:
        """The path of a managed worktree, from the last part of a recorded path: a moved repository stays usable."""
        return os.path.join(self.directory, os.path.basename(name))

    def is_taken(self, path: str) -> bool:
        """Something is there, be it a dangling link."""
        return os.path.lexists(path)

    def is_below(self, path: str) -> bool:
        """``path`` is directly below ``.worktrees`` and really there, not through a link."""
        return os.path.dirname(path) == self.directory and os.path.realpath(path) == path

    async def git(self, *arguments: str, at: str | None = None, accept: tuple[int, ...] = (0,)) -> Output:
        """Run git in the main checkout or in the checkout ``at``."""
        return await self._git.run(at or self.root, *arguments, accept=accept)

    async def commit(self, ref: str) -> str | None:
        """The commit a full reference stands for."""
        found = await self.git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", accept=(0, 1, 128))
        return found.line if found.ok else None

    async def commit_of_base(self, base: str) -> str | None:
        """The commit of a base as results name it: ``origin/main`` or ``main``."""
        remote = await self.commit(REMOTES + base) if base.startswith("origin/") else None
        return remote or await self.commit(HEADS + base)

    async def checkouts(self) -> list[Checkout]:
        """The main checkout and every linked one, bare entries left out."""
        listed = await self.git("worktree", "list", "--porcelain", "-z", accept=(0, _USAGE))
        if listed.code == _USAGE:  # git before 2.36 knows no -z here
            listed = await self.git("worktree", "list", "--porcelain")
            lines = listed.out.split(b"\n")
        else:
            lines = listed.out.split(b"\0")
        found = [checkout for checkout in _parsed(lines) if not checkout.bare]
        # Of a main checkout whose git directory lies elsewhere git shows that directory.
        return [evolve(c, path=self.root) if c.path == self.common else c for c in found]

    async def ensure_inside(self, checkout: str) -> None:
        """Raise :class:`GitFailed` unless git, run in that directory, is in this very checkout.

        A worktree that lost its ``.git`` file would otherwise answer for the main checkout around it.
        """
        arguments = ("rev-parse", "--show-toplevel")
        found = await self.git(*arguments, at=checkout)
        if not _same_place(found.line, checkout):
            raise failure(arguments, "not_a_worktree", None)

    async def uncommitted(self, checkout: str) -> list[str]:
        """Changed, staged and untracked files of a checkout, as text."""
        await self.ensure_inside(checkout)
        found = await self.git(
            "status",
            "--porcelain=v1",
            "-z",
            "--no-renames",
            "--untracked-files=all",
            "--ignore-submodules=none",
            at=checkout,
        )
        return [shown(entry[3:]) for entry in found.names]

    async def count(self, *revisions: str) -> int:
        """How many commits ``git rev-list`` finds."""
        return int((await self.git("rev-list", "--count", *revisions, "--")).line)

    async def default_bases(self) -> list[str]:
        """Names to try as base where none was asked for, best first."""
        head = await self.git("symbolic-ref", "--quiet", f"{REMOTES}origin/HEAD", accept=(0, 1, 128))
        current = await self.git("symbolic-ref", "--quiet", "HEAD", accept=(0, 1, 128))
        names = [
            head.line.removeprefix(f"{REMOTES}origin/") if head.ok else "",
            "main",
            "master",
            current.line.removeprefix(HEADS) if current.ok else "",
        ]
        return [name for name in names if name]

    async def resolve_base(self, name: str) -> tuple[str, str] | None:
        """``name`` on origin, else the local branch: the base as results show it and its commit."""
        for shown_name, ref in ((f"origin/{name}", f"{REMOTES}origin/{name}"), (name, HEADS + name)):
            if (commit := await self.commit(ref)) is not None:
                return shown_name, commit
        return None

    async def check_branch_name(self, field: str, name: str) -> str:
        """``name``, if git takes it for a branch. Raises :class:`InvalidArgument`, for option-like names before git runs."""
        # The full reference, and not --branch, which would expand @{-1}.
        if name.startswith("-") or not (await self.git("check-ref-format", HEADS + name, accept=(0, 1))).ok:
            raise InvalidArgument(field=field, reason="ref", expected="must be a branch name that git accepts")
        return name


async def open_repository(ctx: Context) -> Repository:
    """The repository of the room. Raises :class:`NotAGitRepository`; from a linked worktree it is the main checkout."""
    path, git = (
        str(ctx.base),
        Git(ctx.clock),
    )  # not the record's path: that is of the machine on which the room was made
    try:
        top = (await git.run(path, "rev-parse", "--show-toplevel")).line
        own = (await git.run(path, "rev-parse", "--path-format=absolute", "--git-dir")).line
        common = (await git.run(path, "rev-parse", "--path-format=absolute", "--git-common-dir")).line
    except GitFailed as error:
        if any(sign in error.stderr for sign in _NO_CHECKOUT):
            raise NotAGitRepository(path=path) from error
        raise
    return _around(top, own, common, git)


def _around(top: str, own: str, common: str, git: Git) -> Repository:
    """The repository of a checkout: a linked one has a git directory of its own, the main one lies beside the common."""
    linked = not _same_place(own, common)
    root = os.path.dirname(common) if linked and os.path.basename(common) == ".git" else top
    return Repository(os.path.realpath(root), os.path.realpath(common), git)


def _same_place(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _parsed(lines: list[bytes]) -> Iterator[Checkout]:
    facts: dict[str, str] = {}
    for line in [*lines, b""]:
        if line:
            word, _, value = os.fsdecode(line).partition(" ")
            facts[word] = value
        elif facts:
            branch = facts.get("branch")
            yield Checkout(
                os.path.realpath(facts["worktree"]), branch.removeprefix(HEADS) if branch else None, "bare" in facts
            )
            facts = {}
