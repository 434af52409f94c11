"""Hands out a secret without showing it: in a new file of the room's ``.masc/secrets/``, or in the result if asked."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from attrs import field

from masc_core.errors import StorageUnavailable
from masc_core.frozen import frozen
from masc_core.rooms import prepare_directory

if TYPE_CHECKING:
    from masc_core.context import Context

__all__ = ["Deliver", "Delivered", "deliver_on_commit", "deliver_secret"]

Deliver = Literal["file", "result"]
"""How a tool's ``deliver`` argument says it."""

_UNFIT = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST = 100
_MOST = 10_000


@frozen
class Delivered:
    """A secret on its way: exactly one of value and path."""

    value: str | None = field(default=None, repr=False)
    path: str | None = None

    async def withdraw(self) -> None:
        """Take the file back, when what the secret is for did not come about."""
        if self.path is not None:
            await asyncio.to_thread(Path(self.path).unlink, missing_ok=True)


async def deliver_secret(ctx: Context, kind: str, name: str, value: str, deliver: Deliver | None = None) -> Delivered:
    """Deliver ``value``: into the new file ``.masc/secrets/<kind>-<name>`` (0600, with a number where the name is taken),
    or in the result. Without ``deliver`` it is a file, but the result for clients on another machine.

    An effect outside the store: call it where the handler does not run again, and withdraw it when the change fails.
    Raises :class:`StorageUnavailable` when the file cannot be written.
    """
    if _in_result(ctx, deliver):
        return Delivered(value=value)
    stem = _UNFIT.sub("_", f"{kind}-{name}")[:_LONGEST]
    try:
        path = await asyncio.to_thread(_write, ctx.base / ".masc", stem, value)
    except OSError as error:
        raise StorageUnavailable(backend="secrets", cause=str(error)) from error
    return Delivered(path=str(path))


def _in_result(ctx: Context, deliver: Deliver | None) -> bool:
    return (deliver or ("result" if ctx.call.client.remote else "file")) == "result"


async def deliver_on_commit(
    ctx: Context, kind: str, name: str, value: str, deliver: Deliver | None = None
) -> Delivered:
    """As :func:`deliver_secret`, in a unit of work that may run again: ``.masc/secrets/<kind>-<name>`` gets the value with
    the commit, in place of an earlier one, and neither a lost attempt nor a failed call leaves anything behind.
    """
    if _in_result(ctx, deliver):
        return Delivered(value=value)
    stem = _UNFIT.sub("_", f"{kind}-{name}")[:_LONGEST]
    try:
        passing = await asyncio.to_thread(_write, ctx.base / ".masc", f".{stem}", value)
    except OSError as error:
        raise StorageUnavailable(backend="secrets", cause=str(error)) from error
    final = passing.parent / stem
    ctx.call.undo.append(lambda: passing.unlink(missing_ok=True))

    async def settle() -> None:
        try:
            # A rename takes the place of a link that has the name; it does not follow it.
            await asyncio.to_thread(passing.replace, final)
        except OSError as error:
            raise StorageUnavailable(backend="secrets", cause=str(error)) from error

    ctx.committed.append(settle)
    return Delivered(path=str(final))


def _write(room: Path, stem: str, value: str) -> Path:
    """Write one line to a new file. Directory and file are opened so that no link can lead elsewhere."""
    prepare_directory(room)
    directory = room / "secrets"
    directory.mkdir(mode=0o700, exist_ok=True)
    flags = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
    place = os.open(directory, flags)
    try:
        os.fchmod(place, 0o700)
        name, descriptor = _create(place, stem)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(value.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            os.unlink(name, dir_fd=place)
            raise
    finally:
        os.close(place)
    return directory / name


def _create(place: int, stem: str) -> tuple[str, int]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
    for number in range(1, _MOST):
        name = stem if number == 1 else f"{stem}-{number}"
        try:
            descriptor = os.open(name, flags, 0o600, dir_fd=place)
        except FileExistsError:
            continue
        os.fchmod(descriptor, 0o600)
        return name, descriptor
    raise FileExistsError(f"{_MOST} files {stem}; delete those that were picked up")
