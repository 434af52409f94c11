"""The yardstick: one echo tool on the bare SDK, over stdio or HTTP, with nothing of MASC in it.

``python benchmarks/echo_server.py stdio`` or ``… http``, which prints its URL to stderr. ``… documented`` is the same over
HTTP with the SDK's high-level server and the settings that its documentation leaves as they are: answers as streams, a line
of log for each request.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


async def list_tools(
    ctx: ServerRequestContext[Any, Any], params: types.PaginatedRequestParams | None
) -> types.ListToolsResult:
    """One tool."""
    return types.ListToolsResult(tools=[types.Tool(name="echo", description="Say it again.", input_schema=SCHEMA)])


async def call_tool(ctx: ServerRequestContext[Any, Any], params: types.CallToolRequestParams) -> types.CallToolResult:
    """The text, as text and as structure."""
    text = str((params.arguments or {}).get("text", ""))
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], structured_content={"text": text})


def build() -> Server[Any]:
    """The server."""
    return Server(
        "echo",
        version="1",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        get_tool_input_schema=lambda name: SCHEMA,
    )


async def over_stdio() -> None:
    """Serve standard input and output as the SDK's documentation does."""
    server = build()
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


async def over_http() -> None:
    """Serve a free port on loopback, with JSON answers."""
    await _serve(build().streamable_http_app(json_response=True), "warning")


async def as_documented() -> None:
    """Serve a free port on loopback, as ``MCPServer.run`` does."""
    from mcp.server import MCPServer  # takes its time, which the others' start must not

    server = MCPServer("echo")

    @server.tool()
    def echo(text: str) -> str:
        """Say it again."""
        return text

    await _serve(server.streamable_http_app(), "info")


async def _serve(app: Any, log_level: str) -> None:
    # Named as TCP, or asyncio leaves Nagle's algorithm on and every answer waits 40 ms for an acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level=log_level)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", file=sys.stderr, flush=True)
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    asyncio.run(as_documented() if "documented" in sys.argv else over_http() if "http" in sys.argv else over_stdio())
