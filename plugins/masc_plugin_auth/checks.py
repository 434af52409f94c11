"""Is this token good, is this name taken: what the guard and the tools ask. Everything is read from the store each time,
so that a change takes effect with the next call of every process."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
from collections import OrderedDict, deque
from typing import Protocol, TypeVar

from attrs import define, field

from masc_core.errors import InvalidToken, RateLimited, TokenExpired
from masc_core.identity import Client
from masc_core.records import AGENTS, PRESENCE
from masc_core.store.collections import View
from masc_core.store.driver import Key
from masc_core.store.transaction import Transaction
from masc_plugin_auth.records import AUTH, CREDENTIALS, HASH_HEAD, STATE, AuthState, Credential

__all__ = ["Attempts", "auth_state", "credential_of", "expected", "hash_of", "new_secret", "verified", "well_formed"]

_SECRET = re.compile(r"[0-9a-f]{64}\Z")
_HINTS = 1024
MOST_FAILURES = 10
WINDOW_SECONDS = 60.0
_SOURCES = 10_000
_STATE_NAME = (STATE,)


K = TypeVar("K")


class Remembers(Protocol):
    """A room, or a call's view of it: what keeps something for as long as this process runs."""

    def remember(self, kind: type[K]) -> K:
        """An object of ``kind``, made on first use."""


def new_secret() -> str:
    """32 random bytes of the operating system as 64 hex digits."""
    return secrets.token_hex(32)


def hash_of(secret: str) -> str:
    """What is stored of a token or the room secret: its SHA-256."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def well_formed(secret: object) -> bool:
    """It could be a token or a room secret."""
    return isinstance(secret, str) and _SECRET.match(secret) is not None


@define
class Attempts:
    """Failed authentications by connection source, in this process."""

    _failed: OrderedDict[str, deque[float]] = field(factory=OrderedDict)

    def ensure(self, source: str, now: float) -> None:
        """Raise :class:`RateLimited` for a source that has failed too often."""
        times = self._failed.get(source)
        if times is None:
            return
        while times and times[0] <= now - WINDOW_SECONDS:
            times.popleft()
        if len(times) >= MOST_FAILURES:
            wait = max(1, math.ceil(times[0] + WINDOW_SECONDS - now))
            raise RateLimited(category="auth", limit=MOST_FAILURES, current=len(times), retry_after=wait)

    def note(self, source: str, now: float) -> None:
        """Count a failure."""
        self._failed.setdefault(source, deque(maxlen=MOST_FAILURES)).append(now)
        self._failed.move_to_end(source)
        if len(self._failed) > _SOURCES:
            self._failed.popitem(last=False)


@define
class _Hints:
    """Whose credential a hash was last found in; only where to look first, never an answer."""

    names: dict[str, str] = field(factory=dict)


async def auth_state(tx: Transaction) -> AuthState | None:
    """The switch, or ``None`` where auth was never on."""
    return (await View(AUTH, tx).peek(_STATE_NAME))[0]


async def credential_of(room: Remembers, tx: Transaction, token: str) -> Credential | None:
    """The credential whose token this is, expired or not."""
    given = hash_of(token)
    if isinstance(noted := tx.notes.get((Credential, given)), Credential):
        return noted
    found = await _looked_up(room, tx, given)
    tx.notes[Credential, given] = found
    return found


async def _looked_up(room: Remembers, tx: Transaction, given: str) -> Credential | None:
    credentials, hints = View(CREDENTIALS, tx), room.remember(_Hints).names
    if (name := hints.get(given)) is not None:
        found = (await credentials.peek([name]))[0]
        if found is not None and hmac.compare_digest(found.token_hash, given):
            return found
    match = None
    for candidate in await credentials.scan("token", given[:HASH_HEAD]):
        if hmac.compare_digest(candidate.token_hash, given):
            match = candidate
    if match is not None:
        if len(hints) >= _HINTS:
            hints.clear()
        hints[given] = match.agent_name.lower()
    return match


def expected(room: Remembers, token: str) -> list[Key]:
    """What a call with this token will read, as far as an earlier one has shown: its credential, and what of its agent."""
    name = room.remember(_Hints).names.get(hash_of(token))
    return [Key(kind.name, name) for kind in (CREDENTIALS, AGENTS, PRESENCE)] if name is not None else []


async def verified(room: Remembers, tx: Transaction, client: Client, now: str, ticks: float) -> Credential:
    """The credential of the token that a client presents; ``ticks`` are this process's seconds.

    Raises :class:`InvalidToken`, :class:`TokenExpired` or, when its source has failed too often, :class:`RateLimited`.
    """
    token, found = client.token, None
    if token is not None and well_formed(token):
        found = await credential_of(room, tx, token)
    if found is not None and found.expires_at > now:
        return found
    room.remember(Attempts).ensure(client.source, ticks)
    if found is None:
        raise InvalidToken(challenge=True)
    raise TokenExpired(expired_at=found.expires_at, challenge=True)
