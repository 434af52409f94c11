"""Counts every tool call and refuses those beyond the limits, after auth has said who calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from masc_core import Collection, Context, Log, hookimpl
from masc_core.errors import RateLimited
from masc_core.store.driver import Key
from masc_plugin_ratelimit.limits import CATEGORIES, LIMITS, LIMITS_KEY, NOTHING, InForce, RateLimitSettings, stored
from masc_plugin_ratelimit.windows import Callers, key_of

__all__ = ["masc_before_call", "masc_first_reads", "masc_records", "masc_settings"]


@hookimpl
def masc_records(register: Callable[[Collection[Any] | Log[Any]], None]) -> None:
    """The stored limits; they outlive a reset."""
    register(LIMITS)


@hookimpl
def masc_settings(register: Callable[[str, type], None]) -> None:
    """Section ``[ratelimit]``."""
    register("ratelimit", RateLimitSettings)


@hookimpl
def masc_first_reads(register: Callable[[Key], None]) -> None:
    """The stored limits are looked at in every call."""
    register(LIMITS_KEY)


@hookimpl
async def masc_before_call(ctx: Context) -> None:
    """Count the call, or refuse it."""
    if ctx.call.client.transport == "local":
        return
    category = ctx.call.tool.limit if ctx.call.tool.limit in CATEGORIES else "general"
    given = NOTHING if ctx.room is None or ctx.tx.lacks(LIMITS_KEY) else await stored(ctx.tx)
    settings, caller, now = ctx.settings.of(RateLimitSettings), ctx.caller, ctx.ticks
    in_force = ctx.remember(InForce)
    favoured = bool(settings.priority_agents) and settings.favours(caller.by or caller.name)
    limit = in_force.of(given, settings, category, caller.role, favoured)
    windows = ctx.remember(Callers).of(key_of(ctx))
    wait = windows.charge(category, limit, in_force.burst, now)
    if wait is not None:
        raise RateLimited(category=category, limit=limit, current=windows.used(category, now)[0], retry_after=wait)
