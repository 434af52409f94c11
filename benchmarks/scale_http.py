"""Many agents on real servers over HTTP, each on a connection of its own that stays open.

A client of the SDK takes longer for a call than the server it measures, so these write requests of the stateless protocol and
read answers themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import orjson
import psutil
from chaos.servers import HttpServer
from mcp_types.version import LATEST_MODERN_VERSION
from scale_work import Agent, Refused, Times

__all__ = ["carried", "servers"]

_META = {
    "io.modelcontextprotocol/protocolVersion": LATEST_MODERN_VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "scale", "version": "1"},
}


class Connection:
    """One agent's connection to a server."""

    def __init__(self, agent: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._head = (
            f"POST /mcp?agent={agent} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
            f"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {LATEST_MODERN_VERSION}\r\n"
            "Mcp-Method: tools/call\r\n"
        )

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured result. Raises :class:`Refused`, and ``RuntimeError`` for an answer that is none of a tool."""
        params = {"name": tool, "arguments": arguments, "_meta": _META}
        body = orjson.dumps({"jsonrpc": "2.0", "id": next(self._numbers), "method": "tools/call", "params": params})
        self._writer.write(f"{self._head}Mcp-Name: {tool}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await self._answer()
        try:
            result = answer["result"]
            if result.get("isError"):
                raise Refused(result["structuredContent"]["error"]["code"])
            return dict(result["structuredContent"])
        except KeyError:
            raise RuntimeError(f"{tool} is answered with {answer}") from None

    async def _answer(self) -> Any:
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        _, found, rest = head.partition(b"\r\ncontent-length:")
        if not found:
            raise RuntimeError(f"an answer without a length: {head!r}")
        return orjson.loads(await self._reader.readexactly(int(rest.split(b"\r\n", 1)[0])))


@contextlib.asynccontextmanager
async def servers(number: int, project: Path, environment: Mapping[str, str], log: TextIO) -> AsyncIterator[Any]:
    """So many servers of one room."""
    running = [HttpServer(project, environment, log) for _ in range(number)]
    try:
        for server in running:
            await server.start()
        yield running
    finally:
        for server in running:
            await server.stop()


async def carried(running: Sequence[HttpServer], agents: int, seconds: float) -> dict[str, Any]:
    """What the servers carry when ``agents`` call as fast as they are answered for ``seconds``, after a round to warm up."""
    async with contextlib.AsyncExitStack() as stack:
        team = []
        for n in range(agents):
            port = running[n % len(running)].port
            team.append(Agent(await _connected(stack, f"agent-{n + 1}", port), Times()))
        await asyncio.gather(*(agent.round() for agent in team))
        processes = [psutil.Process(server.pid) for server in running]
        times = Times()
        for agent in team:
            agent.times = times
        begun, own, theirs = time.perf_counter(), time.process_time(), _cpu(processes)
        over = begun + seconds

        async def work(agent: Agent) -> None:
            while time.perf_counter() < over:
                await agent.round()

        await asyncio.gather(*(work(agent) for agent in team))
        taken, calls = time.perf_counter() - begun, max(1, len(times.reads) + len(times.writes))
        return {
            **times.facts(),
            "calls_per_s": round(calls / taken, 1),
            "server_cpu_ms": round((_cpu(processes) - theirs) / calls * 1000, 3),
            "client_cpu_ms": round((time.process_time() - own) / calls * 1000, 3),
            "server_mb": round(sum(process.memory_info().rss for process in processes) / 1e6),
        }


async def _connected(stack: contextlib.AsyncExitStack, agent: str, port: int) -> Any:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    stack.callback(writer.close)
    return Connection(agent, port, reader, writer).call


def _cpu(processes: Sequence[psutil.Process]) -> float:
    """Processor seconds so far."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)
