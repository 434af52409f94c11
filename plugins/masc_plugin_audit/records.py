"""What the audit guard keeps: the log, the room's signing key, a section of ``config.toml``."""

from __future__ import annotations

from typing import Any

from attrs import field

from masc_core import Collection, Log
from masc_core.frozen import frozen

__all__ = ["AUDIT", "KEYS", "KEY_ID", "AuditEntry", "AuditSettings", "SigningKey"]

KEY_ID = "signing"


@frozen
class AuditSettings:
    """``[audit]``"""

    reads: bool = False
    """Record calls that only read, too."""


@frozen
class AuditEntry:
    """One entry of the log. Its body in the store is canonical JSON of exactly these fields, absent ones left out."""

    at: str
    actor: str
    role: str
    auth: str
    """How the actor was known: token, endpoint, argument, process, local or none."""
    tool: str
    outcome: str
    """``ok`` or an error code."""
    source: str
    details: dict[str, Any]
    """Ids, counts, lengths, old and new settings; at most 2,000 characters as JSON."""
    prev: str
    hash: str
    on_behalf_of: str | None = None
    subject: str | None = None
    seq: int = 0


@frozen
class SigningKey:
    """The room's Ed25519 key, both parts as 64 hex digits."""

    id: str
    public: str
    private: str = field(repr=False)
    created_at: str
    version: int = 0


AUDIT = Log("audit", AuditEntry, survives_reset=True)
KEYS = Collection("audit_keys", SigningKey, lambda key: key.id, survives_reset=True)
