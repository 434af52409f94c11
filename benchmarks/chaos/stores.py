"""The databases that rooms are kept in: started here, on free ports, with their files in a directory of the run."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent.parent / "tests" / "store"
sys.path.append(str(TESTS))  # the tests stop and start databases of their own in the same way

import postgres_own  # noqa: E402
import pytest  # noqa: E402
from redis_server import RedisServer, ensure_installed  # noqa: E402

__all__ = ["STORES", "NotHere", "PostgresStore", "RedisStore", "Store", "new_key", "preloaded", "program"]


class NotHere(Exception):
    """This machine cannot do it; the message says why."""


class Store:
    """Where the room is kept. This one is a file beside the project, with no server to start or stop."""

    name = "sqlite"
    port: int | None = None
    """Of the database server, if there is one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def environment(self, port: int | None = None) -> dict[str, str]:
        """What tells a MASC server of it; ``port``: by way of a proxy there."""
        return {"MASC_STORAGE_TYPE": self.name}

    async def start(self) -> None:
        """Start the database and wait until it answers."""

    async def crash(self) -> None:
        """End it as a crash would."""

    async def revive(self) -> None:
        """Start it if it has ended itself."""
        if self.port is not None and not await _listens(self.port):
            await self.start()

    async def remove(self) -> None:
        """Stop it for good."""

    async def set_read_only(self, read_only: bool) -> None:
        """Let the running database refuse all writes, or take them again."""


class PostgresStore(Store):
    """A PostgreSQL of the run's own."""

    name = "postgres"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        with _skipping():
            binaries = postgres_own.binaries()
        with _temporary(directory):
            self._server = postgres_own.OwnServer(binaries)
        self.port = self._server.port

    def environment(self, port: int | None = None) -> dict[str, str]:
        url = self._server.url.replace(f":{self.port}/", f":{port or self.port}/")
        return {"MASC_STORAGE_TYPE": self.name, "MASC_POSTGRES_URL": url}

    async def start(self) -> None:
        await asyncio.to_thread(self._server.start)

    async def crash(self) -> None:
        if (self._server.directory / "data" / "postmaster.pid").exists():
            await asyncio.to_thread(self._server.stop, "immediate")

    async def remove(self) -> None:
        with suppress(FileNotFoundError):
            await asyncio.to_thread(self._server.remove)

    async def set_read_only(self, read_only: bool) -> None:
        import psycopg

        async with await psycopg.AsyncConnection.connect(self._server.url, autocommit=True) as connection:
            await connection.execute("SET default_transaction_read_only = off")
            value = "on" if read_only else "off"
            await connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")  # type: ignore[arg-type]
            await connection.execute("SELECT pg_reload_conf()")


class RedisStore(Store):
    """A Redis of the run's own, with the settings that MASC asks for."""

    name = "redis"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        with _skipping():
            ensure_installed()
        self._server = RedisServer(directory)
        self.port = self._server.port

    def environment(self, port: int | None = None) -> dict[str, str]:
        return {"MASC_STORAGE_TYPE": self.name, "MASC_REDIS_URL": f"redis://127.0.0.1:{port or self.port}/0"}

    async def start(self) -> None:
        await asyncio.to_thread(self._server.start)

    async def crash(self) -> None:
        await asyncio.to_thread(self._server.kill)

    async def remove(self) -> None:
        await self.crash()

    async def set_read_only(self, read_only: bool) -> None:
        # A replica refuses writes; of a server that nobody can reach it goes on serving what it has.
        command = ("REPLICAOF", "127.0.0.1", "1") if read_only else ("REPLICAOF", "NO", "ONE")
        if not (answer := self._server.ask(*command)).startswith(b"+OK"):
            raise RuntimeError(f"Redis answers {answer!r}")


STORES: Mapping[str, type[Store]] = {"sqlite": Store, "postgres": PostgresStore, "redis": RedisStore}


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def new_key() -> str:
    """A master key to seal a room with."""
    return secrets.token_hex(32)


@contextmanager
def _skipping() -> Iterator[None]:
    try:
        yield
    except pytest.skip.Exception as skipped:
        raise NotHere(str(skipped)) from None


@contextmanager
def _temporary(directory: Path) -> Iterator[None]:
    """Temporary directories are made in this one."""
    before, tempfile.tempdir = tempfile.tempdir, str(directory)
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextmanager
def preloaded(variables: Mapping[str, Any]) -> Iterator[None]:
    """Processes that are started meanwhile have these variables."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def program(name: str) -> str:
    """Where a program is. Raises :class:`NotHere`."""
    if (found := shutil.which(name)) is None:
        raise NotHere(f"there is no {name} on this machine")
    return found
