"""What a handler says to one request of the handshake era, until the response takes it."""

from __future__ import annotations

import asyncio
from collections import deque

import anyio
from mcp.server.streamable_http import EventMessage

__all__ = ["Inbox"]

_MOST = 16


class Inbox:
    """Stands in for both ends of the pair of streams that the SDK keeps for a request. One task puts in, one takes out.

    Nearly every request gets one message, and a pair of streams with a time limit costs more than that message does.
    """

    __slots__ = ("_closed", "_said", "_waiting")

    def __init__(self) -> None:
        self._said: deque[EventMessage] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._closed = False

    async def send(self, event: EventMessage) -> None:
        """Put in; waits while it is full. Raises ``BrokenResourceError`` once it is closed."""
        while len(self._said) >= _MOST and not self._closed:
            await self._turn()
        if self._closed:
            raise anyio.BrokenResourceError
        self._said.append(event)
        self._wake()

    async def receive(self, patience: float) -> EventMessage | None:
        """Take out, or None after ``patience`` seconds of silence. Raises ``EndOfStream`` once it is closed and empty."""
        if not self._said and not self._closed:
            silence = asyncio.get_running_loop().call_later(patience, self._wake)
            try:
                await self._turn()
            finally:
                silence.cancel()
        if self._said:
            event = self._said.popleft()
            self._wake()
            return event
        if self._closed:
            raise anyio.EndOfStream
        return None

    def close(self) -> None:
        """Nothing comes any more; what is in it can still be taken out."""
        self._closed = True
        self._wake()

    async def aclose(self) -> None:
        """As :meth:`close`."""
        self.close()

    async def _turn(self) -> None:
        turn = self._waiting = asyncio.get_running_loop().create_future()
        try:
            await turn
        finally:
            if self._waiting is turn:  # the other side may wait already, before this one has gone on
                self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
