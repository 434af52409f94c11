"""Which words are this room's own tokens or its secret: redaction asks before a text is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from masc_core import Context, hookimpl
from masc_plugin_auth.checks import auth_state, hash_of
from masc_plugin_auth.records import CREDENTIALS, HASH_HEAD

__all__ = ["masc_known_secrets"]

_FEW = 16
"""More words than these are compared with all credentials at once: a text can hold tens of thousands."""


@hookimpl
async def masc_known_secrets(ctx: Context, words: Sequence[str]) -> Mapping[str, Any] | None:
    """Those whose hash the room keeps, also while auth is off: it may be switched on again."""
    return None if ctx.room is None else {"secrets": await ctx.transact(lambda work: _known(work, words))}


async def _known(work: Context, words: Sequence[str]) -> list[str]:
    hashes = {word: hash_of(word) for word in words}
    credentials = work.collection(CREDENTIALS)
    if len(words) <= _FEW:
        found = [c for given in hashes.values() for c in await credentials.scan("token", given[:HASH_HEAD])]
    else:
        found = await credentials.scan()
    state = await auth_state(work.tx)
    kept = {c.token_hash for c in found} | {state.room_secret_hash if state is not None else None}
    return [word for word, given in hashes.items() if given in kept]
