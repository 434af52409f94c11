"""Rooms with tokens of every kind, for servers in this process and in others."""

from __future__ import annotations

import time
from pathlib import Path

from auth_support import HOUR, Secured, secured
from credential_table import REGISTRY, UNKNOWN_TOKEN, Credential

from masc_core.frozen import frozen
from masc_core.testing import ManualClock
from masc_core.testing.app import masc_app
from masc_core.testing.limits import lift_limits
from masc_core.tools import Role

Tokens = dict[tuple[Role, Credential], str]


async def issue(room: Secured) -> Tokens:
    """A token of every kind for each role; those that expire do so within two hours."""
    made: Tokens = {}
    admin = room.client(room.admin)
    admin.selection = None  # stored, not fixed by an endpoint: the room's mode is part of the table
    await room.masc.outcome("masc_switch_mode", admin, mode="full", scope="room")
    for role in Role:
        made[role, Credential.EXPIRED] = await room.token(f"old-{role.label}", role.label, expires_in_hours=1)
        made[role, Credential.REVOKED] = await room.token("gone", role.label)
        await room.ask("masc_auth_revoke", room.admin, agent_name="gone")
        made[role, Credential.REPLACED] = await room.token(f"a-{role.label}", role.label)
        good = await room.token(f"a-{role.label}", role.label)
        for credential in (Credential.GOOD, Credential.OTHERS, Credential.ENDPOINT):
            made[role, credential] = good
        made[role, Credential.UNKNOWN] = UNKNOWN_TOKEN
        spoilt = {Role.READER: good[:-1], Role.WORKER: good.upper(), Role.ADMIN: "not a token"}
        made[role, Credential.MALFORMED] = spoilt[role]
    return made


@frozen
class StoredRoom:
    """A room on disk with auth on, for any server to open."""

    path: Path
    tokens: Tokens
    required: bool


async def store_room(path: Path, required: bool) -> StoredRoom:
    """Make one two hours ago."""
    lift_limits(path)
    with (path / ".masc" / "config.toml").open("a", encoding="utf-8") as config:
        config.write('[storage]\ndurability = "process"\n')  # each refusal is audited; nobody pulls the plug here
    async with masc_app(path, backend="sqlite", clock=ManualClock(time.time() - 2 * HOUR), registry=REGISTRY) as masc:
        tokens = await issue(await secured(masc, require_token=required))
    return StoredRoom(path, tokens, required)
