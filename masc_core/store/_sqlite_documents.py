"""The documents of one commit of the SQLite driver."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from attrs import define

from masc_core.store._sqlite_index import Moved, decode, encode
from masc_core.store._sqlite_known import Known, Row
from masc_core.store._sqlite_reads import find_documents
from masc_core.store.driver import Absent, Delete, Document, IndexEntry, Key, Put, Rewrite, Version

__all__ = ["Documents", "Tallies", "tally"]

_FOUND = "id, version, indexed"
_UPDATE = "UPDATE documents SET version = ?, indexed = ?, body = ? WHERE id = ?"
_INSERT = "INSERT INTO documents (room, collection, key, version, indexed, body) VALUES (?, ?, ?, ?, ?, ?)"
_DROP = "DELETE FROM documents WHERE id = ?"
_BURIED = "SELECT version FROM tombstones WHERE room = ? AND collection = ? AND key = ?"
_REVIVE = "DELETE FROM tombstones WHERE room = ? AND collection = ? AND key = ?"
_BURY = "INSERT OR REPLACE INTO tombstones (room, collection, key, version) VALUES (?, ?, ?, ?)"
_REWRITE = "UPDATE documents SET body = ? WHERE room = ? AND collection = ? AND key = ?"
_INDEX = "INSERT INTO document_index (room, collection, name, value, key, document) VALUES (?, ?, ?, ?, ?, ?)"
_UNINDEX = "DELETE FROM document_index WHERE room = ? AND collection = ? AND name = ? AND value = ? AND key = ?"
_MOVE = "UPDATE document_index SET value = ? WHERE room = ? AND collection = ? AND name = ? AND value = ? AND key = ?"

_NONE = frozenset[tuple[str, str]]()
Tallies = dict[tuple[str, str, str], int]
"""By how much the count of a collection's or log's index group changes."""


@define
class _State:
    """A document that is written, as it will be."""

    version: int
    buried: bool
    """A tombstone has kept its version."""
    write: Put | None
    """``None``: it is deleted."""


class Documents:
    """What a commit does to documents: noted first, and written as it comes out in the end."""

    def __init__(self, db: sqlite3.Connection, room: int, known: Known, tallies: Tallies) -> None:
        self._db = db
        self._room = room
        self._known = known
        self._tallies = tallies
        self._states: dict[Key, _State] = {}
        self.rows: dict[Key, Row | None] = {}
        """Those looked for, as they are now."""
        self.left: dict[Key, Document | None] | None = {}
        """The documents written, as they are now; ``None`` where that is not known."""
        self.moved: dict[str, list[Moved]] = {}
        """The documents written, by collection."""

    def find(self, keys: Iterable[Key]) -> None:
        """Look for the rows of documents, before anything is written."""
        rows, known = self.rows, self._known.rows
        missing = []
        for key in keys:
            if key not in rows:
                if key in known:
                    rows[key] = known[key]
                else:
                    rows[key] = None
                    missing.append(key)
        if missing:
            for n, id, version, indexed in find_documents(self._db, self._room, missing, _FOUND):
                rows[missing[n]] = (id, version, indexed)
            self._known.follow_rows({key: rows[key] for key in missing})

    def failing(self, checks: Iterable[Version | Absent]) -> list[Key]:
        """The documents of which a check does not hold."""
        failed = []
        for check in checks:
            row = self.rows[check.key]
            if (row is None or row[1] != check.version) if type(check) is Version else row is not None:
                failed.append(Key(*check.key))
        return failed

    def put(self, write: Put) -> None:
        """Note that a document is written."""
        key = write.key
        if (state := self._states.get(key)) is None:
            row = self.rows[key]
            state = self._states[key] = self._buried(key) if row is None else _State(row[1], False, None)
        state.version += 1
        state.write = write

    def delete(self, write: Delete) -> None:
        """Note that a document is removed, if it is there."""
        state = self._states.get(write.key)
        if state is not None:
            state.write = None
        elif (row := self.rows[write.key]) is not None:
            self._states[write.key] = _State(row[1], False, None)
        elif self.left is not None:
            self.left[Key(*write.key)] = None

    def _buried(self, key: Key) -> _State:
        """What was left of a document that is not there."""
        buried = self._db.execute(_BURIED, (self._room, *key)).fetchone()
        return _State(buried[0] if buried else 0, bool(buried), None)

    def rewrite(self, write: Rewrite) -> None:
        """Exchange a body as it is stored."""
        self.write()
        self.left = None
        self._db.execute(_REWRITE, (write.body, self._room, *write.key))

    def write(self) -> None:
        """Write what was noted."""
        if not self._states:
            return
        updates: list[tuple[Any, ...]] = []
        indexes = _Indexes(self._room, self._tallies)
        for key, state in self._states.items():
            row, write = self.rows[key], state.write
            indexed = encode(write.index) if write is not None and write.index else ""
            if write is None:
                id = self._remove(key, row, state.version)
                self.rows[key] = None
            elif row is not None:
                id = row[0]
                updates.append((state.version, indexed, write.body, id))
                self.rows[key] = (id, state.version, indexed)
            else:
                id = self._insert(key, state, indexed, write.body)
                self.rows[key] = (id, state.version, indexed)
            before = "" if row is None else row[2]
            self.moved.setdefault(key[0], []).append((key[1], before, indexed))
            if before != indexed:
                indexes.change(key, id, before, () if write is None else write.index)
            if self.left is not None:
                named = key if type(key) is Key else Key(*key)
                self.left[named] = None if write is None else Document(named, state.version, bytes(write.body))
        self._states = {}
        if updates:
            self._db.executemany(_UPDATE, updates)
        indexes.write(self._db)

    def _insert(self, key: Key, state: _State, indexed: str, body: bytes) -> int:
        if state.buried:
            self._db.execute(_REVIVE, (self._room, *key))
        id = self._db.execute(_INSERT, (self._room, *key, state.version, indexed, body)).lastrowid
        assert id is not None
        return id

    def _remove(self, key: Key, row: Row | None, version: int) -> int:
        if row is not None:
            self._db.execute(_DROP, (row[0],))
        self._db.execute(_BURY, (self._room, *key, version))
        return 0


class _Indexes:
    """Index entries that come and go. Many rows in one call: a statement of its own for each costs twice as much."""

    def __init__(self, room: int, tallies: Tallies) -> None:
        self._room = room
        self._tallies = tallies
        self._gone: list[tuple[Any, ...]] = []
        self._moved: list[tuple[Any, ...]] = []
        self._come: list[tuple[Any, ...]] = []

    def change(self, key: Key, id: int, before: str, index: Sequence[IndexEntry]) -> None:
        """Note the difference that a document's new entries make."""
        room, (collection, name_of) = self._room, key
        old = decode(before)
        were, are = {(name, value) for name, value, _ in old}, {(name, value) for name, value, _ in index}
        gone, come = were - are, are - were
        moved = dict(gone) if len(gone) == len(come) else {}
        for name, value in come:
            # One statement instead of two where an index has one value and it changes, as most do.
            if name in moved and (name, moved[name]) in gone:
                was = moved.pop(name)
                gone.discard((name, was))
                self._moved.append((value, room, collection, name, was, name_of))
            else:
                self._come.append((room, collection, name, value, name_of, id))
        self._gone += [(room, collection, name, value, name_of) for name, value in gone]
        tally(self._tallies, collection, old, index)

    def write(self, db: sqlite3.Connection) -> None:
        """Write what was noted."""
        for statement, rows in ((_UNINDEX, self._gone), (_MOVE, self._moved), (_INDEX, self._come)):
            if rows:
                db.executemany(statement, rows)


def tally(tallies: Tallies, collection: str, before: Sequence[IndexEntry], after: Sequence[IndexEntry]) -> None:
    """Note the difference between two lists of index entries of one record."""
    old = {(name, group) for name, _, group in before if group} if before else _NONE
    new = {(name, group) for name, _, group in after if group} if after else _NONE
    for step, changed in ((-1, old - new), (1, new - old)):
        for name, group in changed:
            place = (collection, name, group)
            tallies[place] = tallies.get(place, 0) + step
