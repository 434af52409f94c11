"""What holds for locks whoever touches them: overlap, expiry, release."""

from __future__ import annotations

from collections.abc import Sequence

from masc_core.clock import plus, timestamp
from masc_core.context import Caller, Context
from masc_core.frozen import evolve, frozen
from masc_core.store.collections import View
from masc_core.tools import ADMIN
from masc_plugin_comm.records import LOCKS, Lock, ancestors, compared, descendants, lock_key

__all__ = [
    "LockOverview",
    "drop",
    "drop_expired",
    "expired",
    "foreign_overlap",
    "locks_of",
    "overview",
    "path_key",
    "release_all",
]

SHOWN_FILES = 20
TICK = 0.001
"""The grain of timestamps in seconds."""
SOON_SECONDS = 300


def locks_of(ctx: Context) -> View[Lock]:
    """The room's locks in the present unit of work."""
    return ctx.collection(LOCKS)


def path_key(ctx: Context, path: str) -> str:
    """The key under which a lock on a normalised path is stored."""
    return lock_key(compared(path, ctx.settings.locks.case_insensitive))


def expired(ctx: Context, lock: Lock) -> bool:
    """The lock's time is over; it counts as absent although the sweep has not removed it yet."""
    return lock.expires_at <= ctx.now


def drop(ctx: Context, lock: Lock) -> None:
    """Remove a lock that was read, with the event that fits."""
    locks_of(ctx).delete(lock)
    tag = {"task_id": lock.task_id} if lock.task_id else {}
    ctx.event(
        "lock_expired" if expired(ctx, lock) else "lock_released",
        lock.locked_by,
        file_path=lock.file_path,
        fence=lock.fence,
        **tag,
    )


async def _overlapping(ctx: Context, path: str) -> list[Lock]:
    locks = locks_of(ctx)
    ignore_case = ctx.settings.locks.case_insensitive
    wanted = compared(path, ignore_case)
    found = [lock for lock in await locks.peek([lock_key(p) for p in ancestors(wanted)]) if lock is not None]
    if wanted.endswith("/"):
        low, high = descendants(wanted)
        below = await locks.scan(low=low, high=high)
        found += [
            lock for lock in below if (p := compared(lock.file_path, ignore_case)) != wanted and p.startswith(wanted)
        ]
    return found


async def foreign_overlap(ctx: Context, path: str, agent: str) -> Lock | None:
    """A lock of somebody else that ``path`` overlaps, above or below it; the path's own lock is not looked at.

    Expired ones met on the way are removed. That ties this unit of work to them: a holder who renews at the same
    moment conflicts with it, where merely ignoring them would let both succeed.
    """
    for lock in await _overlapping(ctx, path):
        if expired(ctx, lock):
            drop(ctx, lock)
        elif lock.locked_by.lower() != agent.lower():
            return lock
    return None


async def release_all(ctx: Context, by: str, value: str) -> list[str]:
    """Remove every lock of an index value (``holder`` or ``task``); the paths that were still locked."""
    found = await locks_of(ctx).scan(by, value)
    for lock in found:
        drop(ctx, lock)
    return sorted(lock.file_path for lock in found if not expired(ctx, lock))


async def drop_expired(ctx: Context, limit: int) -> int:
    """Remove up to ``limit`` expired locks; how many there were."""
    found = await expired_locks(ctx, limit)
    for lock in found:
        drop(ctx, lock)
    return len(found)


async def expired_locks(ctx: Context, limit: int) -> Sequence[Lock]:
    """Up to ``limit`` expired locks, the longest expired first."""
    return [lock for lock in await locks_of(ctx).scan("expires", limit=limit) if expired(ctx, lock)]


@frozen
class ShownLock:
    """A lock as masc_status lists it."""

    file_path: str
    locked_by: str
    expires_at: str
    expires_soon: bool


@frozen
class LockOverview:
    """The locks in force: how many, and the first to expire."""

    active: int
    files: list[ShownLock]


async def _end(ctx: Context, over: Sequence[Lock]) -> int:
    """Remove locks that are over, as the system and in a unit of work of its own; how many of them are gone.

    Who was told that a lock is over must not meet it again when the clock is set back.
    """

    async def end(work: Context) -> int:
        system = evolve(work, caller=Caller("system", ADMIN, "local"))
        kept = 0
        for lock in over:
            stored = await locks_of(work).find(lock.key)
            if stored is None or stored.fence != lock.fence:
                continue
            if expired(work, stored):
                drop(system, stored)
            else:
                kept += 1  # renewed meanwhile, or the clock was set back since the look at it
        return len(over) - kept

    return await ctx.transact(end) if over else 0


async def overview(ctx: Context) -> LockOverview:
    """The locks in force. The expired ones at hand are few, as the sweep removes them every minute; they are removed."""
    locks = locks_of(ctx)
    if not (stored := sum((await locks.count("holder")).values())):
        return LockOverview(0, [])
    # Without a time, because a store may remember what it was asked, and no two calls ask about the same millisecond.
    live, gone = await locks.scan("expires", limit=SHOWN_FILES), 0
    if live and live[0].expires_at <= ctx.now:
        gone = await _end(ctx, await locks.scan("expires", high=plus(ctx.now, TICK)))
        now = min(ctx.now, timestamp(ctx.clock.now()))
        live = [lock for lock in await locks.scan("expires", low=now, limit=SHOWN_FILES + 1) if lock.expires_at > now]
    soon = ctx.after(SOON_SECONDS)
    shown = [ShownLock(k.file_path, k.locked_by, k.expires_at, k.expires_at <= soon) for k in live[:SHOWN_FILES]]
    return LockOverview(active=max(stored - gone, len(shown)), files=shown)
