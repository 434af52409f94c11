"""Rooms: which directory a request means, and the open store of each."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, field

from masc_core._checkout import common_directory, is_bare, linked_worktrees, main_checkout, top_level
from masc_core.clock import Clock, timestamp
from masc_core.errors import StartError, StorageUnavailable
from masc_core.frozen import evolve, frozen
from masc_core.records import EVENTS, ROOM_ID, ROOMS, Event, Room
from masc_core.settings import Settings
from masc_core.store.collections import Collection, Log, LogView, View
from masc_core.store.driver import Driver, Key, Scan
from masc_core.store.line import ProcessLine
from masc_core.store.opening import open_driver, store_exists
from masc_core.store.transaction import Transaction, transact

__all__ = ["Base", "OpenRoom", "Rooms", "find_base", "resolve_base"]

M = TypeVar("M")
CONFIG_TEMPLATE = """\
# Settings of this MASC room; MASC never writes this file again. Every key is optional.
# [locks]
# ttl_seconds = 1800
# [health]
# zombie_seconds = 300
# [auth]
# default_role = "worker"    # of callers without a token, where none is required; or "reader"
# token_expiry_hours = 24
# [ratelimit]
# per_minute = 10
# priority_agents = ["claude"]
# [interrupt]
# timeout_minutes = 30
# [redaction]
# allow = ["^sk_test_"]     # secrets in which one of these is found stay
# [storage]
# durability = "full"       # or "process": faster, the newest changes may be lost with the power
"""


@frozen
class Base:
    """A room's directory, and whether a writing call may create the room there."""

    path: Path
    may_create: bool


def find_base(project: str | None, environ: Mapping[str, str] | None = None) -> Base:
    """The base directory: ``--project``, MASC_BASE_PATH, ME_ROOT or the working directory, resolved.

    Raises :class:`StartError` when it is no directory, and as :func:`resolve_base` does.
    """
    environ = os.environ if environ is None else environ
    chosen = project or environ.get("MASC_BASE_PATH") or environ.get("ME_ROOT")
    start = Path(chosen).expanduser() if chosen else Path.cwd()
    if not start.is_dir():
        raise StartError(message=f"{start} is no directory; create it or choose another with --project")
    return resolve_base(start, explicit=chosen is not None)


def resolve_base(start: Path, explicit: bool) -> Base:
    """From ``start``: the main checkout of a linked worktree, then the nearest ancestor with ``.masc/``, else the git top
    level, else the directory itself.

    Raises :class:`StartError` where something else has the place of the room's directory, and for a linked worktree
    without a room whose main checkout nothing tells: a room made there would be a second one.
    """
    base = _resolve(start, explicit)
    check_directory(base.path / ".masc")
    return base


def _resolve(start: Path, explicit: bool) -> Base:
    start = start.resolve()
    top = top_level(start)
    common = None if top is None else common_directory(top)
    if top is not None and common is not None and (main := main_checkout(top, common)) is not None:
        start, top, common = main, main, None
    for candidate in (start, *start.parents):
        # A link to nothing is a room that is out of reach just now, not one that is missing.
        if (directory := candidate / ".masc").is_dir() or directory.is_symlink():
            return Base(candidate, True)
    if top is not None and common is not None:
        return Base(_shared_by(top, common), True)
    return Base(top or start, explicit or top is not None)


def _shared_by(top: Path, common: Path) -> Path:
    """Which of a bare repository's worktrees has the room of all; ``top`` where none has one yet."""
    if not is_bare(common):
        raise StartError(
            message=f"{top} is a linked worktree of {common}, which does not say where the main checkout is; run "
            f"git config core.worktree DIR there with the main checkout's directory, or name that with --project"
        )
    return next((p for p in linked_worktrees(common) if (p / ".masc").is_dir()), top)


