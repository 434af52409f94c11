"""How names, index entries and lists travel to PostgreSQL."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import AsyncConnection
from psycopg.adapt import Dumper
from psycopg.pq import Format

from masc_core.store.driver import IndexEntry

__all__ = ["BEYOND", "Blobs", "Floats", "Numbers", "groups", "pair_of", "register", "term", "terms", "value_of"]

_MARK = b"\xff"
"""Between the name and the value of a term: a byte that no UTF-8 text contains."""
BEYOND = b"\xff"
"""Added to ``term(name, "")``: greater than every term of that index."""

_EMPTY = {oid: struct.pack("!iii", 0, 0, oid) for oid in (17, 20, 701)}


class _Array(bytes):
    """An array in PostgreSQL's binary format, made once; its type never depends on what is in it, so that all calls
    share one prepared statement."""

    oid = 0


class Blobs(_Array):
    """``bytea[]``"""

    oid = 1001

    @classmethod
    def of(cls, values: Sequence[bytes]) -> Blobs:
        if not values:
            return cls(_EMPTY[17])
        parts = [struct.pack("!iiiii", 1, 0, 17, len(values), 1)]
        for value in values:
            parts += (struct.pack("!i", len(value)), value)
        return cls(b"".join(parts))


class Numbers(_Array):
    """``bigint[]``"""

    oid = 1016

    @classmethod
    def of(cls, values: Sequence[int]) -> Numbers:
        return cls(_fixed(20, "iq", values))


class Floats(_Array):
    """``float8[]``"""

    oid = 1022

    @classmethod
    def of(cls, values: Sequence[float]) -> Floats:
        return cls(_fixed(701, "id", values))


def _fixed(oid: int, item: str, values: Sequence[float]) -> bytes:
    if not values:
        return _EMPTY[oid]
    head = struct.pack("!iiiii", 1, 0, oid, len(values), 1)
    return head + struct.pack("!" + item * len(values), *(part for value in values for part in (8, value)))


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Any) -> bytes:
        return bytes(obj)


class _BlobsDumper(_ArrayDumper):
    oid = Blobs.oid


class _NumbersDumper(_ArrayDumper):
    oid = Numbers.oid


class _FloatsDumper(_ArrayDumper):
    oid = Floats.oid


def register(db: AsyncConnection[Any]) -> None:
    """Teach a connection the arrays."""
    db.adapters.register_dumper(Blobs, _BlobsDumper)
    db.adapters.register_dumper(Numbers, _NumbersDumper)
    db.adapters.register_dumper(Floats, _FloatsDumper)


def term(name: str, value: str) -> bytes:
    """An index's name and a value as one value: under one name they sort like the values by themselves.

    Everything is ``bytea``: it holds any text, NUL included, and sorts by bytes whatever the database's collation.
    """
    return name.encode() + _MARK + value.encode()


def value_of(term: bytes) -> str:
    """The value in a term."""
    return term.partition(_MARK)[2].decode()


def pair_of(term: bytes) -> tuple[str, str]:
    """The name and the value in a term."""
    name, _, value = term.partition(_MARK)
    return name.decode(), value.decode()


def terms(index: Iterable[IndexEntry]) -> list[bytes]:
    """The distinct values of a record, in order."""
    return sorted({term(entry[0], entry[1]) for entry in index})


def groups(index: Iterable[IndexEntry]) -> list[bytes]:
    """The distinct groups of a record, in order."""
    return sorted({term(entry[0], entry[2]) for entry in index if len(entry) > 2 and entry[2]})
