"""Guard audit: an append-only, hash-chained log of what was done in the room, by whom, and what was refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from masc_core import Collection, Context, Log, MascError, hookimpl
from masc_core.identity import Client
from masc_core.rooms import OpenRoom
from masc_plugin_audit.recording import OWN, append, new_key, note_failure, note_stranger, recorded
from masc_plugin_audit.records import AUDIT, KEYS, AuditSettings

__all__: list[str] = []


@hookimpl
def masc_records(register: Callable[[Collection[Any] | Log[Any]], None]) -> None:
    """The log and the signing key."""
    register(AUDIT)
    register(KEYS)


@hookimpl
def masc_settings(register: Callable[[str, type], None]) -> None:
    """``[audit]``"""
    register("audit", AuditSettings)


@hookimpl
async def masc_in_commit(ctx: Context) -> None:
    """The entry of a successful call is committed with its change."""
    if recorded(ctx) and ctx.call.tool.name not in OWN:
        append(ctx, "ok", await new_key(ctx) if ctx.call.room_created else None)


@hookimpl
async def masc_call_failed(ctx: Context, error: MascError) -> None:
    """Refused and failed calls are recorded too."""
    await note_failure(ctx, error)


@hookimpl
async def masc_stranger(room: OpenRoom, client: Client, asked: str, error: MascError) -> None:
    """A credential that is no good leaves an entry whatever it came with."""
    await note_stranger(room, client, asked, error)


@hookimpl
async def masc_doctor(ctx: Context, fix: bool) -> Mapping[str, Any]:
    """Whether the log holds."""
    from masc_plugin_audit.doctor import examine

    return await examine(ctx)
