"""The driver that keeps a room in memory: for tests, and the shortest reading of what a driver has to do.

A commit runs without awaiting anything, so it is atomic towards every other driver on the same event loop.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from attrs import Factory, define, fields

from masc_core.clock import Clock
from masc_core.errors import StorageUnavailable
from masc_core.store._leases import settle_leases, time_wanted
from masc_core.store._limits import check_limits, entry_body
from masc_core.store._waiters import Waiters
from masc_core.store.driver import (
    Absent,
    Append,
    Check,
    Committed,
    Conflict,
    Contents,
    Delete,
    Document,
    Head,
    IndexEntry,
    Key,
    Lease,
    LogEntry,
    Put,
    Remove,
    Rewrite,
    RewriteEntry,
    Scan,
    Version,
    Write,
)
from masc_core.store.snapshot import Exchange, Snapshot, StoredDocument, StoredEntry, indexed

__all__ = ["MemoryDatabase", "MemoryDriver"]

_Id = TypeVar("_Id", str, int)


class _Record(NamedTuple):
    version: int
    body: bytes
    values: frozenset[tuple[str, str]]
    groups: frozenset[tuple[str, str]]


@define
class _Log:
    last: int = 0
    entries: dict[int, _Record] = Factory(dict)


@define(eq=False)
class _Room:
    documents: dict[Key, _Record] = Factory(dict)
    tombstones: dict[Key, int] = Factory(dict)
    logs: defaultdict[str, _Log] = Factory(lambda: defaultdict(_Log))
    leases: dict[str, Lease] = Factory(dict)
    fence: int = 0
    keys: defaultdict[str, list[tuple[str, str]]] = Factory(lambda: defaultdict(list))
    """By collection: ``(key, key)`` in order, so that a scan by key is a scan like any other."""
    index: defaultdict[tuple[str, str], list[tuple[str, str]]] = Factory(lambda: defaultdict(list))
    """By collection and index: ``(value, key)`` in order."""
    log_index: defaultdict[tuple[str, str], list[tuple[str, int]]] = Factory(lambda: defaultdict(list))
    """By log and index: ``(value, seq)`` in order."""
    tallies: defaultdict[tuple[str, str], Counter[str]] = Factory(lambda: defaultdict(Counter))
    watchers: set[Waiters] = Factory(set)


class MemoryDatabase:
    """What several :class:`MemoryDriver` objects of one process share. Its state ends with the process."""

    def __init__(self) -> None:
        self._rooms: defaultdict[str, _Room] = defaultdict(_Room)

    def room(self, name: str) -> _Room:
        return self._rooms[name]


class MemoryDriver:
    """A :class:`~masc_core.store.driver.Driver` on a :class:`MemoryDatabase`, by default one of its own."""

    name = "memory"

    def __init__(self, clock: Clock, *, database: MemoryDatabase | None = None, room: str = "default") -> None:
        self.clock = clock
        self.line = None
        self._database = MemoryDatabase() if database is None else database
        self._name = room
        self._opened: _Room | None = None
        self._waiters = Waiters()

    async def __aenter__(self) -> Self:
        self._opened = self._database.room(self._name)
        self._opened.watchers.add(self._waiters)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened is not None:
            self._opened.watchers.discard(self._waiters)
        self._opened = None
        self._waiters.cancel()

    @property
    def _room(self) -> _Room:
        if self._opened is None:
            raise StorageUnavailable(backend=self.name, cause="the driver is not open")
        return self._opened

    async def get(self, keys: Sequence[Key]) -> list[Document | None]:
        room = self._room
        return [_document(room, key) for key in keys]

    async def scan(self, scan: Scan) -> list[Document]:
        room = self._room
        order = room.index[scan.collection, scan.index] if scan.index else room.keys[scan.collection]
        found = []
        after = scan.after if scan.index or not scan.after else (scan.after[1], scan.after[1])
        for value, id in _page(order, scan, after):
            record = room.documents[Key(scan.collection, id)]
            found.append(Document(Key(scan.collection, id), record.version, record.body, value))
        return found

    async def count(self, collection: str, index: str, group: str | None = None) -> dict[str, int]:
        tallies = self._room.tallies[collection, index]
        return {name: n for name, n in tallies.items() if n and group in (None, name)}

    async def count_log(self, log: str, index: str, value: str, after: int = 0) -> int:
        order = self._room.log_index[log, index]
        return bisect_left(order, (value, sys.maxsize)) - bisect_right(order, (value, after))

    async def read_log(self, log: str, after: int = 0, limit: int = 100, reverse: bool = False) -> list[LogEntry]:
        entries = self._room.logs[log].entries
        if reverse:
            seqs = [seq for seq in reversed(entries) if not after or seq < after]
        else:
            seqs = [seq for seq in entries if seq > after]
        return [LogEntry(seq, entries[seq].body) for seq in seqs[: max(0, limit)]]

    async def scan_log(self, scan: Scan) -> list[tuple[str, LogEntry]]:
        if not scan.index:
            raise ValueError("scan_log needs an index; use read_log for the order of the log")
        after = (scan.after[0], int(scan.after[1])) if scan.after else None
        entries = self._room.logs[scan.collection].entries
        page = _page(self._room.log_index[scan.collection, scan.index], scan, after)
        return [(value, LogEntry(seq, entries[seq].body)) for value, seq in page]

    async def heads(self, logs: Sequence[str]) -> list[Head]:
        found = (self._room.logs[log] for log in logs)
        return [Head(next(iter(log.entries), 0), log.last) for log in found]

    async def leases(self, names: Sequence[str]) -> list[Lease | None]:
        now = self.clock.now()
        return [_live(self._room, name, now) for name in names]

    async def contents(self) -> Contents:
        room = self._room
        return Contents(
            {name: len(keys) for name, keys in room.keys.items() if keys},
            {name: len(log.entries) for name, log in room.logs.items() if log.entries},
        )

    async def scrub(self) -> None:
        """Nothing to do: what is replaced is gone."""

    async def dump(self) -> Snapshot:
        return _snapshot(self._room, self.clock.now())

    async def exchange(self, change: Exchange) -> None:
        room = self._room
        _fill(room, change(_snapshot(room, self.clock.now())))
        for waiters in room.watchers:
            waiters.wake({name: log.last for name, log in room.logs.items()})

    async def commit(self, checks: Sequence[Check], writes: Sequence[Write]) -> Committed:
        check_limits(checks, writes)
        room, now = self._room, self.clock.now()
        current = {
            check.key: _document(room, check.key)
            for check in checks
            if isinstance(check, Version | Absent) and _fails(room, check)
        }
        leases = settle_leases(checks, writes, now, lambda name: _live(room, name, now), lambda: room.fence)
        if current or leases.failed or now < time_wanted(checks):
            raise Conflict(current, leases.failed)
        writes = _with_bodies(room, writes)
        for name, lease in leases.changed.items():
            if lease is None:
                room.leases.pop(name, None)
            else:
                room.leases[name] = lease
        room.fence = room.fence if leases.fence is None else leases.fence
        appended = _apply(room, writes)
        lasts = dict(appended)
        for waiters in room.watchers:
            waiters.wake(lasts)
        return Committed(tuple(seq for _, seq in appended), tuple(leases.granted))

    async def watch(self, after: Mapping[str, int]) -> dict[str, int]:
        logs = self._room.logs
        if not any(logs[log].last > number for log, number in after.items()):
            await self._waiters.wait(after)
        return {log: logs[log].last for log in after}


def _document(room: _Room, key: Key) -> Document | None:
    record = room.documents.get(Key(*key))
    return None if record is None else Document(Key(*key), record.version, record.body)


def _live(room: _Room, name: str, now: float) -> Lease | None:
    lease = room.leases.get(name)
    if lease is not None and lease.expires_at <= now:
        # Gone for good: a clock that jumps back must not revive what somebody has seen expired.
        del room.leases[name]
        return None
    return lease


def _fails(room: _Room, check: Version | Absent) -> bool:
    record = room.documents.get(Key(*check.key))
    if isinstance(check, Absent):
        return record is not None
    return record is None or record.version != check.version


def _apply(room: _Room, writes: Iterable[Write]) -> list[tuple[str, int]]:
    appended = []
    for write in writes:
        if isinstance(write, Put):
            _put(room, write)
        elif isinstance(write, Delete):
            old = _drop_document(room, write.key)
            if old is not None:
                room.tombstones[Key(*write.key)] = old.version
        elif isinstance(write, Append):
            appended.append((write.log, _append(room, write)))
        elif isinstance(write, Remove):
            for seq in write.seqs:
                _drop_entry(room, write.log, seq)
        elif isinstance(write, Rewrite | RewriteEntry):
            _rewrite(room, write)
    return appended


def _rewrite(room: _Room, write: Rewrite | RewriteEntry) -> None:
    if isinstance(write, Rewrite):
        key = Key(*write.key)
        if (document := room.documents.get(key)) is not None:
            room.documents[key] = document._replace(body=bytes(write.body))
        return
    entries = room.logs[write.log].entries
    if (entry := entries.get(write.seq)) is not None:
        entries[write.seq] = entry._replace(body=bytes(write.body))


def _put(room: _Room, write: Put) -> None:
    key = Key(*write.key)
    old = _drop_document(room, key)
    before = room.tombstones.pop(key, 0) if old is None else old.version
    record = _record(before + 1, write.body, write.index)
    room.documents[key] = record
    insort(room.keys[key.collection], (key.id, key.id))
    for index, value in record.values:
        insort(room.index[key.collection, index], (value, key.id))
    _tally(room, key.collection, record, 1)


def _drop_document(room: _Room, key: Key) -> _Record | None:
    record = room.documents.pop(Key(*key), None)
    if record is not None:
        _discard(room.keys[key.collection], (key.id, key.id))
        for index, value in record.values:
            _discard(room.index[key.collection, index], (value, key.id))
        _tally(room, key.collection, record, -1)
    return record


def _with_bodies(room: _Room, writes: Iterable[Write]) -> list[Write]:
    """The writes, with the bodies made that depend on their entry's number; before anything is changed."""
    lasts: dict[str, tuple[int, bytes | None]] = {}
    made: list[Write] = []
    for write in writes:
        if isinstance(write, Append | Remove | RewriteEntry) and write.log not in lasts:
            log = room.logs[write.log]
            entry = log.entries.get(log.last)
            lasts[write.log] = (log.last, entry.body if entry else None)
        if isinstance(write, Append):
            last, previous = lasts[write.log]
            body = entry_body(write, last + 1, previous)
            lasts[write.log] = (last + 1, body)
            made.append(Append(write.log, body, write.index))
            continue
        if isinstance(write, Remove) and lasts[write.log][0] in write.seqs:
            lasts[write.log] = (lasts[write.log][0], None)
        elif isinstance(write, RewriteEntry) and lasts[write.log][0] == write.seq and lasts[write.log][1] is not None:
            lasts[write.log] = (write.seq, bytes(write.body))
        made.append(write)
    return made


