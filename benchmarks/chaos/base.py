"""What a fault is."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import ClassVar

from .patience import PATIENCE
from .run import Run, topology
from .stores import NotHere, program

__all__ = ["BITE_SECONDS", "Fault", "bitten", "small_disk"]

BITE_SECONDS = 20.0 * PATIENCE
DISK_BYTES = 400 << 20


class Fault:
    """One way to break things, for one run."""

    name: ClassVar[str]
    about: ClassVar[str]
    stores: ClassVar[Sequence[str]] = ("sqlite", "postgres", "redis")
    http = 2
    stdio = 2

    def variables(self, directory: Path) -> dict[str, str]:
        """What the environment of all servers, also the database's, has in addition. Raises :class:`NotHere`."""
        return {}

    def disk(self, store: str, directory: Path) -> AbstractContextManager[Path]:
        """Where the store keeps its files. Raises :class:`NotHere`."""
        return _ordinary_disk(directory)

    async def prepare(self, run: Run) -> None:
        """Say which servers there are."""
        topology(run, run.environment, self.http, self.stdio)

    async def cycle(self, run: Run, number: int) -> None:
        """Break something and mend it."""
        raise NotImplementedError

    async def finish(self, run: Run) -> None:
        """Mend what the last cycle left."""


@contextmanager
def _ordinary_disk(directory: Path) -> Iterator[Path]:
    place = directory / "disk"
    place.mkdir()
    place.chmod(0o755)
    yield place


@contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    """A file system of its own, of :data:`DISK_BYTES`."""
    if os.geteuid() != 0:
        raise NotHere("mounting a small file system needs root")
    place = directory / "disk"
    place.mkdir()
    command = [program("mount"), "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0755", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotHere(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run([program("umount"), "--lazy", str(place)], check=True)


async def bitten(run: Run, since: int) -> None:
    """Wait until a call made after the first ``since`` was refused for want of the store."""
    try:
        async with asyncio.timeout(BITE_SECONDS):
            while not any(o.code == "storage_unavailable" for o in run.history.operations[since:]):
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise RuntimeError("the fault had no effect: no call was refused with storage_unavailable") from None
