"""Faults of what the servers stand on: the database, its connections, its disk."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

from mcp.client.client import Client

from .base import BITE_SECONDS, Fault, bitten, small_disk
from .proxy import CuttingProxy
from .run import Run, topology
from .servers import HttpServer
from .stores import program

__all__ = ["Connections", "Database", "FullDisk", "ReadOnly"]

BULK = 20_000


class Database(Fault):
    name = "database"
    about = "the database crashes and is started again in mid-load"
    stores = ("postgres", "redis")

    async def cycle(self, run: Run, number: int) -> None:
        await run.pause(0.2)
        await run.store.crash()
        await run.pause(1)
        await run.store.start()
        await run.progress()


class Connections(Fault):
    name = "connections"
    about = "connections break, of clients to servers and of servers to the database"

    async def prepare(self, run: Run) -> None:
        self._proxies: list[CuttingProxy] = []
        environment = run.environment
        if run.store.port is not None:
            between = await self._proxy(run, run.store.port)
            environment = {**environment, **run.store.environment(between.port)}
        topology(run, environment, self.http, self.stdio)
        for endpoint in run.endpoints:
            if isinstance(endpoint, HttpServer):
                endpoint.by_way_of = (await self._proxy(run, endpoint.port)).port

    async def _proxy(self, run: Run, port: int) -> CuttingProxy:
        proxy = await run.stack.enter_async_context(CuttingProxy(port, run.chance))
        self._proxies.append(proxy)
        return proxy

    async def cycle(self, run: Run, number: int) -> None:
        await run.pause(0.2)
        run.chance.choice(self._proxies).cut()
        await run.progress()


class FullDisk(Fault):
    name = "disk"
    about = "the disk of the store is full for a while"

    def disk(self, store: str, directory: Path) -> AbstractContextManager[Path]:
        return small_disk(directory)

    async def cycle(self, run: Run, number: int) -> None:
        filler = run.directory / "disk" / "filler"
        since = len(run.history.operations)
        run.board.bulk = BULK
        fill(filler)
        await bitten(run, since)
        await run.pause(0.3)
        filler.unlink()
        run.board.bulk = 0
        # A database may end itself rather than go on without its log.
        await run.store.revive()
        await run.progress()


def fill(filler: Path) -> None:
    """Take all the space there is, while others take some too."""
    with filler.open("wb") as file:
        size, piece = 0, shutil.disk_usage(filler).free
        while piece >= 4096:
            try:
                os.posix_fallocate(file.fileno(), size, piece)
                size += piece
            except OSError:
                piece //= 2


class ReadOnly(Fault):
    name = "readonly"
    about = "the file, or the database, refuses to be written"

    def disk(self, store: str, directory: Path) -> AbstractContextManager[Path]:
        # To root the bits of a file say nothing, and nobody else may mount.
        return small_disk(directory) if store == "sqlite" else super().disk(store, directory)

    async def cycle(self, run: Run, number: int) -> None:
        if run.order.store == "sqlite":
            await self._file(run)
        else:
            since = len(run.history.operations)
            await run.store.set_read_only(True)
            await bitten(run, since)
            await run.pause(0.3)
            await run.store.set_read_only(False)
        await run.progress()

    async def _file(self, run: Run) -> None:
        """A file system is made read-only only while nobody writes there, so servers meet it at their start."""
        disk = run.directory / "disk"
        for endpoint in run.endpoints:
            await endpoint.kill()
        async with asyncio.timeout(BITE_SECONDS):
            while not _remount(disk, "ro"):
                await asyncio.sleep(0.02)
        server = HttpServer(run.project, run.environment, run.log)
        try:
            await server.start()
            async with server.connect("reader") as client:
                await _refused(client)
            await server.stop()
        except RuntimeError as error:
            # To refuse to start is right, if it says why.
            if "not writable" not in str(error):
                raise
        finally:
            _remount(disk, "rw")
        for endpoint in run.endpoints:
            await endpoint.start()


async def _refused(client: Client) -> None:
    result = await client.call_tool("masc_broadcast", {"message": "into a file that is read-only"})
    code = dict(result.structured_content or {}).get("error", {}).get("code")
    if code != "storage_unavailable":
        raise RuntimeError(f"a write to a file that cannot be written gives {code}")


def _remount(disk: Path, how: str) -> bool:
    command = [program("mount"), "-o", f"remount,{how}", str(disk)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
