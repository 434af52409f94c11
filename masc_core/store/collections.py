"""Typed views over a unit of work: records in, records out.

A plugin declares a :class:`Collection` or :class:`Log` once, at import; ``ctx.collection(LOCKS)`` is its view in the
present unit of work. Records are frozen attrs classes; one with a ``version`` field gets the stored version, one with a
``seq`` field its number in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Generic, TypeVar

import orjson
from attrs import field, frozen

from masc_core.convert import structure, unstructure_once
from masc_core.errors import MascError, RecordUnreadable
from masc_core.frozen import evolve
from masc_core.remembered import share
from masc_core.store.driver import Document, IndexEntry, Key, LogEntry, Remove, Scan
from masc_core.store.transaction import LogPosition, Transaction

__all__ = ["Collection", "Log", "LogView", "View", "index", "index_value", "own_copies"]

R = TypeVar("R")
_SEPARATOR = "\x1f"
_AFTER_SEPARATOR = "\x20"
_NUMBER_WIDTH = 16
_SMALL_BODY, _LARGE_BODY = 2048, 32_768
"""Largest bodies in bytes whose records are kept decoded: of many small ones, and of a few large ones."""


def index_value(parts: Iterable[str | int]) -> str:
    """Index parts as one string whose byte order is the order of the parts; integers are 0 to 10^16 − 1."""
    return _SEPARATOR.join([f"{p:0{_NUMBER_WIDTH}d}" if isinstance(p, int) else p for p in parts])


def index(name: str, *parts: str | int, counted: bool = False) -> IndexEntry:
    """An index entry ordered by ``parts``; ``counted`` keeps a tally by the first part."""
    alone = parts[0] if len(parts) == 1 else None  # as most are
    value = alone if type(alone) is str else index_value(parts)
    return IndexEntry(name, value, str(parts[0]) if counted else "")


def _no_index(record: Any) -> Iterable[IndexEntry]:
    return ()


@frozen
class Collection(Generic[R]):
    """Declares documents of one record type.

    ``missing`` makes the error that :meth:`View.get` raises; ``kind`` is the name users see in counts.
    """

    name: str
    record: type[R]
    key: Callable[[R], str]
    indexes: Callable[[R], Iterable[IndexEntry]] = _no_index
    missing: Callable[[str], MascError] | None = None
    survives_reset: bool = field(default=False, kw_only=True)


@frozen
class Log(Generic[R]):
    """Declares an append-only, numbered log of one record type."""

    name: str
    record: type[R]
    indexes: Callable[[R], Iterable[IndexEntry]] = _no_index
    survives_reset: bool = field(default=False, kw_only=True)


# Calls look for the same few ranges again.
@lru_cache(maxsize=512)
def _bounds(prefix: tuple[str | int, ...], low: str | int | None, high: str | int | None) -> tuple[str, str | None]:
    """The range of index values that begin with ``prefix``, their next part in ``[low, high)``."""
    base = index_value(prefix)
    start = base + _SEPARATOR if prefix else ""
    if low is not None:
        lower = start + index_value([low])
    else:
        lower = base
    if high is not None:
        return lower, start + index_value([high])
    return lower, base + _AFTER_SEPARATOR if prefix else None


class View(Generic[R]):
    """The documents of one collection, as one unit of work sees them."""

    def __init__(self, collection: Collection[R], transaction: Transaction) -> None:
        self._collection = collection
        self._transaction = transaction

    def _key(self, key: str) -> Key:
        return Key(self._collection.name, key)

    def _load_all(self, documents: Sequence[Document | None]) -> list[Any]:
        """A record for each document, ``None`` where there is none."""
        if not _COPIES.get():
            record = self._collection.record
            try:
                return [
                    None
                    if d is None
                    else (_small if len(d.body) <= _SMALL_BODY else _large if len(d.body) <= _LARGE_BODY else _decode)(
                        record, d.body, "version", d.version
                    )
                    for d in documents
                ]
            except (ValueError, TypeError, KeyError):
                pass  # once more, to name the one that cannot be read
        declared = self._collection
        return [None if d is None else _load(declared, d.key.id, d.body, "version", d.version) for d in documents]

    async def find(self, key: str) -> R | None:
        """The record, or ``None``. If this unit of work writes anything, the record must be unchanged at its commit."""
        declared = self._collection
        found = await self._transaction.find(Key(declared.name, key))
        return None if found is None else _load(declared, key, found.body, "version", found.version)

    async def get(self, key: str) -> R:
        """As :meth:`find`; a missing record raises the collection's own error."""
        if (record := await self.find(key)) is not None:
            return record
        raise self.missing(key)

    async def peek(self, keys: Sequence[str]) -> list[R | None]:
        """Several records whose later change by others does not disturb this unit of work."""
        name = self._collection.name
        return self._load_all(await self._transaction.peek([Key(name, key) for key in keys]))

    def put(self, record: R) -> R:
        """Write a record that was read, found missing or scanned in this unit of work; returns it as stored."""
        declared = self._collection
        key = Key(declared.name, declared.key(record))
        version = self._transaction.put(key, _dump(record, "version"), tuple(declared.indexes(record)))
        return _stamp(record, "version", version)

    async def add(self, record: R) -> R:
        """Write a new record; one that exists already under its key is a conflict, so the unit of work runs again."""
        self._transaction.create(self._key(self._collection.key(record)))
        return self.put(record)

    def delete(self, record: R) -> None:
        """Remove a record that was read or scanned in this unit of work."""
        self._transaction.delete(self._key(self._collection.key(record)))

    async def scan(
        self,
        by: str = "",
        *prefix: str | int,
        low: str | int | None = None,
        high: str | int | None = None,
        after: R | None = None,
        limit: int = 100_000,
        reverse: bool = False,
    ) -> list[R]:
        """Records in the order of index ``by`` (of keys without one) whose index parts begin with ``prefix``.

        ``low`` (inclusive) and ``high`` (exclusive) bound the part after the prefix; ``after`` is the last record of the
        page before, in the same range. What others add before the commit is not seen; a decision that must hold then needs
        a guard that was read before, see :class:`~masc_core.store.transaction.Transaction`.
        """
        lower, upper = _bounds(prefix, low, high)
        place = None if after is None else self._place(after, by, lower, upper)
        scan = Scan(self._collection.name, by, lower, upper, place, limit, reverse=reverse)
        return self._load_all(await self._transaction.scan(scan))

    def _place(self, record: R, by: str, lower: str, upper: str | None) -> tuple[str, str]:
        """Where a record stands within a range of an index, in which it may have other values too."""
        key = self._collection.key(record)
        values = [e.value for e in self._collection.indexes(record) if e.name == by]
        within = (value for value in values if lower <= value and (upper is None or value < upper))
        return next(within, key), key

    def missing(self, key: str) -> MascError:
        """The error of a missing record."""
        return (
            self._collection.missing(key)
            if self._collection.missing
            else RecordUnreadable(collection=self._collection.name, key=key, reason="missing")
        )

    async def count(self, by: str, group: str | None = None) -> dict[str, int]:
        """How many stored records are in each group of a counted index, or in that one."""
        return await self._transaction.reading.count(self._collection.name, by, group)


