"""The lock record and how locks are found: by path, by holder, by task, by expiry."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator

from masc_core.frozen import frozen
from masc_core.store.collections import Collection, index
from masc_core.store.driver import IndexEntry

__all__ = ["LOCKS", "Lock", "ancestors", "compared", "descendants", "lock_key"]

_WHOLE = 480
_HEAD = 400
_LAST = "\U0010ffff"


@frozen
class Lock:
    """An advisory lock on a file, or on a subtree where the path ends in ``/``."""

    key: str
    """What the lock is stored under; see :func:`lock_key`."""
    file_path: str
    subtree: bool
    locked_by: str
    locked_at: str
    expires_at: str
    fence: int
    task_id: str | None = None
    version: int = 0


def compared(path: str, ignore_case: bool) -> str:
    """The form of a normalised path in which two paths are compared."""
    return unicodedata.normalize("NFC", path.casefold()) if ignore_case else path


def _head(text: str) -> str:
    return text.encode()[:_HEAD].decode(errors="ignore")


def lock_key(path: str) -> str:
    """The key of a compared path: the path itself while it fits a key, else its beginning and a digest.

    Because the beginning stays, a range of keys still covers every path below a directory. ``//`` occurs in no path.
    """
    raw = path.encode()
    return path if len(raw) <= _WHOLE else f"{_head(path)}//{hashlib.sha256(raw).hexdigest()}"


def ancestors(path: str) -> list[str]:
    """Compared paths other than ``path`` whose lock covers it: each directory above, and its own other spelling.

    ``a`` and ``a/`` name the same thing, once as a file and once as a subtree.
    """
    bare = path.rstrip("/")
    segments = bare.split("/")
    above = ["/".join(segments[:i]) + "/" for i in range(1, len(segments) + 1)]
    return [p for p in [*above, bare] if p != path]


def descendants(subtree: str) -> tuple[str, str]:
    """The range of keys, upper end excluded, in which everything below ``subtree`` lies."""
    if len(subtree.encode()) <= _HEAD:
        return subtree, subtree[:-1] + "0"  # "0" follows "/"
    return _head(subtree), _head(subtree) + _LAST


def _lock_indexes(lock: Lock) -> Iterator[IndexEntry]:
    yield index("holder", lock.locked_by.lower(), counted=True)
    yield index("expires", lock.expires_at)
    if lock.task_id:
        yield index("task", lock.task_id)


LOCKS = Collection("locks", Lock, lambda lock: lock.key, _lock_indexes)
