"""A way to Redis on which answers get lost and requests late."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK = 1 << 20


class Proxy:
    """Passes everything on, except what a test takes away."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.lose_answers_to = b""
        """Requests with these bytes reach the server; instead of the answer the client sees its connection close. Once."""
        self.hold_requests_with = b""
        """Requests with these bytes stay in the proxy, and the client sees its connection close. Once."""
        self.held: list[tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.lost = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def release(self) -> bytes:
        """Send on the request that was held; the server's answer, which its client will never see."""
        request, reader, writer = self.held.pop()
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(_CHUNK), 20)
        writer.close()
        return answer

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        upstream = await asyncio.open_connection("127.0.0.1", self._target)
        back = asyncio.create_task(self._back(upstream[0], writer))
        try:
            with suppress(OSError):
                await self._forth(reader, upstream, back)
        finally:
            back.cancel()
            writer.close()
            if not any(upstream[1] is held[2] for held in self.held):
                upstream[1].close()

    async def _forth(
        self,
        reader: asyncio.StreamReader,
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        back: asyncio.Task[None],
    ) -> None:
        while request := await reader.read(_CHUNK):
            if self.hold_requests_with and self.hold_requests_with in request:
                self.hold_requests_with = b""
                back.cancel()
                await asyncio.gather(back, return_exceptions=True)
                self.held.append((request, *upstream))
                return
            lose = bool(self.lose_answers_to) and self.lose_answers_to in request
            if lose:
                self.lose_answers_to = b""
                back.cancel()
                await asyncio.gather(back, return_exceptions=True)
            upstream[1].write(request)
            await upstream[1].drain()
            if lose:
                self.lost += 1
                await upstream[0].read(_CHUNK)
                return

    async def _back(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while answer := await upstream.read(_CHUNK):
                writer.write(answer)
                await writer.drain()
        writer.close()