class LogView(Generic[R]):
    """The entries of one log. Own appends become visible with the commit."""

    def __init__(self, log: Log[R], transaction: Transaction) -> None:
        self._log = log
        self._transaction = transaction

    def _load(self, entry: LogEntry) -> R:
        return _load(self._log, entry.seq, entry.body, "seq", entry.seq)

    def append(self, record: R) -> LogPosition:
        """Add an entry; its number is known once the unit of work is committed."""
        return self._transaction.append(self._log.name, _dump(record, "seq"), tuple(self._log.indexes(record)))

    async def read(self, after: int = 0, limit: int = 100, reverse: bool = False) -> list[R]:
        """Entries above ``after``, oldest first; with ``reverse`` those below it (0: from the end), newest first."""
        return [self._load(e) for e in await self._transaction.reading.read_log(self._log.name, after, limit, reverse)]

    async def scan(
        self,
        by: str,
        *prefix: str | int,
        low: str | int | None = None,
        high: str | int | None = None,
        after: int = 0,
        limit: int = 100_000,
        reverse: bool = False,
    ) -> list[R]:
        """Entries in the order of index ``by`` whose parts begin with ``prefix``, the next part in ``[low, high)``.

        ``after`` is the number of the last entry of the page before, where ``prefix`` is the whole of the index.
        """
        lower, upper = _bounds(prefix, low, high)
        start = (lower, str(after)) if after else None
        scan = Scan(self._log.name, by, lower, upper, start, limit, reverse=reverse)
        return [self._load(entry) for _, entry in await self._transaction.reading.scan_log(scan)]

    async def ends(self) -> tuple[int, int]:
        """The oldest kept number and the last one given out; 0 when there is none."""
        first, last = (await self._transaction.reading.heads([self._log.name]))[0]
        return first, last

    async def count(self, by: str, group: str | None = None) -> dict[str, int]:
        """How many entries are in each group of a counted index, or in that one."""
        return await self._transaction.reading.count(self._log.name, by, group)

    async def count_after(self, by: str, value: str, after: int) -> int:
        """How many entries above ``after`` have this index value."""
        return await self._transaction.reading.count_log(self._log.name, by, value, after)

    def remove(self, seqs: Sequence[int]) -> None:
        """Take entries out; their numbers are never used again."""
        self._transaction.add(Remove(self._log.name, tuple(seqs)))


def _load(declared: Collection[R] | Log[R], key: str | int, body: bytes, stamp: str, number: int) -> R:
    """The record in ``body``, with its ``version`` or ``seq``, which the store keeps outside."""
    try:
        size = len(body)
        decode = (
            _decode if _COPIES.get() else _small if size <= _SMALL_BODY else _large if size <= _LARGE_BODY else _decode
        )
        decoded: R = decode(declared.record, body, stamp, number)
        return decoded
    except (ValueError, TypeError, KeyError) as error:
        raise RecordUnreadable(collection=declared.name, key=str(key), reason="corrupt") from error


def _decode(record: type[R], body: bytes, stamp: str, number: int) -> R:
    data = orjson.loads(body)
    data[stamp] = number
    return structure(data, record)


def _decode_to_share(record: type[R], body: bytes, stamp: str, number: int) -> R:
    return share(_decode(record, body, stamp, number))


# A call reads the same few records several times over, the room and its caller above all. Records are values: equal bytes
# give an equal record, which nobody changes.
_small: Callable[..., Any] = lru_cache(maxsize=1024)(_decode_to_share)
_large: Callable[..., Any] = lru_cache(maxsize=64)(_decode)
_COPIES: ContextVar[bool] = ContextVar("masc_own_copies", default=False)


@contextmanager
def own_copies() -> Iterator[None]:
    """Records that are read meanwhile are nobody else's: for code that may change the lists in them, by mistake."""
    before = _COPIES.get()
    _COPIES.set(True)
    try:
        yield
    finally:
        _COPIES.set(before)


def _dump(record: object, stamp: str) -> bytes:
    data = unstructure_once(record)
    data.pop(stamp, None)
    return orjson.dumps(data)


def _stamp(record: R, name: str, value: int) -> R:
    """The record with the version it will have."""
    if getattr(record, name, value) == value:
        return record
    stamped: Any = evolve(record, **{name: value})
    return stamped  # type: ignore[no-any-return]
