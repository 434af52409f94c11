"""One commit of the SQLite driver: the checks and writes inside an open transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from masc_core.store._leases import LeaseOutcome, settle_leases
from masc_core.store._sqlite_documents import Documents, Tallies
from masc_core.store._sqlite_entries import Entries
from masc_core.store._sqlite_index import Moved
from masc_core.store._sqlite_known import Known
from masc_core.store._sqlite_reads import get_documents, read_leases
from masc_core.store.driver import (
    Absent,
    Acquire,
    Append,
    Check,
    Committed,
    Conflict,
    Delete,
    Document,
    Held,
    Key,
    Lease,
    Put,
    Reached,
    Release,
    Remove,
    Renew,
    Rewrite,
    RewriteEntry,
    Version,
    Write,
)

__all__ = ["Change"]

_TALLY = """INSERT INTO tallies (room, collection, name, grp, n) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET n = n + excluded.n"""
_FENCE = "SELECT fence FROM rooms WHERE id = ?"
_SET_FENCE = "UPDATE rooms SET fence = ? WHERE id = ?"
_SET_LEASE = "INSERT OR REPLACE INTO leases (room, name, owner, fence, expires) VALUES (?, ?, ?, ?, ?)"
_END_LEASE = "DELETE FROM leases WHERE room = ? AND name = ?"
_END_DEAD = "DELETE FROM leases WHERE room = ? AND name = ? AND fence <= ?"
_OF_LEASES = frozenset({Acquire, Renew, Release})


class Change:
    """What one attempt to commit does between BEGIN and COMMIT.

    ``dead`` names leases seen expired with their fences: however the clock stands now, they are over, and this
    change removes them. ``known`` is of the state that the transaction sees.
    """

    def __init__(self, db: sqlite3.Connection, room: int, now: float, dead: Mapping[str, int], known: Known) -> None:
        self._db = db
        self._room = room
        self._now = now
        self._dead = dead
        self._known = known
        self._tallies: Tallies = {}
        self._documents = Documents(db, room, known, self._tallies)
        self._entries = Entries(db, room, known, self._tallies)
        self.buried = dict(dead)
        """The leases that this change took from the table because they were over."""
        self.done = False
        """Set by whoever commits."""
        self.changed: set[str] = set()
        """The logs written to, and the collections of which anything may be different."""
        self.size = 0
        """Bytes of the bodies written."""

    @property
    def lasts(self) -> Mapping[str, int]:
        """The last number of every log that grew."""
        return self._entries.lasts

    @property
    def left(self) -> Mapping[Key, Document | None] | None:
        """The documents written, as they are now; ``None`` where that is not known."""
        return self._documents.left

    @property
    def moved(self) -> Mapping[str, Sequence[Moved]]:
        """The documents written, by collection."""
        return self._documents.moved

    def run(self, checks: Sequence[Check], writes: Sequence[Write]) -> Committed:
        """Check and write. Raises :class:`Conflict` or ``sqlite3.Error``, in both cases for the caller to roll back."""
        leases = self._check(checks, writes)
        if writes:
            self._write_leases(leases)
        return Committed(tuple(self._write(writes)), tuple(leases.granted))

    def follow(self) -> None:
        """Know from now on what this change, which is committed, has left."""
        entries = self._entries
        self._known.follow_rows(self._documents.rows)
        self._known.follow_logs(entries.lasts, entries.tails, entries.last_entry)

    def _check(self, checks: Sequence[Check], writes: Sequence[Write]) -> LeaseOutcome:
        """What the leases come to. Raises :class:`Conflict`."""
        of_documents: list[Version | Absent] = []
        wanted, leased = 0.0, not _OF_LEASES.isdisjoint(map(type, writes))
        for check in checks:
            if type(check) is Version or type(check) is Absent:
                of_documents.append(check)
            elif type(check) is Reached:
                wanted = max(wanted, check.time)
            elif type(check) is Held:
                leased = True
            else:
                raise TypeError(f"{check!r} is no check")
        documents = self._documents
        asked = [check.key for check in of_documents]
        asked += [write.key for write in writes if type(write) is Put or type(write) is Delete]
        documents.find(asked)
        failed = documents.failing(of_documents)
        leases = LeaseOutcome()
        if leased:
            leases = settle_leases(checks, writes, self._now, self._load_lease, self._load_fence)
        if failed or leases.failed or self._now < wanted:
            current: dict[Key, Document | None] = {}
            if failed:
                current = dict(zip(failed, get_documents(self._db, self._room, failed)[0], strict=True))
            raise Conflict(current, leases.failed)
        return leases

    def _write(self, writes: Sequence[Write]) -> list[int]:
        """Write; the numbers of the entries appended."""
        documents, entries, changed = self._documents, self._entries, self.changed
        entries.find([write.log for write in writes if type(write) is Append])
        appended = []
        for write in writes:
            if type(write) is Put:
                documents.put(write)
                self.size += len(write.body)
            elif type(write) is Append:
                appended.append(entries.append(write))
                changed.add(write.log)
            elif type(write) is Delete:
                documents.delete(write)
            elif type(write) is Remove:
                entries.remove(write)
                changed.add(write.log)
            elif type(write) is Rewrite:
                documents.rewrite(write)
                changed.add(write.key[0])
                self.size += len(write.body)
            elif type(write) is RewriteEntry:
                entries.rewrite(write)
                changed.add(write.log)
                self.size += len(write.body)
            elif type(write) not in _OF_LEASES:
                raise TypeError(f"{write!r} is no write")
        documents.write()
        entries.write()
        self.size += entries.size
        if rows := [(self._room, *place, n) for place, n in self._tallies.items() if n]:
            self._db.executemany(_TALLY, rows)
        return appended

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
