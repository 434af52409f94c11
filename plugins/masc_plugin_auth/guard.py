"""Asks of every call who makes it and whether that role may make it. It fails closed: a check that breaks refuses.

Auth off: everything is allowed and tokens are ignored. On: the token's agent or, without one and where none is required,
the default role, never under a name that owns an unexpired credential.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

from masc_core import ADMIN, Caller, CallerUse, Collection, Context, Log, MascError, Role, hookimpl
from masc_core.agents import match_agent
from masc_core.clock import timestamp
from masc_core.errors import (
    Forbidden,
    InvalidRoomSecret,
    InvalidToken,
    RateLimited,
    RecordUnreadable,
    Unauthenticated,
    Unauthorized,
)
from masc_core.frozen import evolve
from masc_core.identity import Client
from masc_core.rooms import OpenRoom
from masc_core.store.driver import Key
from masc_core.store.transaction import Transaction
from masc_core.values import agent_name
from masc_plugin_auth.checks import Attempts, auth_state, credential_of, expected, verified, well_formed
from masc_plugin_auth.joining import check_secret, masc_joined, masc_name_protected
from masc_plugin_auth.known import masc_known_secrets
from masc_plugin_auth.opening import masc_open_bind
from masc_plugin_auth.records import AUTH, CREDENTIALS, STATE_KEY, AuthSettings, AuthState, Credential

__all__ = [
    "masc_agent_role",
    "masc_authenticate",
    "masc_before_call",
    "masc_first_reads",
    "masc_joined",
    "masc_known_secrets",
    "masc_name_protected",
    "masc_open_bind",
    "masc_recognise",
    "masc_records",
    "masc_settings",
    "masc_token_reads",
    "masc_waited",
]

logger = logging.getLogger(__name__)
REFRESH, JOIN = "masc_auth_refresh", "masc_join"
P = ParamSpec("P")
R = TypeVar("R")


@hookimpl
def masc_records(register: Callable[[Collection[Any] | Log[Any]], None]) -> None:
    """The switch and the credentials; they outlive a reset."""
    register(AUTH)
    register(CREDENTIALS)


@hookimpl
def masc_settings(register: Callable[[str, type], None]) -> None:
    """Section ``[auth]``."""
    register("auth", AuthSettings)


@hookimpl
def masc_first_reads(register: Callable[[Key], None]) -> None:
    """The switch is looked at in every call."""
    register(STATE_KEY)


def closed(check: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Let a check that breaks refuse with `forbidden`; a store that does not answer keeps its own, retryable code."""

    @functools.wraps(check)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await check(*args, **kwargs)
        except RecordUnreadable as error:
            logger.error("auth cannot read its records and refuses: %s", error)
            raise _broken() from error
        except MascError:
            raise
        except Exception as error:
            logger.exception("the check of auth broke and refuses")
            raise _broken() from error

    return guarded


def _broken() -> Forbidden:
    return Forbidden(agent="nobody", action="call", required_role="admin", role="none", reason="unmapped_tool")


@hookimpl
def masc_token_reads(room: OpenRoom, token: str) -> list[Key]:
    """The credential, and the agent whose it is."""
    return expected(room, token)


@hookimpl
@closed
async def masc_recognise(room: OpenRoom, reading: Transaction, client: Client, alone: bool) -> dict[str, Any] | None:
    """Whose token a client presents."""
    state = await auth_state(reading)
    if state is None or not state.enabled:
        return None
    answer: dict[str, Any] = {"agent": None, "required": state.require_token, "refused": None}
    if client.token is None:
        return answer
    now, ticks = timestamp(room.driver.clock.now()), room.clock.monotonic()
    try:
        credential = await verified(room, reading, client, now, ticks)
    except (Unauthenticated, RateLimited) as error:
        if alone and isinstance(error, Unauthenticated):
            room.remember(Attempts).note(client.source, ticks)
        return {**answer, "refused": error}
    return {**answer, "agent": credential.agent_name}


async def _on(ctx: Context) -> AuthState | None:
    """The switch, where auth is on."""
    if ctx.room is None or ctx.tx.lacks(STATE_KEY):  # the common case, and every call comes by twice
        return None
    state = await auth_state(ctx.tx)
    return state if state is not None and state.enabled else None


@hookimpl
@closed
async def masc_authenticate(ctx: Context) -> dict[str, Any] | None:
    """The caller, where a token says so; refuses what needs one."""
    client, state = ctx.call.client, await _on(ctx)
    if client.exposed is not None and (state is None or not state.require_token):
        raise Unauthorized(reason="missing_token", challenge=True)  # other machines reach this server
    if state is None:
        return None
    if ctx.call.tool.name == REFRESH:
        return {"caller": await _renewing(ctx)}
    attempts = ctx.remember(Attempts)
    try:
        credential = await verified(ctx, ctx.tx, client, ctx.now, ctx.ticks) if client.token is not None else None
        if ctx.call.tool.name == JOIN:
            ctx.call.by_secret = check_secret(ctx, state, credential is not None)
    except (Unauthenticated, InvalidRoomSecret):
        attempts.note(client.source, ctx.ticks)
        raise
    if credential is not None:
        return {"caller": await _caller(ctx, credential)}
    if client.transport == "local" or ctx.call.by_secret:
        return None
    attempts.ensure(client.source, ctx.ticks)
    if state.require_token or ctx.call.entering:
        attempts.note(client.source, ctx.ticks)
        raise Unauthorized(reason="missing_token", challenge=True)
    return None


