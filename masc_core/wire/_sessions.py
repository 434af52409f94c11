"""Sessions of the handshake era (2025-11-25 and before) over HTTP.

The SDK chooses between JSON and an event stream once, for a whole server. JSON is a third faster, but it cannot carry
progress, elicitation or sampling. So the choice is made here for each request, and as late as possible: the first
message a handler emits decides. A result alone is sent as JSON; anything before it turns the response into a stream.
This is also what the SDK does in the stateless era.
"""

from __future__ import annotations

from typing import Any, Final

import anyio
import mcp_types as types
from mcp.server.auth.middleware.bearer_auth import AuthorizationContext
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http import EventMessage, EventStore, StreamableHTTPServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.message import SessionMessage
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from masc_core.wire._delivery import DELIVERED
from masc_core.wire._inbox import Inbox
from masc_core.wire._replies import send_json
from masc_core.wire._rpc import dump, rpc_error

__all__ = ["MESSAGE", "SessionManager"]

MESSAGE: Final = "masc.message"
"""Where the application leaves the parsed JSON-RPC message in the scope."""

_PING: Final = 15.0
"""Seconds of silence after which a stream starts, or sends a comment, so that proxies keep it open."""


class SessionManager(StreamableHTTPSessionManager):
    """The SDK's session table, with transports that choose the response type for each request.

    At the limit the session that has been idle longest makes room: clients that only probe a server, or crash, never
    end their sessions, and must not lock the next one out.
    """

    def __init__(
        self, server: Server[Any], *, idle: float, limit: int, body: int, events: EventStore | None, retry: int | None
    ) -> None:
        super().__init__(
            server,
            event_store=events,
            retry_interval=retry,
            session_idle_timeout=idle,
            max_sessions=None,
            max_request_body_size=body,
        )
        self._limit = limit

    async def handle_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request whose body has been read and bounded already."""
        await self._handle_request(scope, receive, send)

    def close_streams(self) -> None:
        """End the standing GET streams, so that a stopping server need not wait for them."""
        for transport in self._server_instances.values():
            transport.close_standalone_sse_stream()

    def knows(self, session_id: str) -> bool:
        """Whether this session is open."""
        return session_id in self._server_instances

    def _admit_session(self, requestor: AuthorizationContext | None) -> StreamableHTTPServerTransport | None:
        if len(self._server_instances) >= self._limit and not self._evict():
            return None
        known = super()._admit_session(requestor)
        if known is None or known.mcp_session_id is None:
            return known
        transport = SessionTransport(
            known.mcp_session_id,
            event_store=self.event_store,
            retry_interval=self.retry_interval,
            idle_timeout=self.session_idle_timeout,
        )
        self._server_instances[known.mcp_session_id] = transport
        return transport

    def _evict(self) -> bool:
        idle = [t for t in self._server_instances.values() if isinstance(t, SessionTransport) and t.idle]
        if not idle or (oldest := min(idle, key=lambda t: t.idle_since)).idle_scope is None:
            return False
        self._server_instances.pop(oldest.mcp_session_id or "", None)
        oldest.idle_scope.cancel()
        return True


class SessionTransport(StreamableHTTPServerTransport):
    """One session: a POST is answered by JSON, or by a stream once its handler emits something first."""

    @property
    def idle(self) -> bool:
        """No request of this session is being served."""
        return not self._requests_in_flight and self.idle_scope is not None

    @property
    def idle_since(self) -> float:
        """A number that is smaller the longer the session has been idle."""
        return self.idle_scope.deadline if self.idle_scope is not None else 0.0

    async def _handle_post_request(self, scope: Scope, request: Request, receive: Receive, send: Send) -> None:
        writer = self._read_stream_writer
        message: types.JSONRPCMessage = scope[MESSAGE]
        if writer is None or not await self._validate_accept_header(request, scope, send):
            return
        opening = isinstance(message, types.JSONRPCRequest) and message.method == "initialize"
        if not opening and not await self._validate_session(request, send):
            return
        try:
            if isinstance(message, types.JSONRPCRequest):
                await self._answer(message, request, receive, send)
            else:
                await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
                await send({"type": "http.response.body", "body": b""})
                await writer.send(SessionMessage(message, metadata=self._message_metadata(request)))
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            # The session ended under this request; the one answer left to give is that of the next request.
            await self._ended(send)

    async def _answer(self, message: types.JSONRPCRequest, request: Request, receive: Receive, send: Send) -> None:
        key = str(message.id)
        if key in self._request_streams:
            text = f"request id {message.id!r} is in use by another request of this session"
            return await self._send_json(send, 400, rpc_error(types.INVALID_REQUEST, text, request_id=message.id))
        version = request.headers.get("mcp-protocol-version", types.DEFAULT_NEGOTIATED_VERSION)
        # A cursor to resume from has to be older than anything the handler says. Without an event store there is none.
        priming = await self._priming(key, version)
        replies = self._open(key)
        writer = self._read_stream_writer
        assert writer is not None
        try:
            await writer.send(self._create_session_message(message, request, key, version))
            answer = await self._first(replies)
            if answer is not None and _is_answer(answer):
                await self._send_answer(message, answer, send)
            else:
                answer = await self._stream(priming, answer, replies, receive, send)
            if answer is None or isinstance(answer.message, types.JSONRPCError):
                request.scope.pop(DELIVERED, None)
        finally:
            await self._clean_up_memory_streams(key)

    async def _first(self, replies: Inbox) -> EventMessage | None:
        try:
            return await replies.receive(_PING)
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            if self.is_terminated:
                raise anyio.ClosedResourceError from None
            return None  # the handler closed its stream before it had said anything (SEP-1699)

    def _open(self, key: str) -> Inbox:
        inbox = Inbox()
        self._request_streams[key] = inbox, inbox  # type: ignore[assignment]
        return inbox

    async def _send_answer(self, asked: types.JSONRPCRequest, event: EventMessage, send: Send) -> None:
        # A refused handshake established nothing; a status over 399 makes the manager forget the session.
        refused = asked.method == "initialize" and isinstance(event.message, types.JSONRPCError)
        await self._send_json(send, 400 if refused else 200, dump(event.message))

    async def _send_json(self, send: Send, status: int, body: bytes) -> None:
        await send_json(send, status, body, [(b"mcp-session-id", (self.mcp_session_id or "").encode())])

    async def _ended(self, send: Send) -> None:
        await self._send_json(send, 404, rpc_error(types.INVALID_REQUEST, "the session has ended; initialize again"))

    async def _stream(
        self,
        priming: bytes,
        first: EventMessage | None,
        replies: Inbox,
        receive: Receive,
        send: Send,
    ) -> EventMessage | None:
        """Send what the handler says; gives its answer, or None if the stream ended without."""
        answer = None
        await send({"type": "http.response.start", "status": 200, "headers": self._stream_headers()})
        await _part(send, priming + (b"" if first is None else _event(first)))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_until_disconnect, receive, tasks.cancel_scope)
            answer = await self._forward(replies, send)
            await send({"type": "http.response.body", "body": b""})
            tasks.cancel_scope.cancel()
        return answer

    async def _forward(self, replies: Inbox, send: Send) -> EventMessage | None:
        try:
            while True:
                event = await replies.receive(_PING)
                await _part(send, b": ping\r\n\r\n" if event is None else _event(event))
                if event is not None and _is_answer(event):
                    return event
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            return None

    async def _priming(self, key: str, version: str) -> bytes:
        primed = await self._mint_priming_event(key, version)
        if primed is None:
            return b": stream\r\n\r\n"
        retry = f"retry: {primed['retry']}\r\n" if "retry" in primed else ""
        return f"id: {primed['id']}\r\n{retry}data: \r\n\r\n".encode()

    def _stream_headers(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-cache, no-transform"),
            (b"x-accel-buffering", b"no"),
            (b"mcp-session-id", (self.mcp_session_id or "").encode()),
        ]


async def _until_disconnect(receive: Receive, scope: anyio.CancelScope) -> None:
    # The handler goes on: in this era only notifications/cancelled cancels a request.
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _part(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _is_answer(event: EventMessage) -> bool:
    return isinstance(event.message, types.JSONRPCResponse | types.JSONRPCError)


def _event(event: EventMessage) -> bytes:
    head = f"id: {event.event_id}\r\n".encode() if event.event_id else b""
    return b"event: message\r\n" + head + b"data: " + dump(event.message) + b"\r\n\r\n"
