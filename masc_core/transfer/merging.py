"""What a file has and a room has not, added to the room: the way back from a reset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson
from attrs import Factory, define

from masc_core.frozen import frozen
from masc_core.records import COUNTERS, EVENTS, PRESENCE, USES
from masc_core.store.collections import Collection, Log
from masc_core.store.driver import Key
from masc_core.store.sealing import CLEAR
from masc_core.store.snapshot import Snapshot, StoredDocument, StoredEntry
from masc_core.transfer.errors import ImportConflict, ImportRefused
from masc_core.transfer.policy import following_counter, same_encryption, same_room, sealed_with

__all__ = ["MOST_NAMED", "Merged", "Opener", "just_reset", "merge"]

MOST_NAMED = 20
"""How many conflicts an error names."""
_OBSERVED = frozenset({PRESENCE.name, USES.name})
"""Counted and seen by servers all the time: nobody's work, so what the room has is no conflict."""

Records = Iterable[Collection[Any] | Log[Any]]


@frozen
class Opener:
    """Bodies in clear, from where they stand and their stored form."""

    document: Callable[[Key, bytes], bytes]
    entry: Callable[[str, int, bytes], bytes]


@define
class Merged:
    """What the room is to have, and how that came about."""

    snapshot: Snapshot
    added: int
    already: int
    """Records of the file that the room has too, and equal."""


@define
class _Tally:
    added: int = 0
    already: int = 0
    conflicts: list[str] = Factory(list)


def just_reset(present: Snapshot, file: Snapshot, records: Records, opened: Opener) -> bool:
    """The room has lost what a reset removes since ``file`` was written from it, and got nothing new."""
    records = list(records)
    kept = _kept(records)
    passing = {r.name for r in records} - kept - {EVENTS.name, USES.name}
    if any(d.body is not None and d.key.collection in passing for d in present.documents):
        return False
    if any(e.log in passing for e in present.entries):
        return False
    first = next((e for e in present.entries if e.log == EVENTS.name), None)
    if first is None or not same_room(present, file, _kept_logs(records)):
        return False
    return bool(orjson.loads(opened.entry(*first[:3]))["type"] == "room_reset")


def merge(name: str, present: Snapshot, file: Snapshot, records: Records, opened: Opener) -> Merged:
    """The room with the records of ``file``, which is called ``name``, besides its own.

    What survives a reset is the room's own and stays: settings, credentials, encryption, the audit log. Counters, log
    numbers and fences take the larger value, and a record that was removed comes back at a version above both. Leases stay
    as they are: those of the file belong to processes of that time.

    Raises :class:`ImportConflict` when both have a record and it is not the same, and :class:`ImportRefused` for a file
    sealed otherwise.
    """
    if not same_encryption(sealed_with(present), sealed_with(file)):
        raise ImportRefused(file=name)
    records = list(records)
    kept, tally = _kept(records), _Tally()
    documents = list(_documents(present, file, kept, opened, tally))
    entries = list(_entries(present, file, _kept_logs(records), opened, tally))
    if tally.conflicts:
        found = tally.conflicts
        more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        named = tuple(found[:MOST_NAMED])
        raise ImportConflict(file=name, count=len(found), records=named, named=", ".join(named) + more)
    lasts = dict(present.lasts)
    for log, last in file.lasts.items():
        if log not in kept:
            lasts[log] = max(last, lasts.get(log, 0))
    merged = Snapshot(
        fence=max(present.fence, file.fence),
        leases=present.leases,
        documents=documents,
        lasts=dict(sorted(lasts.items())),
        entries=sorted(entries, key=lambda e: e[:2]),
    )
    return Merged(merged, tally.added, tally.already)


def _kept(records: Records) -> set[str]:
    return {r.name for r in records if r.survives_reset} | CLEAR


def _kept_logs(records: Records) -> set[str]:
    return {r.name for r in records if isinstance(r, Log) and r.survives_reset}


def _documents(
    present: Snapshot, file: Snapshot, kept: set[str], opened: Opener, tally: _Tally
) -> Iterator[StoredDocument]:
    here = {d.key: d for d in present.documents}
    there = {d.key: d for d in file.documents}
    for key in sorted({*here, *there}):
        old, new = here.get(key), there.get(key)
        if key.collection == COUNTERS.name:
            yield following_counter(old, new, opened.document)
        elif new is None or key.collection in kept:
            if old is not None:
                yield old
        else:
            yield _document(old, new, opened, tally)


def _document(old: StoredDocument | None, new: StoredDocument, opened: Opener, tally: _Tally) -> StoredDocument:
    if old is None or old.body is None:
        tally.added += new.body is not None
        return new if old is None else _revived(old, new)
    if new.body is None:
        return old
    key = new.key
    if key.collection not in _OBSERVED and opened.document(key, old.body) != opened.document(key, new.body):
        tally.conflicts.append(f"{key.collection} {key.id}")
    tally.already += 1
    return old


def _revived(old: StoredDocument, new: StoredDocument) -> StoredDocument:
    """At a version that no reader of either has seen another record at."""
    return new._replace(version=max(old.version, new.version) + (new.body is not None))


def _entries(present: Snapshot, file: Snapshot, kept: set[str], opened: Opener, tally: _Tally) -> Iterator[StoredEntry]:
    yield from present.entries
    here = {e[:2]: e.body for e in present.entries}
    for entry in file.entries:
        log, seq, body, _ = entry
        if log in kept:
            continue
        if (own := here.get((log, seq))) is None:
            tally.added += 1
            yield entry
            continue
        if opened.entry(log, seq, own) != opened.entry(log, seq, body):
            tally.conflicts.append(f"{log} {seq}")
        tally.already += 1
