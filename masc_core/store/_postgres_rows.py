"""A room of the PostgreSQL database as a whole: read from one state, written in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from masc_core.store._postgres_pool import Connection
from masc_core.store._postgres_reads import rows
from masc_core.store._postgres_values import groups, pair_of, terms
from masc_core.store.driver import IndexEntry, Key, Lease
from masc_core.store.snapshot import Exchange, Snapshot, StoredDocument, StoredEntry, indexed

__all__ = ["dump_all", "exchange_all"]

_TABLES = ("documents", "tombstones", "document_index", "heads", "entries", "entry_index", "tallies", "leases")
_DOCUMENTS = """SELECT collection, key, version, body, terms, groups FROM masc.documents WHERE room = %b::int
    UNION ALL SELECT collection, key, version, NULL, '{}', '{}' FROM masc.tombstones WHERE room = %b::int"""
_DURABLE = """SELECT set_config('synchronous_commit', 'on', true)
    WHERE current_setting('synchronous_commit') = 'off'"""
_ENTRIES = "SELECT log, seq, body, terms, groups FROM masc.entries WHERE room = %b::int ORDER BY log, seq"


async def dump_all(db: Connection, room: int, now: float | None) -> Snapshot:
    """Everything, as it is at one moment."""
    await db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    return await _read_all(db, room, now)


async def _read_all(db: Connection, room: int, now: float | None) -> Snapshot:
    """Everything, inside a transaction of the caller's that sees one state; ``now`` is the server's time without one."""
    ((fence, server),) = await rows(
        db,
        "SELECT fence, extract(epoch FROM clock_timestamp())::float8 FROM masc.rooms WHERE id = %b::int",
        room,
    )
    found = await rows(db, "SELECT name, owner, fence, expires FROM masc.leases WHERE room = %b::int", room)
    leases = [Lease(name.decode(), owner.decode(), *held) for name, owner, *held in sorted(found)]
    documents = [
        StoredDocument(Key(collection.decode(), key.decode()), version, body, _index(values, counted))
        for collection, key, version, body, values, counted in await rows(db, _DOCUMENTS, room, room)
    ]
    lasts = await rows(db, "SELECT log, last FROM masc.heads WHERE room = %b::int ORDER BY log", room)
    return Snapshot(
        fence,
        tuple(lease for lease in leases if lease.expires_at > (server if now is None else now)),
        sorted(documents),
        {log.decode(): last for log, last in lasts},
        [StoredEntry(log.decode(), seq, body, _index(v, g)) for log, seq, body, v, g in await rows(db, _ENTRIES, room)],
    )


def _index(values: Sequence[bytes], counted: Sequence[bytes]) -> tuple[IndexEntry, ...]:
    return indexed(map(pair_of, values), map(pair_of, counted))


async def exchange_all(
    db: Connection, room: int, change: Exchange, now: float | None, milliseconds: int, durable: bool
) -> None:
    """Put what ``change`` makes of the room in its place, in one transaction under the room's lock."""
    await db.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
    await rows(db, "SELECT 1 FROM (SELECT masc.enter(%b::int, %b::int)) entered", room, milliseconds)
    snapshot = change(await _read_all(db, room, now))
    # With the lock held nobody else writes to this room.
    for table in _TABLES:
        await db.execute(f"DELETE FROM masc.{table} WHERE room = %s".encode(), (room,))
    await db.execute("UPDATE masc.rooms SET fence = %s WHERE id = %s", (snapshot.fence, room))
    for table, columns, lines in _contents(room, snapshot):
        async with db.cursor() as cursor, cursor.copy(f"COPY masc.{table} ({columns}) FROM STDIN".encode()) as copy:
            for line in lines:
                await copy.write_row(line)
    await db.execute("SELECT pg_notify(%s, '')", (f"masc_{room}",))
    if not durable:
        await db.execute("SET LOCAL synchronous_commit = off")
    else:
        await db.execute(_DURABLE)
    await db.execute("COMMIT")


def _contents(room: int, snapshot: Snapshot) -> Iterable[tuple[str, str, Iterable[tuple[Any, ...]]]]:
    """Each table with its columns and rows."""
    kept = [d for d in snapshot.documents if d.body is not None]
    named = [(d.key.collection.encode(), d.key.id.encode(), d) for d in kept]
    gone = [(*(part.encode() for part in d.key), d.version) for d in snapshot.documents if d.body is None]
    entries = [(e.log.encode(), e) for e in snapshot.entries]
    yield (
        "documents", "room, collection, key, version, terms, groups, body",
        ((room, c, k, d.version, terms(d.indexes), groups(d.indexes), d.body) for c, k, d in named),
    )  # fmt: skip
    yield "tombstones", "room, collection, key, version", ((room, *row) for row in gone)
    yield (
        "document_index", "room, collection, term, key",
        ((room, c, t, k) for c, k, d in named for t in terms(d.indexes)),
    )  # fmt: skip
    yield "heads", "room, log, last", ((room, log.encode(), last) for log, last in snapshot.lasts.items())
    yield (
        "entries", "room, log, seq, terms, groups, body",
        ((room, log, e.seq, terms(e.indexes), groups(e.indexes), e.body) for log, e in entries),
    )  # fmt: skip
    yield "entry_index", "room, log, term, seq", ((room, log, t, e.seq) for log, e in entries for t in terms(e.indexes))
    tallies: dict[tuple[bytes, bytes], int] = {}
    for name, index in [(c, d.indexes) for c, _, d in named] + [(log, e.indexes) for log, e in entries]:
        for group in groups(index):
            tallies[name, group] = tallies.get((name, group), 0) + 1
    yield "tallies", "room, collection, term, n", ((room, *place, n) for place, n in tallies.items())
    yield (
        "leases", "room, name, owner, fence, expires",
        ((room, x.name.encode(), x.owner.encode(), x.fence, x.expires_at) for x in snapshot.leases),
    )  # fmt: skip
