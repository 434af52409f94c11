"""``masc serve``: the server, on stdio for one client or over HTTP for many."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import sys
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen
from click.core import ParameterSource

from masc_core.cli._common import agent_option, checked_agent, common, selection_of
from masc_core.cli._group import MascCommand
from masc_core.errors import StartError

if TYPE_CHECKING:
    from masc_core.kernel import Kernel
    from masc_core.modes import Selection

__all__ = ["serve"]

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8935


@frozen
class Wanted:
    """What the options say."""

    stdio: bool
    host: str
    port: int
    allowed_hosts: tuple[str, ...]
    project: str | None
    mode: str | None
    categories: str | None
    agent: str | None
    allow_rooms: tuple[str, ...]
    as_json: bool


@click.command(cls=MascCommand)
@click.option("--stdio", "stdio", is_flag=True, help="Serve one client on standard input and output.")
@click.option("--http", "http", is_flag=True, help="Serve any number of clients at /mcp (the default).")
@click.option("--host", default=DEFAULT_HOST, envvar="MASC_HOST", show_default=True, show_envvar=True)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, envvar="MASC_MCP_PORT", show_default=True,
    show_envvar=True, help="0 picks a free one.",
)  # fmt: skip
@click.option(
    "--mode", metavar="NAME", envvar="MASC_MODE", show_envvar=True,
    help="Fix the mode; without it, the one stored in the room counts.",
)  # fmt: skip
@click.option("--categories", metavar="A,B", help="Fix mode custom with these categories.")
@agent_option("Who the client is (stdio only; over HTTP the URL says it: /mcp?agent=NAME).")
@click.option("--allowed-host", "allowed_hosts", metavar="HOST", multiple=True, help="Accept this Host header too.")
@click.option(
    "--allow-room", "allow_rooms", metavar="DIR", multiple=True, help="Let clients choose rooms below DIR only."
)
@common
@click.pass_context
def serve(ctx: click.Context, /, stdio: bool, http: bool, agent: str | None, **options: Any) -> None:
    """Serve the project's room to coding agents over MCP.

    Several servers may serve one room at the same time, on stdio and over HTTP, and their clients see each other at
    once. Starting changes nothing; the room is made by the first writing call. On stdio the server ends with its client.
    Over HTTP one line with the URL goes to standard error when the server is ready, and only this machine can connect.

    \b
    claude mcp add masc -- masc serve --stdio --project . --agent claude
    masc serve --http --project . --port 0
    """
    if stdio and http:
        raise click.UsageError("--stdio and --http exclude each other")
    if agent and not stdio:
        if ctx.get_parameter_source("agent") is ParameterSource.COMMANDLINE:
            raise click.UsageError("--agent goes with --stdio; over HTTP a client says it in its URL: /mcp?agent=NAME")
        agent = None
    wanted = Wanted(stdio=stdio, agent=checked_agent(agent), **options)
    _run(_serve(wanted))


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


async def _serve(wanted: Wanted) -> None:
    from masc_core.kernel import Kernel
    from masc_core.plugins import load
    from masc_core.rooms import find_base

    if not wanted.stdio:
        _ensure_loopback(wanted.host)
    allowed = [_directory(path) for path in wanted.allow_rooms] or None
    kernel = Kernel(find_base(wanted.project), load(), allow_rooms=allowed)
    selection = selection_of(kernel.modes, wanted.mode, wanted.categories)
    _log_to_stderr(kernel.start_room.settings.server.log_level)
    async with kernel, _sweeping(kernel):
        await (_stdio if wanted.stdio else _http)(kernel, wanted, selection)


async def _stdio(kernel: Kernel, wanted: Wanted, selection: Selection | None) -> None:
    from masc_core.wire.mcp import Adapter
    from masc_core.wire.stdio import Deliveries, serve_stdio

    deliveries = Deliveries()
    given: dict[str, Any] = {"agent": wanted.agent, "selection": selection, "deliveries": deliveries}
    async with Adapter(kernel, transport="stdio", **given) as adapter:
        await serve_stdio(
            adapter.server,
            max_line=kernel.start_room.settings.server.max_body_bytes,
            deliveries=deliveries,
            stopping=kernel.stopping,
            initialization=adapter.initialization,
        )


async def _http(kernel: Kernel, wanted: Wanted, selection: Selection | None) -> None:
    from masc_core.cli._announce import Announcement
    from masc_core.wire.http import HttpOptions, build_app, serve_http
    from masc_core.wire.mcp import Adapter

    options = HttpOptions(
        host=wanted.host,
        port=wanted.port,
        allowed_hosts=wanted.allowed_hosts,
        max_body=kernel.start_room.settings.server.max_body_bytes,
    )
    announcement = Announcement(kernel.start_room.directory, wanted.as_json)
    async with Adapter(kernel, transport="http", selection=selection) as adapter:
        app = build_app(adapter.server, options, health=adapter.health, endpoint_check=adapter.check_query)
        try:
            await serve_http(app, options, ready=announcement.make, stopping=kernel.stopping)
        finally:
            announcement.withdraw()


def _ensure_loopback(host: str) -> None:
    """Refuse any address that other machines can reach: there is no authentication to protect it yet."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except OSError:
        return  # the server names the problem when it listens
    if all(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found):
        return
    raise StartError(
        message=f"--host {host} is open to other machines, which needs auth with require_token, and auth is not installed; "
        f"use --host {DEFAULT_HOST}"
    )


def _directory(text: str) -> Path:
    path = Path(text).expanduser().resolve()
    if not path.is_dir():
        raise StartError(message=f"--allow-room {text} is no directory; create it or name another")
    return path


def _log_to_stderr(level: str) -> None:
    """MASC logs at the level of the settings; libraries only what is wrong, unless everything is wanted."""
    chosen = level.upper()
    logging.basicConfig(
        stream=sys.stderr,
        level="DEBUG" if chosen == "DEBUG" else max(logging.WARNING, getattr(logging, chosen)),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("masc_core").setLevel(chosen)


@contextlib.asynccontextmanager
async def _sweeping(kernel: Kernel) -> AsyncIterator[None]:
    """Do what is due by time while the server runs."""
    task = asyncio.create_task(kernel.sweep_forever())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
