"""What every driver refuses before it touches its database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from masc_core.store.driver import (
    MAX_BODY,
    MAX_INDEX,
    MAX_KEY,
    SEALED,
    SEALED_BYTES,
    Absent,
    Acquire,
    Append,
    Check,
    Delete,
    Held,
    IndexEntry,
    Key,
    Put,
    Release,
    Remove,
    Renew,
    Rewrite,
    RewriteEntry,
    Version,
    Write,
)

__all__ = ["check_limits", "entry_body"]

_SECONDS = (1, 86_400)


def check_limits(checks: Iterable[Check], writes: Iterable[Write]) -> None:
    """Raise ``ValueError`` for a name, index value, body or lease time out of bounds, and for text that is no UTF-8."""
    for check in checks:
        if type(check) is Version or type(check) is Absent:
            _key(check.key)
        elif type(check) is Held:
            _text("lease name", check.name, MAX_KEY)
    for write in writes:
        if type(write) is Put:
            _key(write.key)
            if write.index or len(write.body) > MAX_BODY:
                _content(write.body, write.index)
        elif type(write) is Append:
            _log(write.log)
            body = b"" if callable(write.body) else write.body
            if write.index or len(body) > MAX_BODY:
                _content(body, write.index)
        else:
            _other(write)


def _other(write: Write) -> None:
    if isinstance(write, Rewrite):
        _key(write.key)
        _content(write.body, ())
    elif isinstance(write, RewriteEntry):
        _log(write.log)
        _content(write.body, ())
    elif isinstance(write, Delete):
        _key(write.key)
    elif isinstance(write, Remove):
        _log(write.log)
    elif isinstance(write, Acquire | Renew | Release):
        _lease(write)


def _lease(write: Acquire | Renew | Release) -> None:
    _text("lease name", write.name, MAX_KEY)
    if isinstance(write, Acquire):
        _text("lease owner", write.owner, MAX_KEY)
    if not isinstance(write, Release) and not _SECONDS[0] <= write.seconds <= _SECONDS[1]:
        raise ValueError(f"lease {write.name!r}: {write.seconds} s is not between 1 and 86,400 s")


def entry_body(write: Append, seq: int, previous: bytes | None) -> bytes:
    """The body of a log entry, made now where it depends on its number. Raises ``ValueError`` when it is too large."""
    if not callable(write.body):
        return write.body
    body = write.body(seq, previous)
    _content(body, ())
    return body


# A commit checks the names that it writes, and most write the same few again.
@lru_cache(maxsize=1024)
def _key(key: Key) -> None:
    collection, id = key
    _text("collection", collection, MAX_KEY)
    _text("key", id, MAX_KEY)


@lru_cache(maxsize=256)
def _log(log: str) -> None:
    _text("log", log, MAX_KEY)


def _content(body: bytes, index: Sequence[IndexEntry]) -> None:
    if len(body) > MAX_BODY and not (body.startswith(SEALED) and len(body) <= MAX_BODY + SEALED_BYTES):
        raise ValueError(f"body of {len(body)} bytes is over {MAX_BODY} bytes")
    for entry in index:
        together = "".join(entry)
        if len(together) <= MAX_INDEX and together.isascii():
            continue
        for text in entry:
            _text("index value", text, MAX_INDEX)


def _text(what: str, text: str, limit: int) -> None:
    # Counting characters is enough for ASCII, which nearly every name is; encoding refuses lone surrogates.
    size = len(text) if text.isascii() else len(text.encode())
    if size > limit:
        raise ValueError(f"{what} of {size} bytes is over {limit} bytes: {text[:40]!r}…")
