"""Issuing, renewing, revoking and listing tokens."""

from __future__ import annotations

import hmac
from typing import Annotated

from attrs import field

from masc_core import (
    ADMIN,
    DESTRUCTIVE,
    READ,
    READER,
    WRITE,
    AgentName,
    Bound,
    CallerUse,
    Context,
    Verbatim,
    tool,
)
from masc_core.errors import InvalidArgument, InvalidToken, TokenExpired
from masc_core.frozen import evolve, frozen
from masc_core.secret_files import Deliver
from masc_plugin_auth.checks import Attempts, hash_of, well_formed
from masc_plugin_auth.errors import AuthDisabled, CredentialNotFound, LastAdmin
from masc_plugin_auth.issuing import ensure_other_admin, issue
from masc_plugin_auth.records import AUTH, CREDENTIALS, STATE, Credential, RoleName

__all__ = ["masc_auth_create_token", "masc_auth_list", "masc_auth_refresh", "masc_auth_revoke"]

REFRESH_HOURS = 168
_LISTED = 1000
Hours = Annotated[int, Bound(minimum=1, maximum=8760)]
Token = Annotated[str, Bound(minLength=64, maxLength=64, pattern="^[0-9a-f]{64}$"), Verbatim()]


async def _ensure_still(ctx: Context) -> None:
    """Refuse a caller whose token was revoked or replaced since the call began: it must leave no credential behind."""
    token = ctx.call.client.token
    if ctx.caller.auth != "token" or token is None:
        return
    own = await ctx.collection(CREDENTIALS).find((ctx.caller.by or ctx.actor).lower())
    if own is None or not hmac.compare_digest(own.token_hash, hash_of(token)):
        raise InvalidToken()


async def _ensure_on(ctx: Context) -> None:
    state = await ctx.collection(AUTH).find(STATE)
    if state is None or not state.enabled:
        raise AuthDisabled()


@frozen
class TokenIssued:
    """A credential and its token, or the path of the file that has it."""

    agent_name: str
    role: str
    expires_at: str
    token: str | None = field(default=None, repr=False)
    token_path: str | None = None


@frozen
class TokenCreated(TokenIssued):
    """Result of masc_auth_create_token."""

    replaced: bool = False


@tool(
    effect=WRITE,
    role=ADMIN,
    caller=CallerUse.NONE,
    errors=(AuthDisabled, LastAdmin),
    examples=({"agent_name": "claude", "role": "worker"},),
    keywords=(
        "new mint grant hand agent invite workers admin promote tokens credential login; create generate role valid "
        "hour day user onboard provide somebody mint register add elevate temporary access read only reader right "
        "newcomer key build ci pass permit badge entry"
    ),
)
async def masc_auth_create_token(
    ctx: Context,
    agent_name: AgentName,
    role: RoleName = "worker",
    expires_in_hours: Hours | None = None,
    deliver: Deliver | None = None,
) -> TokenCreated:
    """Create an agent's token; its older one is void at once."""
    await _ensure_still(ctx)
    await _ensure_on(ctx)
    before = await ctx.collection(CREDENTIALS).find(agent_name.lower())
    if before is not None and role != "admin":
        await ensure_other_admin(ctx, before)
    issued = await issue(ctx, agent_name, role, expires_in_hours, deliver, created_by=ctx.caller.by or ctx.actor)
    made = issued.credential
    old = before.role if before else None
    ctx.event("auth_changed", made.agent_name, action="token_created", old=old, new=made.role)
    return TokenCreated(made.agent_name, made.role, made.expires_at, **issued.handed, replaced=issued.replaced)


