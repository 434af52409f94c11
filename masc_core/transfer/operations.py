"""What the commands do: write a room to a file, make a room of a file, put a room back."""

from __future__ import annotations

import asyncio
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
from masc_core.tools import ADMIN, DESTRUCTIVE, READ, CallerUse, declaration, tool
from masc_core.transfer.errors import RoomNotEmpty
from masc_core.transfer.files import read_file, write_file
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
    backend: str
    sealed: bool
    key_source: str | None = None
    """Where servers will look for the key."""


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


async def take_in(kernel: Kernel, file: Path) -> Taken:
    """Make the room what the file has. There is none yet, so there is no audit log either that could say so.

    Raises :class:`ExportInvalid`, :class:`ExportFileUnusable` and :class:`RoomNotEmpty`, having changed nothing.
    """
    snapshot = await asyncio.to_thread(read_file, file, kernel.registry.records)
    state = sealed_with(snapshot)
    room = kernel.start_room
    backend = room.settings.storage.type

    def change(present: Snapshot) -> Snapshot:
        if not present.empty:
            raise RoomNotEmpty(path=str(room.base.path), backend=backend)
        return snapshot

    if await room.connect(create=False):
        change(await raw(room.driver).dump())
    await room.connect(create=True)
    await raw(room.driver).exchange(change)
    source = state.source if state.state != "off" else None
    return Taken(str(file), _records(snapshot), backend, state.state != "off", source)


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
        driver = await ctx.transact(_driver)
        if isinstance(driver, SealedDriver):
            (await driver.reload()).refuse()

        def opened(key: Key, body: bytes) -> bytes:
            return driver.known.keys.open(body, key) if isinstance(driver, SealedDriver) and is_sealed(body) else body

        await driver.exchange(lambda present: put_back(present, snapshot, records, opened))
        state = sealed_with(snapshot)
        return Taken(file, _records(snapshot), driver.name, state.state != "off", state.source)

    return await kernel.run(contract_of(declaration(masc_restore, "command line")), {"file": str(file)}, local_client())


def facts(taken: Taken) -> dict[str, Any]:
    """The result as JSON."""
    from masc_core.convert import unstructure

    return {name: value for name, value in unstructure(taken).items() if value is not None}
