"""Stands between a client and PostgreSQL as a transaction pooler does, as far as a client can see.

A pooler answers the handshake with a process number of its own, lends out another server connection for each transaction,
and therefore delivers no notifications. This one changes the number and holds notifications back.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit


@contextlib.asynccontextmanager
async def pooler(url: str) -> AsyncIterator[str]:
    """The URL of a stand-in in front of ``url``."""
    to = urlsplit(url)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(to.hostname, to.port or 5432)
        pair = {asyncio.create_task(_upward(reader, back)), asyncio.create_task(_downward(there, writer))}
        tasks.update(pair)
        await asyncio.wait(pair, return_when=asyncio.FIRST_COMPLETED)
        for task in pair:
            task.cancel()
        await asyncio.wait(pair)
        tasks.difference_update(pair)
        for stream in (writer, back):
            stream.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    user = to.netloc.rpartition("@")[0]
    try:
        yield urlunsplit(to._replace(netloc=f"{user}@127.0.0.1:{port}")) + "?sslmode=disable&gssencmode=disable"
    finally:
        server.close()
        for task in [*tasks]:
            task.cancel()
        await server.wait_closed()
        await asyncio.sleep(0.02)


async def _upward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


async def _downward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            kind, size = struct.unpack("!ci", await reader.readexactly(5))
            body = await reader.readexactly(size - 4)
            if kind == b"K":
                body = struct.pack("!i", 4_000_000) + body[4:]
            if kind != b"A":
                writer.write(struct.pack("!ci", kind, size) + body)
                await writer.drain()
