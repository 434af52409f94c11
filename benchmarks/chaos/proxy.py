"""A way to a server on which connections break."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from types import TracebackType
from typing import Self

__all__ = ["CuttingProxy"]

_CHUNK = 65_536


class CuttingProxy:
    """Passes everything on until :meth:`cut`. Then each connection breaks, half of them when they next pass something on:
    a request that does not arrive, or an answer that gets lost after the request was met."""

    def __init__(self, port: int, chance: random.Random) -> None:
        self._target = port
        self._chance = chance
        self._open: dict[asyncio.StreamWriter, asyncio.StreamWriter] = {}
        self._doomed: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.cuts = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Break all connections there are."""
        for near, far in list(self._open.items()):
            self.cuts += 1
            if self._chance.random() < 0.5:
                self._doomed.add(self._chance.choice([near, far]))
            else:
                _abort(near, far)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        far_reader, far = await asyncio.open_connection("127.0.0.1", self._target)
        self._open[writer] = far
        try:
            await asyncio.gather(self._pass(reader, far, writer), self._pass(far_reader, writer, far))
        finally:
            del self._open[writer]
            self._doomed -= {writer, far}
            _abort(writer, far)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, back: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(_CHUNK):
                if sink in self._doomed:
                    break
                sink.write(data)
                await sink.drain()
        _abort(sink, back)


def _abort(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.transport.abort()
