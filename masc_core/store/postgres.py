"""The driver that keeps rooms in a PostgreSQL database, shared by the servers of any number of machines.

A commit is one call of one function in the database, which takes the room's lock, checks, writes and notifies: one round
trip. Only two things need a second one, with the lock held in between: leases, whose rules are Python, and bodies made
from the entry before, unless this process wrote that entry itself.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TypeVar

import psycopg

from masc_core.clock import Clock, steady
from masc_core.errors import StartError, StorageBusy, StorageUnavailable
from masc_core.store import _postgres_reads as reads
from masc_core.store._leases import LeaseOutcome, settle_leases, time_wanted
from masc_core.store._limits import check_limits
from masc_core.store._postgres_clock import ServerClock
from masc_core.store._postgres_hints import Hints
from masc_core.store._postgres_line import PostgresLine
from masc_core.store._postgres_pool import Connection, Pool, Target, is_transient, taken
from masc_core.store._postgres_schema import ensure, room_id
from masc_core.store._postgres_scrub import scrub
from masc_core.store._postgres_start import connect_first
from masc_core.store._postgres_values import Blobs
from masc_core.store._postgres_writes import APPLY, Change, Position, from_memory, late_logs
from masc_core.store.driver import (
    Absent,
    Acquire,
    Check,
    Committed,
    Conflict,
    Contents,
    Document,
    Head,
    Held,
    Key,
    Lease,
    LogEntry,
    Release,
    Renew,
    Scan,
    Version,
    Write,
)

if TYPE_CHECKING:
    from masc_core.store.snapshot import Exchange, Snapshot

__all__ = ["PostgresDriver"]

_T = TypeVar("_T")
_SETTLE = "SELECT * FROM masc.settle(%b::int, %b::int, %b, %b)"
_TIME = "SELECT extract(epoch FROM clock_timestamp())::float8"
_REMEMBERED = 65_536
_PAUSE = 0.02


class PostgresDriver:
    """A :class:`~masc_core.store.driver.Driver` on the database at ``url`` (``postgresql://…``).

    ``cluster`` and ``room`` together name the room. Without a ``clock`` the driver's follows the database server's.
    ``durability``: ``full`` has every acknowledged commit on the server's disk; with ``process`` a crash of the server
    may take the newest. ``patience``: seconds to wait for the room's lock. ``start_within``: seconds until the server answers.
    """

    name = "postgres"

    def __init__(
        self,
        url: str,
        clock: Clock | None = None,
        *,
        cluster: str = "default",
        room: str = "default",
        durability: Literal["full", "process"] = "full",
        patience: float = 5.0,
        start_within: float = 10.0,
    ) -> None:
        server_clock = None if clock is not None else ServerClock()
        self._server_clock = server_clock
        self.clock: Clock = clock or server_clock or ServerClock()
        self._names = (cluster, room)
        self._durable = durability == "full"
        self._patience = patience
        self._start_within = start_within
        self._pool = Pool(Target(url), self._observe)
        self.line = PostgresLine(self._pool)
        self._turns = asyncio.Semaphore(2)
        self._late_turn = asyncio.Semaphore(1)
        self._open = False
        self._room = 0
        self._hints: Hints | None = None
        self._ends: dict[str, Position] = {}
        self._dead: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        async def prepare(db: Connection) -> None:
            await ensure(db)
            self._room = self.line.room = await room_id(db, *self._names)

        await connect_first(self._pool, prepare, self._start_within)
        if self._durable and not self._pool.fsync:
            await self._pool.close()
            raise StartError(
                message=f"{self._pool.target} runs with fsync off and may lose acknowledged changes; "
                'switch it on, or set storage.durability = "process"'
            )
        self._hints = Hints(self._pool, f"masc_{self._room}", self._lasts)
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        if self._hints is not None:
            await self._hints.close()
        await self._pool.close()

    async def get(self, keys: Sequence[Key]) -> list[Document | None]:
        return await self._read(lambda db: reads.get_documents(db, self._room, keys))

    async def scan(self, scan: Scan) -> list[Document]:
        return await self._read(lambda db: reads.scan_documents(db, self._room, scan))

    async def count(self, collection: str, index: str, group: str | None = None) -> dict[str, int]:
        return await self._read(lambda db: reads.read_count(db, self._room, collection, index, group))

    async def count_log(self, log: str, index: str, value: str, after: int = 0) -> int:
        return await self._read(lambda db: reads.count_entries(db, self._room, log, index, value, after))

    async def read_log(self, log: str, after: int = 0, limit: int = 100, reverse: bool = False) -> list[LogEntry]:
        return await self._read(lambda db: reads.read_entries(db, self._room, log, after, limit, reverse))

    async def scan_log(self, scan: Scan) -> list[tuple[str, LogEntry]]:
        if not scan.index:
            raise ValueError("scan_log needs an index; use read_log for the order of the log")
        return await self._read(lambda db: reads.scan_entries(db, self._room, scan))

    async def heads(self, logs: Sequence[str]) -> list[Head]:
        return await self._read(lambda db: reads.read_heads(db, self._room, logs))

    async def leases(self, names: Sequence[str]) -> list[Lease | None]:
        before = steady()
        stored, now = await self._read(lambda db: reads.read_leases(db, self._room, names))
        now = self._now(now, before)
        return [self._live(lease, now) for lease in stored]

    async def contents(self) -> Contents:
        return await self._read(lambda db: reads.read_contents(db, self._room))

    async def scrub(self) -> None:
        """Give the places where bodies stood back to their tables, to be written over, with VACUUM; for all rooms.

        It does not reach: bytes in the free space of a page until something is written there, the write-ahead log and its
        archive, standbys, backups and the schemas ``masc_bak_…``. Where this role may not VACUUM, which needs the owner of
        the tables, that is logged and PostgreSQL's autovacuum does the same when it comes by. :class:`StorageBusy` when
        a transaction older than this call stays open, which may still read what was replaced.
        """
        if not self._open:
            raise StorageUnavailable(backend=self.name, cause="the driver is not open")
        await scrub(self._pool, self._patience)

    async def dump(self) -> Snapshot:
        from masc_core.store._postgres_rows import dump_all

        async with self._pool.beside() as db:
            return await dump_all(db, self._room, self._own_now)

    async def exchange(self, change: Exchange) -> None:
        from masc_core.store._postgres_rows import exchange_all

        async with self._pool.beside() as db:
            await exchange_all(db, self._room, change, self._own_now, self._milliseconds, self._durable)

    async def commit(self, checks: Sequence[Check], writes: Sequence[Write]) -> Committed:
        check_limits(checks, writes)
        late = late_logs(writes)
        # More at a time would only wait in the database, on connections that reads need, and make late bodies in vain.
        async with taken(self._late_turn if late else self._turns, self._patience):
            return await self._commit(checks, writes, late)

    async def _commit(self, checks: Sequence[Check], writes: Sequence[Write], late: Sequence[str]) -> Committed:
        leased = any(isinstance(c, Held) for c in checks) or any(
            isinstance(w, Acquire | Renew | Release) for w in writes
        )
        known = {log: self._ends[log] for log in late if log in self._ends}
        change = None if leased or len(known) < len(late) else from_memory(writes, known)
        if change is not None:
            committed = await self._retried(lambda: self._at_once(checks, writes, change))
            if committed is not None:
                return committed
        return await self._retried(lambda: self._step_by_step(checks, writes, late))

    async def watch(self, after: Mapping[str, int]) -> dict[str, int]:
        hints = self._hints
        if not self._open or hints is None:
            raise StorageUnavailable(backend=self.name, cause="the driver is not open")
        try:
            while True:
                turn = hints.turn
                lasts = await self._lasts(after)
                if any(lasts[log] > number for log, number in after.items()):
                    return lasts
                if not self._open:
                    raise asyncio.CancelledError
                await hints.wait(after, turn)
        except StorageUnavailable:
            if not self._open:
                raise asyncio.CancelledError from None
            raise

    # --- one round trip

    async def _at_once(self, checks: Sequence[Check], writes: Sequence[Write], change: Change) -> Committed | None:
        """Commit in one call; ``None`` when a log has moved on, so that its bodies must be made again."""
        async with self._pool.lend() as db:
            dead = dict(self._dead)
            row = await self._apply(db, checks, change, None, dead)
        if row is None:
            return None
        return self._committed(row, change, (), dead if writes else {})

    async def _apply(
        self,
        db: Connection,
        checks: Sequence[Check],
        change: Change,
        leases: LeaseOutcome | None,
        dead: Mapping[str, int],
    ) -> list[int] | None:
        """Call ``masc.apply``: the numbers given out, ``None`` when a log has moved on. Raises :class:`Conflict`."""
        before = steady()
        values = change.parameters(checks, leases, dead)
        wanted = time_wanted(checks)
        if self._server_clock is None and self.clock.now() < wanted:
            raise Conflict()
        least = 0.0 if self._server_clock is None else wanted
        rows = await reads.rows(db, APPLY, self._room, self._milliseconds, self._durable, *values, least)
        if not rows:
            # The time is looked at once more, so that the next attempt goes by a clock that was set right.
            before = steady()
            ((now,),) = await reads.rows(db, _TIME)
            self._now(now, before)
            raise Conflict()
        now, seqs, stale, failed, versions, bodies = rows[0]
        self._now(now, before)
        if failed:
            asked = [c.key for c in checks if isinstance(c, Version | Absent)]
            current: dict[Key, Document | None] = {}
            for n, version, body in zip(failed, versions, bodies, strict=True):
                key = Key(*asked[n - 1])
                current[key] = None if version is None else Document(key, version, body)
            raise Conflict(current)
        return None if stale else seqs

    # --- two round trips, with the lock held between them

    async def _step_by_step(self, checks: Sequence[Check], writes: Sequence[Write], late: Sequence[str]) -> Committed:
        async with self._pool.lend() as db:
            try:
                return await self._locked(db, checks, writes, late)
            except (Conflict, ValueError):
                await db.execute("ROLLBACK")
                raise
            # Anything else, a cancellation above all: the pool closes a connection that is inside a transaction.

    async def _locked(
        self, db: Connection, checks: Sequence[Check], writes: Sequence[Write], late: Sequence[str]
    ) -> Committed:
        names = _lease_names(checks, writes)
        before = steady()
        blobs = [Blobs.of([name.encode() for name in some]) for some in (names, late)]
        await db.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        ((now, fence, owners, fences, expires, lasts, bodies),) = await reads.rows(
            db, _SETTLE, self._room, self._milliseconds, *blobs
        )
        now = self._now(now, before)
        stored = {
            name: self._live(None if n is None else Lease(name, owner.decode(), n, until), now)
            for name, owner, n, until in zip(names, owners, fences, expires, strict=True)
        }
        dead = dict(self._dead)
        outcome = settle_leases(checks, writes, now, lambda name: stored[name], lambda: fence)
        if outcome.failed:
            try:
                await self._apply(db, checks, Change((), {}), None, {})
            except Conflict as conflict:
                raise Conflict(conflict.current, outcome.failed) from None
            raise Conflict(None, outcome.failed)
        change = Change(writes, dict(zip(late, zip(lasts, bodies, strict=True), strict=True)))
        seqs = await self._apply(db, checks, change, outcome, dead)
        assert seqs is not None, "a log has moved under the room's lock"
        await db.execute("COMMIT")
        return self._committed(seqs, change, outcome.granted, dead if writes else {})

    def _committed(
        self, seqs: Sequence[int], change: Change, granted: Iterable[Lease], dead: Mapping[str, int]
    ) -> Committed:
        for log, (last, body) in change.ends.items():
            if body is None or len(body) <= _REMEMBERED:
                self._ends[log] = (last, body)
            else:
                self._ends.pop(log, None)
        self._dead = {name: fence for name, fence in self._dead.items() if fence > dead.get(name, 0)}
        if self._hints is not None:
            self._hints.wake(dict(zip(change.logs, seqs, strict=True)))
        return Committed(tuple(seqs), tuple(granted))

    # ---

    async def _read(self, query: Callable[[Connection], Awaitable[_T]]) -> _T:
        async def attempt() -> _T:
            async with self._pool.lend() as db:
                return await query(db)

        return await self._retried(attempt)

    async def _retried(self, attempt: Callable[[], Awaitable[_T]]) -> _T:
        """What ``attempt`` gives; tried again, within the patience, where that can help."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._patience
        while True:
            try:
                return await attempt()
            except StorageBusy as busy:
                cause = busy.__cause__
                if not isinstance(cause, psycopg.Error) or not is_transient(cause) or loop.time() > end:
                    raise
            await asyncio.sleep(random.uniform(0, _PAUSE))

    async def _lasts(self, logs: Iterable[str]) -> dict[str, int]:
        names = list(logs)
        return {log: head.last for log, head in zip(names, await self.heads(names), strict=True)}

    @property
    def _milliseconds(self) -> int:
        return max(1, int(self._patience * 1000))

    @property
    def _own_now(self) -> float | None:
        """The time of a clock that was given."""
        return self.clock.now() if self._server_clock is None else None

    def _observe(self, server: float, before: float, after: float) -> None:
        if self._server_clock is not None:
            self._server_clock.observe(server, before, after)

    def _now(self, server: float | None, before: float) -> float:
        """The time that decides: the server's own, unless a clock was given."""
        if server is None or self._server_clock is None:
            return self.clock.now()
        self._server_clock.observe(server, before, steady())
        return server

    def _live(self, lease: Lease | None, now: float) -> Lease | None:
        """The lease, unless it is over. Remembered until a commit removes it: no clock that jumps back revives it."""
        if lease is None or lease.fence <= self._dead.get(lease.name, 0):
            return None
        if lease.expires_at <= now:
            self._dead[lease.name] = lease.fence
            return None
        return lease


def _lease_names(checks: Sequence[Check], writes: Sequence[Write]) -> list[str]:
    names = [c.name for c in checks if isinstance(c, Held)]
    names += [w.name for w in writes if isinstance(w, Acquire | Renew | Release)]
    return list(dict.fromkeys(names))
