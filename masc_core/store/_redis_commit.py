"""One commit of the Redis driver: what the script is sent, and what its answer means."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from masc_core.store._limits import entry_body
from masc_core.store._redis_keys import MOST, RoomKeys, log_prefixes, members, tallies
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
    IndexEntry,
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

__all__ = ["Commit", "Last", "document", "lease"]

Last = tuple[int, bytes | None]
"""A log's last number and the body of that entry, ``None`` where it is not kept."""
_FIXED_KEYS = 4
_KEYS_A_NAME = 6
_UNKNOWN: Last = (-1, None)


class _Unmade(Exception):
    """A body could not be made."""

    def __init__(self, problem: Exception) -> None:
        super().__init__()
        self.problem = problem


class Commit:
    """The checks and writes of one commit as the operations of ``commit.lua``.

    ``lasts`` says where logs end whose entries depend on it; what is wrong or missing there the script answers with the
    true end, :meth:`learn` takes that in, and :meth:`operations` makes the bodies anew.
    """

    def __init__(
        self, keys: RoomKeys, checks: Sequence[Check], writes: Sequence[Write], lasts: Mapping[str, Last]
    ) -> None:
        self._checks = checks
        # What the caller may change after the call is copied now.
        self._writes = [_copied(write) for write in writes]
        self.late_logs = {w.log for w in self._writes if isinstance(w, Append) and callable(w.body)}
        self.lasts = {log: lasts.get(log, _UNKNOWN) for log in self.late_logs}
        self._after: dict[str, Last] = {}
        self.problem: Exception | None = None
        """Why a body could not be made. It counts when the script finds that everything else is as it was taken to be."""
        names = dict.fromkeys(
            name for item in (*checks, *self._writes) if (name := _name_of(item)) is not None
        )  # in order, without duplicates
        self._names = list(names)
        self._places = {name: _FIXED_KEYS + 1 + _KEYS_A_NAME * n for n, name in enumerate(self._names)}
        self.keys = [key for name in self._names for key in keys.all_of(name)]

    def operations(self) -> list[bytes]:
        """The arguments that tell the script what to check and write; nothing to write while there is a :attr:`problem`."""
        done: list[bytes] = []
        for check in self._checks:
            done += self._check(check)
        for log, (last, body) in self.lasts.items():
            digest = b"" if body is None else hashlib.sha1(body, usedforsecurity=False).hexdigest().encode()
            done += (b"E", self._place(log), log.encode(), _number(last), digest)
        self._after = dict(self.lasts)
        self.problem = None
        try:
            return done + [part for write in self._writes for part in self._write(write)]
        except _Unmade as unmade:
            self.problem = unmade.problem
            return done

    def learn(self, late: Iterable[Any]) -> None:
        """Take in the ends of logs from a "late" answer."""
        for place, last, body in late:
            self.lasts[self._name(place)] = (int(last), body)

    def ends(self) -> dict[str, Last]:
        """Where the logs end whose entries were made in this commit, once it is done."""
        return self._after

    def committed(self, numbers: Iterable[bytes], granted: Iterable[Any]) -> Committed:
        """What a "done" answer gave out."""
        return Committed(tuple(map(int, numbers)), tuple(lease(*held) for held in granted))

    def grown(self, committed: Committed) -> dict[str, int]:
        """The last number of every log that this commit wrote to."""
        appends = (write.log for write in self._writes if isinstance(write, Append))
        return dict(zip(appends, committed.appended, strict=True))

    def conflict(self, failed: Iterable[Any], leases: Iterable[Any]) -> Conflict:
        """The exception for a "conflict" answer."""
        current: dict[Key, Document | None] = {}
        for place, id, body in failed:
            key = Key(self._name(place), id.decode())
            current[key] = None if body is None else document(key, body)
        return Conflict(current, {name.decode(): lease(name, *held) if held else None for name, *held in leases})

    def _check(self, check: Check) -> Iterable[bytes]:
        if isinstance(check, Held):
            return b"H", check.name.encode(), _number(check.fence)
        if isinstance(check, Reached):
            return b"T", repr(float(check.time)).encode()
        version = 0 if isinstance(check, Absent) else check.version
        # Version 0 means absent to the script, and no document has it.
        wanted = -1 if isinstance(check, Version) and version == 0 else version
        return b"V", self._place(check.key[0]), check.key[1].encode(), _number(wanted)

    def _write(self, write: Write) -> Iterable[bytes]:
        if isinstance(write, Put):
            name, id = write.key
            counted = _listed(members(write.index, id)), _listed(tallies(write.index))
            return b"P", self._place(name), id.encode(), write.body, *counted[0], *counted[1]
        if isinstance(write, Delete):
            return b"D", self._place(write.key[0]), write.key[1].encode()
        if isinstance(write, Append):
            counted = _listed(log_prefixes(write.index)), _listed(tallies(write.index))
            return b"L", self._place(write.log), write.log.encode(), self._body(write), *counted[0], *counted[1]
        if isinstance(write, Remove):
            last = self._after.get(write.log)
            if last is not None and last[0] in write.seqs:
                self._after[write.log] = (last[0], None)
            seqs = [_number(seq) for seq in write.seqs if 0 < seq <= MOST]
            return b"R", self._place(write.log), *_listed(seqs)
        if isinstance(write, Acquire):
            return b"Q", write.name.encode(), write.owner.encode(), repr(float(write.seconds)).encode()
        if isinstance(write, Renew):
            return b"N", write.name.encode(), _number(write.fence), repr(float(write.seconds)).encode()
        if isinstance(write, Release):
            return b"F", write.name.encode(), _number(write.fence)
        if isinstance(write, Rewrite):
            return b"W", self._place(write.key[0]), write.key[1].encode(), write.body
        if isinstance(write, RewriteEntry):
            return self._rewrite(write)
        raise TypeError(f"no such write: {write!r}")

    def _rewrite(self, write: RewriteEntry) -> Iterable[bytes]:
        if not 0 < write.seq <= MOST:
            return ()
        last = self._after.get(write.log)
        if last is not None and last[0] == write.seq and last[1] is not None:
            self._after[write.log] = (write.seq, write.body)
        return b"X", self._place(write.log), _number(write.seq), write.body

    def _body(self, write: Append) -> bytes:
        end = self._after.get(write.log)
        if end is None:
            return entry_body(write, 0, None)
        last, previous = end
        if last < 0:
            return b""  # The script will say where the log ends before it writes anything.
        try:
            body = bytes(entry_body(write, last + 1, previous))
        except Exception as error:
            # It may come of an end, or of a state of the caller's, that has passed: the script is asked first.
            raise _Unmade(error) from error
        self._after[write.log] = (last + 1, body)
        return body

    def _place(self, name: str) -> bytes:
        return b"%d" % self._places[name]

    def _name(self, place: int) -> str:
        return self._names[(int(place) - _FIXED_KEYS - 1) // _KEYS_A_NAME]


def document(key: Key, stored: bytes, value: str = "") -> Document:
    """A document from its stored body, which begins with the version and a colon."""
    version, _, body = stored.partition(b":")
    return Document(key, int(version), body, value)


def lease(name: bytes, owner: bytes, fence: bytes, expires: bytes) -> Lease:
    """A lease as scripts show it."""
    return Lease(name.decode(), owner.decode(), int(fence), float(expires))


def _copied(write: Write) -> Write:
    if isinstance(write, Put):
        return Put(write.key, bytes(write.body), tuple(IndexEntry(*entry) for entry in write.index))
    if isinstance(write, Append):
        body = write.body if callable(write.body) else bytes(write.body)
        return Append(write.log, body, tuple(IndexEntry(*entry) for entry in write.index))
    if isinstance(write, Rewrite):
        return Rewrite(write.key, bytes(write.body))
    return RewriteEntry(write.log, write.seq, bytes(write.body)) if isinstance(write, RewriteEntry) else write


def _name_of(item: Check | Write) -> str | None:
    """The collection or log concerned; ``None`` for leases."""
    if isinstance(item, Version | Absent | Put | Delete | Rewrite):
        return item.key[0]
    return item.log if isinstance(item, Append | Remove | RewriteEntry) else None


def _listed(items: Sequence[bytes]) -> list[bytes]:
    return [b"%d" % len(items), *items]


def _number(value: int) -> bytes:
    return b"%d" % value
