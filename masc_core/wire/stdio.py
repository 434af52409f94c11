"""MCP over standard input and output: one JSON-RPC message a line, one client a process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, Final, Self

import anyio
import mcp_types as types
from mcp.server.lowlevel.server import Server
from mcp.server.models import InitializationOptions
from mcp.shared.message import SessionMessage

from masc_core.errors import PayloadTooLarge
from masc_core.wire._parent import parent_gone
from masc_core.wire._pipes import TOO_LONG, Lines, Sink, open_sink, open_source, own_standard_streams
from masc_core.wire._rpc import dump, parse, rpc_error
from masc_core.wire._signals import told_to_stop

__all__ = ["Deliveries", "serve_stdio"]

_DRAIN: Final = 1.0
"""Seconds for which requests that were read may still be answered after the end of input."""

_GRACE: Final = 3.0
"""Seconds a handler may then resist its cancellation; the promise is 5 for the whole process."""

Callback = Callable[[], Awaitable[None]]
Id = str | int


class Deliveries:
    """What to do once the client has the answer to a request.

    The adapter adds callables while it handles request ``request_id``; the transport awaits them in order when the
    result has been written. For a request that is cancelled, fails or is never answered they are dropped.
    """

    def __init__(self) -> None:
        self._waiting: dict[Id, list[Callback]] = {}

    def add(self, request_id: Id, callback: Callback) -> None:
        """Await ``callback`` once the result of this request has been written."""
        self._waiting.setdefault(request_id, []).append(callback)

    def drop(self, request_id: Id) -> None:
        """Forget what was added for this request."""
        self._waiting.pop(request_id, None)

    def take(self, request_id: Id) -> list[Callback]:
        """The callables of this request, which are no longer remembered."""
        return self._waiting.pop(request_id, [])


async def serve_stdio(
    server: Server[Any],
    *,
    max_line: int = 2_097_152,
    deliveries: Deliveries | None = None,
    stopping: asyncio.Event | None = None,
    stop_timeout: float = 30.0,
    initialization: InitializationOptions | None = None,
    exit_process: Callable[[int], object] = os._exit,
    streams: tuple[int, int] | None = None,
) -> None:
    """Serve one client on standard input and output until it leaves, its process ends, or ``stopping`` is set.

    ``max_line`` is in bytes. ``stopping`` is also set by SIGTERM, SIGINT and the end of input, so that blocking handlers
    return. Requests that run have ``stop_timeout`` seconds then, or one second if the client has gone; handlers still
    running after that are cancelled; if one resists for three seconds the process ends by ``exit_process(1)``, since a client
    that is gone must not leave a server behind. ``streams`` are the descriptors of :func:`own_standard_streams` for a caller
    that has taken them already.
    """
    stopping = stopping or asyncio.Event()
    waiting = deliveries or Deliveries()
    with contextlib.nullcontext(streams) if streams else own_standard_streams() as (source_fd, sink_fd):
        source, close_source = await open_source(source_fd)
        wire = _Wire(Lines(source, max_line), waiting, max_line, stopping)
        sink = wire.sink = await open_sink(sink_fd, wire.end)
        options = initialization or server.create_initialization_options()
        try:
            with told_to_stop(stopping.set):
                run = server.run(_Incoming(wire), _Outgoing(wire), options)
                await _until_over(run, wire, wire.told(stopping, stop_timeout), stopping, exit_process)
        finally:
            close_source()
            sink.close()


async def _until_over(
    run: Coroutine[Any, Any, None],
    wire: _Wire,
    told: Coroutine[Any, Any, None],
    stopping: asyncio.Event,
    exit_process: Callable[[int], object],
) -> None:
    serving = asyncio.create_task(run)
    reasons: list[asyncio.Task[Any]] = [asyncio.create_task(reason) for reason in (told, parent_gone())]
    reasons.append(asyncio.create_task(wire.over.wait()))
    try:
        await asyncio.wait([serving, *reasons], return_when=asyncio.FIRST_COMPLETED)
        stopping.set()
        with _last_resort(exit_process):
            if not serving.done():
                wire.end()
                # One turn for handlers that wait for ``stopping`` to say so, then cancellation.
                await asyncio.wait([serving], timeout=0.1)
                serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving
    finally:
        for task in (serving, *reasons):
            task.cancel()


@contextlib.contextmanager
def _last_resort(exit_process: Callable[[int], object]) -> Iterator[None]:
    timer = threading.Timer(_GRACE, exit_process, (1,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class _Wire:
    """Both directions of one client, as far as they know of each other."""

    sink: Sink

    def __init__(self, lines: Lines, deliveries: Deliveries, max_line: int, stopping: asyncio.Event) -> None:
        self.over = asyncio.Event()
        self.deliveries = deliveries
        self._stopping = stopping
        self._ended = False
        self._unanswered: set[Id] = set()
        self._answered = asyncio.Event()
        self._lines = lines
        self._max_line = max_line

    async def receive(self) -> SessionMessage:
        """The next message; what is none is answered here. Raises anyio.EndOfStream at the end."""
        while not self.over.is_set():
            line = await self._lines.next()
            if line is None:
                self._ended = True
                await self._drain(_DRAIN)
            elif line is TOO_LONG:
                await self.write(self._too_long())
            elif isinstance(line, bytes) and line.strip():
                message = parse(line)
                if not isinstance(message, bytes):
                    self._watch(message)
                    return SessionMessage(message)
                await self.write(message)
        raise anyio.EndOfStream

    async def send(self, message: types.JSONRPCMessage) -> None:
        """Write a message, and do what waits for it to have been written."""
        written = await self.write(dump(message))
        if isinstance(message, types.JSONRPCError | types.JSONRPCResponse) and message.id is not None:
            self._settle(message.id)
        if isinstance(message, types.JSONRPCError) and message.id is not None:
            self.deliveries.drop(message.id)
        elif isinstance(message, types.JSONRPCResponse):
            for callback in self.deliveries.take(message.id):
                if written:
                    await callback()

    async def write(self, line: bytes) -> bool:
        """Write one line; False if nobody reads any more, which ends the service."""
        if self.over.is_set():
            return False
        try:
            await self.sink.write(line + b"\n")
        except OSError:
            self.end()
        return not self.over.is_set()

    async def told(self, stopping: asyncio.Event, timeout: float) -> None:
        """Return when the service is told to stop and what runs has been answered, or has had ``timeout`` seconds."""
        await stopping.wait()
        if self._ended:
            await self.over.wait()  # the end of input has its own, shorter time
        else:
            await self._drain(timeout)

    def end(self) -> None:
        """The client is gone."""
        self.over.set()
        self._answered.set()

    async def _drain(self, timeout: float) -> None:
        # Whoever pipes requests in and closes the pipe still expects the answers.
        self._stopping.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self._unanswered and not self.over.is_set():
                    self._answered.clear()
                    await self._answered.wait()
        self.end()

    def _settle(self, request_id: Id) -> None:
        self._unanswered.discard(request_id)
        self._answered.set()

    def _watch(self, message: types.JSONRPCMessage) -> None:
        if isinstance(message, types.JSONRPCRequest):
            self._unanswered.add(message.id)
        if isinstance(message, types.JSONRPCNotification) and message.method == "notifications/cancelled":
            cancelled = (message.params or {}).get("requestId")
            if isinstance(cancelled, str | int):
                self.deliveries.drop(cancelled)
                self._settle(cancelled)

    def _too_long(self) -> bytes:
        error = PayloadTooLarge(limit_bytes=self._max_line)
        return rpc_error(types.INVALID_REQUEST, str(error), error.as_dict())


class _Incoming:
    """The SDK's read stream, straight from the pipe."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    async def receive(self) -> SessionMessage | Exception:
        return await self._wire.receive()

    async def aclose(self) -> None:
        """The pipe is closed by whoever opened it."""

    def __aiter__(self) -> _Incoming:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _Outgoing:
    """The SDK's write stream, straight into the pipe."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    async def send(self, item: SessionMessage, /) -> None:
        await self._wire.send(item.message)

    async def aclose(self) -> None:
        """The pipe is closed by whoever opened it."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
