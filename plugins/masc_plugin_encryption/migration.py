"""Converts what is stored: seals what is plain, opens what is sealed, seals again under a new key.

Any process can do it, several at once, and any can be killed at any point: each step is one commit that checks the state
of the room's encryption and the version of every document in it, and carries how far it got. What others write meanwhile
has the new form already.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Literal

import orjson
from attrs import define, field

from masc_core.clock import timestamp
from masc_core.convert import structure, unstructure
from masc_core.errors import MascError, RecordUnreadable
from masc_core.frozen import evolve, frozen
from masc_core.records import EVENTS, ROOM_ID, Event
from masc_core.store.collections import LogView, View
from masc_core.store.driver import (
    Acquire,
    Check,
    Conflict,
    Driver,
    Key,
    Put,
    Release,
    Renew,
    Rewrite,
    RewriteEntry,
    Scan,
    Version,
    Write,
)
from masc_core.store.envelope import is_sealed, key_id
from masc_core.store.sealed import Known, SealedDriver
from masc_core.store.sealing import CLEAR, ENCRYPTION, PROGRESS, STATE_ID, Migration, Progress
from masc_core.store.transaction import Transaction, transact
from masc_plugin_encryption.changes import finished
from masc_plugin_encryption.locksmith import locksmith_of

__all__ = ["LEASE", "Converter", "census", "convert_in_background", "progress_of"]

logger = logging.getLogger(__name__)

BATCH = 50
_BATCH_BYTES = 1_048_576
_PROGRESS_KEY = Key(PROGRESS.name, STATE_ID)
LEASE, _LEASE_SECONDS, _RENEW_AFTER = "encryption-migration", 15.0, 5.0
_SHOWN = 20

Kind = Literal["collection", "log"]
Report = Callable[[Progress, Migration], None]


@frozen
class Item:
    """One stored body. ``version`` is a document's; entries have none."""

    place: str
    version: int
    body: bytes


@frozen
class Page:
    """Some bodies of one collection or log, in order."""

    kind: Kind
    name: str
    items: Sequence[Item]
    last: bool
    """There was no more when it was read."""


async def names_of(inner: Driver) -> list[tuple[Kind, str]]:
    """The collections and logs to be converted, in the order of conversion."""
    contents = await inner.contents()
    found: list[tuple[Kind, str]] = [("collection", name) for name in sorted(contents.collections) if name not in CLEAR]
    return found + [("log", name) for name in sorted(contents.logs)]


async def read_page(inner: Driver, kind: Kind, name: str, after: str, limit: int = BATCH) -> Page:
    """The bodies that follow ``after``, as stored: as many as ``limit`` says and one commit holds."""
    if kind == "collection":
        documents = await inner.scan(Scan(name, after=(after, after) if after else None, limit=limit))
        items = [Item(d.key.id, d.version, d.body) for d in documents]
    else:
        items = [Item(str(e.seq), 0, e.body) for e in await inner.read_log(name, int(after or 0), limit)]
    size, kept = 0, 0
    for item in items:
        size += len(item.body)
        if kept and size > _BATCH_BYTES:
            break
        kept += 1
    return Page(kind, name, items[:kept], last=kept == len(items) < limit)


async def pages(inner: Driver) -> AsyncIterator[Page]:
    """Everything that is stored."""
    for kind, name in await names_of(inner):
        after = ""
        while (page := await read_page(inner, kind, name, after, 500)).items:
            yield page
            after = page.items[-1].place


async def census(driver: SealedDriver) -> tuple[int, int]:
    """How many records are sealed and how many plain. Reads them all, unless the state says it."""
    known = driver.known
    contents = await driver.contents()
    total = sum(contents.collections.values()) + sum(contents.logs.values())
    if known.plain:
        return 0, total
    if known.state.state == "on":
        return total, 0
    sealed = plain = 0
    async for page in pages(driver.inner):
        here = sum(is_sealed(item.body) for item in page.items)
        sealed, plain = sealed + here, plain + len(page.items) - here
        await asyncio.sleep(0)
    return sealed, plain


async def progress_of(inner: Driver, migration: Migration) -> Progress:
    """How far a migration is."""
    (document,) = await inner.get([_PROGRESS_KEY])
    named = f"{migration.id} {migration.direction} {migration.target}"
    if document is not None:
        progress = structure(orjson.loads(document.body), Progress)
        if progress.migration == named:
            return progress
    return Progress(named)


