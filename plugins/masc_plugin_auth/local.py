"""What only the command line does: begin anew, and replace the room's secret. In no list, under no name a client could call."""

from __future__ import annotations

from attrs import field

from masc_core import ADMIN, DESTRUCTIVE, WRITE, AgentName, CallerUse, Context, tool
from masc_core.frozen import evolve, frozen
from masc_core.secret_files import Deliver
from masc_plugin_auth.checks import hash_of, new_secret
from masc_plugin_auth.errors import AuthDisabled
from masc_plugin_auth.issuing import issue
from masc_plugin_auth.records import AUTH, CREDENTIALS, STATE, AuthState
from masc_plugin_auth.switch import AdminIssued, hand_out_secret

__all__ = ["masc_auth_reset", "masc_auth_rotate_secret"]


@frozen
class BegunAnew:
    """How many credentials went, and what was issued."""

    deleted: int
    admin: AdminIssued
    room_secret: str | None = field(default=None, repr=False)
    room_secret_path: str | None = None


@tool(effect=DESTRUCTIVE, role=ADMIN, caller=CallerUse.NONE, start_room=True)
async def masc_auth_reset(ctx: Context, admin_name: AgentName = "admin", deliver: Deliver | None = None) -> BegunAnew:
    """Delete every credential and issue a new admin token and secret."""
    credentials, states, secret = ctx.collection(CREDENTIALS), ctx.collection(AUTH), new_secret()
    state = await states.find(STATE) or AuthState()  # before the scan: new credentials rewrite it
    deleted = await credentials.scan()
    for credential in deleted:
        credentials.delete(credential)
    states.put(evolve(state, enabled=True, room_secret_hash=hash_of(secret)))
    issued = await issue(ctx, admin_name, "admin", None, deliver, created_by=ctx.actor)
    made = issued.credential
    value, path = await hand_out_secret(ctx, secret, deliver)
    ctx.event("auth_changed", made.agent_name, action="reset", deleted=len(deleted))
    return BegunAnew(len(deleted), AdminIssued(made.agent_name, made.expires_at, **issued.handed), value, path)


@frozen
class SecretRotated:
    """The new room secret, or the path of the file that has it."""

    room_secret: str | None = field(default=None, repr=False)
    room_secret_path: str | None = None


@tool(effect=WRITE, role=ADMIN, caller=CallerUse.NONE, start_room=True, creates_room="never", errors=(AuthDisabled,))
async def masc_auth_rotate_secret(ctx: Context, deliver: Deliver | None = None) -> SecretRotated:
    """Replace the room secret."""
    states, secret = ctx.collection(AUTH), new_secret()
    state = await states.find(STATE)
    if state is None or not state.enabled:
        raise AuthDisabled()
    states.put(evolve(state, room_secret_hash=hash_of(secret)))
    ctx.event("auth_changed", action="secret_rotated")
    return SecretRotated(*await hand_out_secret(ctx, secret, deliver))
