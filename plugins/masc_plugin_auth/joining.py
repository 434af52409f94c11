"""Joining with the room's secret, and the names that joining must not give away."""

from __future__ import annotations

import hmac
from typing import Any, Literal

from masc_core import Context, hookimpl
from masc_core.errors import InvalidRoomSecret
from masc_plugin_auth.checks import Attempts, auth_state, hash_of, well_formed
from masc_plugin_auth.issuing import issue
from masc_plugin_auth.records import AUTH, CREDENTIALS, STATE, AuthState

__all__ = ["check_secret", "masc_joined", "masc_name_protected"]


def _given(ctx: Context) -> Any:
    return ctx.call.arguments.get("room_secret")


def check_secret(ctx: Context, state: AuthState, has_token: bool) -> bool:
    """Whether this masc_join is made with the room's secret, and not with a token.

    Raises :class:`InvalidRoomSecret`, and :class:`masc_core.errors.RateLimited` for a source that has failed too often.
    """
    given = _given(ctx)
    secret = given if given is not None or has_token else ctx.call.client.room_secret
    if secret is None or (given is not None and not well_formed(given)):
        return False  # what is no secret at all is for validation to refuse
    if not has_token:
        ctx.remember(Attempts).ensure(ctx.call.client.source, ctx.ticks)
    if not _fits(secret, state):
        raise InvalidRoomSecret()
    if has_token:
        ctx.warn("room_secret_unneeded", "you have a token already; the room secret issued none")
    return not has_token


def _fits(secret: str, state: AuthState) -> bool:
    expected = state.room_secret_hash
    return expected is not None and hmac.compare_digest(hash_of(secret), expected)


@hookimpl
async def masc_name_protected(ctx: Context, name: str) -> dict[str, Any] | None:
    """A name with an unexpired credential is its token's; whoever comes with the secret gets one without any credential."""
    state = await auth_state(ctx.tx)
    client, by_secret = ctx.call.client, ctx.call.by_secret
    if state is None or not state.enabled or (client.transport == "local" and client.token is None and not by_secret):
        return None
    if ctx.caller.auth == "token" and name.lower() == ctx.caller.name.lower():
        return None
    credential = await ctx.collection(CREDENTIALS).find(name.lower())
    if credential is None or not (by_secret or credential.expires_at > ctx.now):
        return None
    return {"protected": True}


@hookimpl
async def masc_joined(ctx: Context, agent: str, deliver: Literal["file", "result"] | None) -> dict[str, Any] | None:
    """The worker credential of an agent that joined with the room's secret."""
    if not ctx.call.by_secret:
        return None
    state = await ctx.collection(AUTH).find(STATE)
    secret = _given(ctx) or ctx.call.client.room_secret
    if secret is None or state is None or not state.enabled or not _fits(secret, state):
        raise InvalidRoomSecret()  # it was changed between the check and this change
    issued = await issue(ctx, agent, "worker", None, deliver, created_by=agent)
    issued.adopt(ctx)
    return {**issued.handed, "token_expires_at": issued.credential.expires_at}
