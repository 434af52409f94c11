"""Category comm: messages, mentions, locks, listening, reset.

Read :mod:`.broadcast` and :mod:`.mentions` for what is stored, :mod:`.reading` and :mod:`.listen` for how it is read,
:mod:`.lock_rules` and :mod:`.locks` for locks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from masc_core.context import Context
from masc_core.convert import unstructure
from masc_core.hookspecs import hookimpl
from masc_core.records import Agent, Task
from masc_core.store.collections import Collection, Log
from masc_plugin_comm.archive import archive_old
from masc_plugin_comm.broadcast import masc_broadcast
from masc_plugin_comm.listen import masc_listen
from masc_plugin_comm.lock_rules import drop_expired, overview, release_all
from masc_plugin_comm.locks import masc_lock, masc_unlock
from masc_plugin_comm.reading import masc_messages
from masc_plugin_comm.records import LOCKS
from masc_plugin_comm.reset import masc_reset
from masc_plugin_comm.who import masc_who

__all__: list[str] = []

SWEEP_BATCH = 200


@hookimpl
def masc_tools(register: Callable[[Callable[..., Any]], None]) -> None:
    """The category's tools, in listing order."""
    for function in (masc_broadcast, masc_messages, masc_lock, masc_unlock, masc_listen, masc_who, masc_reset):
        register(function)


@hookimpl
def masc_records(register: Callable[[Collection[Any] | Log[Any]], None]) -> None:
    """Locks; messages and events belong to every room."""
    register(LOCKS)


# Awaited first (answers are asked for in reverse of the calling order): releasing the agent's tasks releases the locks
# tagged with them, which would then be missing from the list given here.
@hookimpl(trylast=True)
async def masc_agent_released(ctx: Context, agent: Agent) -> Mapping[str, Any]:
    """An agent's locks go with it."""
    await ctx.last_number("fence")  # a lock that it takes meanwhile must not be overlooked
    return {"locks_released": await release_all(ctx, "holder", agent.name.lower())}


@hookimpl
async def masc_task_ended(ctx: Context, task: Task) -> Mapping[str, Any]:
    """Locks tagged with a task go with it."""
    return {"locks_released": await release_all(ctx, "task", task.id)}


@hookimpl
async def masc_status(ctx: Context) -> Mapping[str, Any]:
    """The locks in force."""
    return {"locks": unstructure(await overview(ctx))}


@hookimpl
async def masc_gc(ctx: Context, before: str, dry_run: bool) -> Mapping[str, Any]:
    """Archive old messages and events, remove expired locks."""
    return await archive_old(ctx, before, dry_run)


@hookimpl
async def masc_sweep(ctx: Context) -> Mapping[str, Any] | None:
    """Remove expired locks, a batch per unit of work."""

    async def batch(work: Context) -> int:
        return await drop_expired(work, SWEEP_BATCH)

    removed = 0
    while dropped := await ctx.transact(batch):
        removed += dropped
    return {"locks_expired": removed} if removed else None