@tool(
    effect=WRITE,
    role=READER,
    caller=CallerUse.NONE,
    creates_room="never",
    errors=(AuthDisabled,),
    examples=({"agent_name": "claude", "token": "0" * 64},),
    keywords=(
        "mine renew extend expiring swap replace old run tokens credential login; refresh prolong soon exchange trade "
        "rotate fresh new reissue mint update ran almost end session valid outdated yesterday alive"
    ),
)
async def masc_auth_refresh(
    ctx: Context, agent_name: AgentName, token: Token | None = None, deliver: Deliver | None = None
) -> TokenIssued:
    """Trade a token, valid or expired for at most a week, for a new one."""
    await _ensure_on(ctx)
    presented = token or ctx.call.client.token
    if presented is None:
        raise InvalidArgument(field="token", reason="missing", expected="is required unless it is sent as bearer")
    credential = await _owner(ctx, agent_name, presented)
    ctx.act_as(credential.agent_name)
    issued = await issue(ctx, credential.agent_name, credential.role, None, deliver, created_by=credential.agent_name)
    if presented == ctx.call.client.token:
        issued.adopt(ctx)
    ctx.event("auth_changed", credential.agent_name, action="token_refreshed", role=credential.role)
    return TokenIssued(credential.agent_name, credential.role, issued.credential.expires_at, **issued.handed)


async def _owner(ctx: Context, name: str, token: str) -> Credential:
    """The credential of ``name``, if this is its token and not too old."""
    found = await ctx.collection(CREDENTIALS).find(name.lower())
    given = hash_of(token)
    fits = hmac.compare_digest(found.token_hash if found else hash_of(""), given) and well_formed(token)
    if found is not None and fits and found.expires_at > ctx.after(-REFRESH_HOURS * 3600):
        return found
    attempts, source = ctx.remember(Attempts), ctx.call.client.source
    attempts.ensure(source, ctx.ticks)
    attempts.note(source, ctx.ticks)
    if found is not None and fits:
        raise TokenExpired(expired_at=found.expires_at)
    raise InvalidToken()


@frozen
class Revoked:
    """Whose credential went."""

    agent_name: str
    revoked: bool


@tool(
    effect=DESTRUCTIVE,
    role=ADMIN,
    caller=CallerUse.NONE,
    errors=(CredentialNotFound, LastAdmin),
    examples=({"agent_name": "claude"},),
    keywords=(
        "remove away blocked kick agent leak compromised not tokens credential login access; revoke withdraw invalid "
        "void ban lock right somebody stolen kill terminate longer cancelled expel exclude fire off user shut steal "
        "allowed untrusted suspended unauthorised bad more take good cut lost exposed gone key immediately"
    ),
)
async def masc_auth_revoke(ctx: Context, agent_name: AgentName) -> Revoked:
    """Delete an agent's credential."""
    credentials = ctx.collection(CREDENTIALS)
    credential = await credentials.find(agent_name.lower())
    if credential is None:
        raise CredentialNotFound(agent=agent_name)
    await ensure_other_admin(ctx, credential)
    credentials.delete(credential)
    await _end_binding(ctx, agent_name)
    ctx.event("auth_changed", credential.agent_name, action="revoked", old=credential.role)
    return Revoked(credential.agent_name, True)


async def _end_binding(ctx: Context, name: str) -> None:
    """With its credential a binding has ended: somebody else may take the membership over."""
    agent = await ctx.agents.find(name.lower())
    gone = f"credential:{name.lower()}"
    if agent is not None and gone in agent.bindings:
        left = [f"ended:{gone}" if b == gone else b for b in agent.bindings]
        ctx.agents.put(evolve(agent, bindings=left))


@frozen
class CredentialLine:
    """A credential without its hash."""

    agent_name: str
    role: str
    created_at: str
    created_by: str
    expires_at: str
    expired: bool


@frozen
class CredentialList:
    """Who has a credential, by role and name."""

    credentials: list[CredentialLine]
    count: int


@tool(
    effect=READ,
    role=ADMIN,
    keywords=(
        "show credential mint who hold role admin expiring create agent allowed tokens login soon; exist holders "
        "expiry until name run user register enter permission last whom audit every people everyone access inventory"
    ),
)
async def masc_auth_list(ctx: Context) -> CredentialList:
    """List who has a credential, its role and expiry."""
    view = ctx.collection(CREDENTIALS)
    found = await view.scan("role", limit=_LISTED)
    lines = [
        CredentialLine(c.agent_name, c.role, c.created_at, c.created_by, c.expires_at, c.expires_at <= ctx.now)
        for c in found
    ]
    count = len(lines) if len(lines) < _LISTED else sum((await view.count("role")).values())
    return CredentialList(lines, count)
