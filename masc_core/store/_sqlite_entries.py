"""The log entries of one commit of the SQLite driver."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Any

from masc_core.store._limits import entry_body
from masc_core.store._sqlite_documents import Tallies, tally
from masc_core.store._sqlite_index import decode, encode
from masc_core.store._sqlite_known import Known
from masc_core.store._sqlite_reads import read_lasts
from masc_core.store.driver import Append, Remove, RewriteEntry

__all__ = ["Entries"]

_MOST = 2**63 - 1
_SET_HEAD = "INSERT OR REPLACE INTO heads (room, log, last) VALUES (?, ?, ?)"
_LAST_ENTRY = "SELECT max(id) FROM entries"
_ENTRY = "INSERT INTO entries (id, room, log, seq, indexed, body) VALUES (?, ?, ?, ?, ?, ?)"
_BODY = "SELECT CAST(body AS BLOB) FROM entries WHERE room = ? AND log = ? AND seq = ?"
_REMOVE = "DELETE FROM entries WHERE room = ? AND log = ? AND seq = ? RETURNING indexed"
_REWRITE = "UPDATE entries SET body = ? WHERE room = ? AND log = ? AND seq = ?"
_INDEX = "INSERT INTO entry_index (room, log, name, value, seq, entry) VALUES (?, ?, ?, ?, ?, ?)"
_UNINDEX = "DELETE FROM entry_index WHERE room = ? AND log = ? AND name = ? AND value = ? AND seq = ?"


class Entries:
    """What a commit does to logs: entries are gathered, since many rows in one call cost half of what they would alone."""

    def __init__(self, db: sqlite3.Connection, room: int, known: Known, tallies: Tallies) -> None:
        self._db = db
        self._room = room
        self._known = known
        self._tallies = tallies
        self._rows: list[tuple[int, int, str, int, str, bytes]] = []
        self._indexes: list[tuple[Any, ...]] = []
        self.size = 0
        """Bytes of the bodies appended."""
        self.last_entry = 0
        """The number of the newest entry of any log, once something is to be appended."""
        self.lasts: dict[str, int] = {}
        """The last number of every log that grows."""
        self.tails: dict[str, bytes | None] = {}
        """The newest entries of logs whose entries depend on the one before; ``None`` where that has to be looked up."""

    def find(self, logs: Collection[str]) -> None:
        """Look for the ends of logs that will grow."""
        if not logs:
            return
        known = self._known.lasts
        try:
            self.lasts = {log: known[log] for log in logs}
        except KeyError:
            self.lasts = read_lasts(self._db, self._room, logs)
        last = self._known.last_entry
        self.last_entry = self._db.execute(_LAST_ENTRY).fetchone()[0] or 0 if last is None else last

    def append(self, write: Append) -> int:
        """Add an entry; its number."""
        log, body, index = write.log, write.body, write.index
        self.lasts[log] = seq = self.lasts[log] + 1
        self.last_entry += 1
        if callable(body):
            self.tails[log] = body = entry_body(write, seq, self._body(log, seq - 1))
        else:
            self.tails[log] = None
        self.size += len(body)
        self._rows.append((self.last_entry, self._room, log, seq, encode(index) if index else "", body))
        if index:
            rows = {(self._room, log, name, value, seq, self.last_entry) for name, value, _ in index}
            self._indexes += rows
            tally(self._tallies, log, (), index)
        return seq

    def _body(self, log: str, seq: int) -> bytes | None:
        tail = self.tails[log] if log in self.tails else self._known.tails.get(log)
        if tail is not None:
            return tail
        self.write()
        row = self._db.execute(_BODY, (self._room, log, seq)).fetchone()
        return row[0] if row else None

    def remove(self, write: Remove) -> None:
        """Take entries out."""
        self.write()
        self.tails[write.log] = None
        for seq in write.seqs:
            row = self._db.execute(_REMOVE, (self._room, write.log, seq)).fetchall() if 0 < seq <= _MOST else None
            if row and row[0][0]:
                old = decode(row[0][0])
                rows = {(self._room, write.log, name, value, seq) for name, value, _ in old}
                self._db.executemany(_UNINDEX, rows)
                tally(self._tallies, write.log, old, ())

    def rewrite(self, write: RewriteEntry) -> None:
        """Exchange a body as it is stored."""
        self.write()
        self.tails[write.log] = None
        if 0 < write.seq <= _MOST:
            self._db.execute(_REWRITE, (write.body, self._room, write.log, write.seq))

    def write(self) -> None:
        """Write the entries gathered so far, and the ends of their logs."""
        if self._rows:
            self._db.executemany(_ENTRY, self._rows)
            if self._indexes:
                self._db.executemany(_INDEX, self._indexes)
            self._db.executemany(_SET_HEAD, [(self._room, log, last) for log, last in self.lasts.items()])
            self._rows, self._indexes = [], []