@define
class OpenRoom:
    """One room's directory with its store, connected on first use."""

    base: Base
    settings: Settings
    clock: Clock
    stopping: asyncio.Event
    _stack: AsyncExitStack = field(repr=False)
    _wrappers: Sequence[Any] = field(repr=False)
    """How guards put drivers of their own round this room's: the implementations of ``masc_store``, in order."""
    memory: dict[str, Any] = field(factory=dict, init=False, repr=False)
    """What plugins remember of the room in this process, each under its own name; gone when the process ends."""
    prepared: asyncio.Event = field(factory=asyncio.Event, init=False, repr=False)
    """Set once this process has made the room's directory, or found it where a room was to be made."""
    _driver: Driver | None = field(default=None, repr=False)
    _lock: asyncio.Lock = field(factory=asyncio.Lock, repr=False)
    _line: ProcessLine = field(factory=ProcessLine, repr=False)

    @property
    def directory(self) -> Path:
        """``<base>/.masc``."""
        return self.base.path / ".masc"

    def remember(self, kind: type[M]) -> M:
        """What this process remembers of the room as an object of ``kind``, made on first use."""
        name = f"{kind.__module__}.{kind.__qualname__}"
        if (known := self.memory.get(name)) is None:
            known = self.memory[name] = kind()
        found: M = known
        return found

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[OpenRoom]:
        """The room with an empty store that is thrown away; what plugins remember of the room, such as how often somebody
        called, is the same."""
        from masc_core.store.memory import MemoryDriver

        async with AsyncExitStack() as opening:
            driver: Driver = await opening.enter_async_context(MemoryDriver(self.clock))
            room = evolve(self, driver=await self._wrapped(driver, opening))
            room.memory = self.memory
            yield room

    @property
    def driver(self) -> Driver:
        """The store. Raises ``RuntimeError`` before :meth:`connect`."""
        if self._driver is None:
            raise RuntimeError("the room's store is not connected")
        return self._driver

    async def connect(self, create: bool) -> bool:
        """Connect the store if it exists or ``create`` says so; false when there is none."""
        if create:
            self._prepare_directory()
        if self._driver is not None:
            return True
        async with self._lock:
            if self._driver is None and (create or store_exists(self.settings, self.directory)):
                # A room that a guard keeps shut leaves nothing open.
                async with AsyncExitStack() as opening:
                    driver = open_driver(self.settings, self.directory, self.clock)
                    driver = await opening.enter_async_context(driver)
                    # A shared store has a clock of its own, which everything in this room follows.
                    clock = driver.clock
                    driver = await self._wrapped(driver, opening)
                    self._stack.push_async_exit(opening.pop_all())
                self.clock = clock
                self._driver = driver
        return self._driver is not None

    async def transact(
        self, run: Callable[[Transaction], Awaitable[M]], first: Transaction | None = None, kind: str = ""
    ) -> M:
        """Run a unit of work; see :func:`masc_core.store.transaction.transact`."""
        return await transact(self.driver, run, first, self._line, kind)

    async def _wrapped(self, driver: Driver, stack: AsyncExitStack) -> Driver:
        """The driver inside those of the guards, each round what the one before made."""
        for found in self._wrappers:
            given = {"driver": driver, "room": self}
            answer: Any = found.function(*(given[name] for name in found.argnames))
            if (wrapper := await answer) is not None:
                driver = await stack.enter_async_context(wrapper["driver"])
        return driver

    def _prepare_directory(self) -> None:
        """Make the room's directory, also beside a shared store: settings, exports and secrets are kept in it."""
        if self.settings.storage.type == "memory":
            return
        try:
            prepare_directory(self.directory)
            self.prepared.set()
        except OSError as error:
            raise StorageUnavailable(backend=self.settings.storage.type, cause=str(error)) from error

    def record(self) -> Room:
        """What the record of a new room is."""
        return Room(ROOM_ID, self.settings.cluster, str(self.base.path), timestamp(self.clock.now()))

    async def found(self, tx: Transaction, actor: str) -> tuple[Room, bool]:
        """The room's record, made in this unit of work where it is missing, and whether it was."""
        rooms = View(ROOMS, tx)
        if (existing := await rooms.find(ROOM_ID)) is not None:
            return existing, False
        made = rooms.put(self.record())
        LogView(EVENTS, tx).append(Event("room_initialised", made.started_at, actor, {}, ROOM_ID))
        return made, True

    async def wait(self, after: Mapping[str, int], seconds: float) -> bool:
        """Wait until a log has grown, the time is over or the server stops; true for the first."""
        tasks = [
            asyncio.ensure_future(self.driver.watch(after)),
            asyncio.ensure_future(self.clock.sleep(seconds)),
            asyncio.ensure_future(self.stopping.wait()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0] in done:
                tasks[0].result()
            return tasks[0] in done
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def prepare_directory(directory: Path) -> None:
    """Make ``.masc/`` (0700) with its .gitignore and a config file of comments, leaving what is there.

    Raises :class:`StartError` as :func:`check_directory` does, and ``OSError``.
    """
    check_directory(directory)
    directory.mkdir(mode=0o700, exist_ok=True)
    _keep_private(directory)
    for name, text in ((".gitignore", "*\n"), ("config.toml", CONFIG_TEMPLATE)):
        try:
            with (directory / name).open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            continue


def check_directory(directory: Path) -> None:
    """Raise :class:`StartError` where something else has the place of a room's directory."""
    if os.path.lexists(directory) and not directory.is_dir():
        what = "a file" if directory.exists() else "a link to nothing"
        raise StartError(message=f"{directory} is {what} where the room's directory belongs; move it away")


def _keep_private(directory: Path) -> None:
    """Shut an existing directory of ours to everybody else; one that belongs to somebody else is theirs to shut."""
    with contextlib.suppress(OSError):  # the file system has no modes
        found = directory.stat()
        if found.st_mode & 0o077 and found.st_uid == os.geteuid():
            directory.chmod(0o700)


class Rooms:
    """The rooms a serving process has open."""

    def __init__(
        self,
        clock: Clock,
        stopping: asyncio.Event,
        stack: AsyncExitStack,
        settings_of: Callable[[Path], Settings],
        wrappers: Sequence[Any],
    ) -> None:
        self._clock = clock
        self._stopping = stopping
        self._stack = stack
        self._settings_of = settings_of
        self._wrappers = wrappers
        self._open: dict[Path, OpenRoom] = {}

    def at(self, base: Base) -> OpenRoom:
        """The room of a directory. Raises :class:`StartError` for bad settings."""
        if base.path not in self._open:
            settings = self._settings_of(base.path)
            self._open[base.path] = OpenRoom(base, settings, self._clock, self._stopping, self._stack, self._wrappers)
        return self._open[base.path]

    def opened(self) -> list[OpenRoom]:
        """The rooms that were asked for so far."""
        return list(self._open.values())


async def clear(tx: Transaction, records: Sequence[Collection[object] | Log[object]]) -> dict[str, int]:
    """Buffer the removal of every record that does not survive a reset; counts by collection."""
    removed: dict[str, int] = {}
    for declared in records:
        if declared.survives_reset:
            continue
        if isinstance(declared, Collection):
            found = await tx.scan(Scan(declared.name, limit=10_000_000))
            for document in found:
                tx.delete(Key(declared.name, document.key.id))
            count = len(found)
        else:
            seqs = [entry.seq for entry in await tx.driver.read_log(declared.name, 0, 10_000_000)]
            if seqs:
                LogView(declared, tx).remove(seqs)
            count = len(seqs)
        if count:
            removed[declared.name] = count
    return removed


def write_private(directory: Path, lines: Iterable[bytes]) -> Path:
    """Write lines to ``room.jsonl`` in a new directory, readable by its owner alone and on disk when this returns; its path.

    A ``directory`` that is there already gets a number behind its name: what it holds may be the only copy of a room.
    Raises :class:`StorageUnavailable` when that fails, leaving no half file.
    """
    made: Path | None = None
    try:
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = (made := _new_directory(directory)) / "room.jsonl"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if made is not None:
            with suppress(OSError):
                (made / "room.jsonl").unlink(missing_ok=True)
                made.rmdir()
        raise StorageUnavailable(backend="export", cause=str(error)) from error
    return path


def _new_directory(wanted: Path) -> Path:
    directory, number = wanted, 1
    while True:
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:
            number += 1
            directory = wanted.with_name(f"{wanted.name}-{number}")
        else:
            return directory
