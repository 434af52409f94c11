"""The sealed form of a body: who may open it, and where it belongs.

Binary, as stored: mark (5 bytes), version (1), key id (8), nonce (12), AES-256-GCM ciphertext with its tag (16). What the
tag also covers is where the record stands: room, collection, key or log number. A body that was moved does not open.
"""

from __future__ import annotations

import base64
import os
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from masc_core.errors import RecordUnreadable
from masc_core.store.driver import SEALED, Key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["VERSION", "Keyring", "as_json", "from_json", "is_sealed", "key_id"]

VERSION = 1
"""Of the envelope."""
_HEAD = len(SEALED) + 1
_NONCE = _HEAD + 8
_TEXT = _NONCE + 12
_SHORTEST = _TEXT + 16
_VERSION = bytes((VERSION,))
_REMEMBERED = 1024


def is_sealed(body: bytes) -> bool:
    """The body has the mark of a sealed one."""
    return body.startswith(SEALED)


def key_id(body: bytes) -> bytes:
    """The id of the data key a sealed body names; too short a body gives what there is."""
    return body[_HEAD:_NONCE]


def as_json(body: bytes) -> dict[str, Any]:
    """A sealed body as exports show it: ``{"_sealed": 1, "kid": hex, "nonce": base64, "ct": base64}``."""
    nonce, text = body[_NONCE:_TEXT], body[_TEXT:]
    return {
        "_sealed": int.from_bytes(body[len(SEALED) : _HEAD]),
        "kid": key_id(body).hex(),
        "nonce": base64.b64encode(nonce).decode(),
        "ct": base64.b64encode(text).decode(),
    }


def from_json(shown: Mapping[str, Any]) -> bytes:
    """The sealed body that :func:`as_json` shows so. Raises ``ValueError``, ``TypeError`` or ``KeyError`` for what is none."""
    if set(shown) != {"_sealed", "kid", "nonce", "ct"} or type(shown["_sealed"]) is not int:
        raise ValueError("this is no sealed record")
    id, nonce = bytes.fromhex(shown["kid"]), base64.b64decode(shown["nonce"], validate=True)
    text = base64.b64decode(shown["ct"], validate=True)
    if (len(id), len(nonce)) != (_NONCE - _HEAD, _TEXT - _NONCE) or len(text) < 16 or not 0 < shown["_sealed"] < 256:
        raise ValueError("this is no sealed record")
    return b"".join((SEALED, bytes((shown["_sealed"],)), id, nonce, text))


class Keyring:
    """The data keys of one room, unwrapped, and the sealing and opening of its bodies.

    ``keys`` has those this process could unwrap, ``known`` the ids of all that the room's state names. ``scope`` says which
    room it is. Without ``active`` nothing is sealed.
    """

    def __init__(
        self, keys: Mapping[bytes, bytes], *, known: Sequence[bytes], active: bytes | None, scope: Sequence[str]
    ) -> None:
        self._ciphers: dict[bytes, AESGCM] = {}
        self._invalid: type[Exception] = ValueError
        if keys:  # Only then: a start with encryption off must not pay for the library.
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._invalid = InvalidTag
            self._ciphers = {id: AESGCM(key) for id, key in keys.items()}
        self._known = frozenset(known)
        self._scope = b"".join(_counted(part) for part in scope)
        self._prefixes: dict[tuple[bytes, str, str], bytes] = {}
        self.active = active

    def __repr__(self) -> str:
        return f"Keyring({len(self._ciphers)} of {len(self._known)} keys)"

    @property
    def empty(self) -> bool:
        """The room has never been sealed, or is plain again: whatever looks sealed is foreign."""
        return not self._known

    def seal(self, body: bytes, key: Key) -> bytes:
        """A document's body, sealed under the active key."""
        return self._seal(body, self._prefix("d", key[0]), key[1].encode())

    def seal_entry(self, body: bytes, log: str, seq: int) -> bytes:
        """A log entry's body, sealed under the active key."""
        return self._seal(body, self._prefix("l", log), str(seq).encode())

    def open(self, body: bytes, key: Key) -> bytes:
        """A sealed document's body. Raises :class:`RecordUnreadable`."""
        return self._open(body, "d", key[0], key[1])

    def open_entry(self, body: bytes, log: str, seq: int) -> bytes:
        """A sealed log entry's body. Raises :class:`RecordUnreadable`."""
        return self._open(body, "l", log, seq)

    def _seal(self, body: bytes, prefix: bytes, place: bytes) -> bytes:
        assert self.active is not None
        nonce = os.urandom(12)
        text = self._ciphers[self.active].encrypt(nonce, body, prefix + place)
        return b"".join((SEALED, _VERSION, self.active, nonce, text))

    def _open(self, body: bytes, kind: str, name: str, place: str | int) -> bytes:
        id = body[_HEAD:_NONCE]
        if len(body) < _SHORTEST or body[_HEAD - 1] != VERSION:
            raise _unreadable(name, place, "bad_tag")
        if (cipher := self._ciphers.get(id)) is None:
            raise _unreadable(name, place, "no_key" if id in self._known else "unknown_key_id")
        spot = str(place).encode()
        try:
            return cipher.decrypt(body[_NONCE:_TEXT], body[_TEXT:], self._prefix(kind, name, id) + spot)
        except self._invalid:
            raise _unreadable(name, place, "bad_tag") from None

    def _prefix(self, kind: str, name: str, id: bytes | None = None) -> bytes:
        """What the tag covers, up to the record's key: every part of unknown length after its length."""
        id = id or self.active
        assert id is not None
        if (known := self._prefixes.get((id, kind, name))) is None:
            known = b"".join((_VERSION, id, self._scope, kind.encode(), _counted(name)))
            if len(self._prefixes) < _REMEMBERED:
                self._prefixes[id, kind, name] = known
        return known


def _counted(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">I", len(raw)) + raw


def _unreadable(name: str, place: str | int, reason: str) -> RecordUnreadable:
    return RecordUnreadable(collection=name, key=str(place), reason=reason)
