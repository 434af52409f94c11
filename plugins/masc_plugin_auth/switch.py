"""Turning auth on and off, and how it stands."""

from __future__ import annotations

from attrs import field

from masc_core import ADMIN, DESTRUCTIVE, READ, READER, WRITE, AgentName, CallerUse, Context, tool
from masc_core.frozen import evolve, frozen
from masc_core.secret_files import Deliver, deliver_on_commit
from masc_plugin_auth.checks import hash_of, new_secret
from masc_plugin_auth.errors import BindRequiresAuth
from masc_plugin_auth.issuing import issue
from masc_plugin_auth.opening import open_host
from masc_plugin_auth.records import AUTH, CREDENTIALS, STATE, AuthSettings, AuthState

__all__ = ["AdminIssued", "hand_out_secret", "masc_auth_disable", "masc_auth_enable", "masc_auth_status"]


@frozen
class AdminIssued:
    """The admin's new credential."""

    agent_name: str
    expires_at: str
    token: str | None = field(default=None, repr=False)
    token_path: str | None = None


@frozen
class Enabled:
    """How auth stands, and what was issued."""

    enabled: bool
    require_token: bool
    default_role: str
    token_expiry_hours: int
    already_enabled: bool
    room_secret: str | None = field(default=None, repr=False)
    room_secret_path: str | None = None
    admin: AdminIssued | None = None


@tool(
    effect=WRITE,
    role=ADMIN,
    caller=CallerUse.NONE,
    errors=(BindRequiresAuth,),
    examples=({}, {"require_token": True, "admin_name": "admin"}),
    keywords=(
        "protect secure require mandatory everyone agent anonymous enforce activate credential auth tokens login "
        "without not work; enable known strangers lock down start admin introduce private identify identification "
        "prove identity valid keep intruders unauthorised unauthorized guests outsiders harden room server only set "
        "necessary walk safe mode"
    ),
)
async def masc_auth_enable(
    ctx: Context, require_token: bool = False, admin_name: AgentName = "admin", deliver: Deliver | None = None
) -> Enabled:
    """Turn on tokens and roles; gives an admin token and the room secret for joining."""
    states = ctx.collection(AUTH)
    state = await states.find(STATE) or AuthState()
    settings = ctx.settings.of(AuthSettings)
    if not require_token and (host := open_host(ctx, state)) is not None:
        raise BindRequiresAuth(host=host)
    if state.enabled:
        if state.require_token != require_token:
            states.put(evolve(state, require_token=require_token))
            ctx.event("auth_changed", action="require_token", old=state.require_token, new=require_token)
        return Enabled(True, require_token, settings.default_role, settings.token_expiry_hours, True)
    secret = new_secret()
    states.put(evolve(state, enabled=True, require_token=require_token, room_secret_hash=hash_of(secret)))
    issued = await issue(ctx, admin_name, "admin", None, deliver, created_by=ctx.actor)
    value, path = await hand_out_secret(ctx, secret, deliver)
    ctx.event("auth_changed", issued.credential.agent_name, action="enabled", require_token=require_token)
    return Enabled(
        True,
        require_token,
        settings.default_role,
        settings.token_expiry_hours,
        False,
        value,
        path,
        AdminIssued(issued.credential.agent_name, issued.credential.expires_at, **issued.handed),
    )


async def hand_out_secret(ctx: Context, secret: str, deliver: Deliver | None) -> tuple[str | None, str | None]:
    """Deliver the room's secret: its value, or the path of its file."""
    handed = await deliver_on_commit(ctx, "room", "secret", secret, deliver)
    return handed.value, handed.path


@frozen
class Disabled:
    """Auth is off; ``changed`` says whether it was on."""

    enabled: bool
    changed: bool


@tool(
    effect=DESTRUCTIVE,
    role=ADMIN,
    idempotent=True,
    caller=CallerUse.NONE,
    errors=(BindRequiresAuth,),
    keywords=(
        "disable stop remove not open allowed free credential auth tokens require login optional secure; everyone "
        "somebody everything identification drop lift abolish enforce guests unprotect room server mandatory work log "
        "anonymous access trust nothing roles relax"
    ),
)
async def masc_auth_disable(ctx: Context) -> Disabled:
    """Allow everything again. Credentials are kept; the room secret is void."""
    states = ctx.collection(AUTH)
    state = await states.find(STATE)
    if (host := open_host(ctx, state)) is not None:
        raise BindRequiresAuth(host=host)
    if state is None or not state.enabled:
        return Disabled(False, False)
    states.put(evolve(state, enabled=False, require_token=False, room_secret_hash=None))
    ctx.event("auth_changed", action="disabled", old=True, new=False)
    return Disabled(False, True)


@frozen
class You:
    """The credential of whoever asks."""

    agent_name: str
    role: str
    expires_at: str


@frozen
class AuthStatus:
    """How auth stands."""

    enabled: bool
    require_token: bool
    default_role: str
    token_expiry_hours: int
    credentials: int
    you: You | None = None


@tool(
    effect=READ,
    role=READER,
    keywords=(
        "activate role mine permission right expiring allowed protect auth credential tokens require login server "
        "secure; status enable admin whoami who until permit check set log open identity level valid room demand "
        "necessary"
    ),
)
async def masc_auth_status(ctx: Context) -> AuthStatus:
    """Show whether tokens are needed, and your own role and its expiry."""
    state = (await ctx.collection(AUTH).peek([STATE]))[0] or AuthState()
    settings = ctx.settings.of(AuthSettings)
    credentials = ctx.collection(CREDENTIALS)
    you = None
    if ctx.caller.auth == "token":
        own = (await credentials.peek([(ctx.caller.by or ctx.actor).lower()]))[0]
        you = You(own.agent_name, own.role, own.expires_at) if own is not None else None
    count = sum((await credentials.count("role")).values())
    return AuthStatus(
        state.enabled, state.require_token, settings.default_role, settings.token_expiry_hours, count, you
    )
