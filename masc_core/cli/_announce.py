"""How an HTTP server says where it is: a line on stderr, and ``.masc/server.json`` for tools that look for it.

Of several servers of one room the file names one. Whichever it names removes it at its end, and another that still runs
puts itself in its place; it does so too when the one named ended without removing anything.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import click
import orjson

from masc_core.clock import SystemClock, timestamp
from masc_core.identity import Bindings, process_binding

if TYPE_CHECKING:
    from masc_core.rooms import OpenRoom

__all__ = ["Announcement"]

_LOOK_SECONDS = 2


class Announcement:
    """Made when the server is ready, withdrawn when it ends; ``async with`` it while the server runs."""

    def __init__(self, room: OpenRoom, as_json: bool) -> None:
        self._room = room
        self._file = room.directory / "server.json"
        self._as_json = as_json
        self._content = b""
        self._keeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        self._withdraw()

    def make(self, base_url: str) -> None:
        """Print the URL; write the file once the room's directory exists, since starting creates nothing."""
        url = f"{base_url}/mcp"
        started = timestamp(SystemClock().now())
        facts = {
            "pid": os.getpid(),
            "port": urlsplit(base_url).port,
            "url": url,
            "started_at": started,
            "process": process_binding(),
        }
        self._content = orjson.dumps(facts, option=orjson.OPT_APPEND_NEWLINE)
        if not self._room.directory.is_dir() or self._write():
            self._keeping = asyncio.ensure_future(self._keep())
        click.echo(orjson.dumps(facts) if self._as_json else url, err=True)

    async def _keep(self) -> None:
        """Write the file whenever it names no server: at first, and when the one that it named has ended."""
        if not self._room.directory.is_dir():
            await self._directory()
        while self._names_one() or not self._room.directory.is_dir() or self._write():
            await self._room.clock.sleep(_LOOK_SECONDS)

    async def _directory(self) -> None:
        """Wait for the directory: made in this process, which says so, or by another command or server."""
        signs = [asyncio.ensure_future(self._room.prepared.wait()), asyncio.ensure_future(self._look())]
        try:
            await asyncio.wait(signs, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for sign in signs:
                sign.cancel()

    async def _look(self) -> None:
        while not self._room.directory.is_dir():
            await self._room.clock.sleep(_LOOK_SECONDS)

    def _names_one(self) -> bool:
        """The file names a server that runs, or one of which nobody here can tell: on another machine, or of an older MASC."""
        try:
            return not Bindings().ended(orjson.loads(self._file.read_bytes())["process"])
        except FileNotFoundError:
            return False
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return True

    def _withdraw(self) -> None:
        """Remove the file, unless another server has written it since."""
        with suppress(OSError):
            if self._file.read_bytes() == self._content:
                self._file.unlink()

    def _write(self) -> bool:
        """Readers see the old file or the new one, never half of it. False, once it was said why, when it cannot be."""
        half = self._file.with_name(f"server.json.{os.getpid()}")
        try:
            half.write_bytes(self._content)
            half.replace(self._file)
        except OSError as error:
            click.echo(
                f"masc: {self._file} cannot be written ({error.strerror}); the server runs all the same", err=True
            )
            return False
        return True
