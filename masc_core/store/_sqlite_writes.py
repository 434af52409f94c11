"""One commit of the SQLite driver: the checks and writes inside an open transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence

import orjson

from masc_core.store._leases import LeaseOutcome, settle_leases, time_wanted
from masc_core.store._limits import entry_body
from masc_core.store._sqlite_reads import find_documents, get_documents, read_lasts, read_leases
from masc_core.store.driver import (
    Absent,
    Append,
    Check,
    Committed,
    Conflict,
    Delete,
    Document,
    IndexEntry,
    Key,
    Lease,
    Put,
    Remove,
    Rewrite,
    RewriteEntry,
    Version,
    Write,
)

__all__ = ["Change", "decode", "encode"]

_MOST = 2**63 - 1
_FOUND = "id, version, indexed"
_UPDATE = "UPDATE documents SET version = version + 1, indexed = ?, body = ? WHERE id = ?"
_INSERT = "INSERT INTO documents (room, collection, key, version, indexed, body) VALUES (?, ?, ?, ?, ?, ?)"
_REVIVE = "DELETE FROM tombstones WHERE room = ? AND collection = ? AND key = ? RETURNING version"
_BURY = "INSERT INTO tombstones (room, collection, key, version) VALUES (?, ?, ?, ?)"
_DROP = "DELETE FROM documents WHERE id = ?"
_SET_HEAD = "INSERT OR REPLACE INTO heads (room, log, last) VALUES (?, ?, ?)"
_LAST_ENTRY = "SELECT max(id) FROM entries"
_ENTRY = "INSERT INTO entries (id, room, log, seq, indexed, body) VALUES (?, ?, ?, ?, ?, ?)"
_BODY = "SELECT CAST(body AS BLOB) FROM entries WHERE room = ? AND log = ? AND seq = ?"
_REMOVE = "DELETE FROM entries WHERE room = ? AND log = ? AND seq = ? RETURNING indexed"
_REWRITE = "UPDATE documents SET body = ? WHERE room = ? AND collection = ? AND key = ?"
_REWRITE_ENTRY = "UPDATE entries SET body = ? WHERE room = ? AND log = ? AND seq = ?"
_INDEX_DOCUMENT = "INSERT INTO document_index (room, collection, name, value, key, document) VALUES (?, ?, ?, ?, ?, ?)"
_UNINDEX_DOCUMENT = (
    "DELETE FROM document_index WHERE room = ? AND collection = ? AND name = ? AND value = ? AND key = ?"
)
_MOVE_DOCUMENT = (
    "UPDATE document_index SET value = ? WHERE room = ? AND collection = ? AND name = ? AND value = ? AND key = ?"
)
_INDEX_ENTRY = "INSERT INTO entry_index (room, log, name, value, seq, entry) VALUES (?, ?, ?, ?, ?, ?)"
_UNINDEX_ENTRY = "DELETE FROM entry_index WHERE room = ? AND log = ? AND name = ? AND value = ? AND seq = ?"
_TALLY = """INSERT INTO tallies (room, collection, name, grp, n) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET n = n + excluded.n"""
_FENCE = "SELECT fence FROM rooms WHERE id = ?"
_SET_FENCE = "UPDATE rooms SET fence = ? WHERE id = ?"
_SET_LEASE = "INSERT OR REPLACE INTO leases (room, name, owner, fence, expires) VALUES (?, ?, ?, ?, ?)"
_END_LEASE = "DELETE FROM leases WHERE room = ? AND name = ?"
_END_DEAD = "DELETE FROM leases WHERE room = ? AND name = ? AND fence <= ?"

_Row = tuple[int, int, str]


def _concerned(write: Write) -> str:
    """The collection or log written to; leases have no name of either."""
    if isinstance(write, Put | Delete | Rewrite):
        return write.key[0]
    return write.log if isinstance(write, Append | Remove | RewriteEntry) else ""


class Change:
    """What one attempt to commit does between BEGIN and COMMIT.

    ``dead`` names leases seen expired with their fences: however the clock stands now, they are over, and this
    change removes them.
    """

    def __init__(self, db: sqlite3.Connection, room: int, now: float, dead: Mapping[str, int]) -> None:
        self._db = db
        self._room = room
        self._now = now
        self._dead = dead
        self._found: dict[Key, _Row | None] = {}
        self.buried = dict(dead)
        """The leases that this change took from the table because they were over."""
        self._entries: list[tuple[int, int, str, int, str, bytes]] = []
        self._entry_index: list[tuple[int, str, str, str, int, int]] = []
        self._last_entry = 0
        self._tallies: dict[tuple[str, str, str], int] = {}
        self.lasts: dict[str, int] = {}
        """The last number of every log that grew."""
        self.done = False
        """Set by whoever commits."""
        self.left: dict[Key, Document | None] | None = {}
        """The documents written, as they are now; ``None`` where that is not known."""
        self.concerned: set[str] = set()
        """The collections and logs written to."""

    def run(self, checks: Sequence[Check], writes: Sequence[Write]) -> Committed:
        """Check and write. Raises :class:`Conflict` or ``sqlite3.Error``, in both cases for the caller to roll back."""
        concerned = [c.key for c in checks if isinstance(c, Version | Absent)]
        concerned += [w.key for w in writes if isinstance(w, Put | Delete)]
        self._find(dict.fromkeys(Key(*key) for key in concerned))
        failed = [Key(*c.key) for c in checks if isinstance(c, Version | Absent) and not self._holds(c)]
        leases = settle_leases(checks, writes, self._now, self._load_lease, self._load_fence)
        if failed or leases.failed or self._now < time_wanted(checks):
            current: dict[Key, Document | None] = {}
            if failed:
                current = dict(zip(failed, get_documents(self._db, self._room, failed), strict=True))
            raise Conflict(current, leases.failed)
        if writes:
            self._write_leases(leases)
            self.concerned.update(map(_concerned, writes))
        self._find_ends(dict.fromkeys(write.log for write in writes if isinstance(write, Append)))
        appended = []
        for write in writes:
            if isinstance(write, Put):
                self._put(write)
                self._leave(Key(*write.key), write.body)
            elif isinstance(write, Delete):
                self._delete(Key(*write.key))
                self._leave(Key(*write.key), None)
            elif isinstance(write, Append):
                appended.append(self._append(write))
            elif isinstance(write, Remove):
                self._write_entries()
                self._remove(write)
            elif isinstance(write, Rewrite):
                self.left = None
                self._db.execute(_REWRITE, (write.body, self._room, *write.key))
            elif isinstance(write, RewriteEntry):
                self._write_entries()
                if 0 < write.seq <= _MOST:
                    self._db.execute(_REWRITE_ENTRY, (write.body, self._room, write.log, write.seq))
        self._write_entries()
        if self.lasts:
            self._db.executemany(_SET_HEAD, [(self._room, log, last) for log, last in self.lasts.items()])
        self._write_tallies()
        return Committed(tuple(appended), tuple(leases.granted))

    def _find(self, keys: Iterable[Key]) -> None:
        self._found = dict.fromkeys(keys)
        concerned = list(self._found)
        for n, *row in find_documents(self._db, self._room, concerned, _FOUND):
            self._found[concerned[n]] = (row[0], row[1], row[2])

    def _holds(self, check: Version | Absent) -> bool:
        row = self._found[Key(*check.key)]
        if isinstance(check, Absent):
            return row is None
        return row is not None and row[1] == check.version

    def _put(self, write: Put) -> None:
        key = Key(*write.key)
        row = self._found[key]
        indexed = encode(write.index)
        if row is not None:
            self._db.execute(_UPDATE, (indexed, write.body, row[0]))
            self._found[key] = (row[0], row[1] + 1, indexed)
            self._index_document(key, row[0], row[2], indexed)
            return
        buried = self._db.execute(_REVIVE, (self._room, *key)).fetchall()
        version = buried[0][0] + 1 if buried else 1
        id = self._db.execute(_INSERT, (self._room, *key, version, indexed, write.body)).lastrowid
        assert id is not None
        self._found[key] = (id, version, indexed)
        self._index_document(key, id, "", indexed)

    def _delete(self, key: Key) -> None:
        row = self._found[key]
        if row is not None:
            self._db.execute(_DROP, (row[0],))
            self._db.execute(_BURY, (self._room, *key, row[1]))
            self._found[key] = None
            self._index_document(key, row[0], row[2], "")

    def _leave(self, key: Key, body: bytes | None) -> None:
        row = self._found[key]
        if self.left is not None:
            self.left[key] = None if row is None or body is None else Document(key, row[1], bytes(body))

    def _index_document(self, key: Key, id: int, before: str, after: str) -> None:
        if before == after:
            return
        old, new = decode(before), decode(after)
        gone, come = _values(old) - _values(new), _values(new) - _values(old)
        moved = dict(gone) if len(gone) == len(come) else {}
        for name, value in come:
            # One statement instead of two where an index has one value and it changes, as most do.
            if name in moved and (name, moved[name]) in gone:
                before = moved.pop(name)
                gone.discard((name, before))
                self._db.execute(_MOVE_DOCUMENT, (value, self._room, key.collection, name, before, key.id))
            else:
                self._db.execute(_INDEX_DOCUMENT, (self._room, key.collection, name, value, key.id, id))
        for name, value in gone:
            self._db.execute(_UNINDEX_DOCUMENT, (self._room, key.collection, name, value, key.id))
        self._tally(key.collection, old, new)

    def _find_ends(self, logs: Collection[str]) -> None:
        if logs:
            self.lasts = read_lasts(self._db, self._room, logs)
            self._last_entry = self._db.execute(_LAST_ENTRY).fetchone()[0] or 0

    def _append(self, write: Append) -> int:
        log = write.log
        self.lasts[log] = seq = self.lasts[log] + 1
        self._last_entry += 1
        body = entry_body(write, seq, self._body(log, seq - 1)) if callable(write.body) else write.body
        self._entries.append((self._last_entry, self._room, log, seq, encode(write.index), body))
        for name, value in _values(write.index):
            self._entry_index.append((self._room, log, name, value, seq, self._last_entry))
        self._tally(log, (), write.index)
        return seq

    def _body(self, log: str, seq: int) -> bytes | None:
        for *_, name, number, _, body in self._entries:
            if (name, number) == (log, seq):
                return body
        row = self._db.execute(_BODY, (self._room, log, seq)).fetchone()
        return row[0] if row else None

    def _write_entries(self) -> None:
        # Many rows in one call: a statement of its own for each would cost twice as much.
        if self._entries:
            self._db.executemany(_ENTRY, self._entries)
            if self._entry_index:
                self._db.executemany(_INDEX_ENTRY, self._entry_index)
            self._entries, self._entry_index = [], []

    def _remove(self, write: Remove) -> None:
        for seq in write.seqs:
            row = self._db.execute(_REMOVE, (self._room, write.log, seq)).fetchall() if 0 < seq <= _MOST else None
            if row and row[0][0]:
                old = decode(row[0][0])
                for name, value in _values(old):
                    self._db.execute(_UNINDEX_ENTRY, (self._room, write.log, name, value, seq))
                self._tally(write.log, old, ())

    def _tally(self, collection: str, before: Iterable[IndexEntry], after: Iterable[IndexEntry]) -> None:
        old, new = _groups(before), _groups(after)
        for step, changed in ((-1, old - new), (1, new - old)):
            for name, group in changed:
                place = (collection, name, group)
                self._tallies[place] = self._tallies.get(place, 0) + step

    def _write_tallies(self) -> None:
        rows = [(self._room, *place, n) for place, n in self._tallies.items() if n]
        if rows:
            self._db.executemany(_TALLY, rows)

    def _load_lease(self, name: str) -> Lease | None:
        (lease,) = read_leases(self._db, self._room, (name,))
        if lease is not None and (lease.expires_at <= self._now or lease.fence <= self._dead.get(name, 0)):
            self.buried[name] = lease.fence
            return None
        return lease

    def _load_fence(self) -> int:
        return int(self._db.execute(_FENCE, (self._room,)).fetchone()[0])

    def _write_leases(self, outcome: LeaseOutcome) -> None:
        for name, fence in self.buried.items():
            self._db.execute(_END_DEAD, (self._room, name, fence))
        for name, lease in outcome.changed.items():
            if lease is None:
                self._db.execute(_END_LEASE, (self._room, name))
            else:
                self._db.execute(_SET_LEASE, (self._room, name, lease.owner, lease.fence, lease.expires_at))
        if outcome.fence is not None:
            self._db.execute(_SET_FENCE, (outcome.fence, self._room))


def encode(index: Sequence[IndexEntry]) -> str:
    """Index entries as a record's row has them."""
    return orjson.dumps([[*entry] for entry in index]).decode() if index else ""


def decode(indexed: str) -> list[IndexEntry]:
    """Index entries from a record's row."""
    return [IndexEntry(*entry) for entry in orjson.loads(indexed)] if indexed else []


def _values(index: Iterable[IndexEntry]) -> set[tuple[str, str]]:
    return {(entry.name, entry.value) for entry in index}


def _groups(index: Iterable[IndexEntry]) -> set[tuple[str, str]]:
    return {(entry.name, entry.group) for entry in index if entry.group}
