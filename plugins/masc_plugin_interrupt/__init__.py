"""Category interrupt: an agent asks, a human or another admin decides; checkpoints to go on from.

Read :mod:`.records` for what a checkpoint is, :mod:`.lifecycle` for what happens to it, :mod:`.ask` for how an agent waits,
:mod:`.decisions`, :mod:`.pending` and :mod:`.branching` for the other tools, :mod:`.commands` for the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from masc_core.context import Context
from masc_core.hookspecs import hookimpl
from masc_core.store.collections import Collection, Log
from masc_plugin_interrupt.archive import archive_ended
from masc_plugin_interrupt.ask import masc_interrupt
from masc_plugin_interrupt.branching import masc_branch
from masc_plugin_interrupt.decisions import masc_approve, masc_reject
from masc_plugin_interrupt.lifecycle import expire_due
from masc_plugin_interrupt.pending import masc_pending_interrupts, open_count
from masc_plugin_interrupt.records import CHECKPOINTS
from masc_plugin_interrupt.settings import InterruptSettings

__all__: list[str] = []


@hookimpl
def masc_tools(register: Callable[[Callable[..., Any]], None]) -> None:
    """The category's tools, in listing order."""
    for function in (masc_interrupt, masc_approve, masc_reject, masc_pending_interrupts, masc_branch):
        register(function)


@hookimpl
def masc_records(register: Callable[[Collection[Any] | Log[Any]], None]) -> None:
    """Checkpoints."""
    register(CHECKPOINTS)


@hookimpl
def masc_settings(register: Callable[[str, type], None]) -> None:
    """How long an interrupt waits, and whether users are asked."""
    register("interrupt", InterruptSettings)


@hookimpl
async def masc_status(ctx: Context) -> Mapping[str, Any]:
    """How many interrupts are open."""
    return {"interrupts_open": await open_count(ctx)}


@hookimpl
async def masc_due(ctx: Context) -> Mapping[str, Any] | None:
    """Reject or escalate what nobody decided in time."""
    done = await expire_due(ctx)
    return {"interrupts_timed_out": done} if done else None


@hookimpl
async def masc_gc(ctx: Context, before: str, dry_run: bool) -> Mapping[str, Any]:
    """Archive checkpoints that ended long ago."""
    return await archive_ended(ctx, before, dry_run)
