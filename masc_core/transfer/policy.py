"""What may go into which room, and what of the room must outlive it: numbers that were given out, and the audit log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from masc_core.records import COUNTERS
from masc_core.store.collections import Collection, Log
from masc_core.store.driver import Document, Key
from masc_core.store.sealing import CLEAR, STATE_KEY, Encryption, state_of
from masc_core.store.snapshot import Snapshot, StoredDocument
from masc_core.transfer.errors import RestoreRefused

__all__ = ["Open", "following_counter", "put_back", "same_encryption", "same_room", "sealed_with"]

Open = Callable[[Key, bytes], bytes]
"""A body in clear, from a document's key and its stored form."""


def sealed_with(snapshot: Snapshot) -> Encryption:
    """How the room's records are sealed. Raises :class:`RecordUnreadable` for a state that makes no sense."""
    found = next((d for d in snapshot.documents if d.key == STATE_KEY and d.body is not None), None)
    return state_of(None if found is None else Document(found.key, found.version, found.body or b""))


def put_back(
    present: Snapshot, backup: Snapshot, records: Iterable[Collection[Any] | Log[Any]], opened: Open
) -> Snapshot:
    """The room as it was in its backup, for servers that go on using it.

    Versions, log numbers, fences and counters stand above those of both, so nothing given out since is given out again and
    nobody who read something before can write over it. Logs that survive a reset stay as they are, and so do leases and
    the state of encryption. Raises :class:`RestoreRefused` for a backup of another room or one sealed otherwise.
    """
    kept = {r.name for r in records if isinstance(r, Log) and r.survives_reset}
    _check_keys(sealed_with(present), sealed_with(backup))
    _check_same_room(present, backup, kept)
    lasts = {log: max(present.lasts.get(log, 0), last) for log, last in backup.lasts.items() if log not in kept}
    lasts = {**present.lasts, **lasts}
    entries = [e for e in present.entries if e.log in kept] + [e for e in backup.entries if e.log not in kept]
    return Snapshot(
        fence=max(present.fence, backup.fence),
        leases=present.leases,
        documents=_documents(present, backup, opened),
        lasts=dict(sorted(lasts.items())),
        entries=sorted(entries, key=lambda e: e[:2]),
    )


def same_encryption(present: Encryption, other: Encryption) -> bool:
    """The records of both are sealed with the same keys, or neither is, and nobody is converting them."""

    def facts(state: Encryption) -> tuple[Any, ...]:
        return state.state, state.cluster, state.active, sorted(key.id for key in state.keys)

    return not (present.migration or other.migration) and facts(present) == facts(other)


def same_room(present: Snapshot, earlier: Snapshot, kept: Iterable[str]) -> bool:
    """The present logs named in ``kept``, which nothing shortens, go on where the earlier ones end."""
    for log in kept:
        here = {e.seq: e.body for e in present.entries if e.log == log}
        there = [e for e in earlier.entries if e.log == log]
        if there and here.get(there[-1].seq) == there[-1].body:
            return True
    return False


def _check_keys(present: Encryption, backup: Encryption) -> None:
    if not same_encryption(present, backup):
        raise RestoreRefused(
            reason="encryption",
            explanation="the encryption of the room has changed since, or was changing; "
            "restore it into an empty cluster or directory",
        )


def _check_same_room(present: Snapshot, backup: Snapshot, kept: Iterable[str]) -> None:
    if not same_room(present, backup, kept):
        raise RestoreRefused(
            reason="foreign",
            explanation="it is no backup of this room, or from before its audit log was pruned; "
            "restore it into an empty cluster or directory",
        )


def _documents(present: Snapshot, backup: Snapshot, opened: Open) -> list[StoredDocument]:
    here = {d.key: d for d in present.documents}
    wanted = {d.key: d for d in backup.documents}
    found = []
    for key in sorted({*here, *wanted}):
        old, new = here.get(key), wanted.get(key)
        if key.collection in CLEAR:
            found += [old] if old else []
        elif key.collection == COUNTERS.name:
            found.append(following_counter(old, new, opened))
        else:
            found.append(_following(old, new))
    return found


def _following(old: StoredDocument | None, new: StoredDocument | None) -> StoredDocument:
    if old is None or new is None:
        only = old or new
        assert only is not None
        return only if old is None else StoredDocument(only.key, only.version, None)
    if old[1:] == new[1:]:
        return new
    # A tombstone's version is that of the record which went, so that the next one goes on from it.
    return new._replace(version=max(old.version, new.version) + (new.body is not None))


def following_counter(old: StoredDocument | None, new: StoredDocument | None, opened: Open) -> StoredDocument:
    if old is None or new is None:
        return old or new  # type: ignore[return-value]  # one of them is there

    def last(document: StoredDocument) -> int:
        counted: Mapping[str, Any] = orjson.loads(opened(document.key, document.body)) if document.body else {}
        return int(counted.get("last", 0))

    if last(old) >= last(new):
        return old
    return new._replace(version=max(old.version, new.version) + 1)
