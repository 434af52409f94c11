"""Every query of the PostgreSQL driver, as plain functions over a connection.

LATERAL with LIMIT fixes the plan: along the index, then each record by its key, whatever the statistics say.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from masc_core.store._postgres_pool import Connection
from masc_core.store._postgres_values import BEYOND, Blobs, term, value_of
from masc_core.store.driver import Contents, Document, Head, Key, Lease, LogEntry, Scan

__all__ = [
    "count_entries",
    "get_documents",
    "read_contents",
    "read_count",
    "read_entries",
    "read_heads",
    "read_leases",
    "rows",
    "scan_documents",
    "scan_entries",
]

_MOST = 2**63 - 1
_GET_ONE = "SELECT version, body FROM masc.documents WHERE room = %b::int AND collection = %b AND key = %b"
_GET = """SELECT u.n, d.version, d.body FROM unnest(%b, %b) WITH ORDINALITY u (c, k, n)
    CROSS JOIN LATERAL (SELECT x.version, x.body FROM masc.documents x
        WHERE x.room = %b::int AND x.collection = u.c AND x.key = u.k LIMIT 1) d"""
_COUNT = """SELECT term, n FROM masc.tallies
    WHERE room = %b::int AND collection = %b AND term >= %b AND term < %b AND n > 0"""
_COUNT_ENTRIES = """SELECT count(*) FROM masc.entry_index
    WHERE room = %b::int AND log = %b AND term = %b AND seq > %b::bigint"""
_ENTRIES = """SELECT seq, body FROM masc.entries WHERE room = %b::int AND log = %b AND seq > %b::bigint
    ORDER BY seq LIMIT %b::bigint"""
_ENTRIES_BACK = """SELECT seq, body FROM masc.entries WHERE room = %b::int AND log = %b AND seq < %b::bigint
    ORDER BY seq DESC LIMIT %b::bigint"""
_HEADS = """SELECT u.n, h.last, (SELECT e.seq FROM masc.entries e WHERE e.room = h.room AND e.log = h.log
        ORDER BY e.seq LIMIT 1)
    FROM unnest(%b) WITH ORDINALITY u (l, n)
    CROSS JOIN LATERAL (SELECT x.* FROM masc.heads x WHERE x.room = %b::int AND x.log = u.l LIMIT 1) h"""
_LEASES = """SELECT l.owner, l.fence, l.expires, u.n, extract(epoch FROM clock_timestamp())::float8
    FROM unnest(%b) WITH ORDINALITY u (name, n)
    LEFT JOIN LATERAL (SELECT x.* FROM masc.leases x WHERE x.room = %b::int AND x.name = u.name LIMIT 1) l ON true"""

_CONTENTS = """SELECT false, collection, count(*) FROM masc.documents WHERE room = %b::int GROUP BY collection
    UNION ALL SELECT true, log, count(*) FROM masc.entries WHERE room = %b::int GROUP BY log"""


async def rows(db: Connection, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """All rows of a query, in the binary format."""
    async with db.cursor(binary=True) as cursor:
        await cursor.execute(query.encode(), values, prepare=db.prepare_threshold is not None)
        return await cursor.fetchall()


async def get_documents(db: Connection, room: int, keys: Sequence[Key]) -> list[Document | None]:
    if len(keys) == 1:
        collection, id = keys[0]
        one = await rows(db, _GET_ONE, room, collection.encode(), id.encode())
        return [Document(Key(collection, id), *one[0]) if one else None]
    collections = Blobs.of([collection.encode() for collection, _ in keys])
    found: list[Document | None] = [None] * len(keys)
    for n, version, body in await rows(db, _GET, collections, Blobs.of([id.encode() for _, id in keys]), room):
        found[n - 1] = Document(Key(*keys[n - 1]), version, body)
    return found


async def read_count(db: Connection, room: int, collection: str, index: str, group: str | None) -> dict[str, int]:
    low = term(index, group or "")
    high = low + b"\0" if group is not None else low + BEYOND
    found = await rows(db, _COUNT, room, collection.encode(), low, high)
    return {value_of(place): n for place, n in found}


async def read_contents(db: Connection, room: int) -> Contents:
    found = [(is_log, name.decode(), n) for is_log, name, n in await rows(db, _CONTENTS, room, room)]
    return Contents(
        {name: n for is_log, name, n in found if not is_log}, {name: n for is_log, name, n in found if is_log}
    )


async def count_entries(db: Connection, room: int, log: str, index: str, value: str, after: int) -> int:
    ((n,),) = await rows(db, _COUNT_ENTRIES, room, log.encode(), term(index, value), min(after, _MOST))
    return int(n)


async def read_entries(db: Connection, room: int, log: str, after: int, limit: int, reverse: bool) -> list[LogEntry]:
    start = min(after or (_MOST if reverse else 0), _MOST)
    query = _ENTRIES_BACK if reverse else _ENTRIES
    return [LogEntry(*row) for row in await rows(db, query, room, log.encode(), start, _limit(limit))]


async def read_heads(db: Connection, room: int, logs: Sequence[str]) -> list[Head]:
    heads = [Head(0, 0)] * len(logs)
    for n, last, first in await rows(db, _HEADS, Blobs.of([log.encode() for log in logs]), room):
        heads[n - 1] = Head(first or 0, last)
    return heads


async def read_leases(db: Connection, room: int, names: Sequence[str]) -> tuple[list[Lease | None], float | None]:
    """The leases as stored, expired ones included, and the server's time."""
    leases: list[Lease | None] = [None] * len(names)
    now: float | None = None
    for owner, fence, expires, n, now in await rows(  # noqa: B007
        db, _LEASES, Blobs.of([name.encode() for name in names]), room
    ):
        if fence is not None:
            leases[n - 1] = Lease(names[n - 1], owner.decode(), fence, expires)
    return leases, now


