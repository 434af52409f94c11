"""A room of the SQLite file as a whole: read from one state, written in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from masc_core.store._sqlite_index import decode, encode
from masc_core.store.driver import IndexEntry, Key, Lease
from masc_core.store.snapshot import Snapshot, StoredDocument, StoredEntry, indexed

__all__ = ["fill", "read_all"]

_TABLES = ("documents", "tombstones", "document_index", "heads", "entries", "entry_index", "tallies", "leases")


def read_all(db: sqlite3.Connection, room: int, now: float) -> Snapshot:
    """Everything, inside a transaction of the caller's."""
    documents = [
        StoredDocument(Key(collection, key), version, body, _canonical(index))
        for collection, key, version, body, index in db.execute(
            "SELECT collection, key, version, CAST(body AS BLOB), indexed FROM documents WHERE room = ? "
            "UNION ALL SELECT collection, key, version, NULL, '' FROM tombstones WHERE room = ?",
            (room, room),
        )
    ]
    leases = db.execute("SELECT name, owner, fence, expires FROM leases WHERE room = ? ORDER BY name", (room,))
    lasts = db.execute("SELECT log, last FROM heads WHERE room = ? ORDER BY log", (room,))
    entries = db.execute(
        "SELECT log, seq, CAST(body AS BLOB), indexed FROM entries WHERE room = ? ORDER BY log, seq", (room,)
    )
    return Snapshot(
        int(db.execute("SELECT fence FROM rooms WHERE id = ?", (room,)).fetchone()[0]),
        tuple(lease for lease in (Lease(*row) for row in leases) if lease.expires_at > now),
        sorted(documents),
        dict(lasts.fetchall()),
        [StoredEntry(log, seq, body, _canonical(index)) for log, seq, body, index in entries],
    )


def _canonical(encoded: str) -> tuple[IndexEntry, ...]:
    found = decode(encoded)
    return indexed([(e.name, e.value) for e in found], [(e.name, e.group) for e in found if e.group])


def fill(db: sqlite3.Connection, room: int, snapshot: Snapshot) -> None:
    """Put a snapshot in the place of everything that is there, inside a transaction of the caller's."""
    for table in _TABLES:
        db.execute(f"DELETE FROM {table} WHERE room = ?", (room,))
    db.execute("UPDATE rooms SET fence = ? WHERE id = ?", (snapshot.fence, room))
    tallies: dict[tuple[str, str, str], int] = {}
    for document in snapshot.documents:
        _write_document(db, room, document)
        _count(tallies, document.key.collection, document.indexes)
    db.executemany("INSERT INTO heads VALUES (?, ?, ?)", [(room, *last) for last in snapshot.lasts.items()])
    for log, seq, body, index in snapshot.entries:
        row = (room, log, seq, encode(index), body)
        id = db.execute("INSERT INTO entries (room, log, seq, indexed, body) VALUES (?, ?, ?, ?, ?)", row).lastrowid
        rows = [(room, log, name, value, seq, id) for name, value in {(e.name, e.value) for e in index}]
        db.executemany("INSERT INTO entry_index VALUES (?, ?, ?, ?, ?, ?)", rows)
        _count(tallies, log, index)
    db.executemany("INSERT INTO tallies VALUES (?, ?, ?, ?, ?)", [(room, *place, n) for place, n in tallies.items()])
    leases = [(room, lease.name, lease.owner, lease.fence, lease.expires_at) for lease in snapshot.leases]
    db.executemany("INSERT INTO leases VALUES (?, ?, ?, ?, ?)", leases)


def _write_document(db: sqlite3.Connection, room: int, document: StoredDocument) -> None:
    key, version, body, index = document
    if body is None:
        db.execute("INSERT INTO tombstones VALUES (?, ?, ?, ?)", (room, *key, version))
        return
    row = (room, *key, version, encode(index), body)
    insert = "INSERT INTO documents (room, collection, key, version, indexed, body) VALUES (?, ?, ?, ?, ?, ?)"
    id = db.execute(insert, row).lastrowid
    rows = [(room, key.collection, name, value, key.id, id) for name, value in {(e.name, e.value) for e in index}]
    db.executemany("INSERT INTO document_index VALUES (?, ?, ?, ?, ?, ?)", rows)


def _count(tallies: dict[tuple[str, str, str], int], name: str, index: Iterable[IndexEntry]) -> None:
    for place in {(name, entry.name, entry.group) for entry in index if entry.group}:
        tallies[place] = tallies.get(place, 0) + 1
