"""Making a credential and handing out its token, once."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field

from masc_core import Context
from masc_core.frozen import frozen
from masc_core.secret_files import Deliver, deliver_on_commit
from masc_plugin_auth.checks import hash_of, new_secret
from masc_plugin_auth.errors import LastAdmin
from masc_plugin_auth.records import AUTH, CREDENTIALS, STATE, AuthSettings, Credential, RoleName

_FEW = 50
"""Of the admins that work, those that end first; more than can expire in the very millisecond."""

__all__ = ["Issued", "ensure_other_admin", "issue"]


@frozen
class Issued:
    """A new credential, and its token on the way to its owner."""

    credential: Credential
    replaced: bool
    handed: Mapping[str, str] = field(repr=False)
    """``token`` or ``token_path``."""
    _token: str = field(repr=False)

    def adopt(self, ctx: Context) -> None:
        """Let the stdio process that asked for the token go on with it, once it is valid."""
        if (adopt := ctx.call.client.adopt) is None:
            return

        async def settle() -> None:
            adopt(self._token)

        ctx.committed.append(settle)


async def issue(
    ctx: Context, agent: str, role: RoleName, hours: int | None, deliver: Deliver | None, *, created_by: str
) -> Issued:
    """Give ``agent`` a new token in the present unit of work; an older one is void with it."""
    credentials = ctx.collection(CREDENTIALS)
    before = await credentials.find(agent.lower())
    if before is None:
        await _tell_of_new(ctx)
    hours = hours or ctx.settings.of(AuthSettings).token_expiry_hours
    token = new_secret()
    credential = credentials.put(
        Credential(
            agent_name=before.agent_name if before else agent,
            role=role,
            token_hash=hash_of(token),
            created_at=ctx.now,
            created_by=created_by,
            expires_at=ctx.after(hours * 3600),
        )
    )
    handed = await deliver_on_commit(ctx, "token", agent.lower(), token, deliver)
    told = {"token": handed.value} if handed.value is not None else {"token_path": handed.path or ""}
    return Issued(credential, before is not None, told, token)


async def _tell_of_new(ctx: Context) -> None:
    """Rewrite the switch with a new credential: whoever deletes all of them has perhaps looked for them already."""
    states = ctx.collection(AUTH)
    if (state := await states.find(STATE)) is not None:
        states.put(state)


async def ensure_other_admin(ctx: Context, credential: Credential) -> None:
    """Raise :class:`LastAdmin` when ``credential`` is the only admin's that works.

    The admin relied on must still be one at the commit, so that two who remove each other do not both succeed.
    """
    if credential.role != "admin" or credential.expires_at <= ctx.now:
        return
    credentials = ctx.collection(CREDENTIALS)
    for other in await credentials.scan("admin_until", low=ctx.now, limit=_FEW):
        if other.agent_name.lower() == credential.agent_name.lower() or other.expires_at <= ctx.now:
            continue
        if await credentials.find(other.agent_name.lower()) is not None:
            return
    raise LastAdmin(agent=credential.agent_name)