async def scan_documents(db: Connection, room: int, scan: Scan) -> list[Document]:
    collection, limit = scan.collection.encode(), _limit(scan.limit)
    if not scan.index:
        key = None if scan.after is None else (scan.after[1].encode(),)
        high = None if scan.high is None else scan.high.encode()
        where, bounds, order = _range(("key",), scan.low.encode(), high, key, scan.reverse)
        query = f"""SELECT key, version, body FROM masc.documents
            WHERE room = %b::int AND collection = %b{where} ORDER BY {order} LIMIT %b::bigint"""
        found = await rows(db, query, room, collection, *bounds, limit)
        return [Document(Key(scan.collection, k.decode()), v, body, k.decode()) for k, v, body in found]
    after = None if scan.after is None else (term(scan.index, scan.after[0]), scan.after[1].encode())
    where, bounds, order = _range(("term", "key"), *_terms(scan), after, scan.reverse)
    query = f"""SELECT i.term, i.key, d.version, d.body FROM (SELECT term, key FROM masc.document_index
            WHERE room = %b::int AND collection = %b{where} ORDER BY {order} LIMIT %b::bigint) i
        CROSS JOIN LATERAL (SELECT x.version, x.body FROM masc.documents x
            WHERE x.room = %b::int AND x.collection = %b AND x.key = i.key LIMIT 1) d ORDER BY {order}"""
    found = await rows(db, query, room, collection, *bounds, limit, room, collection)
    return [Document(Key(scan.collection, k.decode()), v, body, value_of(t)) for t, k, v, body in found]


async def scan_entries(db: Connection, room: int, scan: Scan) -> list[tuple[str, LogEntry]]:
    log, limit = scan.collection.encode(), _limit(scan.limit)
    after = None if scan.after is None else (term(scan.index, scan.after[0]), min(int(scan.after[1]), _MOST))
    where, bounds, order = _range(("term", "seq"), *_terms(scan), after, scan.reverse)
    query = f"""SELECT i.term, i.seq, e.body FROM (SELECT term, seq FROM masc.entry_index
            WHERE room = %b::int AND log = %b{where} ORDER BY {order} LIMIT %b::bigint) i
        CROSS JOIN LATERAL (SELECT x.body FROM masc.entries x
            WHERE x.room = %b::int AND x.log = %b AND x.seq = i.seq LIMIT 1) e ORDER BY {order}"""
    found = await rows(db, query, room, log, *bounds, limit, room, log)
    return [(value_of(place), LogEntry(seq, body)) for place, seq, body in found]


def _limit(limit: int) -> int:
    return min(max(0, limit), _MOST)


def _terms(scan: Scan) -> tuple[bytes, bytes]:
    """The bounds of a scan as terms of its index."""
    return term(scan.index, scan.low), term(scan.index, "") + BEYOND if scan.high is None else term(
        scan.index, scan.high
    )


def _range(
    columns: tuple[str, ...], low: bytes, high: bytes | None, after: tuple[Any, ...] | None, reverse: bool
) -> tuple[str, list[Any], str]:
    """Conditions, their values and the order, with at most one bound on either side."""
    lower: list[Any] = [low]
    upper: list[Any] = [] if high is None else [high]
    beyond = after is not None and ((high is None or after[0] < high) if reverse else after[0] >= low)
    if beyond and after is not None:
        if reverse:
            upper = [*after]
        else:
            lower = [*after]
    text, order = _conditions(columns, high is not None, beyond, reverse)
    return text, [*lower, *upper], order


@lru_cache
def _conditions(columns: tuple[str, ...], high: bool, beyond: bool, reverse: bool) -> tuple[str, str]:
    casts = ["%b::bigint" if column == "seq" else "%b" for column in columns]
    after = f" AND ({', '.join(columns)}) {'<' if reverse else '>'} ({', '.join(casts)})"
    lower = after if beyond and not reverse else f" AND {columns[0]} >= %b"
    upper = after if beyond and reverse else f" AND {columns[0]} < %b" if high else ""
    return lower + upper, ", ".join(f"{column}{' DESC' if reverse else ''}" for column in columns)
