"""Rooms with encryption, in this process and in others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cli_support import ENVIRONMENT, MASC, Ran
from cli_support import masc as run_masc

from masc_core.kernel import Kernel
from masc_core.store.driver import Driver
from masc_core.store.sealed import SealedDriver
from masc_core.sweep import due_once
from masc_core.testing import MascApp
from masc_plugin_encryption.migration import Converter

__all__ = [
    "ENVIRONMENT",
    "KEY",
    "MASC",
    "OTHER",
    "Ran",
    "convert",
    "convert_in_background",
    "files_with",
    "inner",
    "masc",
    "sealed_driver",
    "stored_bytes",
]

KEY, OTHER = "a1" * 32, "b2" * 32


def masc(project: Path, *arguments: str, key: str | None = None, **env: str) -> Ran:
    """Run ``masc`` in a process of its own."""
    return run_masc(project, *arguments, env={**env, **({"MASC_ENCRYPTION_KEY": key} if key is not None else {})})


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
