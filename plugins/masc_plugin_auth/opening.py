"""Servers that other machines reach: they start, and stay up, only while every request needs a token."""

from __future__ import annotations

from typing import Any

from masc_core import Context, hookimpl
from masc_core.frozen import evolve
from masc_core.identity import Bindings, process_binding
from masc_core.rooms import OpenRoom
from masc_core.settings import StorageSettings
from masc_core.store.collections import View
from masc_core.store.transaction import Transaction
from masc_plugin_auth.records import AUTH, STATE, AuthState, OpenBind

__all__ = ["masc_open_bind", "open_host", "running"]


def running(state: AuthState | None, bindings: Bindings, storage: StorageSettings) -> list[OpenBind]:
    """The servers on open addresses that were not seen to end.

    A store that only one machine can open has no servers on another: that name is what this machine was called once.
    """
    here = None if storage.allow_network_fs else process_binding().rsplit(":", 2)[0]
    binds = state.open_binds if state else []
    return [b for b in binds if not bindings.ended(b.process) and here in (None, b.process.rsplit(":", 2)[0])]


def open_host(ctx: Context, state: AuthState | None) -> str | None:
    """An open address on which this server, or another of the room, listens."""
    if ctx.call.client.exposed is not None:
        return ctx.call.client.exposed
    return next((b.host for b in running(state, ctx.call.bindings, ctx.settings.storage)), None)


@hookimpl
async def masc_open_bind(room: OpenRoom, tx: Transaction, host: str) -> dict[str, Any] | None:
    """Note the server in the very document that it relies on: auth cannot be weakened between look and start."""
    settings = View(AUTH, tx)
    state = await settings.find(STATE)
    if state is None or not (state.enabled and state.require_token):
        return None
    process = process_binding()
    others = [b for b in running(state, Bindings(), room.settings.storage) if b.process != process]
    settings.put(evolve(state, open_binds=[*others, OpenBind(process, host)]))
    return {"allowed": True}
