"""``masc serve``: the server, on stdio for one client or over HTTP for many."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from masc_core.cli._common import agent_option, checked_agent, common, list_options, selection_of, style_of
from masc_core.cli._group import MascCommand
from masc_core.cli._lines import SafeLines
from masc_core.errors import StartError
from masc_core.frozen import frozen

if TYPE_CHECKING:
    from masc_core.kernel import Kernel
    from masc_core.wire._source import Network
    from masc_core.wire.mcp import Adapter

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
    max_tokens: int | None
    descriptions: str
    output_schemas: bool
    agent: str | None
    allow_rooms: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    tls_cert: Path | None
    tls_key: Path | None
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
@list_options
@agent_option("Who the client is (stdio only; over HTTP the URL says it: /mcp?agent=NAME).")
@click.option("--allowed-host", "allowed_hosts", metavar="HOST", multiple=True, help="Accept this Host header too.")
@click.option(
    "--allow-room", "allow_rooms", metavar="DIR", multiple=True, help="Let clients choose rooms below DIR only."
)
@click.option(
    "--trusted-proxy", "trusted_proxies", metavar="CIDR", multiple=True,
    help="Believe the X-Forwarded-For of proxies at these addresses.",
)  # fmt: skip
@click.option(
    "--tls-cert", type=click.Path(path_type=Path), envvar="MASC_TLS_CERT", show_envvar=True,
    help="Serve HTTPS with this certificate chain (PEM).",
)  # fmt: skip
@click.option(
    "--tls-key", type=click.Path(path_type=Path), envvar="MASC_TLS_KEY", show_envvar=True,
    help="Its key, unless it is in the same file.",
)  # fmt: skip
@common
@click.pass_context
def serve(ctx: click.Context, /, stdio: bool, http: bool, agent: str | None, **options: Any) -> None:
    """Serve the project's room to coding agents over MCP.

    Several servers may serve one room at the same time, on stdio and over HTTP, and their clients see each other at
    once. Starting changes nothing; the room is made by the first writing call. On stdio the server ends with its client.
    Over HTTP one line with the URL goes to standard error when the server is ready. On an address that other machines
    reach it starts only when auth with require_token is on. On stdio MASC_TOKEN or MASC_TOKEN_FILE is the client's token,
    and MASC_ROOM_SECRET lets it join where it has none.

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
    if options["tls_key"] and not options["tls_cert"]:
        raise click.UsageError("--tls-key goes with --tls-cert")
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
    if wanted.stdio:
        from masc_core.wire._pipes import own_standard_streams

        with own_standard_streams() as streams:  # before plugins are imported, which may print or start what prints
            kernel, adapter = _ready(wanted)
            async with kernel, _sweeping(kernel), adapter:
                await _stdio(kernel, adapter, streams)
        return
    kernel, adapter = _ready(wanted)
    async with kernel, _sweeping(kernel), adapter:
        if not _only_here(wanted.host):
            await _ensure_guarded(kernel, wanted.host)
        await _http(kernel, adapter, wanted)


def _ready(wanted: Wanted) -> tuple[Kernel, Adapter]:
    with _uncollected():
        kernel, adapter = _build(wanted)
    _log_to_stderr(kernel.start_room.settings.server.log_level)
    return kernel, adapter


def _build(wanted: Wanted) -> tuple[Kernel, Adapter]:
    """What serves, not yet opened. Raises :class:`StartError`, and ``click.UsageError`` for options that make no sense."""
    with _models_built_late():
        from masc_core.wire.mcp import Adapter
    from masc_core.credentials import ProcessToken
    from masc_core.kernel import Kernel
    from masc_core.plugins import load
    from masc_core.rooms import find_base
    from masc_core.wire.stdio import Deliveries

    exposed = None if wanted.stdio or _only_here(wanted.host) else wanted.host
    allowed = [_directory(path) for path in wanted.allow_rooms] or ([] if exposed else None)
    style = style_of(wanted.descriptions, wanted.output_schemas)
    kernel = Kernel(find_base(wanted.project), load(), allow_rooms=allowed, style=style)
    selection = selection_of(kernel.modes, wanted.mode, wanted.categories, wanted.max_tokens)
    given: dict[str, Any] = {"selection": selection}
    if not wanted.stdio:
        given |= {"exposed": exposed, "trusted_proxies": [_network(text) for text in wanted.trusted_proxies]}
        return kernel, Adapter(kernel, transport="http", **given)
    given |= {"agent": wanted.agent, "deliveries": Deliveries(), "token": ProcessToken.of_environment()}
    given["room_secret"] = os.environ.get("MASC_ROOM_SECRET", "").strip() or None
    return kernel, Adapter(kernel, transport="stdio", **given)


