"""A small server, a way to run it in this process, and clients that can misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import attrs
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler

from masc_core.wire.http import DELIVERED, HttpOptions, build_app, serve_http
from masc_core.wire.versions import advertise_every_version

Context = ServerRequestContext[Any, Any]
Json = dict[str, Any]

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
BOUND = 20.0


class Echo:
    """A server whose tools do what their names say, and events that tell a test how far they got."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.delivered = asyncio.Event()
        self.calls: list[str] = []
        self.bus = InMemorySubscriptionBus()
        self.deliveries: Any = None
        self.server: Server[Any] = Server(
            "echo",
            version="1",
            get_tool_input_schema=lambda name: {"type": "object"},
            on_list_tools=self._list,
            on_call_tool=self._call,
            on_subscriptions_listen=ListenHandler(self.bus),
        )
        self.server.middleware.clear()
        advertise_every_version(self.server)

    async def _list(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        names = ("echo", "wait", "deliver", "fail", "progress", "elicit")
        return types.ListToolsResult(tools=[types.Tool(name=n, input_schema={"type": "object"}) for n in names])

    async def _call(self, ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        self.calls.append(params.name)
        text = str((params.arguments or {}).get("text", ""))
        match params.name:
            case "wait" | "deliver":
                self._promise(ctx)
                if params.name == "wait":
                    await self._wait()
            case "progress":
                await ctx.session.report_progress(0.5, 1.0, "half")
            case "elicit":
                schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
                answer = await ctx.session.elicit_form("ok?", schema, related_request_id=ctx.request_id)
                text = answer.action
            case "fail":
                raise RuntimeError("secret detail")
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)])

    def _promise(self, ctx: Context) -> None:
        async def done() -> None:
            self.delivered.set()

        if ctx.request is not None:
            ctx.request.scope.setdefault(DELIVERED, []).append(done)
        elif self.deliveries is not None:
            self.deliveries.add(ctx.request_id, done)

    async def _wait(self) -> None:
        self.started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


@attrs.define
class Running:
    """A server that is being served."""

    echo: Echo
    port: int
    stopping: asyncio.Event
    task: asyncio.Task[None]
    clients: list[Client] = attrs.field(factory=list)

    async def connect(self) -> Client:
        """A connection that is closed with the server at the latest."""
        self.clients.append(client := await Client.connect(self.port))
        return client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"


@contextlib.asynccontextmanager
async def serving(endpoint_check: Any = None, routes: Any = (), **changed: Any) -> AsyncIterator[Running]:
    """Serve an Echo over real sockets, with options changed for the test."""
    echo = Echo()
    options = attrs.evolve(HttpOptions(port=0, stop_timeout=1.0), **changed)

    async def health() -> tuple[int, Json]:
        return 200, {"status": "ok", "version": "1"}

    app = build_app(echo.server, options, health=health, endpoint_check=endpoint_check, routes=routes)
    stopping = asyncio.Event()
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve_http(app, options, ready=url.set_result, stopping=stopping))
    either: list[asyncio.Future[Any]] = [url, task]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED, timeout=BOUND)
    if not url.done():
        await task
    running = Running(echo, int(url.result().rpartition(":")[2]), stopping, task)
    try:
        yield running
    finally:
        stopping.set()
        echo.release.set()
        await asyncio.wait([task], timeout=BOUND)
        for client in running.clients:
            await client.close()
        await task


@attrs.define
class Reply:
    """One HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """A raw HTTP/1.1 connection."""

    def __init__(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.port = port
        self.reader = reader
        self.writer = writer
        self.session: str | None = None
        self._id = 0

    @classmethod
    async def connect(cls, port: int) -> Client:
        return cls(port, *await asyncio.open_connection("127.0.0.1", port))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(BOUND):
            raw = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = raw.strip().split("\r\n")
        return int(first.split()[1]), {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}

    async def reply(self) -> Reply:
        status, headers = await self.head()
        async with asyncio.timeout(BOUND):
            if headers.get("transfer-encoding") == "chunked":
                return Reply(status, headers, b"".join([part async for part in self.chunks()]))
            return Reply(status, headers, await self.reader.readexactly(int(headers.get("content-length", 0))))

    async def chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)

    async def closed(self) -> bytes:
        """What still came before the server closed."""
        async with asyncio.timeout(BOUND):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def request(
        self, body: bytes = b"", method: str = "POST", target: str = "/mcp", **headers: str | None
    ) -> Reply:
        await self.send(self.compose(body, method, target, **headers))
        return await self.reply()

    def compose(self, body: bytes, method: str = "POST", target: str = "/mcp", **headers: str | None) -> bytes:
        all_headers: dict[str, str | None] = {
            "host": f"127.0.0.1:{self.port}",
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "content-length": str(len(body)),
            "mcp-session-id": self.session,
            "mcp-protocol-version": LEGACY if self.session else None,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in all_headers.items() if value is not None)
        return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body

    async def handshake(self, version: str = LEGACY) -> Reply:
        reply = await self.request(json.dumps(initialize(version)).encode())
        self.session = reply.headers.get("mcp-session-id")
        await self.request(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
        return reply

    def tool(self, name: str, *, modern: bool, meta: Json | None = None, **arguments: Any) -> bytes:
        """The bytes of a tools/call in either era."""
        self._id += 1
        message = call(name, self._id, modern=modern, meta=meta, **arguments)
        body = json.dumps(message).encode()
        if not modern:
            return self.compose(body)
        return self.compose(body, mcp_protocol_version=MODERN, mcp_method="tools/call", mcp_name=name)

    async def call(self, name: str, *, modern: bool, meta: Json | None = None, **arguments: Any) -> Reply:
        await self.send(self.tool(name, modern=modern, meta=meta, **arguments))
        return await self.reply()

    async def close(self) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


def initialize(version: str = LEGACY) -> Json:
    """The opening request of the handshake era."""
    info = {"name": "t", "version": "1"}
    params = {"protocolVersion": version, "capabilities": {"elicitation": {}}, "clientInfo": info}
    return {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}


def envelope(version: str = MODERN) -> Json:
    """The ``_meta`` of a stateless request."""
    prefix = "io.modelcontextprotocol/"
    info = {"name": "t", "version": "1"}
    return {f"{prefix}protocolVersion": version, f"{prefix}clientCapabilities": {}, f"{prefix}clientInfo": info}


def call(name: str, request_id: int, *, modern: bool, meta: Json | None = None, **arguments: Any) -> Json:
    """A tools/call in either era."""
    params: Json = {"name": name, "arguments": arguments}
    if modern or meta:
        params["_meta"] = {**(envelope() if modern else {}), **(meta or {})}
    return {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}


@contextlib.asynccontextmanager
async def connected(port: int, *, modern: bool = True) -> AsyncIterator[Client]:
    """A connection, after the handshake where there is one."""
    client = await Client.connect(port)
    try:
        if not modern:
            await client.handshake()
        yield client
    finally:
        await client.close()


async def soon(event: asyncio.Event) -> None:
    """Wait for ``event``, at most five seconds."""
    await asyncio.wait_for(event.wait(), BOUND)
