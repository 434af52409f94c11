"""Every query of the SQLite driver, as plain functions over a connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from masc_core.store._sqlite_known import Row
from masc_core.store.driver import Contents, Document, Head, Key, Lease, LogEntry, Scan

__all__ = [
    "AT_ONCE",
    "count_entries",
    "find_documents",
    "get_documents",
    "read_contents",
    "read_count",
    "read_entries",
    "read_head",
    "read_lasts",
    "read_leases",
    "scan_documents",
    "scan_entries",
]

_MOST = 2**63 - 1
# Bodies are cast because others can write to the file: SQLite keeps text in a column of blobs, and that must come out as
# bytes that make no sense, not as a value of another type.
AT_ONCE = 16
"""Documents that one statement looks up."""
_COUNT = "SELECT grp, n FROM tallies WHERE room = ? AND collection = ? AND name = ? AND n > 0"
_COUNT_ONE = f"{_COUNT} AND grp = ?"
_COUNT_ENTRIES = "SELECT count(*) FROM entry_index WHERE room = ? AND log = ? AND name = ? AND value = ? AND seq > ?"
_COLLECTIONS = "SELECT collection, count(*) FROM documents WHERE room = ? GROUP BY collection"
_LOGS = "SELECT log, count(*) FROM entries WHERE room = ? GROUP BY log"
_ENTRIES = "SELECT seq, CAST(body AS BLOB) FROM entries WHERE room = ? AND log = ? AND seq > ? ORDER BY seq LIMIT ?"
_ENTRIES_BACK = (
    "SELECT seq, CAST(body AS BLOB) FROM entries WHERE room = ? AND log = ? AND seq < ? ORDER BY seq DESC LIMIT ?"
)
_HEAD = (
    "SELECT (SELECT seq FROM entries WHERE room = ? AND log = ? ORDER BY seq LIMIT 1), "
    "(SELECT last FROM heads WHERE room = ? AND log = ?)"
)
_LEASE = "SELECT owner, fence, expires FROM leases WHERE room = ? AND name = ?"


def get_documents(
    db: sqlite3.Connection, room: int, keys: Sequence[Key]
) -> tuple[list[Document | None], dict[Key, Row | None]]:
    """Documents, and where they are."""
    found: list[Document | None] = [None] * len(keys)
    rows: dict[Key, Row | None] = dict.fromkeys(keys)
    for n, id, version, indexed, body in find_documents(db, room, keys, "id, version, indexed, CAST(body AS BLOB)"):
        found[n] = Document(keys[n], version, body)
        rows[keys[n]] = (id, version, indexed)
    return found, rows


def find_documents(db: sqlite3.Connection, room: int, keys: Sequence[Key], columns: str) -> list[tuple[Any, ...]]:
    """Those columns of the documents that there are, each row after the place of its key.

    One statement looks up to :data:`AT_ONCE` of them up: a statement costs more than a row.
    """
    found: list[tuple[Any, ...]] = []
    for start in range(0, len(keys), AT_ONCE):
        some = keys[start : start + AT_ONCE]
        found += db.execute(_lookup(start, len(some), columns), (room, *chain.from_iterable(some))).fetchall()
    return found


@lru_cache
def _lookup(start: int, count: int, columns: str) -> str:
    return " UNION ALL ".join(
        f"SELECT {start + n}, {columns} FROM documents WHERE room = ?1 AND collection = ?{2 * n + 2} AND key = ?{2 * n + 3}"
        for n in range(count)
    )


def read_count(db: sqlite3.Connection, room: int, collection: str, index: str, group: str | None) -> dict[str, int]:
    if group is not None:
        return dict(db.execute(_COUNT_ONE, (room, collection, index, group)).fetchall())
    return dict(db.execute(_COUNT, (room, collection, index)).fetchall())


def count_entries(db: sqlite3.Connection, room: int, log: str, index: str, value: str, after: int) -> int:
    return int(db.execute(_COUNT_ENTRIES, (room, log, index, value, after)).fetchone()[0])


def read_contents(db: sqlite3.Connection, room: int) -> Contents:
    return Contents(dict(db.execute(_COLLECTIONS, (room,)).fetchall()), dict(db.execute(_LOGS, (room,)).fetchall()))


def read_entries(db: sqlite3.Connection, room: int, log: str, after: int, limit: int, reverse: bool) -> list[LogEntry]:
    start = min(after or (_MOST if reverse else 0), _MOST)
    rows = db.execute(_ENTRIES_BACK if reverse else _ENTRIES, (room, log, start, max(0, limit)))
    return [LogEntry(seq, body) for seq, body in rows.fetchall()]


def read_lasts(db: sqlite3.Connection, room: int, logs: Collection[str]) -> dict[str, int]:
    """The last number of each log, 0 for one that was never written."""
    found = dict.fromkeys(logs, 0)
    if found:
        found.update(db.execute(_lasts(len(found)), (room, *found)).fetchall())
    return found


@lru_cache
def _lasts(count: int) -> str:
    return " UNION ALL ".join(f"SELECT log, last FROM heads WHERE room = ?1 AND log = ?{n + 2}" for n in range(count))


def read_head(db: sqlite3.Connection, room: int, log: str) -> Head:
    first, last = db.execute(_HEAD, (room, log, room, log)).fetchone()
    return Head(first or 0, last or 0)


def read_leases(db: sqlite3.Connection, room: int, names: Iterable[str]) -> list[Lease | None]:
    """The leases as stored, expired ones included."""
    rows = ((name, db.execute(_LEASE, (room, name)).fetchone()) for name in names)
    return [None if row is None else Lease(name, *row) for name, row in rows]


def scan_documents(db: sqlite3.Connection, room: int, scan: Scan) -> list[Document]:
    if not scan.index:
        after = None if scan.after is None else (scan.after[1],)
        where, bounds, order = _range(scan, ("key",), after)
        rows = db.execute(
            f"SELECT key, key, version, CAST(body AS BLOB) FROM documents WHERE room = ? AND collection = ?{where} "
            f"ORDER BY {order} LIMIT ?",
            (room, scan.collection, *bounds, max(0, scan.limit)),
        )
    else:
        where, bounds, order = _range(scan, ("i.value", "i.key"), scan.after)
        rows = db.execute(
            # CROSS JOIN fixes the order of the loops: along the index, then the document by its row number.
            "SELECT i.key, i.value, d.version, CAST(d.body AS BLOB) FROM document_index i "
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
        "SELECT i.value, i.seq, CAST(e.body AS BLOB) FROM entry_index i "
        "CROSS JOIN entries e ON e.id = i.entry "
        f"WHERE i.room = ? AND i.log = ? AND i.name = ?{where} ORDER BY {order} LIMIT ?",
        (room, scan.collection, scan.index, *bounds, max(0, scan.limit)),
    )
    return [(value, LogEntry(seq, body)) for value, seq, body in rows.fetchall()]


def _range(
    scan: Scan, columns: tuple[str, ...], after: tuple[str | int, ...] | None
) -> tuple[str, list[str | int], str]:
    """Conditions, their values and the order. At most one bound on either side: SQLite seeks to one, and would have
    to walk from it to the other."""
    low, high = True, scan.high is not None
    lower: list[str | int] = [scan.low]
    upper: list[str | int] = [] if scan.high is None else [scan.high]
    if after is not None:
        if scan.reverse and (scan.high is None or str(after[0]) < scan.high):
            high, upper = False, [*after]
        elif not scan.reverse and str(after[0]) >= scan.low:
            low, lower = False, [*after]
        else:
            after = None
    text, order = _conditions(columns, low, high, after is not None, scan.reverse)
    return text, [*lower, *upper], order


@lru_cache
def _conditions(columns: tuple[str, ...], low: bool, high: bool, after: bool, reverse: bool) -> tuple[str, str]:
    value = columns[0]
    beyond = f" AND ({', '.join(columns)}) {'<' if reverse else '>'} ({', '.join('?' * len(columns))})" if after else ""
    lower = f" AND {value} >= ?" if low else beyond
    upper = f" AND {value} < ?" if high else beyond if low else ""
    return lower + upper, ", ".join(f"{column}{' DESC' if reverse else ''}" for column in columns)