async def _stdio(kernel: Kernel, adapter: Adapter, streams: tuple[int, int]) -> None:
    from masc_core.wire.stdio import serve_stdio

    await serve_stdio(
        adapter.server,
        max_line=kernel.start_room.settings.server.max_body_bytes,
        deliveries=adapter.deliveries,
        stopping=kernel.stopping,
        initialization=adapter.initialization,
        streams=streams,
    )


async def _http(kernel: Kernel, adapter: Adapter, wanted: Wanted) -> None:
    from masc_core.cli._announce import Announcement
    from masc_core.wire._tls import server_context
    from masc_core.wire.http import HttpOptions, kernel_app, serve_http

    options = HttpOptions(
        host=wanted.host,
        port=wanted.port,
        allowed_hosts=wanted.allowed_hosts,
        tls=server_context(wanted.tls_cert, wanted.tls_key) if wanted.tls_cert else None,
        max_body=kernel.start_room.settings.server.max_body_bytes,
    )
    try:
        app = kernel_app(kernel, adapter, options)
    except StartError as error:
        raise click.BadParameter(str(error), param_hint="--allowed-host") from error
    async with Announcement(kernel.start_room, wanted.as_json) as announcement:
        await serve_http(app, options, ready=announcement.make, stopping=kernel.stopping)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Load code without looking for garbage, then keep what is loaded out of later looks.

    Of some 150,000 objects that importing makes less than one in a hundred is garbage, and the collector would go through
    them again and again: an eighth of the start, and later 30 ms in which no call is answered.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def _models_built_late() -> Iterator[None]:
    """Let pydantic build the validator of a model that is defined meanwhile when it is first needed.

    The SDK defines some 550 models and a session uses a few dozen; to build them all takes a twelfth of the start.
    https://docs.pydantic.dev/latest/api/config/#pydantic.config.ConfigDict.defer_build: models inherit the setting.
    """
    from pydantic import BaseModel

    before = BaseModel.model_config
    BaseModel.model_config = {**before, "defer_build": True}
    try:
        yield
    finally:
        BaseModel.model_config = before


def _only_here(host: str) -> bool:
    """Other machines cannot reach this address."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except OSError:
        return True  # the server names the problem when it listens
    return all(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found)


async def _ensure_guarded(kernel: Kernel, host: str) -> None:
    """Refuse an address that other machines reach unless every request will need a token."""
    from masc_core.store.transaction import Transaction, transact

    async def ask(tx: Transaction) -> bool:
        asked = {"room": kernel.start_room, "tx": tx, "host": host}
        answers = kernel.registry.answers("masc_open_bind", asked)
        return any([(await answer or {}).get("allowed") for answer in answers])

    if await kernel.start_room.connect(create=False) and await transact(kernel.start_room.driver, ask):
        return
    raise StartError(
        message=f"--host {host} is open to other machines, which needs auth with require_token: run masc auth enable "
        f"--require-token first, or use --host {DEFAULT_HOST}"
    )


def _network(text: str) -> Network:
    from masc_core.wire._source import network

    try:
        return network(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text} is no address and no network: {error}", param_hint="--trusted-proxy"
        ) from error


def _directory(text: str) -> Path:
    path = Path(text).expanduser().resolve()
    if not path.is_dir():
        raise StartError(message=f"--allow-room {text} is no directory; create it or name another")
    return path


LINES = SafeLines("%(asctime)s %(levelname)s %(name)s: %(message)s")


def _log_to_stderr(level: str) -> None:
    """MASC logs at the level of the settings; libraries only what is wrong, unless everything is wanted."""
    chosen = level.upper()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LINES)
    below = "DEBUG" if chosen == "DEBUG" else max(logging.WARNING, getattr(logging, chosen))
    logging.basicConfig(handlers=[handler], level=below)
    logging.getLogger("masc_core").setLevel(chosen)


@contextlib.asynccontextmanager
async def _sweeping(kernel: Kernel) -> AsyncIterator[None]:
    """Do what is due by time while the server runs."""
    from masc_core.sweep import keep_counts, sweep_forever

    task = asyncio.create_task(sweep_forever(kernel))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await keep_counts(kernel)
