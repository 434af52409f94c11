"""Between a transport and the client: tells what a server sent from what the client makes up, and lets no request wait.

The client raises ``MCPError`` with -32000 where the connection ends and with -32001 where time is up, but those are also
codes, and "Connection closed" a message, that a server may send: a proxy hands on what befell itself. So errors with
these codes are marked where they come from the transport; one without the mark is the client's.

The client's clock starts when a request is sent. A server that takes none, a full pipe before it or a POST that hangs, is
given up by the transport.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import anyio
from mcp.client import Transport
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT, JSONRPCError

from masc_core.frozen import frozen

__all__ = ["is_own", "watched"]

_AMBIGUOUS = (CONNECTION_CLOSED, REQUEST_TIMEOUT)
_Streams = tuple[ReadStream[SessionMessage | Exception], WriteStream[SessionMessage]]


@frozen
class _Sent:
    """The mark, in place of an error's data: the client hands these on, and looks at them for neither code."""

    data: Any


def is_own(raised: BaseException, code: int) -> bool:
    """The client itself raised it, with this code; over HTTP, a single answer that breaks off is none of its own."""
    return isinstance(raised, MCPError) and raised.code == code and not isinstance(raised.data, _Sent)


@contextlib.asynccontextmanager
async def watched(transport: Transport, timeout: float) -> AsyncIterator[_Streams]:
    """The transport, on which ambiguous errors get the mark and sending raises ``TimeoutError`` after that many seconds."""
    async with transport as (read, write):
        yield _Marking(read), _Bounded(write, timeout)


class _Marking:
    """A transport's read stream. A task with a queue in between would show in the times that are measured."""

    def __init__(self, inner: ReadStream[SessionMessage | Exception]) -> None:
        self._inner = inner

    async def receive(self) -> SessionMessage | Exception:
        return _marked(await self._inner.receive())

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        return _marked(await self._inner.__anext__())

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._inner.__aexit__(kind, raised, trace)


def _marked(item: SessionMessage | Exception) -> SessionMessage | Exception:
    if isinstance(item, SessionMessage) and isinstance(item.message, JSONRPCError):
        error = item.message.error
        if error.code in _AMBIGUOUS:
            error.data = _Sent(error.data)
    return item


class _Bounded:
    """A transport's write stream."""

    def __init__(self, inner: WriteStream[SessionMessage], timeout: float) -> None:
        self._inner = inner
        self._timeout = timeout

    async def send(self, item: SessionMessage, /) -> None:
        with anyio.fail_after(self._timeout):
            await self._inner.send(item)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._inner.__aexit__(kind, raised, trace)
