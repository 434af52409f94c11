"""One change of a repository's worktrees at a time, across processes: a lease of the room's store."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from masc_core.context import Context
from masc_core.errors import StorageBusy
from masc_core.frozen import frozen
from masc_core.store.driver import Acquire, Release, Renew
from masc_core.store.transaction import Transaction

__all__ = ["LEASE_SECONDS", "WAIT_SECONDS", "Exclusive", "exclusive", "lease_name"]

LEASE_SECONDS = 120.0
WAIT_SECONDS = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


def lease_name(root: str) -> str:
    """The lease of the repository at ``root``; hashed because a path can be longer than a lease name."""
    return f"worktree:{hashlib.sha256(root.encode('utf-8', 'surrogateescape')).hexdigest()}"


@frozen
class Exclusive:
    """The lease, held."""

    name: str
    fence: int
    _ctx: Context

    async def renew(self) -> None:
        """Start the lease's time again. Raises :class:`StorageBusy` when it was lost meanwhile."""

        async def attempt(ctx: Context) -> bool:
            held = await self._held(ctx)
            if held:
                ctx.tx.add(Renew(self.name, self.fence, LEASE_SECONDS))
            return held

        if not await self._ctx.transact(attempt):
            raise StorageBusy()

    async def release(self) -> None:
        """Give the lease back; one that ran out is somebody else's by now and left alone."""

        async def attempt(ctx: Context) -> None:
            if await self._held(ctx):
                ctx.tx.add(Release(self.name, self.fence))

        await self._ctx.transact(attempt)

    async def _held(self, ctx: Context) -> bool:
        lease = (await ctx.tx.driver.leases([self.name]))[0]
        return lease is not None and lease.fence == self.fence


async def _try_acquire(ctx: Context, name: str) -> int | None:
    async def attempt(ctx: Context) -> Transaction | None:
        if (await ctx.tx.driver.leases([name]))[0] is not None:
            return None
        ctx.tx.add(Acquire(name, ctx.actor, LEASE_SECONDS))
        return ctx.tx

    taken = await ctx.transact(attempt)
    return taken.acquired[0].fence if taken else None


async def _acquire(ctx: Context, name: str) -> int:
    deadline = ctx.clock.monotonic() + WAIT_SECONDS
    pause = _FIRST_PAUSE
    while (fence := await _try_acquire(ctx, name)) is None:
        if ctx.clock.monotonic() >= deadline:
            raise StorageBusy()
        await ctx.clock.sleep(random.uniform(pause / 2, pause))
        pause = min(pause * 2, _LONGEST_PAUSE)
    return fence


@asynccontextmanager
async def exclusive(ctx: Context, root: str) -> AsyncIterator[Exclusive]:
    """Hold the lease of the repository at ``root``. Raises :class:`StorageBusy` after a minute of waiting."""
    name = lease_name(root)
    held = Exclusive(name, await _acquire(ctx, name), ctx)
    try:
        yield held
    finally:
        await asyncio.shield(held.release())
