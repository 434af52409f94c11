"""What the commands do: write a room to a file, make a room of a file or add to one, put a room back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from masc_core.call import Outcome
from masc_core.context import Context
from masc_core.contracts import contract_of
from masc_core.frozen import frozen
from masc_core.kernel import Kernel, local_client
from masc_core.store.driver import Key
from masc_core.store.envelope import is_sealed
from masc_core.store.sealed import SealedDriver, raw
from masc_core.store.snapshot import Snapshot
from masc_core.tools import ADMIN, DESTRUCTIVE, READ, WRITE, CallerUse, declaration, tool
from masc_core.transfer.errors import RoomNotEmpty
from masc_core.transfer.files import read_file, write_file
from masc_core.transfer.merging import Merged, Opener, just_reset, merge
from masc_core.transfer.policy import put_back, sealed_with
from masc_core.values import Bound

if TYPE_CHECKING:
    from masc_core.store.driver import Driver

__all__ = ["Taken", "Written", "restore", "take_in", "write_out"]

File = Annotated[str, Bound(minLength=1, maxLength=4096)]


@frozen
class Written:
    """A file that now has the room."""

    file: str
    records: int
    """Documents and log entries."""
    bytes: int
    sealed: bool
    """Its records are as they are stored: encrypted."""


@frozen
class Taken:
    """A room that now has what was in a file."""

    file: str
    records: int
    """Documents and log entries that came into the room."""
    backend: str
    sealed: bool
    key_source: str | None = None
    """Where servers will look for the key."""
    already: int | None = None
    """How many more of the file's records the room had before."""


@tool(effect=READ, role=ADMIN, caller=CallerUse.NONE, start_room=True, transactional=False)
async def masc_export(ctx: Context, file: File, compress: bool = False) -> Written:
    """Write the whole room to a file."""
    driver = raw(await ctx.transact(_driver))
    snapshot = await driver.dump()
    size = await asyncio.to_thread(write_file, Path(file), snapshot, compress=compress)
    return Written(file, _records(snapshot), size, sealed_with(snapshot).state != "off")


async def _driver(work: Context) -> Driver:
    return work.tx.driver


def _records(snapshot: Snapshot) -> int:
    return sum(document.body is not None for document in snapshot.documents) + len(snapshot.entries)


async def write_out(kernel: Kernel, file: Path, *, compress: bool) -> Outcome:
    """Write the room to a file, through the pipeline: the audit log says so, in an entry that is not in the file."""
    arguments = {"file": str(file), "compress": compress}
    return await kernel.run(contract_of(declaration(masc_export, "command line")), arguments, local_client())


async def take_in(kernel: Kernel, file: Path, *, merging: bool = False) -> Outcome | Taken:
    """Make the room what the file has, or with ``merging`` add to a room what it lacks of it; a room that was just reset takes
    back its own export like that without being asked.

    Of a room that was not there no audit log can say how it came about. Raises :class:`ExportInvalid`,
    :class:`ExportFileUnusable` and :class:`RoomNotEmpty`, having changed nothing.
    """
    records = list(kernel.registry.records)
    snapshot = await asyncio.to_thread(read_file, file, records)
    room = kernel.start_room
    backend = room.settings.storage.type
    not_empty = RoomNotEmpty(path=str(room.base.path), backend=backend)

    def fill(present: Snapshot) -> Snapshot:
        if not present.empty:
            raise not_empty
        return snapshot

    def ensure_reset(present: Snapshot, driver: Driver) -> None:
        if not just_reset(present, snapshot, records, _opener(driver)):
            raise not_empty

    if await room.connect(create=False) and not (present := await raw(room.driver).dump()).empty:
        if merging:
            return await _add(kernel, file, snapshot, lambda *_: None)
        ensure_reset(present, room.driver)
        return await _add(kernel, file, snapshot, ensure_reset)
    await room.connect(create=True)
    await raw(room.driver).exchange(fill)
    return _taken(str(file), _records(snapshot), backend, snapshot)


async def _add(kernel: Kernel, file: Path, snapshot: Snapshot, ensure: Callable[[Snapshot, Driver], None]) -> Outcome:
    """Add what the room lacks of a file's, through the pipeline: the audit log says so. ``ensure`` may refuse."""

    @tool(effect=WRITE, role=ADMIN, caller=CallerUse.NONE, start_room=True, transactional=False)
    async def masc_import(ctx: Context, file: File) -> Taken:
        """Add to the room what it lacks of a file's."""
        driver = await ctx.transact(_unlocked)
        merged: list[Merged] = []

        def change(present: Snapshot) -> Snapshot:
            ensure(present, driver)
            merged[:] = [merge(file, present, snapshot, kernel.registry.records, _opener(driver))]
            return merged[0].snapshot

        await driver.exchange(change)
        return _taken(file, merged[0].added, driver.name, snapshot, merged[0].already)

    return await kernel.run(contract_of(declaration(masc_import, "command line")), {"file": str(file)}, local_client())


def _taken(file: str, records: int, backend: str, snapshot: Snapshot, already: int | None = None) -> Taken:
    state = sealed_with(snapshot)
    sealed = state.state != "off"
    return Taken(file, records, backend, sealed, state.source if sealed else None, already)


async def _unlocked(work: Context) -> Driver:
    """The room's driver, its keys at hand."""
    driver = work.tx.driver
    if isinstance(driver, SealedDriver):
        (await driver.reload()).refuse()
    return driver


def _opener(driver: Driver) -> Opener:
    def document(key: Key, body: bytes) -> bytes:
        return driver.known.keys.open(body, key) if isinstance(driver, SealedDriver) and is_sealed(body) else body

    def entry(log: str, seq: int, body: bytes) -> bytes:
        if isinstance(driver, SealedDriver) and is_sealed(body):
            return driver.known.keys.open_entry(body, log, seq)
        return body

    return Opener(document, entry)


async def restore(kernel: Kernel, file: Path) -> Outcome | Taken:
    """Put a backup in the place of the room; as :func:`take_in` where there is none."""
    room = kernel.start_room
    if not await room.connect(create=False) or (await raw(room.driver).dump()).empty:
        return await take_in(kernel, file)
    records = kernel.registry.records
    snapshot = await asyncio.to_thread(read_file, file, records)

    @tool(effect=DESTRUCTIVE, role=ADMIN, caller=CallerUse.NONE, start_room=True, transactional=False)
    async def masc_restore(ctx: Context, file: File) -> Taken:
        """Put a backup in the place of the room."""
        driver = await ctx.transact(_unlocked)
        opened = _opener(driver).document
        await driver.exchange(lambda present: put_back(present, snapshot, records, opened))
        return _taken(file, _records(snapshot), driver.name, snapshot)

    return await kernel.run(contract_of(declaration(masc_restore, "command line")), {"file": str(file)}, local_client())


def facts(taken: Taken) -> dict[str, Any]:
    """The result as JSON."""
    from masc_core.convert import unstructure

    return {name: value for name, value in unstructure(taken).items() if value is not None}
