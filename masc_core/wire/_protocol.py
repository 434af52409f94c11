"""uvicorn's connection protocols, with the patience they lack.

uvicorn waits for ever for headers and bodies. Here every connection that has begun a request must finish its headers
in time, headers are bounded, connections are counted, and a body nobody will read is discarded only up to a bound.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from masc_core.wire.http import HttpOptions

__all__ = ["CONNECTION", "MCP_PATH", "Connection", "Patience", "protocol_class"]

CONNECTION: Final = "masc.connection"
"""Scope key of the connection a request came on."""

_LINGER: Final = 2.0
"""Seconds for which the rest of a refused body is discarded, so that the client reads the refusal."""

MCP_PATH: Final = "/mcp"

_SMALL_BODY: Final = 65_536
"""Bytes that uvicorn holds without being asked to."""


class Connection(Protocol):
    """What the application may ask of the connection it answers on."""

    @property
    def complete(self) -> bool:
        """The whole body of the current request has arrived."""

    @property
    def overdue(self) -> bool:
        """The body of the current request has had its time, and has not arrived."""

    @property
    def lost(self) -> bool:
        """The client has disconnected."""

    def on_lost(self, callback: Callable[[], object] | None) -> None:
        """Call ``callback`` when the client disconnects; None: nothing any more."""

    async def flushed(self) -> bool:
        """Wait until what was written has left the process; True if the client was there to the end."""


class _Limits:
    """What the connections of one server share: their number, and those that still owe us a header."""

    def __init__(self, options: HttpOptions) -> None:
        self.options = options
        self.small_body = min(_SMALL_BODY, options.max_body)
        # A chunk of one byte takes six. A parser keeps a header that does not end, also after a body or behind a request that
        # is being answered.
        self.message = 6 * options.max_body + 2 * options.max_headers
        self.waiting: dict[Any, None] = {}
        self.open = 0


def protocol_class(options: HttpOptions) -> type[asyncio.Protocol]:
    """The protocol for one server: httptools where it is installed, else h11."""
    base: type[Any] = _H11
    if has_httptools():
        from masc_core.wire._httptools import HttpTools

        base = HttpTools
    return type("Bounded", (base,), {"limits": _Limits(options)})


def has_httptools() -> bool:
    """Whether the faster parser is installed."""
    return importlib.util.find_spec("httptools") is not None


class Patience:
    """The clock of one connection; mixed into a uvicorn protocol."""

    limits: _Limits
    transport: asyncio.Transport
    cycle: Any
    flow: Any
    loop: asyncio.AbstractEventLoop
    overdue: bool = False
    lost: bool = False
    _timer: asyncio.TimerHandle | None = None
    _lingering: bool = False
    _received: int = 0
    _callback: Callable[[], object] | None = None
    _held: Callable[[], None] | None = None
    """Begins the request that waits for its body."""

    def begun(self) -> None:
        """A client has connected: it has header_timeout to say something."""
        limits = self.limits
        limits.open += 1
        if limits.open > limits.options.max_connections:
            # Whoever has waited longest without a complete request makes room, before any client that behaves.
            next(iter(limits.waiting), self).drop(b"503 Service Unavailable")
            if self.transport.is_closing():
                return
        self._await_headers()

    def heard(self, size: int) -> None:
        """Data came in and was parsed: either a request is running now, or its headers are still incomplete."""
        if self.transport.is_closing():
            return
        if self.running():
            self._received = 0
            if self._held is None:
                self.calm()
            return
        self._received += size
        if self.discarding():
            if self._received > self.limits.options.max_body:
                self.transport.close()
            return
        if self._lingering:
            self.calm()
            self._received = size  # what came before was a body
        if self._received > self.limits.options.max_headers:
            self.drop(b"431 Request Header Fields Too Large")
        elif self._timer is None:
            self._await_headers()

    def running(self) -> bool:
        """A request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def discarding(self) -> bool:
        """The request has been answered although its body has not ended; each parser knows that in its own way."""
        return False

    def ended(self) -> None:
        """The connection is gone."""
        self.lost = True
        self.limits.open -= 1
        self.calm()
        if self._callback is not None:
            self._callback()

    def calm(self) -> None:
        """Stop the clock."""
        self._lingering = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self.limits.waiting.pop(self, None)

    def linger(self) -> None:
        """Close in a moment, unless the body that nobody reads ends before."""
        self.calm()
        self._lingering = True
        self._received = 0
        self._timer = self.loop.call_later(_LINGER, self.transport.close)

    def drop(self, status: bytes) -> None:
        """Answer whatever is under way with a bare status, and close."""
        self.calm()
        self._held = None
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
            self.transport.close()

    @property
    def complete(self) -> bool:
        return self.cycle is not None and not self.cycle.more_body

    def on_lost(self, callback: Callable[[], object] | None) -> None:
        """See Connection."""
        self._callback = callback

    async def flushed(self) -> bool:
        """See Connection."""
        if self.lost:
            return False
        if not self.transport.is_closing():
            # A high-water mark of zero makes the transport say when its buffer is empty.
            self.transport.set_write_buffer_limits(high=0)
            try:
                await self.flow.drain()
            finally:
                if not self.transport.is_closing():
                    self.transport.set_write_buffer_limits()
        return not self.lost

    def hold(self, begin: Callable[[], None]) -> None:
        """Begin a request once its body is there, which is mostly at once, or late; till then there is nothing to do for it."""
        self.calm()
        self._held = begin
        self._timer = self.loop.call_later(self.limits.options.body_timeout, self.release, True)

    def release(self, overdue: bool = False) -> None:
        """Begin the request that was held, if one is."""
        begin, self._held = self._held, None
        if begin is not None:
            self.overdue = overdue
            self.calm()
            begin()

    def _await_headers(self) -> None:
        timeout = self.limits.options.header_timeout
        self._timer = self.loop.call_later(timeout, self.drop, b"408 Request Timeout")
        self.limits.waiting[self] = None


class _H11(Patience, H11Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.begun()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._introduce()
        self.heard(len(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._introduce()
        if self.discarding():
            self.linger()

    def discarding(self) -> bool:
        return not self.running() and self.conn.their_state is h11.SEND_BODY

    def _introduce(self) -> None:
        # The task that serves a new request has been created, but it has not run yet.
        if self.running():
            self.cycle.scope.setdefault(CONNECTION, self)
