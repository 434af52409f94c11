"""Reads the lines of an export from anybody: what is not exactly right is refused with its line, before anything is done."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from attrs import define, field

from masc_core.convert import structure
from masc_core.store._limits import check_limits
from masc_core.store.collections import Collection, Log
from masc_core.store.driver import SEALED, Acquire, Append, IndexEntry, Key, Lease, Put, Write
from masc_core.store.snapshot import Snapshot, StoredDocument, StoredEntry, indexed
from masc_core.transfer.lines import FORMAT, body_of

__all__ = ["Broken", "parse"]

_MOST = 2**53 - 1
"""Largest number that every store can count to."""
_INDEX_ENTRIES = 10_000
_LATEST = 253_402_300_799
"""The last second of the year 9999."""


class Broken(Exception):
    """What is wrong with a line."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def parse(lines: Iterable[bytes], records: Iterable[Collection[Any] | Log[Any]]) -> Snapshot:
    """The room in these lines; ``records`` says what its records must look like where they are not sealed.

    Raises :class:`Broken`.
    """
    parser = _Parser({declared.name: declared for declared in records})
    number = 0
    for number, line in enumerate(lines, 1):
        try:
            parser.take(number, line)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Broken(number, " ".join(str(error).split())[:200] or "it makes no sense") from error
    if not parser.ended:
        raise Broken(number + 1, "the file ends before its last line")
    return parser.snapshot()


@define
class _Parser:
    _declared: Mapping[str, Collection[Any] | Log[Any]]
    ended: bool = False
    _digest: Any = field(factory=hashlib.sha256)
    _fence: int = 0
    _lasts: dict[str, int] = field(factory=dict)
    _leases: list[Lease] = field(factory=list)
    _documents: list[StoredDocument] = field(factory=list)
    _entries: list[StoredEntry] = field(factory=list)

    def snapshot(self) -> Snapshot:
        return Snapshot(self._fence, tuple(self._leases), self._documents, self._lasts, self._entries)

    def take(self, number: int, line: bytes) -> None:
        """One more line. Raises ``ValueError`` and its like for what cannot be."""
        if self.ended:
            raise ValueError("something follows the last line")
        value = orjson.loads(line)
        if not isinstance(value, dict) or not line.endswith(b"\n"):
            raise ValueError("it is no whole line with an object")
        if number == 1:
            self._begin(value)
        elif "end" in value:
            self._end(number, value)
        elif "lease" in value:
            self._lease(value)
        elif "collection" in value:
            self._document(value)
        elif "log" in value:
            self._entry(value)
        else:
            raise ValueError("it is none of lease, collection, log and end")
        self._digest.update(line)

    def _begin(self, value: dict[str, Any]) -> None:
        if "masc_export" not in value:
            raise ValueError("this is no export of MASC")
        if value["masc_export"] != FORMAT:
            raise ValueError(f"this is format {value['masc_export']!r}, this version of MASC reads {FORMAT}")
        _only(value, {"masc_export", "fence", "logs"})
        self._fence = _number(value["fence"], 0)
        for log, last in sorted(value["logs"].items()):
            check_limits([], [Append(log, b"")])
            self._lasts[log] = _number(last)

    def _end(self, number: int, value: dict[str, Any]) -> None:
        if value != {"end": number - 1, "sha256": self._digest.hexdigest()}:
            raise ValueError("the lines before are not those that were written: the file is damaged")
        self.ended = True

    def _lease(self, value: dict[str, Any]) -> None:
        _only(value, {"lease", "owner", "fence", "expires_at"})
        lease = Lease(value["lease"], value["owner"], _number(value["fence"]), _time(value["expires_at"]))
        check_limits([], [Acquire(lease.name, lease.owner, 1)])
        if lease.fence > self._fence:
            raise ValueError("its fence was never given out")
        if self._documents or self._entries or (self._leases and self._leases[-1].name >= lease.name):
            raise ValueError("it is out of order")
        self._leases.append(lease)

    def _document(self, value: dict[str, Any]) -> None:
        _only(value, {"collection", "key", "version", "index", "record", "body", "deleted"})
        key, version = Key(value["collection"], value["key"]), _number(value["version"])
        if self._entries or (self._documents and self._documents[-1].key >= key):
            raise ValueError("it is out of order")
        if "deleted" in value:
            _only(value, {"collection", "key", "version", "deleted"})
            if value["deleted"] is not True:
                raise ValueError("deleted is true or not there")
            check_limits([], [Put(key, b"")])
            self._documents.append(StoredDocument(key, version, None))
            return
        document = StoredDocument(key, version, body_of(value), _index(value))
        self._check(Put(key, document.body or b"", document.indexes), key.collection, version)
        self._documents.append(document)

    def _entry(self, value: dict[str, Any]) -> None:
        _only(value, {"log", "seq", "index", "record", "body"})
        entry = StoredEntry(value["log"], _number(value["seq"]), body_of(value), _index(value))
        if entry.seq > self._lasts.get(entry.log, 0):
            raise ValueError("its number was never given out")
        if self._entries and self._entries[-1][:2] >= entry[:2]:
            raise ValueError("it is out of order")
        self._check(Append(entry.log, entry.body, entry.indexes), entry.log, entry.seq)
        self._entries.append(entry)

    def _check(self, write: Put | Append, name: str, number: int) -> None:
        """Refuse what the store would refuse, and what nobody could read again."""
        checked: list[Write] = [write]
        check_limits([], checked)
        declared = self._declared.get(name)
        body = bytes(write.body)  # type: ignore[arg-type]  # never one that is made later
        if declared is None or body.startswith(SEALED):
            return
        if isinstance(declared, Collection) != isinstance(write, Put):
            raise ValueError(f"{name} is a {'collection' if isinstance(declared, Collection) else 'log'}")
        stamp = "version" if isinstance(write, Put) else "seq"
        record = structure({**orjson.loads(body), stamp: number}, declared.record)
        if isinstance(declared, Collection) and isinstance(write, Put) and declared.key(record) != write.key.id:
            raise ValueError("the record belongs under another key")


def _only(value: dict[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(value) - known):
        raise ValueError(f"unknown field {unknown[0][:40]!r}")


def _number(value: object, least: int = 1) -> int:
    if type(value) is not int or not least <= value <= _MOST:
        raise ValueError(f"a number from {least} to {_MOST} is wanted")
    return value


def _time(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise ValueError(f"seconds from 0 to {_LATEST} are wanted")
    return float(value)


def _index(value: dict[str, Any]) -> tuple[IndexEntry, ...]:
    listed = value.get("index", [])
    if not isinstance(listed, list) or len(listed) > _INDEX_ENTRIES:
        raise ValueError("index must be a list of name, value and perhaps group")
    found = [IndexEntry(*entry) for entry in listed]
    if any(not isinstance(part, str) for entry in found for part in entry):
        raise TypeError("index must be a list of name, value and perhaps group")
    return indexed([(e.name, e.value) for e in found], [(e.name, e.group) for e in found if e.group])
