"""Standard input and output as asyncio streams, with stray prints kept off the wire.

The SDK reads and writes through a thread for each message, which nearly doubles the time of a call. Pipes and sockets,
which is what every client gives a server it starts, need no thread. Regular files, terminals and Windows do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

__all__ = ["TOO_LONG", "Lines", "Sink", "open_sink", "open_source", "own_standard_streams"]

_CHUNK = 65_536


class Source(Protocol):
    """Where bytes come from."""

    async def read(self, n: int) -> bytes:
        """Up to ``n`` bytes; none at the end."""


class Sink(Protocol):
    """Where bytes go."""

    async def write(self, data: bytes) -> None:
        """Hand ``data`` over; waits while the reader is slow. Raises OSError when nobody reads any more."""

    def close(self) -> None:
        """Give the descriptor back."""


class _TooLong:
    """Stands for a line that was longer than allowed and has been discarded."""


TOO_LONG = _TooLong()


class Lines:
    """The lines of a source, none of them held longer than ``limit`` bytes."""

    def __init__(self, source: Source, limit: int) -> None:
        self._source = source
        self._limit = limit
        self._buffer = bytearray()
        self._scanned = 0

    async def next(self) -> bytes | _TooLong | None:
        """The next line without its end, TOO_LONG for one over the limit, None at the end of input."""
        dropped = False
        while True:
            end = self._buffer.find(b"\n", self._scanned)
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                self._scanned = 0
                return TOO_LONG if dropped or len(line) > self._limit else line
            if len(self._buffer) > self._limit:
                dropped = True
                self._buffer.clear()
            self._scanned = len(self._buffer)
            data = await self._source.read(_CHUNK)
            if not data:
                return self._rest(dropped)
            self._buffer += data

    def _rest(self, dropped: bool) -> bytes | _TooLong | None:
        line, self._scanned = bytes(self._buffer), 0
        self._buffer.clear()
        return TOO_LONG if dropped else line or None


@contextlib.contextmanager
def own_standard_streams() -> Iterator[tuple[int, int]]:
    """Private descriptors for the wire; meanwhile fd 0 reads nothing and fd 1 is standard error.

    Whatever a handler, a library or a child process prints would otherwise corrupt the protocol.
    """
    sys.stdout.flush()
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        yield source, sink
    finally:
        sys.stdout.flush()
        os.dup2(source, 0)
        os.dup2(sink, 1)
        for fd in (nothing, source, sink):
            os.close(fd)


async def open_source(fd: int) -> tuple[Source, Callable[[], None]]:
    """A source reading ``fd``, and what closes it. The descriptor itself stays open."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_CHUNK)
    if not _pollable(fd):
        threading.Thread(target=_feed, args=(fd, reader, loop), name="masc-stdin", daemon=True).start()
        return reader, lambda: None
    pipe = os.fdopen(os.dup(fd), "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader, transport.close


async def open_sink(fd: int, unread: Callable[[], object]) -> Sink:
    """A sink writing ``fd``, which stays open. ``unread`` is called as soon as nobody reads any more, if that can be seen."""
    if not _pollable(fd):
        return _FileSink(fd)
    if stat.S_ISSOCK(os.fstat(fd).st_mode):
        return _SocketSink(fd)
    pipe = os.fdopen(os.dup(fd), "wb", buffering=0)
    transport, protocol = await asyncio.get_running_loop().connect_write_pipe(lambda: _Flow(unread), pipe)
    return _PipeSink(transport, protocol)


def _pollable(fd: int) -> bool:
    mode = os.fstat(fd).st_mode
    return sys.platform != "win32" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))


def _feed(fd: int, reader: asyncio.StreamReader, loop: asyncio.AbstractEventLoop) -> None:
    room = threading.Semaphore(4)

    def take(data: bytes) -> None:
        reader.feed_data(data) if data else reader.feed_eof()
        room.release()

    while True:
        room.acquire()
        try:
            data = os.read(fd, _CHUNK)
        except OSError:
            data = b""
        try:
            loop.call_soon_threadsafe(take, data)
        except RuntimeError:
            return  # the loop has closed: the server is gone
        if not data:
            return


class _Flow(asyncio.BaseProtocol):
    """Backpressure of a write pipe."""

    def __init__(self, unread: Callable[[], object]) -> None:
        self.writable = asyncio.Event()
        self.writable.set()
        self.lost = False
        self._unread = unread

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose()
        self.writable.set()

    # uvloop watches a write pipe for its reader going away, as if it were a source.
    def eof_received(self) -> None:
        self._lose()

    def _lose(self) -> None:
        self.lost = True
        self._unread()


class _PipeSink:
    def __init__(self, transport: asyncio.WriteTransport, flow: _Flow) -> None:
        # Zero, so that write() returns only when the data has left this process.
        transport.set_write_buffer_limits(high=0)
        self._transport = transport
        self._flow = flow

    async def write(self, data: bytes) -> None:
        if self._flow.lost or self._transport.is_closing():
            raise BrokenPipeError
        self._transport.write(data)
        await self._flow.writable.wait()
        if self._flow.lost:
            raise BrokenPipeError

    def close(self) -> None:
        # Everything was written already, or never will be.
        if not self._transport.is_closing():
            self._transport.abort()


class _SocketSink:
    """A socket. It may be written to when its other direction has ended, which some clients see to at once, or when requests
    come in by it; asyncio's transports for pipes take either for the end."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=os.dup(fd))
        self._socket.setblocking(False)
        self._sending: asyncio.Task[None] | None = None

    async def write(self, data: bytes) -> None:
        if self._sending is None or self._sending.done():
            with contextlib.suppress(BlockingIOError):
                data = data[self._socket.send(data) :]
        if data:
            # A line that has been begun is finished, whatever becomes of who waits for it.
            self._sending = asyncio.create_task(self._send_after(self._sending, data))
            await asyncio.shield(self._sending)

    async def _send_after(self, before: asyncio.Task[None] | None, data: bytes) -> None:
        if before is not None:
            await asyncio.wait([before])
            before.exception()
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    def close(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
        self._socket.close()


class _FileSink:
    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._turn = asyncio.Lock()

    async def write(self, data: bytes) -> None:
        async with self._turn:
            await asyncio.to_thread(_write_all, self._fd, data)

    def close(self) -> None:
        """Nothing was opened."""


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
