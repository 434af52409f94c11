"""The real servers, as clients start them: processes of their own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import orjson
from mcp.client.stdio import StdioServerParameters

from masc_core.errors import StartError

__all__ = ["as_person", "http_server", "lift_limits", "stdio_server"]

_READY_SECONDS, _STOP_SECONDS = 20.0, 10.0


def _command(project: Path, *options: str) -> list[str]:
    return ["-m", "masc_core", "serve", "--project", str(project), *options]


def _environment(settings: bool = False) -> dict[str, str]:
    """Ours; without ``settings`` that are meant for the user's own servers."""
    return {
        name: value
        for name, value in os.environ.items()
        if settings or (not name.startswith(("MASC_", "GIT_")) and name != "ME_ROOT")
    }


def stdio_server(project: Path, agent: str, *, settings: bool = False) -> StdioServerParameters:
    """What an MCP client is told in order to start a stdio server for ``agent``, if so with the user's settings."""
    arguments = _command(project, "--stdio", "--agent", agent)
    return StdioServerParameters(command=sys.executable, args=arguments, env=_environment(settings))


async def lift_limits(project: Path) -> None:
    """Say, as the person at the machine, that agents may call as fast as scripts do. Raises :class:`StartError`."""
    limits = "per_minute broadcast_per_minute task_ops_per_minute file_lock_per_minute reads_per_minute".split()
    arguments = orjson.dumps(dict.fromkeys(limits, 100_000)).decode()
    await as_person(project, "call", "masc_rate_limit_config", arguments)


@asynccontextmanager
async def http_server(project: Path, *, settings: bool = False) -> AsyncIterator[str]:
    """A running HTTP server on a free port, if so with the user's settings; its URL.

    Raises :class:`StartError` when it does not get ready.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *_command(project, "--http", "--port", "0"),
        env=_environment(settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    reader: asyncio.Task[bytes] | None = None
    try:
        assert process.stderr is not None
        line = b""
        with suppress(TimeoutError):
            line = await asyncio.wait_for(process.stderr.readline(), _READY_SECONDS)
        url = line.decode(errors="replace").strip()
        if not url.startswith("http://"):
            raise StartError(message=f"the HTTP server did not start: {url or 'it said nothing'}")
        reader = asyncio.create_task(process.stderr.read())
        yield url
    finally:
        await _stop(process)
        if reader is not None:
            await reader


async def as_person(project: Path, *command: str) -> None:
    """Run a command of the command line, as a person at another terminal does. Raises :class:`StartError`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "masc_core", *command, "--project", str(project),
        env=_environment(), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    if process.returncode:
        raise StartError(message=f"masc {' '.join(command)} failed: {said.decode(errors='replace').strip()}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
