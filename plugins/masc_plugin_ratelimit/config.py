"""masc_rate_limit_config: show and change the limits."""

from __future__ import annotations

from typing import Annotated, Any

from masc_core import ADMIN, READER, WRITE, Bound, CallerUse, Context, tool
from masc_core.frozen import evolve, frozen
from masc_plugin_ratelimit.limits import LIMITS, LIMITS_ID, NAMES, RateLimitSettings, StoredLimits, base_of

__all__ = ["masc_rate_limit_config"]

PerMinute = Annotated[int, Bound(minimum=1, maximum=100_000)]
Burst = Annotated[int, Bound(minimum=0, maximum=1000)]


@frozen
class LimitSources:
    """Where each value comes from: ``stored``, ``config`` or ``default``."""

    per_minute: str
    burst_allowed: str
    broadcast_per_minute: str
    task_ops_per_minute: str
    file_lock_per_minute: str
    reads_per_minute: str


@frozen
class LimitsInForce:
    """The limits of a worker, where they come from, and which of them this call changed."""

    per_minute: int
    burst_allowed: int
    broadcast_per_minute: int
    task_ops_per_minute: int
    file_lock_per_minute: int
    reads_per_minute: int
    source: LimitSources
    changed: list[str]


@tool(
    effect=WRITE,
    role=READER,
    idempotent=True,
    caller=CallerUse.NONE,
    examples=({}, {"broadcast_per_minute": 30}),
    keywords=(
        "adjust configuration raise increase allowed per set number limit call minutes; change tune lower more fewer "
        "stricter looser broadcasts read maximum double halve slowed down speed show force permit rules everyone bump "
        "loosen relax tighten restrict threshold new values policy team modify request burst strict tight generous "
        "bigger higher ceiling"
    ),
)
async def masc_rate_limit_config(
    ctx: Context,
    per_minute: PerMinute | None = None,
    burst_allowed: Burst | None = None,
    broadcast_per_minute: PerMinute | None = None,
    task_ops_per_minute: PerMinute | None = None,
    file_lock_per_minute: PerMinute | None = None,
    reads_per_minute: PerMinute | None = None,
) -> LimitsInForce:
    """Show the calls allowed per minute, or change them for everybody."""
    values = (
        per_minute, burst_allowed, broadcast_per_minute, task_ops_per_minute, file_lock_per_minute, reads_per_minute,
    )  # fmt: skip
    given: dict[str, Any] = {name: value for name, value in zip(NAMES, values, strict=True) if value is not None}
    if given:
        ctx.ensure_role(ADMIN)
    limits = ctx.collection(LIMITS)
    kept = await limits.find(LIMITS_ID) or StoredLimits()
    before = {name: base_of(ctx, kept, name) for name in given}
    wanted = evolve(kept, **given)
    if wanted != kept:
        limits.put(wanted)
    changed = [name for name, value in given.items() if before[name] != value]
    if changed:
        old, new = {n: before[n] for n in changed}, {n: given[n] for n in changed}
        ctx.event("rate_limits_changed", old=old, new=new)
    in_force = {name: base_of(ctx, wanted, name) for name in NAMES}
    sources = {name: _source(ctx, wanted, name) for name in NAMES}
    return LimitsInForce(**in_force, source=LimitSources(**sources), changed=changed)


def _source(ctx: Context, stored: StoredLimits, name: str) -> str:
    if getattr(stored, name) is not None:
        return "stored"
    set_to = getattr(ctx.settings.of(RateLimitSettings), name)
    return "default" if set_to == getattr(RateLimitSettings(), name) else "config"
