"""Every query of the Redis driver, as plain functions over a connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from masc_core.store._redis_access import Lane, load_script
from masc_core.store._redis_commit import document, lease
from masc_core.store._redis_keys import MOST, RoomKeys, group_range, key_range, seq_of, tally, value_bounds, value_of
from masc_core.store.driver import Contents, Document, Head, Key, Lease, LogEntry, Scan

__all__ = ["Reads"]


class Reads:
    """The queries of one room. What each gives comes from a single command or script, so it is one state."""

    def __init__(self, keys: RoomKeys) -> None:
        self.keys = keys
        names = ("get", "scan", "read_log", "scan_log", "count", "contents", "heads", "leases", "bury")
        self._scripts = {name: load_script(name) for name in names}

    async def get(self, lane: Lane, keys: Sequence[Key]) -> list[Document | None]:
        wanted: dict[str, list[bytes]] = {}
        for collection, id in keys:
            wanted.setdefault(collection, []).append(id.encode())
        stored = [self.keys.of("b", collection) for collection in wanted]
        if len(stored) == 1:
            found = [await lane.call(b"HMGET", stored[0], *wanted[keys[0][0]])]
        else:
            arguments = [item for ids in wanted.values() for item in (b"%d" % len(ids), *ids)]
            found = await lane.run(self._scripts["get"], stored, arguments)
        bodies = {collection: iter(answer) for collection, answer in zip(wanted, found, strict=True)}
        pairs = ((Key(*key), next(bodies[key[0]])) for key in keys)
        return [None if body is None else document(key, body) for key, body in pairs]

    async def scan(self, lane: Lane, scan: Scan) -> list[Document]:
        keys = [self.keys.of("x", scan.collection), self.keys.of("b", scan.collection)]
        parts = 2 if scan.index else 0
        members, bodies = await lane.run(self._scripts["scan"], keys, [*key_range(scan), parts])
        found = []
        for member, body in zip(members, bodies, strict=True):
            id = (member.split(b"\0", 2)[2] if parts else member[1:]).decode()
            found.append(document(Key(scan.collection, id), body, value_of(member) if parts else id))
        return found

    async def count(self, lane: Lane, collection: str, index: str, group: str | None) -> dict[str, int]:
        tallied = self.keys.of("t", collection)
        if group is not None:
            n = await lane.call(b"HGET", tallied, tally(index, group))
            return {group: int(n)} if n and group else {}
        start, stop, length = group_range(index)
        members, counts = await lane.run(
            self._scripts["count"], [self.keys.of("x", collection), tallied], [start, stop]
        )
        return {member[length:].decode(): int(n) for member, n in zip(members, counts, strict=True)}

    async def count_log(self, lane: Lane, log: str, index: str, value: str, after: int) -> int:
        return int(await lane.call(b"ZLEXCOUNT", self.keys.of("x", log), *value_bounds(index, value, after)))

    async def read_log(self, lane: Lane, log: str, after: int, limit: int, reverse: bool) -> list[LogEntry]:
        edge = b"(%d-0" % min(max(after, 0), MOST)
        # Upwards the edge's own number is left out by starting behind its only entry, whose second part is 0.
        bounds = (b"XREVRANGE", edge if after else b"+", b"-") if reverse else (b"XRANGE", edge, b"+")
        keys = [self.keys.of("s", log), self.keys.of("e", log)]
        seqs, bodies = await lane.run(self._scripts["read_log"], keys, [*bounds, limit])
        return [LogEntry(int(seq), body) for seq, body in zip(seqs, bodies, strict=True)]

    async def scan_log(self, lane: Lane, scan: Scan) -> list[tuple[str, LogEntry]]:
        keys = [self.keys.of("x", scan.collection), self.keys.of("e", scan.collection)]
        members, bodies = await lane.run(self._scripts["scan_log"], keys, key_range(scan, log=True))
        pairs = zip(members, bodies, strict=True)
        return [(value_of(member), LogEntry(seq_of(member), body)) for member, body in pairs]

    async def lasts(self, lane: Lane, logs: Iterable[str]) -> dict[str, int]:
        """The last number of each log, 0 for one that was never written."""
        if not (wanted := list(logs)):
            return {}
        found = await lane.call(b"HMGET", self.keys.heads, *(log.encode() for log in wanted))
        return {log: int(last or 0) for log, last in zip(wanted, found, strict=True)}

    async def heads(self, lane: Lane, logs: Sequence[str]) -> list[Head]:
        keys = [self.keys.heads, *(self.keys.of("s", log) for log in logs)]
        found = await lane.run(self._scripts["heads"], keys, [log.encode() for log in logs])
        return [Head(int(first.partition(b"-")[0]), int(last)) for first, last in found]

    async def contents(self, lane: Lane) -> Contents:
        counts = None
        while counts is None:
            fields = await lane.call(b"HKEYS", self.keys.meta)
            collections = [field[2:].decode() for field in fields if field.startswith(b"c:")]
            logs = [log.decode() for log in await lane.call(b"HKEYS", self.keys.heads)]
            keys = [*(self.keys.of("b", name) for name in collections), *(self.keys.of("s", log) for log in logs)]
            listed = [len(fields), len(logs), len(collections)]
            # What is kept under names that came up since would be missing.
            counts = await lane.run(self._scripts["contents"], [self.keys.meta, self.keys.heads, *keys], listed)
        documents, entries = counts[: len(collections)], counts[len(collections) :]
        return Contents(
            {name: n for name, n in zip(collections, documents, strict=True) if n},
            {log: n for log, n in zip(logs, entries, strict=True) if n},
        )

    async def leases(self, lane: Lane, names: Sequence[str], now: bytes) -> list[Lease | None]:
        raw = [name.encode() for name in names]
        found = await lane.run(self._scripts["leases"], [self.keys.leases], [now, *raw])
        over = [part for name, row in zip(raw, found, strict=True) if row and row[3] for part in (name, row[4])]
        if over:
            await lane.run(self._scripts["bury"], [self.keys.leases], over)
        rows = zip(raw, found, strict=True)
        return [None if row is None or row[3] else lease(name, *row[:3]) for name, row in rows]
