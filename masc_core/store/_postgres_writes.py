"""One commit of the PostgreSQL driver: what its checks and writes come to, as the parameters of ``masc.apply``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from attrs import Factory, define

from masc_core.errors import MascError
from masc_core.store._leases import LeaseOutcome
from masc_core.store._limits import entry_body
from masc_core.store._postgres_values import Blobs, Floats, Numbers, groups, terms
from masc_core.store.driver import (
    Absent,
    Append,
    Check,
    Delete,
    IndexEntry,
    Key,
    Put,
    Remove,
    Rewrite,
    RewriteEntry,
    Version,
    Write,
)

__all__ = ["APPLY", "Change", "Position", "from_memory", "late_logs"]

_CALL = "masc.apply(%b::int, %b::int, %b, " + ", ".join(["%b"] * 36) + ", %b::bigint)"
# What is selected is computed for a row that the condition leaves, and volatile as it is it stays in a query of its own.
APPLY = f"SELECT (a.r).* FROM (SELECT {_CALL} AS r WHERE extract(epoch FROM clock_timestamp()) >= %b::float8) AS a"
"""No row where the time, the last parameter, is not reached."""
_MOST = 2**63 - 1

Position = tuple[int, bytes | None]
"""Where a log ends: its last number, and that entry's body where it is kept."""


def late_logs(writes: Sequence[Write]) -> list[str]:
    """The logs in which bodies are made from what is there."""
    return list(dict.fromkeys(w.log for w in writes if isinstance(w, Append) and callable(w.body)))


@define
class _Document:
    """What all writes of one commit to a document come to."""

    puts: int = 0
    body: bytes | None = None
    index: Sequence[IndexEntry] = ()
    rewritten: bool = False
    """Only the body is exchanged, if the document is there at all."""

    @property
    def kept(self) -> int:
        """0: the document goes, 1: it is as here, 2: it has this body."""
        return 2 if self.rewritten else int(self.body is not None)


class _Touched(NamedTuple):
    """An entry to be removed, or rewritten where there is a body. ``before`` counts what this commit has appended to the
    log up to there."""

    log: str
    seq: int
    before: int
    body: bytes | None


@define
class _Records:
    """Bodies with their index entries, flattened: how many of each belong to which record."""

    bodies: list[bytes] = Factory(list)
    terms: list[bytes] = Factory(list)
    term_counts: list[int] = Factory(list)
    groups: list[bytes] = Factory(list)
    group_counts: list[int] = Factory(list)

    def add(self, body: bytes, index: Sequence[IndexEntry]) -> None:
        found, counted = (terms(index), groups(index)) if index else ((), ())
        self.bodies.append(bytes(body))
        self.terms += found
        self.term_counts.append(len(found))
        self.groups += counted
        self.group_counts.append(len(counted))

    def parameters(self) -> tuple[Any, ...]:
        return (
            Blobs.of(self.bodies),
            *(Blobs.of(self.terms), Numbers.of(self.term_counts)),
            *(Blobs.of(self.groups), Numbers.of(self.group_counts)),
        )