@define
class Converter:
    """Carries a room's migration to its end."""

    driver: SealedDriver
    report: Report | None = None
    unreadable: list[RecordUnreadable] = field(factory=list)
    """The first few records that cannot be opened; they are left as they are."""
    _names: tuple[str, list[tuple[Kind, str]]] = ("", [])

    async def step(self) -> bool:
        """Convert a few records; false when there is nothing left to do. Runs beside anything."""
        known = await self.driver.reload()
        known.refuse()
        if (migration := known.state.migration) is None:
            return False
        progress = await progress_of(self.driver.inner, migration)
        if self.report is not None:
            self.report(progress, migration)
        page = await self._next(progress)
        if page is None:
            await self._finish(progress)
            return True
        try:
            await self._convert(known, migration, progress, page)
        except Conflict:
            logger.debug("a record changed while it was converted")
        await asyncio.sleep(0)
        return True

    async def _next(self, progress: Progress) -> Page | None:
        """What follows, or ``None`` at the end. What appears after the start has the new form, so names are read once."""
        inner = self.driver.inner
        if self._names[0] != progress.migration:
            self._names = (progress.migration, await names_of(inner))
        names = self._names[1]
        here: tuple[Kind, str] = (progress.kind, progress.name)
        for kind, name in names[bisect_left(names, here) :]:
            if (kind, name) != here:
                page = await read_page(inner, kind, name, "")
            elif not progress.ended:
                page = await read_page(inner, kind, name, progress.place)
            else:
                continue
            if page.items:
                return page
        return None

    async def _convert(self, known: Known, migration: Migration, progress: Progress, page: Page) -> None:
        checks: list[Check] = [known.check]
        writes: list[Write] = []
        unreadable = 0
        for item in page.items:
            try:
                body = _converted(known, migration, page, item)
            except RecordUnreadable as error:
                unreadable += 1
                self._skip(error)
                continue
            if body is None:
                continue
            if page.kind == "collection":
                checks.append(Version(Key(page.name, item.place), item.version))
                writes.append(Rewrite(Key(page.name, item.place), body))
            else:
                writes.append(RewriteEntry(page.name, int(item.place), body))
        further = evolve(
            progress,
            done=progress.done + len(page.items),
            unreadable=progress.unreadable + unreadable,
            kind=page.kind,
            name=page.name,
            place=page.items[-1].place,
            ended=page.last,
        )
        await self.driver.inner.commit(checks, [*writes, Put(_PROGRESS_KEY, orjson.dumps(unstructure(further)))])

    def _skip(self, error: RecordUnreadable) -> None:
        logger.warning("%s", error)
        if len(self.unreadable) < _SHOWN:
            self.unreadable.append(error)

    async def _finish(self, progress: Progress) -> None:
        """Leave no trace of what was replaced, then say that it is over."""
        driver = self.driver
        await driver.scrub()

        async def end(tx: Transaction) -> None:
            states = View(ENCRYPTION, tx)
            before = await states.find(STATE_ID)
            if before is None or before.migration is None:
                return
            if (await progress_of(driver.inner, before.migration)).migration != progress.migration:
                return
            keys = locksmith_of(driver).unwrapped
            after = states.put(finished(before, keys, all_converted=not progress.unreadable))
            data = {"old": before.state, "new": after.state, "migration": before.migration.direction}
            at = timestamp(driver.clock.now())
            LogView(EVENTS, tx).append(Event("encryption_changed", at, "system", data, ROOM_ID))

        await transact(driver, end)


def _converted(known: Known, migration: Migration, page: Page, item: Item) -> bytes | None:
    """The body in its new form, ``None`` where it has it. Raises :class:`RecordUnreadable`."""
    key, seq = Key(page.name, item.place), int(item.place) if page.kind == "log" else 0
    sealed, body = is_sealed(item.body), item.body
    if migration.direction == "open" and not sealed:
        return None
    if migration.direction == "seal" and sealed and key_id(body).hex() == known.state.active:
        return None
    if sealed:
        body = known.keys.open_entry(body, page.name, seq) if seq else known.keys.open(body, key)
    elif known.state.state == "on":
        # Somebody put it there past the wrapper: sealing it would make it genuine.
        raise RecordUnreadable(collection=page.name, key=item.place, reason="plaintext_refused")
    if migration.direction == "open":
        return body
    return known.keys.seal_entry(body, page.name, seq) if seq else known.keys.seal(body, key)


async def convert_in_background(driver: SealedDriver, owner: str) -> None:
    """Carry on a migration, as the one process that does. What fails is logged; the next look begins again."""
    inner = driver.inner
    try:
        lease = (await inner.commit([], [Acquire(LEASE, owner, _LEASE_SECONDS)])).leases[0]
    except Conflict:
        return
    try:
        converter = Converter(driver)
        renewed = driver.clock.monotonic()
        while await converter.step():
            if driver.clock.monotonic() - renewed > _RENEW_AFTER:
                await inner.commit([], [Renew(LEASE, lease.fence, _LEASE_SECONDS)])
                renewed = driver.clock.monotonic()
    except Conflict:
        logger.debug("another process goes on with the migration")
    finally:
        with suppress(Conflict, MascError):
            await inner.commit([], [Release(LEASE, lease.fence)])