def _append(room: _Room, write: Append) -> int:
    log = room.logs[write.log]
    log.last += 1
    assert not callable(write.body)
    record = log.entries[log.last] = _record(1, write.body, write.index)
    for index, value in record.values:
        insort(room.log_index[write.log, index], (value, log.last))
    _tally(room, write.log, record, 1)
    return log.last


def _drop_entry(room: _Room, log: str, seq: int) -> None:
    record = room.logs[log].entries.pop(seq, None)
    if record is not None:
        for index, value in record.values:
            _discard(room.log_index[log, index], (value, seq))
        _tally(room, log, record, -1)


def _record(version: int, body: bytes, index: Iterable[IndexEntry]) -> _Record:
    entries = [IndexEntry(*entry) for entry in index]
    return _Record(
        version,
        bytes(body),
        frozenset((entry.name, entry.value) for entry in entries),
        frozenset((entry.name, entry.group) for entry in entries if entry.group),
    )


def _tally(room: _Room, name: str, record: _Record, step: int) -> None:
    for index, group in record.groups:
        room.tallies[name, index][group] += step


def _discard(order: list[tuple[str, _Id]], item: tuple[str, _Id]) -> None:
    del order[bisect_left(order, item)]


def _snapshot(room: _Room, now: float) -> Snapshot:
    kept = [StoredDocument(key, r.version, r.body, indexed(r.values, r.groups)) for key, r in room.documents.items()]
    return Snapshot(
        room.fence,
        tuple(lease for name in sorted(room.leases) if (lease := _live(room, name, now)) is not None),
        sorted(kept + [StoredDocument(key, version, None) for key, version in room.tombstones.items()]),
        {name: log.last for name, log in sorted(room.logs.items()) if log.last},
        [
            StoredEntry(name, seq, record.body, indexed(record.values, record.groups))
            for name, log in sorted(room.logs.items())
            for seq, record in log.entries.items()
        ],
    )


def _fill(room: _Room, snapshot: Snapshot) -> None:
    new = _Room(fence=snapshot.fence, leases={lease.name: lease for lease in snapshot.leases})
    for key, version, body, index in snapshot.documents:
        if body is None:
            new.tombstones[key] = version
        else:
            new.tombstones[key] = version - 1
            _put(new, Put(key, body, index))
    for log, seq, body, index in snapshot.entries:
        new.logs[log].last = seq - 1
        _append(new, Append(log, body, index))
    for log, last in snapshot.lasts.items():
        new.logs[log].last = last
    for part in fields(_Room):
        if part.name != "watchers":
            setattr(room, part.name, getattr(new, part.name))


def _page(order: list[tuple[str, _Id]], scan: Scan, after: tuple[str, _Id] | None) -> list[tuple[str, _Id]]:
    start = bisect_left(order, scan.low, key=itemgetter(0))
    end = len(order) if scan.high is None else bisect_left(order, scan.high, key=itemgetter(0))
    if after is not None and scan.reverse:
        end = min(end, bisect_left(order, after))
    elif after is not None:
        start = max(start, bisect_right(order, after))
    limit = max(0, scan.limit)
    return order[start:end][::-1][:limit] if scan.reverse else order[start : min(end, start + limit)]
