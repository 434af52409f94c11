"""MCP over HTTP: Streamable HTTP at ``/mcp`` for both protocol eras, on a server that bounds what it waits for."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import uvicorn
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http import EventStore
from starlette.routing import BaseRoute

from masc_core.errors import StartError
from masc_core.wire._app import Admit, EndpointCheck, Health, McpApp
from masc_core.wire._delivery import DELIVERED
from masc_core.wire._protocol import protocol_class
from masc_core.wire._routes import plugin_routes
from masc_core.wire._signals import told_to_stop

if TYPE_CHECKING:
    from masc_core.kernel import Kernel
    from masc_core.wire.mcp import Adapter

__all__ = ["DELIVERED", "HttpOptions", "McpApp", "build_app", "kernel_app", "serve_http"]


@attrs.frozen(kw_only=True)
class HttpOptions:
    """Where to listen and what to bear. Times are seconds, sizes bytes."""

    host: str = "127.0.0.1"
    port: int = 8935
    """0 picks a free one."""
    allowed_hosts: tuple[str, ...] = ()
    """Further ``Host`` values, ``name`` or ``name:port``; loopback names with the served port are always allowed."""
    tls: ssl.SSLContext | None = None
    """Speak HTTPS; without it plain HTTP."""
    max_body: int = 2_097_152
    header_timeout: float = 10.0
    """From the first byte of a request, or from connecting, to the end of its headers."""
    body_timeout: float = 15.0
    """From the end of the headers to the end of the body."""
    idle_timeout: float = 75.0
    """A kept-alive connection without a request."""
    max_headers: int = 65_536
    max_header_count: int = 100
    max_connections: int = 1_000
    """At this number the connection that has owed its headers longest is closed for a new one."""
    session_timeout: float = 3_600.0
    """A handshake-era session without a request."""
    max_sessions: int = 1_000
    """At this number the session idle longest ends for a new one."""
    stop_timeout: float = 30.0
    """How long running requests may finish when the server stops."""

    @property
    def scheme(self) -> str:
        """Of its URLs."""
        return "http" if self.tls is None else "https"


def build_app(
    server: Server[Any],
    options: HttpOptions,
    *,
    health: Health,
    endpoint_check: EndpointCheck | None = None,
    admit: Admit | None = None,
    routes: Sequence[BaseRoute] = (),
    events: EventStore | None = None,
    retry_interval: int | None = None,
) -> McpApp:
    """The ASGI application for ``server``.

    ``health`` gives status and body of ``GET /health``. ``endpoint_check`` gets the query parameters of ``/mcp`` and the
    ``X-MASC-Agent`` header, or None, and raises a MascError to refuse them: the answer is that error with its HTTP
    status. ``admit`` says what a GET or DELETE is refused with for want of a credential. ``events``
    makes streams of the handshake era resumable, with ``retry_interval`` milliseconds as advice to
    clients. ``routes`` are served beside, behind the same check of Host and Origin.

    A handler may append asynchronous callables to ``ctx.request.scope.setdefault(DELIVERED, [])``. They are awaited in
    order once the response has left for a client that was still connected, and never otherwise. A handler that fails
    after it has added one takes it back: an error in the stateless era is a response like any other.
    """
    return McpApp(
        server,
        options,
        health=health,
        endpoint_check=endpoint_check,
        admit=admit,
        routes=routes,
        events=events,
        retry_interval=retry_interval,
    )


def kernel_app(kernel: Kernel, adapter: Adapter, options: HttpOptions) -> McpApp:
    """The ASGI application for a kernel: MCP through its adapter, its health, the routes of its plugins."""
    return build_app(
        adapter.server,
        options,
        health=adapter.health,
        endpoint_check=adapter.check_endpoint,
        admit=adapter.admit,
        routes=plugin_routes(kernel, kernel.registry.routes, adapter.admit, adapter.visitor),
    )


async def serve_http(
    app: McpApp, options: HttpOptions, *, ready: Callable[[str], None], stopping: asyncio.Event
) -> None:
    """Serve until ``stopping`` is set, by the caller or by SIGTERM or SIGINT; then finish what runs, within bounds.

    ``ready`` gets the base URL once connections are accepted. Raises StartError when the address cannot be used.
    A second SIGINT ends the wait for running requests.
    """
    listener = _listen(options)
    server = _Server(_config(app, options), lambda: ready(_url(listener, options)), stopping)

    def told() -> None:
        server.force_exit = stopping.is_set()
        stopping.set()

    with told_to_stop(told):
        async with _closing_streams(app, stopping):
            try:
                await server.serve(sockets=[listener])
            except SystemExit:
                raise StartError(message="the server could not start its application; see the log above") from None
            finally:
                listener.close()


class _Server(uvicorn.Server):
    """uvicorn, told when to stop by us rather than by its own signal handlers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._ready = ready
        self._stopping = stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def main_loop(self) -> None:
        # uvicorn looks ten times a second whether it should stop. The zeroth tick also renews the Date header.
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._stopping.wait()
                    self.should_exit = True


def _config(app: McpApp, options: HttpOptions) -> uvicorn.Config:
    # Malformed requests are counted by whoever sends them; a warning for each would let them fill the log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    tls = options.tls
    return uvicorn.Config(
        app,
        ssl_context_factory=None if tls is None else lambda _, __: tls,
        http=protocol_class(options),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=options.max_headers,
        timeout_keep_alive=options.idle_timeout,  # type: ignore[arg-type]  # any number of seconds works
        timeout_graceful_shutdown=options.stop_timeout,  # type: ignore[arg-type]
    )


@contextlib.asynccontextmanager
async def _closing_streams(app: McpApp, stopping: asyncio.Event) -> AsyncIterator[None]:
    async def stop() -> None:
        await stopping.wait()
        app.close_streams()

    task = asyncio.create_task(stop())
    try:
        yield
    finally:
        task.cancel()


def _listen(options: HttpOptions) -> socket.socket:
    host, port = options.host, options.port
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise StartError(message=f"{host!r} is no host this machine knows; use --host 127.0.0.1") from None
    family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    # asyncio turns Nagle's algorithm off only where the socket says that it is TCP; it costs 40 ms a call.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # On Windows this option would let a second server take the port over.
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise StartError(message=_bind_message(error, host, port)) from None
    return listener


def _bind_message(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use; stop the server that holds it, or choose another with --port"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} needs more privileges; choose one above 1023 with --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine; use --host 127.0.0.1"
    return f"cannot listen on {host}:{port} ({error.strerror}); choose another with --host or --port"


def _url(listener: socket.socket, options: HttpOptions) -> str:
    host, port = listener.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    return f"{options.scheme}://{name}:{port}"
