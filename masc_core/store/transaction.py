"""A unit of work above any driver: reads are remembered, writes buffered, everything commits at once.

:func:`transact` runs a function against a fresh :class:`Transaction` and commits it. When somebody else changed what it
had read, the function runs again, so it must have no effect outside the transaction.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Self, TypeVar

from masc_core.errors import StorageBusy
from masc_core.store._moment import Moment
from masc_core.store.driver import (
    Absent,
    Acquire,
    Append,
    Check,
    Conflict,
    Delete,
    Document,
    Driver,
    Held,
    IndexEntry,
    Key,
    LateBody,
    Lease,
    Put,
    Reached,
    Release,
    Remove,
    Renew,
    Scan,
    Version,
    Write,
)
from masc_core.store.line import Lines, ProcessLine

__all__ = ["RETRY_SECONDS", "LogPosition", "Transaction", "transact"]

RETRY_SECONDS = 5.0
"""How long conflicts are retried, from the first one on, before `storage_busy`."""
_LONGEST_PAUSE = 0.004
_HALVED_AFTER = 0.05
_CLOCKS_DIFFER = 1.0
"""Seconds between the clock of a database and what this process takes it for, at most."""

T = TypeVar("T")


class LogPosition:
    """The sequence number an appended entry will have; known once the unit of work is committed."""

    __slots__ = ("_seq",)

    def __init__(self) -> None:
        self._seq = 0

    @property
    def known(self) -> bool:
        """The unit of work is committed."""
        return self._seq > 0

    @property
    def seq(self) -> int:
        """The number, from 1. Raises ``LookupError`` before the commit."""
        if not self._seq:
            raise LookupError("a log entry has its number once its unit of work is committed")
        return self._seq


class Transaction:
    """One attempt. Every document that was read must be unchanged at commit; scans promise nothing by themselves.

    It is no snapshot: each read is made at its own moment. A decision that rests on a scan, a count, a log or a peek
    holds at the commit only if a *guard* does: a document that everybody rewrites who could make the decision wrong, read
    with :meth:`get` **before** the scan. Whoever commits before the guard is read is seen by the scan; whoever commits
    after it has changed the guard, and this unit of work runs again. Read after the scan, the guard is of no use: it may
    have been changed in between already. Number series are such guards (``ctx.last_number`` before the scan,
    ``ctx.next_number`` by each writer), and an agent's record is one for what is given to the agent.

    ``told`` is what an earlier attempt learned from its conflict. Only :meth:`get` makes use of it: what others rely on
    to be newer than their guard must not be older than this attempt.
    """

    def __init__(self, driver: Driver, told: Mapping[Key, Document | None] | None = None) -> None:
        self.driver = driver
        self._moment: Moment | None = getattr(driver, "moment", None)
        self.acquired: tuple[Lease, ...] = ()
        self.notes: dict[object, object] = {}
        """What was worked out from what was read here, by whoever may need it again."""
        self._told: dict[Key, Document | None] = dict(told or {})
        self._seen: dict[Key, Document | None] = {}
        self._read: dict[Key, Document | None] = {}
        self._guessed: set[Key] = set()
        self._documents: dict[Key, Put | Delete] = {}
        self._appends: list[tuple[Append, LogPosition]] = []
        self._others: list[Remove | Acquire | Renew | Release] = []
        self._held: list[Held] = []
        self._now = 0.0

    @property
    def reading(self) -> Driver:
        """The driver, told who asks: for the one read that follows at once."""
        if self._moment is not None:
            self._moment.unit = self
        return self.driver

    def dated(self, now: float) -> Self:
        """What is decided here goes by this time of the store's clock. Once that is set back, the commit is a conflict:
        what somebody else was given since then is over by this time and not by the clock."""
        self._now = now
        return self

    @property
    def dirty(self) -> bool:
        """Something would be written."""
        return bool(self._documents or self._appends or self._others)

    @property
    def seen(self) -> list[Key]:
        """The documents looked at so far."""
        return list(self._seen)

    def savepoint(self) -> Callable[[], None]:
        """What takes back everything that is buffered after this."""
        documents, appends = dict(self._documents), list(self._appends)
        others, held, guessed = list(self._others), list(self._held), set(self._guessed)

        def restore() -> None:
            self._documents, self._appends, self._others, self._held = documents, appends, others, held
            for key in self._guessed - guessed:
                self._seen.pop(key, None)
                self._read.pop(key, None)
            self._guessed = guessed

        return restore

    def lacks(self, key: Key) -> bool:
        """No such document was found here, or none is expected; no look is made for this."""
        return key in self._seen and self._seen[key] is None and key not in self._documents

    async def get(self, keys: Sequence[Key]) -> list[Document | None]:
        """The documents as this unit of work sees them; they must be unchanged at commit."""
        if self._told:
            self._seen.update({key: self._told[key] for key in keys if key in self._told and key not in self._seen})
        found = await self.peek(keys)
        for key in keys:
            self._read.setdefault(key, self._seen[key])
        return found

    async def find(self, key: Key) -> Document | None:
        """As :meth:`get`, of one document; most have been looked at before."""
        if key not in self._seen:
            return (await self.get([key]))[0]
        self._read.setdefault(key, self._seen[key])
        return self._current(key) if self._documents else self._seen[key]

    async def peek(self, keys: Sequence[Key]) -> list[Document | None]:
        """As :meth:`get`, without the promise: a change by others before the commit does not matter, or a guard tells of
        it; see :class:`Transaction`."""
        seen = self._seen
        try:
            found = [seen[key] for key in keys] if seen else []
            missing = [] if seen else keys
        except KeyError:
            missing = [key for key in keys if key not in seen]
        if missing:
            seen.update(zip(missing, await self.reading.get(missing), strict=True))
            found = [seen[key] for key in keys]
        return [self._current(key) for key in keys] if self._documents else found

    def create(self, key: Key) -> None:
        """Expect that there is no such document, without looking: where there is one, the commit is a conflict, and the next
        attempt has read it."""
        if key not in self._seen:
            self._seen[key] = self._told.get(key)
            self._guessed.add(key)

    def put(self, key: Key, body: bytes, index: Sequence[IndexEntry] = ()) -> int:
        """Buffer a write and return the version it will have. The key must have been read, scanned or created before."""
        seen = self._seen[key]
        self._read.setdefault(key, seen)
        self._documents[key] = Put(key, body, index)
        return seen.version + 1 if seen else 1

    def delete(self, key: Key) -> None:
        """Buffer a removal. The key must have been read (or scanned) before."""
        self._read.setdefault(key, self._seen[key])
        self._documents[key] = Delete(key)

    def append(self, log: str, body: bytes | LateBody, index: Sequence[IndexEntry] = ()) -> LogPosition:
        """Buffer a log entry; a body that is a function is made inside the commit, when the entry's number is certain."""
        position = LogPosition()
        self._appends.append((Append(log, body, index), position))
        return position

    def add(self, write: Remove | Acquire | Renew | Release) -> None:
        """Buffer a write that concerns no document."""
        self._others.append(write)

    def require(self, check: Held) -> None:
        """Let the commit depend on a lease."""
        self._held.append(check)

    async def scan(self, scan: Scan) -> list[Document]:
        """A range, with this unit of work's own buffered writes laid over it.

        Others may add to it, or take from it, before the commit. What must hold until then needs a guard that was read
        before the scan; see :class:`Transaction`.
        """
        if self._documents and (own := {k: w for k, w in self._documents.items() if k.collection == scan.collection}):
            return await self._overlaid(scan, own)
        found = await self.reading.scan(scan)
        if found:
            self._remember(found)
        return found

    async def _overlaid(self, scan: Scan, own: Mapping[Key, Put | Delete]) -> list[Document]:
        wider = Scan(
            scan.collection, scan.index, scan.low, scan.high, scan.after, scan.limit + len(own), reverse=scan.reverse
        )
        stored = await self.reading.scan(wider)
        self._remember(stored)
        merged = [document for document in stored if document.key not in own]
        for key, write in own.items():
            if isinstance(write, Put) and (document := self._current(key)) is not None:
                merged += [
                    document._replace(value=value) for value in _values(write, scan.index) if _within(scan, value, key)
                ]
        merged.sort(key=lambda d: (d.value.encode(), d.key.id.encode()), reverse=scan.reverse)
        return merged[: scan.limit]

    def _remember(self, found: Iterable[Document]) -> None:
        seen = self._seen
        for document in found:
            if document.key not in seen:
                seen[document.key] = document

    def _current(self, key: Key) -> Document | None:
        write = self._documents.get(key)
        if write is None:
            return self._seen[key]
        if isinstance(write, Delete):
            return None
        seen = self._seen[key]
        return Document(key, seen.version + 1 if seen else 1, write.body)

    async def commit(self) -> None:
        """Write everything, if every document read is unchanged. Raises :class:`Conflict` otherwise."""
        if not self.dirty:
            return
        checks: list[Check] = [
            Version(key, seen.version) if seen is not None else Absent(key) for key, seen in self._read.items()
        ]
        checks += self._held
        if self._now:
            checks.append(Reached(self._now - _CLOCKS_DIFFER))
        writes: list[Write] = [*self._documents.values(), *[append for append, _ in self._appends], *self._others]
        done = await self.driver.commit(checks, writes)
        for (_, position), seq in zip(self._appends, done.appended, strict=True):
            position._seq = seq
        self.acquired = done.leases


