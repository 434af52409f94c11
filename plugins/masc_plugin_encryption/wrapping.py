"""The master key and what it wraps: random data keys, and a value that tells a wrong master key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import struct
from collections.abc import Mapping, Sequence

import orjson

from masc_core.convert import unstructure
from masc_core.frozen import evolve
from masc_core.records import ROOM_ID
from masc_core.store.sealing import KEY_ID_BYTES, Encryption, WrappedKey

__all__ = ["check_of", "fits", "is_proven", "new_key", "proven", "scope_of", "unwrap", "wrap"]

_CHECK_BYTES, _NONCE_BYTES, _KEY_BYTES = 16, 12, 32


def scope_of(cluster: str) -> tuple[str, str]:
    """What ties keys and bodies to one room. The cluster is the name it had when encryption was first switched on, so
    that a project's directory can be renamed."""
    return cluster, ROOM_ID


def new_key() -> tuple[bytes, bytes]:
    """A data key's id and the key, both random."""
    return os.urandom(KEY_ID_BYTES), os.urandom(_KEY_BYTES)


def check_of(master: bytes, cluster: str) -> str:
    """What is stored to recognise a master key."""
    return _derive(master, b"masc encryption check v1", cluster, _CHECK_BYTES).hex()


def fits(master: bytes, cluster: str, check: str | None) -> bool:
    """The stored value is that of this master key."""
    return check is not None and hmac.compare_digest(check_of(master, cluster).encode(), check.encode())


def wrap(master: bytes, cluster: str, id: bytes, key: bytes, at: str) -> WrappedKey:
    """A data key as it is stored."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE_BYTES)
    text = AESGCM(_wrapping(master, cluster)).encrypt(nonce, key, _bound(id, cluster))
    return WrappedKey(id.hex(), base64.b64encode(nonce + text).decode(), at)


def unwrap(master: bytes, cluster: str, keys: Sequence[WrappedKey]) -> dict[bytes, bytes]:
    """The data keys by id. Raises ``ValueError`` when one was wrapped otherwise."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cipher = AESGCM(_wrapping(master, cluster))
    found = {}
    for key in keys:
        id, raw = bytes.fromhex(key.id), base64.b64decode(key.wrapped, validate=True)
        try:
            found[id] = cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bound(id, cluster))
        except InvalidTag:
            raise ValueError(f"data key {key.id} was wrapped by another key") from None
    return found


def proven(state: Encryption, keys: Mapping[bytes, bytes]) -> Encryption:
    """The state with its proof under its active data key."""
    return evolve(state, proof=_proof(state, keys[bytes.fromhex(state.active or "")]))


def is_proven(state: Encryption, keys: Mapping[bytes, bytes]) -> bool:
    """The state is as a holder of its active data key wrote it."""
    key = keys.get(bytes.fromhex(state.active or ""))
    return key is not None and hmac.compare_digest(_proof(state, key), state.proof or "")


def _proof(state: Encryption, key: bytes) -> str:
    said = orjson.dumps(unstructure(evolve(state, proof=None, version=0)), option=orjson.OPT_SORT_KEYS)
    under = _derive(key, b"masc encryption state v1", state.cluster, _KEY_BYTES)
    return hmac.new(under, said, hashlib.sha256).hexdigest()


def _wrapping(master: bytes, cluster: str) -> bytes:
    return _derive(master, b"masc encryption wrap v1", cluster, _KEY_BYTES)


def _derive(master: bytes, purpose: bytes, cluster: str, length: int) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), length, salt=None, info=purpose + _counted(*scope_of(cluster))).derive(master)


def _bound(id: bytes, cluster: str) -> bytes:
    return b"masc data key v1" + id + _counted(*scope_of(cluster))


def _counted(*parts: str) -> bytes:
    raw = [part.encode() for part in parts]
    return b"".join(struct.pack(">I", len(part)) + part for part in raw)
