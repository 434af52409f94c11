"""Rooms: which directory a request means, and the open store of each."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, field

from masc_core.clock import Clock, timestamp
from masc_core.errors import StartError, StorageUnavailable
from masc_core.frozen import frozen
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

    Raises :class:`StartError` when it is no directory.
    """
    environ = os.environ if environ is None else environ
    chosen = project or environ.get("MASC_BASE_PATH") or environ.get("ME_ROOT")
    start = Path(chosen).expanduser() if chosen else Path.cwd()
    if not start.is_dir():
        raise StartError(message=f"{start} is no directory; create it or choose another with --project")
    return resolve_base(start, explicit=chosen is not None)


def resolve_base(start: Path, explicit: bool) -> Base:
    """From ``start``: the main checkout of a linked worktree, then the nearest ancestor with ``.masc/``, else the git top
    level, else the directory itself."""
    start = start.resolve()
    top = _git_top(start)
    if top is not None and (main := _main_checkout(top)) is not None:
        start = top = main
    for candidate in (start, *start.parents):
        if (candidate / ".masc").is_dir():
            return Base(candidate, True)
    return Base(top or start, explicit or top is not None)


def _git_top(start: Path) -> Path | None:
    return next((p for p in (start, *start.parents) if (p / ".git").exists()), None)


def _main_checkout(top: Path) -> Path | None:
    """The main checkout of a linked worktree; ``None`` for any other checkout (a submodule too has a .git file)."""
    link = top / ".git"
    if not link.is_file():
        return None
    try:
        git_dir = Path(link.read_text(encoding="utf-8").removeprefix("gitdir:").strip())
        common = (top / git_dir).resolve() / "commondir"
        common_dir = (common.parent / common.read_text(encoding="utf-8").strip()).resolve()
    except (OSError, ValueError):
        return None
    return common_dir.parent if common_dir.name == ".git" else None


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

    async def transact(self, run: Callable[[Transaction], Awaitable[M]], first: Transaction | None = None) -> M:
        """Run a unit of work; see :func:`masc_core.store.transaction.transact`."""
        return await transact(self.driver, run, first, self._line)

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
    """Make ``.masc/`` (0700) with its .gitignore and a config file of comments, leaving what is there."""
    directory.mkdir(mode=0o700, exist_ok=True)
    for name, text in ((".gitignore", "*\n"), ("config.toml", CONFIG_TEMPLATE)):
        try:
            with (directory / name).open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            continue


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


def write_private(path: Path, lines: Iterable[bytes]) -> None:
    """Write lines to a new file readable by its owner alone, on disk when this returns.

    Raises :class:`StorageUnavailable` when that fails, leaving no half file.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise StorageUnavailable(backend="export", cause=str(error)) from error
