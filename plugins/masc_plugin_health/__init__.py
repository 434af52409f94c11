"""Category health: signs of life, zombies, garbage collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from masc_core.context import Context
from masc_core.hookspecs import hookimpl
from masc_plugin_health import gc
from masc_plugin_health.presence import masc_agents, masc_heartbeat
from masc_plugin_health.retention import RetentionSettings
from masc_plugin_health.zombies import clean_all, masc_cleanup_zombies

__all__: list[str] = []


@hookimpl
def masc_tools(register: Callable[[Callable[..., Any]], None]) -> None:
    """The category's tools, in listing order."""
    for function in (masc_heartbeat, masc_cleanup_zombies, gc.masc_gc, masc_agents):
        register(function)


@hookimpl
def masc_settings(register: Callable[[str, type], None]) -> None:
    """How long a room keeps what is over."""
    register("retention", RetentionSettings)


@hookimpl
async def masc_gc(ctx: Context, before: str, dry_run: bool) -> Mapping[str, Any]:
    """Archive agents that left long ago."""
    return await gc.archive_agents(ctx, before, dry_run)


@hookimpl
async def masc_sweep(ctx: Context) -> Mapping[str, Any] | None:
    """Clean every zombie, and keep the room within its settings."""
    cleaned = await clean_all(ctx)
    await gc.keep_within(ctx)
    return {"zombies": [c.agent for c in cleaned]} if cleaned else None