def _values(write: Put, index: str) -> list[str]:
    return [e.value for e in write.index if e.name == index] if index else [write.key.id]


def _within(scan: Scan, value: str, key: Key) -> bool:
    raw = value.encode()
    if raw < scan.low.encode() or (scan.high is not None and raw >= scan.high.encode()):
        return False
    if scan.after is None:
        return True
    here, there = (raw, key.id.encode()), (scan.after[0].encode(), scan.after[1].encode())
    return here < there if scan.reverse else here > there


async def transact(
    driver: Driver,
    run: Callable[[Transaction], Awaitable[T]],
    first: Transaction | None = None,
    line: ProcessLine | None = None,
    kind: str = "",
) -> T:
    """Run ``run`` in a unit of work and commit it; on conflict run it again, for up to 5 s from the first conflict on.

    ``first`` is the unit of work of the first attempt, in which something was read just before; each further attempt
    begins by reading that anew. Those who have lost once wait in ``line``, so that in one process they try again one
    after another and not against each other. Work of one ``kind`` is expected to write the same records: where some of
    it has lost lately, the rest waits for its turn before it begins, which counts towards the 5 s. Whoever has lost to
    another process, or twice, waits in the driver's line too. What conflicts remain are retried with jitter.
    ``run`` may run many times. Raises :class:`StorageBusy` when the conflicts do not end, and whatever ``run`` raises,
    having written nothing.
    """
    # Real time, not the store's clock: the others in the race do not follow a clock that a test has stopped.
    loop = asyncio.get_running_loop()
    transaction, lost = first or Transaction(driver), 0.0
    known, lines = transaction.seen, Lines(line, driver.line, kind)
    try:
        if lines.better_wait:
            begun = loop.time()
            if await lines.wait_first(begun + RETRY_SECONDS):
                transaction, lost = await _begun(driver, known), begun
        while True:
            lines.begin()
            result = await run(transaction)
            try:
                await transaction.commit()
            except Conflict as conflict:
                # From the first conflict on: a first attempt that was slow leaves as much time for the next as any other.
                lost = lost or loop.time()
                waited = loop.time() - lost
                if waited >= RETRY_SECONDS:
                    raise StorageBusy() from conflict
                told = conflict.current
            else:
                lines.count()
                return result
            again = known
            if await lines.wait(lost + RETRY_SECONDS):
                again, told = list(dict.fromkeys([*known, *told])), {}
            else:
                # Whoever has lost for longer asks more often, so nobody loses for ever.
                await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE / (1 + waited / _HALVED_AFTER)))
            transaction = await _begun(driver, again, told)
    finally:
        if lines.entered:  # nearly nobody has to wait
            await lines.leave()


async def _begun(
    driver: Driver, known: Sequence[Key], told: Mapping[Key, Document | None] | None = None
) -> Transaction:
    """A unit of work that has read ``known``: in one statement, and not one after the other on its way."""
    transaction = Transaction(driver, told)
    if known:
        await transaction.peek(known)
    return transaction
