"""The HTTP application around an SDK server: what is refused before the SDK sees it, and what happens after it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import mcp_types as types
from mcp.server._streamable_http_modern import handle_modern_request
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http import EventStore
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.routing import BaseRoute, Router
from starlette.types import Message, Receive, Scope, Send

from masc_core.errors import InternalError, InvalidArgument, MascError, PayloadTooLarge, ShuttingDown
from masc_core.values import shown
from masc_core.wire._delivery import DELIVERED, REFUSAL
from masc_core.wire._limits import Disconnected, read_body, replay
from masc_core.wire._origin import HostPolicy
from masc_core.wire._protocol import CONNECTION, MCP_PATH, Connection
from masc_core.wire._replies import challenge, send_error, send_json, send_refusal
from masc_core.wire._rpc import parse, request_id, rpc_error
from masc_core.wire._sessions import MESSAGE, SessionManager
from masc_core.wire.versions import SUPPORTED_VERSIONS

if TYPE_CHECKING:
    from masc_core.wire.http import HttpOptions

__all__ = ["Admit", "EndpointCheck", "Health", "McpApp"]

Health = Callable[[], Awaitable[tuple[int, dict[str, Any]]]]
EndpointCheck = Callable[[Mapping[str, str], str | None], None]
"""``check(query parameters, X-MASC-Agent)``; raises a :class:`MascError` for what cannot be served."""

Admit = Callable[[Request], Awaitable[MascError | None]]
"""Says what a request without a message, GET or DELETE, is refused with for want of a good credential."""

_METHODS: Final = {"POST", "GET", "DELETE"}
_UNCHECKED: Final = TransportSecuritySettings(enable_dns_rebinding_protection=False)
"""What the SDK would make anew for each request; Host and Origin have been checked before it sees one."""

_ALLOW_MCP: Final = (b"allow", b"GET, POST, DELETE")
_ALLOW_HEALTH: Final = (b"allow", b"GET, HEAD")

_log = logging.getLogger(__name__)


class McpApp:
    """An ASGI application: MCP at ``/mcp``, health at ``/health``, further routes within the same bounds, nothing else."""

    def __init__(
        self,
        server: Server[Any],
        options: HttpOptions,
        *,
        health: Health,
        endpoint_check: EndpointCheck | None = None,
        admit: Admit | None = None,
        routes: Sequence[BaseRoute] = (),
        events: EventStore | None = None,
        retry_interval: int | None = None,
    ) -> None:
        self._server = server
        self._options = options
        self._hosts = HostPolicy(options.allowed_hosts, options.scheme)
        self._health = health
        self._check = endpoint_check
        # What a client has in its URL and header is the same in each of its requests; only what was let in is kept.
        self._accept = lru_cache(maxsize=256)(self._check_endpoint)
        self._admit = admit
        self._routes = Router(list(routes), default=_not_found) if routes else None
        self._sessions = SessionManager(
            server,
            idle=options.session_timeout,
            limit=options.max_sessions,
            body=options.max_body,
            events=events,
            retry=retry_interval,
        )

    def close_streams(self) -> None:
        """End responses that would otherwise last as long as their client wishes; called when the server stops."""
        self._sessions.close_streams()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection scope."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._guarded(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with self._sessions.run():
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.shutdown.complete"})

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = _Sent(send, scope)
        try:
            await self._route(scope, receive, sent)
        except PayloadTooLarge as error:
            await send_error(send, error, _closing(scope))
        except TimeoutError:
            text = f"the body was not complete within {self._options.body_timeout:g} s"
            await send_refusal(send, 408, text, [(b"connection", b"close")])
        except Disconnected:
            return
        except asyncio.CancelledError:
            # The server cancels a request that outlasts the time it has to stop, a lost connection its own.
            connection: Connection | None = scope.get(CONNECTION)
            if not sent.started and not (connection is not None and connection.lost):
                await send_error(send, ShuttingDown(), [(b"connection", b"close")])
        except Exception:
            incident = uuid.uuid4().hex[:12]
            _log.exception("incident %s: %s %s failed", incident, scope["method"], scope["path"])
            if sent.started:
                raise
            await send_error(send, InternalError(incident=incident))
        else:
            await _confirm(scope, sent)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        server = scope.get("server") or (None, None)
        if (reason := self._hosts.refusal(scope["headers"], server[1] or 0)) is not None:
            return await send_refusal(send, 403, reason)
        path = scope["path"]
        if path == MCP_PATH:
            await self._mcp(scope, receive, send)
        elif path == "/health":
            await self._healthy(scope, send)
        elif self._routes is not None:
            await self._routed(self._routes, scope, receive, send)
        else:
            await _not_found(scope, receive, send)

    async def _routed(self, routes: Router, scope: Scope, receive: Receive, send: Send) -> None:
        await routes(scope, replay(await self._body(scope, receive), receive), send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        connection: Connection | None = scope.get(CONNECTION)
        timeout: float | None = self._options.body_timeout
        if connection is not None and (connection.complete or connection.overdue):
            timeout = None if connection.complete else 0.0
        return await read_body(scope, receive, limit=self._options.max_body, timeout=timeout)

    async def _healthy(self, scope: Scope, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            return await send_refusal(send, 405, "use GET", [_ALLOW_HEALTH])
        status, payload = await self._health()
        await send_json(send, status, payload)

    async def _mcp(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in _METHODS:
            return await send_refusal(send, 405, "use POST, GET or DELETE", [_ALLOW_MCP])
        version, session, agent = _mcp_headers(scope)
        if (query := scope["query_string"]) or agent is not None:
            try:
                self._accept(query, agent)
            except MascError as error:
                return await send_error(send, error)
        if scope["method"] != "POST":
            if self._admit is not None and (refusal := await self._admit(Request(scope))) is not None:
                return await send_error(send, refusal, challenge(refusal))
            return await self._bodiless(version, session, scope, receive, send)
        body = await self._body(scope, receive)
        receive = replay(body, receive)
        if version in MODERN_PROTOCOL_VERSIONS:
            await self._stateless(body, scope, receive, send)
        elif version is None or version in HANDSHAKE_PROTOCOL_VERSIONS:
            await self._handshake(body, session, scope, receive, send)
        else:
            await send_json(send, 400, _unsupported(version, request_id(body)))

    def _check_endpoint(self, query: bytes, agent: str | None) -> None:
        params: dict[str, str] = {}
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
            if name in params:
                raise InvalidArgument(field=shown(name, 80), reason="repeated", expected="must be given once")
            params[name] = value
        if self._check is not None:
            self._check(params, agent)

    async def _stateless(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        connection: Connection | None = scope.get(CONNECTION)
        if connection is None or _may_stream(body):
            return await self._modern(False, scope, receive, send)
        # In this era a handler may emit only what its request asked for. Nothing asked: the plain JSON path, which
        # needs two tasks less. It does not watch for a disconnect, so the connection does it for us.
        task = asyncio.current_task()
        if connection.lost or task is None:
            return
        connection.on_lost(task.cancel)
        try:
            await self._modern(True, scope, receive, send)
        finally:
            connection.on_lost(None)

    async def _modern(self, plain: bool, scope: Scope, receive: Receive, send: Send) -> None:
        lifespan = self._sessions._lifespan_state
        await handle_modern_request(self._server, _UNCHECKED, plain, lifespan, scope, receive, send)

    async def _bodiless(
        self, version: str | None, session: str | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if version in MODERN_PROTOCOL_VERSIONS:
            await self._modern(False, scope, receive, send)
        elif version is not None and version not in HANDSHAKE_PROTOCOL_VERSIONS:
            await send_json(send, 400, _unsupported(version, None))
        elif session is None:
            # The SDK would open a session only to refuse it.
            text = "this request needs an Mcp-Session-Id; POST initialize first"
            await send_json(send, 400, rpc_error(types.INVALID_REQUEST, text))
        else:
            await self._sessions.handle_request(scope, receive, send)

    async def _handshake(self, body: bytes, session: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        message = parse(body)
        if isinstance(message, bytes):
            return await send_json(send, 400, message)
        opening = isinstance(message, types.JSONRPCRequest) and message.method == "initialize"
        if session is None and not opening:
            text = "this request needs an Mcp-Session-Id (initialize first) or an MCP-Protocol-Version of 2026-07-28"
            return await send_json(send, 400, rpc_error(types.INVALID_REQUEST, text, request_id=request_id(body)))
        scope[MESSAGE] = message
        await self._sessions.handle_request(scope, receive, send)


class _Sent:
    """A ``send`` that remembers how far the response got, and gives a refusal in its place where there is one."""

    __slots__ = ("_refused", "_scope", "_send", "complete", "started")

    def __init__(self, send: Send, scope: Scope) -> None:
        self._send = send
        self._scope = scope
        self._refused = False
        self.started = False
        self.complete = False

    async def __call__(self, message: Message) -> None:
        if self._refused:
            return
        if not self.started and (refusal := self._scope.get(REFUSAL)) is not None:
            self._refused = self.started = True
            return await send_error(self._send, refusal, challenge(refusal))
        self.started = True
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.complete = True


def _may_stream(body: bytes) -> bool:
    """Whether a stateless request may ask for what only a stream can bring. A body with JSON escapes can hide the words for
    it, and is treated as if it did."""
    return b"progressToken" in body or b"/logLevel" in body or b"subscriptions/listen" in body or b"\\u" in body


async def _confirm(scope: Scope, sent: _Sent) -> None:
    callbacks = scope.get(DELIVERED)
    if not callbacks or not sent.complete:
        return
    connection: Connection | None = scope.get(CONNECTION)
    if connection is None or await connection.flushed():
        for callback in callbacks:
            await callback()


def _unsupported(version: str, asked: str | int | None) -> bytes:
    data = {"supported": SUPPORTED_VERSIONS, "requested": version}
    text = f"unsupported protocol version; supported are {', '.join(SUPPORTED_VERSIONS)}"
    return rpc_error(types.UNSUPPORTED_PROTOCOL_VERSION, text, data, asked)


def _mcp_headers(scope: Scope) -> tuple[str | None, str | None, str | None]:
    version = session = agent = None
    for name, value in scope["headers"]:
        if name == b"mcp-protocol-version":
            version = value.decode("latin-1")
        elif name == b"mcp-session-id":
            session = value.decode("latin-1")
        elif name == b"x-masc-agent" and agent is None:  # of several the first counts, as for whoever reads it later
            agent = value.decode("latin-1")
    return version, session, agent


def _closing(scope: Scope) -> list[tuple[bytes, bytes]]:
    # Closing at once resets the connection while the client still sends, and it never reads why. Where our protocol
    # serves, it discards a bounded rest before it closes.
    return [] if CONNECTION in scope else [(b"connection", b"close")]


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    await send_refusal(send, 404, "nothing is served at this path; MCP is at /mcp")
