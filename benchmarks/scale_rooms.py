"""Rooms of a size on any store: made once in memory, then put into each store as an import would."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

from chaos.stores import STORES, Store
from scale import Room, fill_board

from masc_core.clock import timestamp
from masc_core.kernel import Kernel
from masc_core.plugins import load
from masc_core.rooms import Base
from masc_core.store.sealed import raw
from masc_core.store.snapshot import Snapshot
from masc_core.testing.limits import lift_limits

__all__ = ["NAMES", "Places", "environment", "made", "prepare"]

NAMES = ("memory", *STORES)
# Agents that wait for their turn in a long run must not become zombies.
_CONFIG = "[health]\nzombie_seconds = 86400\n"


async def made(size: int, project: Path) -> Snapshot:
    """A room with ``size`` tasks, messages and events each; see scale.py."""
    prepare(project)
    with environment({"MASC_STORAGE_TYPE": "memory"}):
        async with Kernel(Base(project, True), load()) as kernel:
            await fill_board(Room(size, kernel), timestamp(time.time()))
            return await raw(kernel.start_room.driver).dump()


class Places:
    """Where rooms go: projects below one directory, and a database of the run's own where the store needs one."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self._directory = directory
        self._store: Store | None = STORES[name](directory) if name in STORES else None

    async def start(self) -> None:
        """Start the database. Raises :class:`chaos.stores.NotHere` where this machine has none."""
        if self._store is not None:
            await self._store.start()

    async def stop(self) -> None:
        """Stop it for good."""
        if self._store is not None:
            await self._store.remove()

    def project(self, size: int) -> Path:
        """The directory of the room of that size."""
        return self._directory / f"{self.name}-{size}"

    def variables(self, size: int) -> dict[str, str]:
        """What leads a process to that room."""
        named = {"MASC_STORAGE_TYPE": self.name, "MASC_CLUSTER_NAME": f"scale-{size}"}
        return named if self._store is None else {**named, **self._store.environment()}

    @contextlib.asynccontextmanager
    async def filled(self, size: int, snapshot: Snapshot) -> AsyncIterator[Kernel]:
        """A kernel in a new room that has what ``snapshot`` has."""
        project = self.project(size)
        prepare(project)
        with environment(self.variables(size)):
            async with Kernel(Base(project, True), load()) as kernel:
                await kernel.start_room.connect(create=True)
                await raw(kernel.start_room.driver).exchange(lambda _: snapshot)
                yield kernel


def prepare(project: Path) -> None:
    """A directory for a room in which programs may call as fast as they can."""
    project.mkdir()
    lift_limits(project)
    with (project / ".masc" / "config.toml").open("a") as config:
        config.write(_CONFIG)


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """This process has these environment variables."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
