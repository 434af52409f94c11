"""Counts every tool call and refuses those beyond the limits, after auth has said who calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from masc_core import Collection, Context, Log, hookimpl
from masc_core.dialog import STATE_SECONDS
from masc_core.errors import MascError, RateLimited
from masc_core.store.driver import Key
from masc_plugin_ratelimit.limits import CATEGORIES, LIMITS, LIMITS_KEY, NOTHING, InForce, RateLimitSettings, stored
from masc_plugin_ratelimit.windows import Callers, key_of

__all__ = ["masc_before_call", "masc_first_reads", "masc_records", "masc_settings"]

MOST_ANSWERED = 4096


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
    if ctx.call.client.transport == "local" or await _goes_on(ctx):
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


class _Answered(dict[str, float]):
    """The forms whose answers went on with a call that was counted, and until when they could come again."""


async def _goes_on(ctx: Context) -> bool:
    """The call is one that was counted and comes back with what its user answered to a form, which must not be lost to a
    limit. The first time; a client that repeats it, or calls for something else, calls again."""
    dialog = ctx.call.dialog
    if dialog is None or dialog.state is None or ctx.room is None:
        return False
    try:
        back = await dialog.returned(ctx)
    except MascError:  # the tool says what is wrong with it
        return False
    if back is None or back.answer is None or not back.same_call:
        return False
    signature, answered, now = dialog.state.rpartition(".")[2], ctx.remember(_Answered), ctx.ticks
    if len(answered) >= MOST_ANSWERED:
        for over in [known for known, until in answered.items() if until <= now]:
            del answered[over]
    # None is forgotten while it could come again: where there are too many of them, further ones count.
    if signature in answered or len(answered) >= MOST_ANSWERED:
        return False
    answered[signature] = now + STATE_SECONDS
    return True
