"""A room in Redis as a whole: read by one script, exchanged by one transaction that renames what was prepared beside it."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from masc_core.errors import Refused, StorageBusy, error
from masc_core.store._redis_access import Lane, load_script
from masc_core.store._redis_keys import RoomKeys, log_prefixes, members, pair_of, seq_digits, tallies, tally_pair
from masc_core.store._redis_start import SCHEMA
from masc_core.store.driver import IndexEntry, Key, Lease
from masc_core.store.snapshot import Exchange, Snapshot, StoredDocument, StoredEntry, indexed

__all__ = ["RIGHTS", "RightsMissing", "dump_all", "exchange_all"]

RIGHTS = "+watch +multi +exec +del +rename +persist +hsetnx"
"""What :func:`exchange_all` needs besides the rights for every day."""
_ATTEMPTS = 5
_STAGED_SECONDS = 3600
_CHUNK_BYTES = 1_048_576
_CHUNK_ROWS = 500
_DUMP_SECONDS = 120.0
"""For an answer that is the whole room."""
_UNPACKED_AT_ONCE = 2000


@error
class RightsMissing(Refused):
    code = "storage_rights_missing"
    text = (
        "the Redis user may not run {command}; masc import and masc restore need {rights} besides its usual rights: grant them "
        "with ACL SETUSER, or name another user in MASC_REDIS_URL; nothing was changed"
    )
    command: str
    rights: str = RIGHTS


class _Names(NamedTuple):
    """What a room had names for when it was looked at."""

    collections: list[str]
    logs: list[str]
    listed: tuple[int, int]

    @property
    def all(self) -> list[str]:
        return list(dict.fromkeys((*self.collections, *self.logs)))


async def _names(lane: Lane, keys: RoomKeys) -> _Names:
    fields, logs = await lane.call(b"HKEYS", keys.meta), await lane.call(b"HKEYS", keys.heads)
    collections = [field[2:].decode() for field in fields if field.startswith(b"c:")]
    return _Names(collections, [log.decode() for log in logs], (len(fields), len(logs)))


async def dump_all(lane: Lane, keys: RoomKeys, now: float) -> Snapshot:
    """Everything, as it is at one moment; ``now`` decides which leases are over."""
    while (found := await _dump(lane, keys, await _names(lane, keys), now)) is None:
        pass
    return found


async def _dump(lane: Lane, keys: RoomKeys, names: _Names, now: float) -> Snapshot | None:
    asked = [keys.meta, keys.heads, keys.leases, *(key for name in names.all for key in keys.all_of(name))]
    listed: list[bytes | int] = [*names.listed, *(log.encode() for log in names.logs)]
    answer = await lane.run(load_script("dump"), asked, listed, _DUMP_SECONDS)
    if answer is None:
        return None
    fence, leases, lasts, rooms = answer
    documents: list[StoredDocument] = []
    entries: list[StoredEntry] = []
    for name, (ids, packed, bodies, seqs, packed_entries, texts) in sorted(zip(names.all, rooms, strict=True)):
        for id, (version, there, found, counted), body in zip(ids, await _unpacked(lane, packed), bodies, strict=True):
            shown = _body(body) if there else None
            documents.append(StoredDocument(Key(name, id.decode()), version, shown, _index(found, counted)))
        for seq, (found, counted), body in zip(seqs, await _unpacked(lane, packed_entries), texts, strict=True):
            entries.append(StoredEntry(name, int(seq), body, _index(found, counted)))
    held = sorted((Lease(n.decode(), o.decode(), int(f), float(e)) for n, o, f, e in leases), key=lambda x: x.name)
    last = {log: int(number) for log, number in sorted(zip(names.logs, lasts, strict=True))}
    return Snapshot(int(fence), tuple(x for x in held if x.expires_at > now), sorted(documents), last, entries)


async def _unpacked(lane: Lane, packed: Sequence[bytes]) -> list[Any]:
    script = load_script("unpack")
    found: list[Any] = []
    for first in range(0, len(packed), _UNPACKED_AT_ONCE):
        part = packed[first : first + _UNPACKED_AT_ONCE]
        found += await lane.run(script, (), part, _DUMP_SECONDS)
    return found


def _body(stored: bytes | None) -> bytes | None:
    """Without the version that stands before it."""
    return None if stored is None else stored.partition(b":")[2]


def _index(found: Iterable[bytes], counted: Iterable[bytes]) -> tuple[IndexEntry, ...]:
    return indexed((pair_of(m) for m in found if m[:1] != b"k"), map(tally_pair, counted))


async def exchange_all(lane: Lane, keys: RoomKeys, change: Exchange, identity: bytes, now: float) -> Snapshot:
    """Put what ``change`` makes of the room in its place; what it has become. Raises :class:`StorageBusy` when others keep
    changing the room meanwhile."""
    try:
        for _ in range(_ATTEMPTS):
            names = await _names(lane, keys)
            watched = [keys.meta, keys.heads, keys.leases, *(key for name in names.all for key in keys.all_of(name))]
            await lane.call(b"WATCH", *watched)
            if (found := await _dump(lane, keys, names, now)) is None:
                continue
            snapshot = change(found)
            moves = await _stage(lane, keys, snapshot)
            if await _swap(lane, keys, watched, moves, snapshot, identity):
                return snapshot
    except BaseException:
        # Nobody may find a connection in the middle of a transaction.
        await lane.drop()
        raise
    raise StorageBusy()


async def _stage(lane: Lane, keys: RoomKeys, snapshot: Snapshot) -> dict[bytes, bytes]:
    """Write a snapshot beside the room; where each key is to go."""
    beside = keys.beside(secrets.token_hex(8))
    script = load_script("stage")
    moves: dict[bytes, bytes] = {}
    for name, operations in _parts(snapshot):
        place = [beside.heads, beside.leases, *beside.all_of(name)]
        await lane.run(script, place, [_STAGED_SECONDS, *operations])
        moves |= dict(zip(place, [keys.heads, keys.leases, *keys.all_of(name)], strict=True))
    found = [await lane.call(b"TYPE", key) for key in moves]
    return {key: to for (key, to), kind in zip(moves.items(), found, strict=True) if kind != b"none"}


def _parts(snapshot: Snapshot) -> Iterator[tuple[str, list[bytes]]]:
    """The operations of ``stage.lua``, some at a time, each part with the name it is about."""
    here, size, count = "", 0, 0
    part: list[bytes] = []
    for name, operation in _operations(snapshot):
        if part and (name != here or size > _CHUNK_BYTES or count == _CHUNK_ROWS):
            yield here, part
            part, size, count = [], 0, 0
        here, size, count = name, size + sum(map(len, operation)), count + 1
        part += operation
    if part:
        yield here, part


def _operations(snapshot: Snapshot) -> Iterator[tuple[str, Sequence[bytes]]]:
    for log, last in snapshot.lasts.items():
        yield "", (b"H", log.encode(), b"%d" % last)
    for lease in snapshot.leases:
        expires = repr(lease.expires_at).encode()
        yield "", (b"S", lease.name.encode(), lease.owner.encode(), b"%d" % lease.fence, expires)
    for (collection, id), version, body, index in snapshot.documents:
        if body is None:
            yield collection, (b"T", id.encode(), b"%d" % version)
            continue
        found = [*members(index, id), b"k" + id.encode()]
        counted = (*_listed(found), *_listed(tallies(index)))
        yield collection, (b"D", id.encode(), b"%d" % version, body, *counted)
    for log, seq, body, index in snapshot.entries:
        found = [prefix + seq_digits(seq) for prefix in log_prefixes(index)]
        yield log, (b"E", b"%d" % seq, body, *_listed(found), *_listed(tallies(index)))


def _listed(items: Sequence[bytes]) -> list[bytes]:
    return [b"%d" % len(items), *items]


async def _swap(
    lane: Lane, keys: RoomKeys, old: Sequence[bytes], moves: dict[bytes, bytes], snapshot: Snapshot, identity: bytes
) -> bool:
    """Let what was prepared take the place of the room's keys; false where somebody has changed one since they were read."""
    names = {d.key.collection for d in snapshot.documents}
    fields: list[Any] = [b"schema", SCHEMA, b"fence", snapshot.fence]
    fields += [part for name in names for part in (f"c:{name}".encode(), 1)]
    commands: list[tuple[Any, ...]] = [(b"DEL", *old[1:])]
    commands += [command for key, to in moves.items() for command in ((b"RENAME", key, to), (b"PERSIST", to))]
    commands += [(b"HSET", keys.meta, *fields), (b"HSETNX", keys.meta, b"id", identity)]
    await lane.call(b"MULTI")
    for command in commands:
        await lane.call(*command)
    return await lane.call(b"EXEC") is not None
