"""The room's Ed25519 signing key: made with the room, kept in its store, asked for signatures of heads and exports."""

from __future__ import annotations

import re

from masc_core import Context
from masc_plugin_audit.chain import Head
from masc_plugin_audit.records import KEY_ID, KEYS, SigningKey

__all__ = ["HEX_KEY", "HEX_SIGNATURE", "head_text", "make_key", "pruned_text", "sign", "signed_by"]

HEX_KEY = re.compile(r"[0-9a-fA-F]{64}\Z")
HEX_SIGNATURE = re.compile(r"[0-9a-fA-F]{128}\Z")


def head_text(head: Head) -> bytes:
    """What the signature of a head is made over."""
    return f"masc-audit-head {head}".encode()


def pruned_text(head: Head) -> bytes:
    """What the signature of a checkpoint is made over: the last entry that was removed."""
    return f"masc-audit-pruned {head}".encode()


async def make_key(ctx: Context) -> tuple[SigningKey, bool]:
    """The room's key, made in this unit of work where there is none, and whether it was."""
    keys = ctx.collection(KEYS)
    if (found := await keys.find(KEY_ID)) is not None:
        return found, False
    from nacl.signing import SigningKey as Pair  # here: a process that makes no key does without the library

    pair = Pair.generate()
    return keys.put(SigningKey(KEY_ID, bytes(pair.verify_key).hex(), bytes(pair).hex(), ctx.now)), True


def sign(key: SigningKey, text: bytes) -> str:
    """The signature of ``text``, as 128 hex digits."""
    from nacl.signing import SigningKey as Pair

    return Pair(bytes.fromhex(key.private)).sign(text).signature.hex()


def signed_by(public: str, text: bytes, signature: object) -> bool:
    """Whether ``signature`` is that of ``text`` by the key with the public part ``public``."""
    from nacl.exceptions import CryptoError
    from nacl.signing import VerifyKey

    if not isinstance(signature, str) or not HEX_SIGNATURE.match(signature) or not HEX_KEY.match(public):
        return False
    try:
        VerifyKey(bytes.fromhex(public)).verify(text, bytes.fromhex(signature))
    except (CryptoError, ValueError):
        return False
    return True
