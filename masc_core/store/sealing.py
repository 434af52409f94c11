"""What a room keeps of its encryption: the one record that is never sealed, because it says how the others are.

Data keys are in it wrapped by the master key, which is nowhere in the store.
"""

from __future__ import annotations

import secrets
from typing import Literal

import orjson
from attrs import field

from masc_core.convert import structure
from masc_core.errors import RecordUnreadable
from masc_core.frozen import frozen
from masc_core.store.collections import Collection
from masc_core.store.driver import Document, Key

__all__ = [
    "CLEAR",
    "ENCRYPTION",
    "PROGRESS",
    "STATE_ID",
    "STATE_KEY",
    "USAGE",
    "Encryption",
    "Migration",
    "Progress",
    "Stretching",
    "Usage",
    "WrappedKey",
    "state_of",
]


@frozen
class WrappedKey:
    """A data key, wrapped: id in hex, nonce and AES-256-GCM ciphertext in base64."""

    id: str
    wrapped: str
    created_at: str


@frozen
class Stretching:
    """How a passphrase becomes a key: Argon2id with these passes and bytes of memory; the salt in base64."""

    salt: str
    passes: int
    memory: int
    algorithm: str = "argon2id"


@frozen
class Migration:
    """A conversion of all records. ``target`` is the id of the key that everything is sealed with at its end."""

    direction: Literal["seal", "open"]
    started_at: str
    total: int
    target: str | None = None
    id: str = field(factory=lambda: secrets.token_hex(4))
    """Tells it from another one that began at the same moment of a clock set back."""


@frozen
class Encryption:
    """How the room's bodies are kept. ``source`` names where the master key comes from, ``check`` tells a wrong one."""

    state: Literal["off", "converting", "on"] = "off"
    cluster: str = ""
    """The cluster's name when encryption was first switched on: part of what binds a body to its room."""
    source: str | None = None
    check: str | None = None
    stretching: Stretching | None = None
    keys: list[WrappedKey] = field(factory=list)
    active: str | None = None
    migration: Migration | None = None
    proof: str | None = None
    """What only a holder of the active data key can say of all the rest: nobody else tells the room to store in clear."""
    version: int = 0

    @property
    def seals(self) -> bool:
        """What is written from now on is sealed."""
        return self.state == "on" or (
            self.state == "converting" and self.migration is not None and self.migration.direction == "seal"
        )

    @property
    def needs_key(self) -> bool:
        """Nothing works without the master key."""
        return self.state != "off"


@frozen
class Progress:
    """How far a migration is: everything up to ``place`` in ``kind`` ``name`` is done."""

    migration: str
    """``started_at`` and direction of the migration it belongs to."""
    done: int = 0
    unreadable: int = 0
    """Records that could not be opened and were left as they are."""
    kind: Literal["collection", "log"] = "collection"
    name: str = ""
    place: str = ""
    ended: bool = False
    """All of ``name`` is done: what was added since has the new form."""
    version: int = 0


@frozen
class Usage:
    """About how often a data key has sealed."""

    id: str
    seals: int = 0
    version: int = 0


KEY_ID_BYTES = 8
STATE_ID = "state"
ENCRYPTION = Collection("encryption", Encryption, lambda _: STATE_ID, survives_reset=True)
PROGRESS = Collection("encryption_progress", Progress, lambda _: STATE_ID, survives_reset=True)
USAGE = Collection("encryption_usage", Usage, lambda usage: usage.id, survives_reset=True)
STATE_KEY = Key(ENCRYPTION.name, STATE_ID)
CLEAR = frozenset({ENCRYPTION.name, PROGRESS.name, USAGE.name})
"""The collections whose bodies are never sealed."""


def state_of(document: Document | None) -> Encryption:
    """The record in its document; encryption that was never on, without one. Raises :class:`RecordUnreadable`."""
    if document is None:
        return Encryption()
    try:
        state = structure({**orjson.loads(document.body), "version": document.version}, Encryption)
        _check(state)
    except (ValueError, TypeError, KeyError) as error:
        raise RecordUnreadable(collection=ENCRYPTION.name, key=STATE_ID, reason="corrupt") from error
    return state


def _check(state: Encryption) -> None:
    """Raise ``ValueError`` for a state that says things which do not go together."""
    if any(len(bytes.fromhex(key.id)) != KEY_ID_BYTES for key in state.keys):
        raise ValueError("a key id of another length")
    if (state.needs_key or state.active) and state.active not in {key.id for key in state.keys}:
        raise ValueError("the active key is none of the keys")
    if (state.state == "converting") and state.migration is None:
        raise ValueError("nothing to convert to")