async def _renewing(ctx: Context) -> Caller:
    """Whose token is to be renewed, so that the call counts as its owner's; whether it may be, the tool checks."""
    presented = ctx.call.arguments.get("token") or ctx.call.client.token
    if not isinstance(presented, str) or not well_formed(presented):
        return Caller()
    if (credential := await credential_of(ctx, ctx.tx, presented)) is None:
        return Caller()
    return Caller(credential.agent_name, credential.rank, "token", requested=credential.agent_name)


async def _caller(ctx: Context, credential: Credential) -> Caller:
    """The token's agent; for an admin who names another, that one."""
    tool, client = ctx.call.tool, ctx.call.client
    record = (await ctx.agents.peek([credential.agent_name.lower()]))[0]
    own = record.name if record is not None else credential.agent_name
    mine = {own.lower(), record.requested_name.lower()} if record is not None else {own.lower()}
    given = ctx.call.arguments.get(tool.caller_field) if tool.caller is not CallerUse.NONE else None
    if isinstance(given, str):
        agent_name(tool.caller_field, given)
    else:
        given = None
    role = credential.rank
    if role is Role.ADMIN:
        named = given or client.agent
        if named is not None and named.lower() != own.lower():
            return await _acting_for(ctx, own, named)
    else:
        for named in (client.agent, given):
            if named is not None and named.lower() not in mine:
                raise _other_agent(own, named, role)
    return Caller(own, role, "token", requested=own)


async def _acting_for(ctx: Context, admin: str, named: str) -> Caller:
    found = None if ctx.call.tool.name == JOIN else await match_agent(ctx, named)
    name = found.name if found is not None else named
    by = admin if name.lower() != admin.lower() else None
    return Caller(name, Role.ADMIN, "token", requested=name, by=by)


def _other_agent(agent: str, named: str, role: Role) -> Forbidden:
    return Forbidden(
        agent=agent, action=f"act as {named}", required_role=ADMIN.label, role=role.label, reason="other_agent"
    )


@hookimpl
@closed
async def masc_before_call(ctx: Context) -> None:
    """Refuse a protected name and a role that is too low."""
    tool, client = ctx.call.tool, ctx.call.client
    if not isinstance(tool.role, Role):
        raise Forbidden(agent=ctx.actor, action=tool.name, required_role="none", role="none", reason="unmapped_tool")
    state = await _on(ctx)
    if state is None or (client.transport == "local" and client.token is None):
        return
    if ctx.caller.auth != "token":
        await _ensure_free(ctx)
        ctx.caller = evolve(ctx.caller, role=Role[ctx.settings.of(AuthSettings).default_role.upper()])
    ctx.granted = ctx.caller.role
    ctx.ensure_role(tool.role)
    if tool.room_argument and ctx.call.arguments.get(tool.room_argument) is not None:
        ctx.ensure_role(ADMIN)  # whatever chooses a room needs what masc_set_room needs


async def _ensure_free(ctx: Context) -> None:
    """Without a token nobody uses a name that owns one, nor two names at once."""
    if ctx.call.tool.name == REFRESH:
        return
    if ctx.call.other_named is not None:
        raise _other_agent(ctx.actor, ctx.call.other_named, ctx.caller.role)
    if not ctx.caller.known or ctx.call.by_secret:
        return
    credential = (await ctx.collection(CREDENTIALS).peek([ctx.actor.lower()]))[0]
    if credential is not None and credential.expires_at > ctx.now:
        raise Unauthorized(reason="name_protected")


@hookimpl
async def masc_agent_role(ctx: Context, agent: str) -> dict[str, Any] | None:
    """The role by which an agent's calls are judged."""
    if await _on(ctx) is None:
        return None
    credential = (await ctx.collection(CREDENTIALS).peek([agent.lower()]))[0]
    if credential is None or credential.expires_at <= ctx.now:
        return {"role": ctx.settings.of(AuthSettings).default_role, "token": False}
    return {"role": credential.role, "token": True}


@hookimpl
async def masc_waited(ctx: Context) -> None:
    """End the waiting of a caller whose token is no longer any."""
    if ctx.caller.auth == "token":
        await ctx.transact(_ensure_still)


@closed
async def _ensure_still(work: Context) -> None:
    state, token = await auth_state(work.tx), work.call.client.token
    if state is None or not state.enabled or token is None:
        return
    if await credential_of(work, work.tx, token) is None:
        raise InvalidToken()
