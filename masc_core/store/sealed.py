"""Seals every body that goes into a driver and opens every one that comes out, as the room's state says.

It is round every room's driver, also while encryption is off: any process can switch it on, and all the others follow with
their next call. Each commit checks the state it was sealed under, so nobody writes in an outdated one. Each `get` reads the
state along with what it is asked for, and every call begins with one; scans and pages of logs rely on that for a few
milliseconds, and look again whenever a body is not what it should be.

A read whose answer holds a record that cannot be opened fails as a whole and names that record, a scan or a page of a log
included; reads that do not meet it go on working.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import orjson

from masc_core.errors import MascError, RecordUnreadable, StorageBusy
from masc_core.store._sealed_bodies import Known, none_sealed, opened_document, opened_entry, stored_form
from masc_core.store.driver import (
    Absent,
    Check,
    Committed,
    Conflict,
    Contents,
    Document,
    Driver,
    Head,
    Key,
    Lease,
    LogEntry,
    Put,
    Scan,
    Version,
    Write,
)
from masc_core.store.envelope import Keyring
from masc_core.store.sealing import CLEAR, STATE_KEY, USAGE, Encryption, state_of

if TYPE_CHECKING:
    from masc_core.store.snapshot import Exchange, Snapshot

__all__ = ["MOST_SEALS", "Known", "SealedDriver", "Unlock", "raw"]

Unlock = Callable[[Encryption, bool], Awaitable[Keyring]]
"""``await unlock(state, starting)`` gives the room's keys, or raises the :class:`MascError` that calls shall answer: a
:class:`RecordUnreadable` for a state that is not to be followed."""
MOST_SEALS = 2**30
"""How often one data key seals."""

_T = TypeVar("_T")
_ATTEMPTS = 20
_FRESH = 0.005
_RETRY_KEY = 1.0
_STEP = 16_384


class SealedDriver:
    """A :class:`~masc_core.store.driver.Driver` round another one, which its owner opens before and closes after it.

    ``unlock`` finds the keys; ``most_seals`` and ``step`` are for tests: a key that sealed that often is due for
    replacement, and about every ``step`` seals are noted in the store.
    """

    def __init__(
        self, inner: Driver, unlock: Unlock, *, most_seals: int = MOST_SEALS, step: int = _STEP, fresh: float = _FRESH
    ) -> None:
        self.inner = inner
        self.name = inner.name
        self.clock = inner.clock
        self.line = inner.line
        self.moment = getattr(inner, "moment", None)
        self.exhausted = False
        """The active data key has sealed often enough."""
        self.unlock = unlock
        self._most_seals, self._step, self._fresh = most_seals, step, fresh
        self._known = Known(Encryption(), Keyring({}, known=(), active=None, scope=()))
        self._seen_at = 0.0
        self._loading = asyncio.Lock()
        self._work: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        (document,) = await self.inner.get([STATE_KEY])
        await self._adopt(document, starting=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._work is not None:
            self._work.cancel()
            with suppress(asyncio.CancelledError):
                await self._work

    @property
    def known(self) -> Known:
        """The state as last seen."""
        return self._known

    async def reload(self) -> Known:
        """The state as it is now."""
        (document,) = await self.inner.get([STATE_KEY])
        await self._adopt(document)
        return self._known

    def background(self, work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Run ``work`` until it ends or the room is closed, unless another one is running; true when it was started."""
        if self._work is not None and not self._work.done():
            return False
        self._work = asyncio.create_task(work())
        return True

    async def get(self, keys: Sequence[Key]) -> list[Document | None]:
        # From one consistent state with the records: what they are is what it says.
        *found, state = await self.inner.get([*keys, STATE_KEY])
        known = self._known
        if known.problem is None and known.version == (state.version if state is not None else 0):
            self._seen_at = time.monotonic()
        else:
            await self._adopt(state)
            known = self._known
        if known.plain and none_sealed(found):
            return found
        if known.problem is not None and not all(key[0] in CLEAR for key in keys):
            known.refuse()
        return [None if d is None else opened_document(known, d) for d in found]

    async def scan(self, scan: Scan) -> list[Document]:
        if self._known.plain and none_sealed(plain := await self.inner.scan(scan)):
            return plain

        def opened(known: Known, found: list[Document]) -> list[Document]:
            return [opened_document(known, document) for document in found]

        return await self._read(lambda: self.inner.scan(scan), opened, clear=scan.collection in CLEAR)

    async def read_log(self, log: str, after: int = 0, limit: int = 100, reverse: bool = False) -> list[LogEntry]:
        if self._known.plain and none_sealed(plain := await self.inner.read_log(log, after, limit, reverse)):
            return plain

        def opened(known: Known, found: list[LogEntry]) -> list[LogEntry]:
            return [LogEntry(seq, opened_entry(known, log, seq, body)) for seq, body in found]

        return await self._read(lambda: self.inner.read_log(log, after, limit, reverse), opened)

    async def scan_log(self, scan: Scan) -> list[tuple[str, LogEntry]]:
        if self._known.plain:
            plain = await self.inner.scan_log(scan)
            if none_sealed([entry for _, entry in plain]):
                return plain

        def opened(known: Known, found: list[tuple[str, LogEntry]]) -> list[tuple[str, LogEntry]]:
            log = scan.collection
            return [(value, LogEntry(e.seq, opened_entry(known, log, e.seq, e.body))) for value, e in found]

        return await self._read(lambda: self.inner.scan_log(scan), opened)

    async def _read(
        self, read: Callable[[], Awaitable[_T]], opened: Callable[[Known, _T], _T], *, clear: bool = False
    ) -> _T:
        for _ in range(_ATTEMPTS):
            known = self._known
            # What is in plain needs no key, and what is sealed says by itself that the state is another by now.
            if not known.plain and time.monotonic() - self._seen_at >= self._fresh:
                known = await self.reload()
            if not clear:
                known.refuse()
            found = await read()
            try:
                return opened(known, found)
            except RecordUnreadable:
                if await self.reload() is known:
                    raise
        raise StorageBusy()

    async def count(self, collection: str, index: str, group: str | None = None) -> dict[str, int]:
        return await self.inner.count(collection, index, group)

    async def count_log(self, log: str, index: str, value: str, after: int = 0) -> int:
        return await self.inner.count_log(log, index, value, after)

    async def heads(self, logs: Sequence[str]) -> list[Head]:
        return await self.inner.heads(logs)

    async def leases(self, names: Sequence[str]) -> list[Lease | None]:
        return await self.inner.leases(names)

    async def contents(self) -> Contents:
        """As of any driver; the records of encryption itself are not counted."""
        found = await self.inner.contents()
        return Contents({name: n for name, n in found.collections.items() if name not in CLEAR}, found.logs)

    async def scrub(self) -> None:
        await self.inner.scrub()

    async def dump(self) -> Snapshot:
        """As of any driver; bodies are as they are stored, those of encryption itself are there."""
        return await self.inner.dump()

    async def exchange(self, change: Exchange) -> None:
        """As of any driver; bodies go in as they are."""
        await self.inner.exchange(change)
        self._seen_at = 0.0

    async def watch(self, after: Mapping[str, int]) -> dict[str, int]:
        return await self.inner.watch(after)

    async def commit(self, checks: Sequence[Check], writes: Sequence[Write]) -> Committed:
        for _ in range(_ATTEMPTS):
            known = self._known
            if known.problem is not None and known.state.needs_key:
                known = await self.reload()
                known.refuse()
            stored = stored_form(known, writes)
            try:
                done = await self.inner.commit([*checks, known.check], stored)
            except Conflict as conflict:
                await self._lost(conflict, checks)
                continue
            await self._committed(known, writes)
            return done
        raise StorageBusy()

    async def _committed(self, known: Known, writes: Sequence[Write]) -> None:
        """Follow a change of the state and count. The commit stands, so whatever fails here is no failure of its."""
        for write in writes:
            if type(write) is Put and write.key == STATE_KEY:
                self._seen_at = 0.0
        if self._seen_at and not known.seals:
            return
        with suppress(MascError, ValueError, KeyError, TypeError):
            if not self._seen_at:
                await self.reload()
            if known.seals and known is self._known and random.random() * self._step < len(writes):
                await self._note_seals(known)

    async def _lost(self, conflict: Conflict, checks: Sequence[Check]) -> None:
        """Raise the conflict, its records opened, unless it was about nothing but the state this driver itself checks."""
        changed = STATE_KEY in conflict.current
        known = await self.reload() if changed else self._known
        held = [c for c in checks if isinstance(c, Version | Absent) and c.key in conflict.current]
        mine = changed and not any(c.key == STATE_KEY and _fails(c, conflict.current[STATE_KEY]) for c in held)
        if mine and len(conflict.current) == 1 and not conflict.leases:
            return
        current = {key: d for key, d in conflict.current.items() if not (mine and key == STATE_KEY)}
        opened = {key: None if d is None else opened_document(known, d) for key, d in current.items()}
        raise Conflict(opened, conflict.leases) from conflict

    async def _note_seals(self, known: Known) -> None:
        """Count ``step`` seals of the active key. Called with a chance of one in ``step`` for each seal, so that the sum is
        right over any number of processes, however short they live."""
        key = Key(USAGE.name, known.state.active or "")
        while True:
            (found,) = await self.inner.get([key])
            seals = (int(orjson.loads(found.body)["seals"]) if found else 0) + self._step
            check = Absent(key) if found is None else Version(key, found.version)
            try:
                await self.inner.commit([check], [Put(key, orjson.dumps({"id": key.id, "seals": seals}))])
            except Conflict:
                continue
            self.exhausted = seals >= self._most_seals
            return

    async def _adopt(self, document: Document | None, *, starting: bool = False) -> None:
        """Make the state in ``document`` the known one, its keys unlocked."""
        now = time.monotonic()
        self._seen_at = now
        version = document.version if document else 0
        if not starting and version == self._known.version and not self._worth_a_try(now):
            return
        async with self._loading:
            if not starting and version == self._known.version and not self._worth_a_try(now):
                return  # Somebody else was just as quick.
            state = state_of(document)
            problem = None
            try:
                keys = await self.unlock(state, starting)
            except RecordUnreadable:
                raise  # as for a state that is no state: it is not what a holder of the key has written
            except MascError as error:
                if starting and state.needs_key:
                    raise
                keys = Keyring({}, known=[bytes.fromhex(k.id) for k in state.keys], active=None, scope=())
                problem = error
            self._known = Known(state, keys, problem, now)
            self.exhausted = False

    def _worth_a_try(self, now: float) -> bool:
        return self._known.problem is not None and now - self._known.at > _RETRY_KEY


def raw(driver: Driver) -> Driver:
    """The driver under the sealing, where bodies are as they are stored."""
    return driver.inner if isinstance(driver, SealedDriver) else driver


def _fails(check: Version | Absent, current: Document | None) -> bool:
    return current is not None if isinstance(check, Absent) else current is None or current.version != check.version
