"""Rooms with encryption, in this process and in others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from masc_core.frozen import frozen
from masc_core.kernel import Kernel
from masc_core.store.driver import Driver
from masc_core.store.sealed import SealedDriver
from masc_core.sweep import due_once
from masc_core.testing import MascApp
from masc_plugin_encryption.migration import Converter

MASC = [sys.executable, "-m", "masc_core"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("MASC_") and name != "ME_ROOT"}
KEY, OTHER = "a1" * 32, "b2" * 32


@frozen
class Ran:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, parsed."""
        return orjson.loads(self.out)


def masc(project: Path, *arguments: str, key: str | None = None, **env: str) -> Ran:
    """Run ``masc`` in a process of its own."""
    given = {**ENVIRONMENT, **env, **({"MASC_ENCRYPTION_KEY": key} if key is not None else {})}
    done = subprocess.run(
        [*MASC, *arguments], cwd=project, env=given, input="", capture_output=True, text=True, timeout=60, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def sealed_driver(app: MascApp | Kernel) -> SealedDriver:
    """The sealing driver of the start room."""
    kernel = app.kernel if isinstance(app, MascApp) else app
    driver = kernel.start_room.driver
    assert isinstance(driver, SealedDriver)
    return driver


def inner(app: MascApp) -> Driver:
    """What is under it."""
    return sealed_driver(app).inner


async def convert(app: MascApp) -> None:
    """Carry out a pending migration."""
    converter = Converter(sealed_driver(app))
    while await converter.step():
        pass
    assert not converter.unreadable


async def convert_in_background(app: MascApp) -> None:
    """As a serving process does it: one look for what is due, then the work that it starts."""
    await due_once(app.kernel, app.kernel.start_room)
    work = sealed_driver(app)._work
    assert work is not None
    await work


def stored_bytes(directory: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of a room, but those that hand out secrets."""
    for path in sorted((directory / ".masc").rglob("*")):
        if path.is_file() and "secrets" not in path.parts:
            yield str(path.relative_to(directory)), path.read_bytes()


def files_with(directory: Path, *words: str) -> list[str]:
    """The room's files in which one of the words is."""
    return [name for name, content in stored_bytes(directory) if any(word.encode() in content for word in words)]
