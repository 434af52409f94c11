"""uvicorn's connection protocols, with the patience they lack.

uvicorn waits for ever for headers and bodies. Here every connection that has begun a request must finish its headers
in time, headers are bounded, connections are counted, and a body nobody will read is discarded only up to a bound.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from masc_core.wire.http import HttpOptions

__all__ = ["CONNECTION", "Connection", "protocol_class"]

CONNECTION: Final = "masc.connection"
"""Scope key of the connection a request came on."""

_LINGER: Final = 2.0
"""Seconds for which the rest of a refused body is discarded, so that the client reads the refusal."""

_MAX_URL: Final = 8192


class Connection(Protocol):
    """What the application may ask of the connection it answers on."""

    @property
    def complete(self) -> bool:
        """The whole body of the current request has arrived."""

    def on_lost(self, callback: Callable[[], None]) -> AbstractContextManager[None]:
        """Call ``callback`` if the client disconnects inside this context, or has done so before."""

    async def flushed(self) -> bool:
        """Wait until what was written has left the process; True if the client was there to the end."""


class _Limits:
    """What the connections of one server share: their number, and those that still owe us a header."""

    def __init__(self, options: HttpOptions) -> None:
        self.options = options
        self.waiting: dict[Any, None] = {}
        self.open = 0


def protocol_class(options: HttpOptions) -> type[asyncio.Protocol]:
    """The protocol for one server: httptools where it is installed, else h11."""
    limits = _Limits(options)
    base: Any = _httptools(limits) if has_httptools() else _h11()
    return type("Bounded", (base,), {"limits": limits})


def has_httptools() -> bool:
    """Whether the faster parser is installed."""
    return importlib.util.find_spec("httptools") is not None


class _Patience:
    """The clock of one connection; mixed into a uvicorn protocol."""

    limits: _Limits
    transport: asyncio.Transport
    cycle: Any
    flow: Any
    loop: asyncio.AbstractEventLoop
    _timer: asyncio.TimerHandle | None = None
    _lost: bool = False
    _lingering: bool = False
    _received: int = 0
    _callback: Callable[[], None] | None = None

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
            self.calm()
            return
        self._received += size
        if self.discarding():
            if self._received > self.limits.options.max_body:
                self.transport.close()
            return
        if self._lingering:
            self.calm()
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
        self._lost = True
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
        """Answer with a bare status, if nothing was answered yet, and close."""
        self.calm()
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
            self.transport.close()

    @property
    def complete(self) -> bool:
        return self.cycle is not None and not self.cycle.more_body

    @contextmanager
    def on_lost(self, callback: Callable[[], None]) -> Iterator[None]:
        """See Connection."""
        if self._lost:
            callback()
        self._callback = callback
        try:
            yield
        finally:
            self._callback = None

    async def flushed(self) -> bool:
        """See Connection."""
        if self._lost:
            return False
        if not self.transport.is_closing():
            # A high-water mark of zero makes the transport say when its buffer is empty.
            self.transport.set_write_buffer_limits(high=0)
            try:
                await self.flow.drain()
            finally:
                if not self.transport.is_closing():
                    self.transport.set_write_buffer_limits()
        return not self._lost

    def _await_headers(self) -> None:
        timeout = self.limits.options.header_timeout
        self._timer = self.loop.call_later(timeout, self.drop, b"408 Request Timeout")
        self.limits.waiting[self] = None


def _httptools(limits: _Limits) -> type[Any]:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class Bounded(_Patience, HttpToolsProtocol):
        _complete: bool = True
        _size: int = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.begun()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.heard(len(data))

        def connection_lost(self, exc: Exception | None) -> None:
            self.ended()
            super().connection_lost(exc)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self.scope[CONNECTION] = self  # type: ignore[typeddict-unknown-key]
            self._complete = False
            self._size = 0

        def on_url(self, url: bytes) -> None:
            super().on_url(url)
            if len(self.url) > _MAX_URL:
                raise ValueError("the URL is too long")

        def on_header(self, name: bytes, value: bytes) -> None:
            self._size += len(name) + len(value)
            if self._size > limits.options.max_headers or len(self.headers) >= limits.options.max_header_count:
                raise ValueError("the headers are too long")
            # The parser leaves the optional white space after a value (RFC 9110, 5.5) to us.
            super().on_header(name, value.strip(b" \t"))

        def on_message_complete(self) -> None:
            self._complete = True
            super().on_message_complete()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.discarding():
                self.linger()

        def discarding(self) -> bool:
            # Once the next request begins, the incomplete one is another than the answered one.
            answered = self.cycle is not None and self.cycle.response_complete
            return answered and not self._complete and self.cycle.scope is self.scope

    return Bounded


def _h11() -> type[Any]:
    class Bounded(_Patience, H11Protocol):
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

    return Bounded
