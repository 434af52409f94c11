"""Server processes, to be started, stopped and killed; only what was started here is ever ended."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TextIO

from common import ENVIRONMENT, MASC
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from .patience import PATIENCE

__all__ = ["Endpoint", "HttpServer", "StdioServer", "free_port", "masc"]

START_SECONDS = 60.0 * PATIENCE
MODE = ("--mode", "full")


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


async def masc(environment: Mapping[str, str], *arguments: str) -> str:
    """What a command of MASC prints. Raises ``RuntimeError`` where it fails."""
    command = [MASC[0], "-m", "masc_core", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, env={**ENVIRONMENT, **environment}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments[:2])} ended with {process.returncode}: {(out + err).decode()}")
    return out.decode()


class Endpoint:
    """Somewhere clients can connect to. ``environment`` is what the server is given beside the benchmark's own."""

    def __init__(self, project: Path, environment: Mapping[str, str], log: TextIO) -> None:
        self.project = project
        self.environment = {**ENVIRONMENT, **environment}
        self.log = log
        self.up = asyncio.Event()
        """Clients may connect."""

    async def start(self) -> None:
        """Serve."""
        self.up.set()

    async def stop(self) -> None:
        """Let nobody connect any more and end in good order."""
        self.up.clear()

    async def kill(self) -> None:
        """SIGKILL to the server, if there is one just now; let nobody connect any more."""
        self.up.clear()

    def connect(self, agent: str) -> object:
        """A connected client, once the server is there."""
        raise NotImplementedError


class HttpServer(Endpoint):
    """A server over HTTP, which keeps its port when it is started again."""

    def __init__(self, project: Path, environment: Mapping[str, str], log: TextIO) -> None:
        super().__init__(project, environment, log)
        self.port = free_port()
        self.by_way_of = self.port
        """The port that clients use: the server's own or a proxy's."""
        self._process: asyncio.subprocess.Process | None = None
        self._draining: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.by_way_of}/mcp"

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it and wait until it serves. Raises ``RuntimeError`` with what it says when it ends instead."""
        command = [*MASC, "--http", "--port", str(self.port), "--project", str(self.project), *MODE]
        if self.by_way_of != self.port:
            command += ["--allowed-host", f"127.0.0.1:{self.by_way_of}"]
        process = await asyncio.create_subprocess_exec(
            *command, env=self.environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        self._process = process
        assert process.stderr is not None
        said = b""
        async with asyncio.timeout(START_SECONDS):
            while b"http://" not in said:
                if not (line := await process.stderr.readline()):
                    await process.wait()
                    raise RuntimeError(said.decode())
                said += line
        self._draining = asyncio.create_task(self._drain(process.stderr))
        self.up.set()

    async def stop(self) -> None:
        """SIGTERM, and wait for the end. Raises ``RuntimeError`` where it does not end well."""
        self.up.clear()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            async with asyncio.timeout(START_SECONDS):
                if await self._process.wait() != 0:
                    raise RuntimeError(f"the server ended with {self._process.returncode}")

    async def kill(self) -> None:
        self.up.clear()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    @asynccontextmanager
    async def connect(self, agent: str) -> AsyncIterator[Client]:
        await self.up.wait()
        # Every second client is of the older era, which keeps a session.
        mode = "legacy" if agent.endswith(tuple("02468")) else "auto"
        async with Client(f"{self.address}?agent={agent}", mode=mode) as client:
            yield client

    async def _drain(self, stderr: asyncio.StreamReader) -> None:
        while line := await stderr.readline():
            self.log.write(line.decode())


class StdioServer(Endpoint):
    """A server on stdio, which each of its clients, one at a time, starts for itself."""

    def __init__(self, project: Path, environment: Mapping[str, str], log: TextIO, pid_file: Path) -> None:
        super().__init__(project, environment, log)
        self.pid_file = pid_file

    async def stop(self) -> None:
        self._end(signal.SIGTERM)

    async def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        self.up.clear()
        with suppress(FileNotFoundError, ValueError, ProcessLookupError):
            pid = int(self.pid_file.read_text())
            self.pid_file.unlink()
            os.kill(pid, number)

    @asynccontextmanager
    async def connect(self, agent: str) -> AsyncIterator[Client]:
        await self.up.wait()
        # The shell tells its process id, which becomes the server's; the SDK does not.
        script = 'echo $$ >"$0"; exec "$@"'
        options = ["--stdio", "--project", str(self.project), "--agent", agent, *MODE]
        arguments = ["-c", script, str(self.pid_file), *MASC, *options]
        server = StdioServerParameters(command="sh", args=arguments, env=self.environment)
        try:
            async with Client(stdio_client(server, errlog=self.log), mode="legacy") as client:
                yield client
        finally:
            self.pid_file.unlink(missing_ok=True)