class Change:
    """The writes of one commit. ``ends`` says where the logs with late bodies end, as far as is known.

    Raises ``ValueError`` for a late body over the limit, and whatever its function raises.
    """

    def __init__(self, writes: Sequence[Write], ends: Mapping[str, Position]) -> None:
        self._documents: dict[Key, _Document] = {}
        self._counts: dict[str, int] = {}
        self._appended: list[tuple[str, int]] = []
        self._entries = _Records()
        self._touched: list[_Touched] = []
        self._expected = dict(ends)
        self.ends: dict[str, Position] = dict(ends)
        """Where those logs end after this change."""
        self.logs: list[str] = []
        """The log of each entry appended."""
        for write in writes:
            if isinstance(write, Put | Delete | Rewrite):
                self._change(write)
            elif isinstance(write, Append):
                self._append(write)
            elif isinstance(write, Remove):
                for seq in write.seqs:
                    self._touch(write.log, seq, None)
            elif isinstance(write, RewriteEntry):
                self._touch(write.log, write.seq, bytes(write.body))

    def _change(self, write: Put | Delete | Rewrite) -> None:
        key = Key(*write.key)
        if isinstance(write, Rewrite):
            document = self._documents.setdefault(key, _Document(rewritten=True))
            if document.rewritten or document.body is not None:
                document.body = bytes(write.body)
            return
        document = self._documents.setdefault(key, _Document())
        document.rewritten = False
        if isinstance(write, Put):
            document.puts += 1
            document.body, document.index = bytes(write.body), write.index
        else:
            document.body, document.index = None, ()

    def _append(self, write: Append) -> None:
        end = self.ends.get(write.log)
        body = entry_body(write, *((0, None) if end is None else (end[0] + 1, end[1])))
        if end is not None:
            self.ends[write.log] = (end[0] + 1, body)
        self._counts[write.log] = self._counts.get(write.log, 0) + 1
        self._appended.append((write.log, self._counts[write.log]))
        self._entries.add(body, write.index)
        self.logs.append(write.log)

    def _touch(self, log: str, seq: int, body: bytes | None) -> None:
        if 0 < seq <= _MOST:
            self._touched.append(_Touched(log, seq, self._counts.get(log, 0), body))
        end = self.ends.get(log)
        if end is not None and end[0] == seq and end[1] is not None:
            self.ends[log] = (seq, body)

    def parameters(
        self,
        checks: Sequence[Check],
        leases: LeaseOutcome | None,
        ended: Mapping[str, int],
    ) -> tuple[Any, ...]:
        """The parameters of ``masc.apply`` from the checks on; ``ended`` names leases that are over, with fences."""
        wanted = [c for c in checks if isinstance(c, Version | Absent)]
        numbers = {log: n for n, log in enumerate(self._counts, 1)}
        return (
            *_keys([c.key for c in wanted]),
            Numbers.of([c.version if isinstance(c, Version) else 0 for c in wanted]),
            *self._late(),
            *self._changed(),
            *(_names(self._counts), Numbers.of([*self._counts.values()])),
            Numbers.of([numbers[log] for log, _ in self._appended]),
            Numbers.of([nth for _, nth in self._appended]),
            *self._entries.parameters(),
            *(_names([t.log for t in self._touched]), Numbers.of([t.seq for t in self._touched])),
            Numbers.of([numbers.get(t.log, 0) for t in self._touched]),
            Numbers.of([t.before for t in self._touched]),
            Numbers.of([int(t.body is not None) for t in self._touched]),
            Blobs.of([t.body or b"" for t in self._touched]),
            *_leases(leases or LeaseOutcome(), ended),
        )

    def _late(self) -> tuple[Any, ...]:
        digests = [hashlib.sha256(b).digest() if b is not None else b"" for _, b in self._expected.values()]
        return _names(self._expected), Numbers.of([last for last, _ in self._expected.values()]), Blobs.of(digests)

    def _changed(self) -> tuple[Any, ...]:
        records = _Records()
        for document in self._documents.values():
            records.add(document.body or b"", document.index)
        return (
            *_keys([*self._documents]),
            Numbers.of([document.puts for document in self._documents.values()]),
            Numbers.of([document.kept for document in self._documents.values()]),
            *records.parameters(),
        )


def _leases(outcome: LeaseOutcome, ended: Mapping[str, int]) -> tuple[Any, ...]:
    over = {**ended, **{name: _MOST for name, lease in outcome.changed.items() if lease is None}}
    kept = [lease for lease in outcome.changed.values() if lease is not None]
    return (
        *(_names(over), Numbers.of([*over.values()])),
        *(_names([lease.name for lease in kept]), _names([lease.owner for lease in kept])),
        *(Numbers.of([lease.fence for lease in kept]), Floats.of([lease.expires_at for lease in kept])),
        outcome.fence or 0,
    )


def _keys(keys: Sequence[Key]) -> tuple[Blobs, Blobs]:
    return _names([collection for collection, _ in keys]), _names([id for _, id in keys])


def _names(names: Sequence[str] | Mapping[str, Any]) -> Blobs:
    return Blobs.of([name.encode() for name in names])


def from_memory(writes: Sequence[Write], ends: Mapping[str, Position]) -> Change | None:
    """The change, unless its bodies cannot be made of what is remembered, which may have got another form since."""
    try:
        return Change(writes, ends)
    except MascError:
        return None
