"""What the room keeps of auth: the switch and the credentials. Hashes only; no token and no secret is ever stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from attrs import field

from masc_core import Collection, Role, index
from masc_core.frozen import frozen
from masc_core.settings import between, one_of
from masc_core.store.driver import IndexEntry, Key

__all__ = [
    "AUTH",
    "CREDENTIALS",
    "HASH_HEAD",
    "STATE",
    "STATE_KEY",
    "AuthSettings",
    "AuthState",
    "Credential",
    "OpenBind",
]

STATE = "settings"
HASH_HEAD = 16
"""Digits of a hash by which credentials are found; all 64 are then compared in constant time."""

RoleName = Literal["reader", "worker", "admin"]


@frozen
class AuthSettings:
    """``[auth]``"""

    default_role: str = field(default="worker", validator=one_of("worker", "reader"))
    """The role of callers without a token, where none is required."""
    token_expiry_hours: int = field(default=24, validator=between(1, 8760))
    """How long a new token works."""


@frozen
class OpenBind:
    """A server process that listens on an address other machines reach."""

    process: str
    """Its binding, by which it is known whether it still runs."""
    host: str


@frozen
class AuthState:
    """Whether the room asks who calls. One document, so that whoever relies on it is told when it changes."""

    id: str = STATE
    enabled: bool = False
    require_token: bool = False
    room_secret_hash: str | None = field(default=None, repr=False)
    open_binds: list[OpenBind] = []
    version: int = 0


@frozen
class Credential:
    """An agent's role and the hash of its token."""

    agent_name: str
    role: RoleName
    token_hash: str = field(repr=False)
    created_at: str
    created_by: str
    expires_at: str
    version: int = 0

    @property
    def rank(self) -> Role:
        """The role as it is compared."""
        return Role[self.role.upper()]


def _credential_indexes(credential: Credential) -> Iterator[IndexEntry]:
    yield index("token", credential.token_hash[:HASH_HEAD])
    yield index("role", credential.role, credential.agent_name.lower(), counted=True)
    if credential.role == "admin":
        yield index("admin_until", credential.expires_at)


AUTH = Collection("auth", AuthState, lambda s: s.id, survives_reset=True)
CREDENTIALS = Collection(
    "credentials", Credential, lambda c: c.agent_name.lower(), _credential_indexes, survives_reset=True
)
STATE_KEY = Key(AUTH.name, STATE)
