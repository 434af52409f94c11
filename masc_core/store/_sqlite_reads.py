"""Every query of the SQLite driver, as plain functions over a connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from masc_core.store.driver import Document, Head, Key, Lease, LogEntry, Scan

__all__ = [
    "get_documents",
    "read_count",
    "read_entries",
    "read_heads",
    "read_lasts",
    "read_leases",
    "scan_documents",
    "scan_entries",
]

_MOST = 2**63 - 1
_GET = "SELECT version, body FROM documents WHERE room = ? AND collection = ? AND key = ?"
_COUNT = "SELECT grp, n FROM tallies WHERE room = ? AND collection = ? AND name = ? AND n > 0"
_ENTRIES = "SELECT seq, body FROM entries WHERE room = ? AND log = ? AND seq > ? ORDER BY seq LIMIT ?"
_ENTRIES_BACK = "SELECT seq, body FROM entries WHERE room = ? AND log = ? AND seq < ? ORDER BY seq DESC LIMIT ?"
_LAST = "SELECT last FROM heads WHERE room = ? AND log = ?"
_FIRST = "SELECT seq FROM entries WHERE room = ? AND log = ? ORDER BY seq LIMIT 1"
_LEASE = "SELECT owner, fence, expires FROM leases WHERE room = ? AND name = ?"


def get_documents(db: sqlite3.Connection, room: int, keys: Iterable[Key]) -> list[Document | None]:
    found: list[Document | None] = []
    for collection, id in keys:
        row = db.execute(_GET, (room, collection, id)).fetchone()
        found.append(None if row is None else Document(Key(collection, id), row[0], row[1]))
    return found


def read_count(db: sqlite3.Connection, room: int, collection: str, index: str) -> dict[str, int]:
    return dict(db.execute(_COUNT, (room, collection, index)).fetchall())


def read_entries(
    db: sqlite3.Connection, room: int, log: str, after: int, limit: int, *, reverse: bool
) -> list[LogEntry]:
    start = min(after or (_MOST if reverse else 0), _MOST)
    rows = db.execute(_ENTRIES_BACK if reverse else _ENTRIES, (room, log, start, max(0, limit)))
    return [LogEntry(seq, body) for seq, body in rows.fetchall()]


def read_lasts(db: sqlite3.Connection, room: int, logs: Iterable[str]) -> dict[str, int]:
    """The last number of each log, 0 for one that was never written."""
    rows = ((log, db.execute(_LAST, (room, log)).fetchone()) for log in logs)
    return {log: row[0] if row else 0 for log, row in rows}


def read_heads(db: sqlite3.Connection, room: int, logs: Sequence[str]) -> list[Head]:
    firsts = [db.execute(_FIRST, (room, log)).fetchone() for log in logs]
    lasts = read_lasts(db, room, logs)
    return [Head(first[0] if first else 0, lasts[log]) for log, first in zip(logs, firsts, strict=True)]


def read_leases(db: sqlite3.Connection, room: int, names: Iterable[str]) -> list[Lease | None]:
    """The leases as stored, expired ones included."""
    rows = ((name, db.execute(_LEASE, (room, name)).fetchone()) for name in names)
    return [None if row is None else Lease(name, *row) for name, row in rows]


def scan_documents(db: sqlite3.Connection, room: int, scan: Scan) -> list[Document]:
    if not scan.index:
        after = None if scan.after is None else (scan.after[1],)
        where, bounds, order = _range(scan, ("key",), after)
        rows = db.execute(
            f"SELECT key, key, version, body FROM documents WHERE room = ? AND collection = ?{where} "
            f"ORDER BY {order} LIMIT ?",
            (room, scan.collection, *bounds, max(0, scan.limit)),
        )
    else:
        where, bounds, order = _range(scan, ("i.value", "i.key"), scan.after)
        rows = db.execute(
            # CROSS JOIN fixes the order of the loops: along the index, then the document by its row number.
            "SELECT i.key, i.value, d.version, d.body FROM document_index i "
            "CROSS JOIN documents d ON d.id = i.document "
            f"WHERE i.room = ? AND i.collection = ? AND i.name = ?{where} ORDER BY {order} LIMIT ?",
            (room, scan.collection, scan.index, *bounds, max(0, scan.limit)),
        )
    found = rows.fetchall()
    return [Document(Key(scan.collection, key), version, body, value) for key, value, version, body in found]


def scan_entries(db: sqlite3.Connection, room: int, scan: Scan) -> list[tuple[str, LogEntry]]:
    after = None if scan.after is None else (scan.after[0], int(scan.after[1]))
    where, bounds, order = _range(scan, ("i.value", "i.seq"), after)
    rows = db.execute(
        "SELECT i.value, i.seq, e.body FROM entry_index i "
        "CROSS JOIN entries e ON e.room = i.room AND e.log = i.log AND e.seq = i.seq "
        f"WHERE i.room = ? AND i.log = ? AND i.name = ?{where} ORDER BY {order} LIMIT ?",
        (room, scan.collection, scan.index, *bounds, max(0, scan.limit)),
    )
    return [(value, LogEntry(seq, body)) for value, seq, body in rows.fetchall()]


def _range(
    scan: Scan, columns: tuple[str, ...], after: tuple[str | int, ...] | None
) -> tuple[str, list[str | int], str]:
    """Conditions, their values and the order. At most one bound on either side: SQLite seeks to one, and would have
    to walk from it to the other."""
    value = columns[0]
    tuple_, marks = f"({', '.join(columns)})", f"({', '.join('?' * len(columns))})"
    low, high = (f" AND {value} >= ?", [scan.low]), (f" AND {value} < ?", [scan.high])
    if scan.high is None:
        high = ("", [])
    conditions: list[tuple[str, Sequence[str | int | None]]] = [low, high]
    if after is not None:
        beyond = (f" AND {tuple_} {'<' if scan.reverse else '>'} {marks}", after)
        if scan.reverse and (scan.high is None or str(after[0]) < scan.high):
            conditions = [low, beyond]
        elif not scan.reverse and str(after[0]) >= scan.low:
            conditions = [beyond, high]
    text = "".join(condition for condition, _ in conditions)
    bounds = [bound for _, values in conditions for bound in values if bound is not None]
    return text, bounds, ", ".join(f"{column}{' DESC' if scan.reverse else ''}" for column in columns)
