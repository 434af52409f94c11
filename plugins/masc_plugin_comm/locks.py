"""masc_lock and masc_unlock: advisory locks with an expiry and a fence."""

from __future__ import annotations

import math
from typing import Annotated

from masc_core.clock import parse_time
from masc_core.context import Context
from masc_core.errors import Refused, error
from masc_core.frozen import evolve, frozen
from masc_core.tools import WORKER, WRITE, tool
from masc_core.values import Bound, FilePath, TaskId
from masc_plugin_comm.lock_rules import drop, expired, foreign_overlap, locks_of, path_key
from masc_plugin_comm.records import Lock

__all__ = ["FileLocked", "LockNotOwner", "StaleFence", "Taken", "Unlocked", "masc_lock", "masc_unlock"]

Ttl = Annotated[int, Bound(minimum=60, maximum=86_400)]
Fence = Annotated[int, Bound(minimum=1)]


@error
class FileLocked(Refused):
    code = "file_locked"
    http = 423
    retryable = True
    text = "{lock_path} is locked by {locked_by} until {expires_at}; work elsewhere or try again in {retry_after} s"
    file_path: str
    lock_path: str
    locked_by: str
    expires_at: str
    retry_after: int


@error
class LockNotOwner(Refused):
    code = "lock_not_owner"
    text = "{file_path} is locked by {locked_by}; only the holder unlocks it"
    file_path: str
    locked_by: str


@error
class StaleFence(Refused):
    code = "stale_fence"
    text = "fence {given} is not that of the lock on {file_path}, which is {current}; the lock was lost in between"
    file_path: str
    given: int
    current: int


@frozen
class Taken:
    """A lock now held by the caller."""

    file_path: str
    fence: int
    locked_at: str
    expires_at: str
    renewed: bool


@frozen
class Unlocked:
    """Whether a lock was given up."""

    file_path: str
    released: bool


@tool(
    effect=WRITE,
    role=WORKER,
    idempotent=True,
    limit="file_lock",
    errors=(FileLocked,),
    examples=({"agent_name": "claude", "file_path": "src/app.py"},),
    keywords=(
        "file directory reserve blocked exclusive path keep change edit hold extend off touching modify; protect "
        "prevent access acquire nobody somebody else write conflict collide collision concurrent sure work check lock "
        "mine claim secure safe guard overwrite step toes race simultaneous parallel alone refactor renew longer "
        "subtree hand stop dibs"
    ),
    counter="fence",
)
async def masc_lock(
    ctx: Context, file_path: FilePath, ttl_seconds: Ttl | None = None, task_id: TaskId | None = None
) -> Taken:
    """Lock a file (or a subtree, path/) before editing; repeat to renew."""
    expires_at = ctx.after(ttl_seconds or ctx.settings.locks.ttl_seconds)
    # Read, so that a lock is not taken for a caller that has gone: who lets go of its locks rewrites its record.
    await ctx.agents.find(ctx.agent.lower())
    held = await locks_of(ctx).find(path_key(ctx, file_path))
    if held is not None and not expired(ctx, held):
        if held.locked_by.lower() != ctx.agent.lower():
            raise _locked(ctx, file_path, held)
        lock = evolve(held, expires_at=expires_at, task_id=task_id or held.task_id)
        locks_of(ctx).put(lock)
        return Taken(lock.file_path, lock.fence, lock.locked_at, lock.expires_at, renewed=True)
    if held is not None:
        drop(ctx, held)
    # All new locks rewrite the fence counter, so of two that overlap one runs again. It is read before the others are
    # looked for: a lock that is taken in between has then changed the counter under this unit of work.
    fence = await ctx.next_number("fence")
    if (other := await foreign_overlap(ctx, file_path, ctx.agent)) is not None:
        raise _locked(ctx, file_path, other)
    return _take(ctx, file_path, expires_at, task_id, fence)


def _take(ctx: Context, file_path: str, expires_at: str, task_id: str | None, fence: int) -> Taken:
    lock = Lock(
        key=path_key(ctx, file_path),
        file_path=file_path,
        subtree=file_path.endswith("/"),
        locked_by=ctx.agent,
        locked_at=ctx.now,
        expires_at=expires_at,
        fence=fence,
        task_id=task_id,
    )
    locks_of(ctx).put(lock)
    tag = {"task_id": task_id} if task_id else {}
    ctx.event("lock_acquired", ctx.agent, file_path=file_path, fence=lock.fence, expires_at=expires_at, **tag)
    return Taken(file_path, lock.fence, lock.locked_at, expires_at, renewed=False)


def _locked(ctx: Context, file_path: str, lock: Lock) -> FileLocked:
    left = parse_time(lock.expires_at) - parse_time(ctx.now)
    return FileLocked(
        file_path=file_path,
        lock_path=lock.file_path,
        locked_by=lock.locked_by,
        expires_at=lock.expires_at,
        retry_after=max(1, math.ceil(left)),
    )


@tool(
    effect=WRITE,
    role=WORKER,
    idempotent=True,
    limit="file_lock",
    auto_join=False,
    errors=(LockNotOwner, StaleFence),
    examples=({"agent_name": "claude", "file_path": "src/app.py"},),
    keywords=(
        "file remove release give_back finish edit hold lock not off; directory free drop reserve change held "
        "exclusive access open unblock relinquish available unprotect lift now somebody else touching let take"
    ),
)
async def masc_unlock(ctx: Context, file_path: FilePath, fence: Fence | None = None) -> Unlocked:
    """Release your lock on a file or subtree."""
    agent = ctx.agent
    lock = await locks_of(ctx).find(path_key(ctx, file_path))
    if lock is None or expired(ctx, lock):
        if lock is not None:
            drop(ctx, lock)  # so that it does not come back when the clock is set back
        ctx.warn("not_locked", f"{file_path} is not locked")
        return Unlocked(file_path, released=False)
    if lock.locked_by.lower() != agent.lower() and not ctx.caller.admin:
        raise LockNotOwner(file_path=file_path, locked_by=lock.locked_by)
    if fence is not None and fence != lock.fence:
        raise StaleFence(file_path=file_path, given=fence, current=lock.fence)
    drop(ctx, lock)
    return Unlocked(lock.file_path, released=True)
