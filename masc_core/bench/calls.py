"""What is called: the tools somebody names, or one that is safe, beside the least that a server can be asked."""

from __future__ import annotations

import difflib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT, CallToolResult, TextContent, Tool
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import ValidationError

from masc_core.bench.engine import CallFailed
from masc_core.bench.servers import BenchFailed, Target, explained
from masc_core.bench.streams import is_own
from masc_core.frozen import frozen
from masc_core.render import printable

__all__ = ["Call", "ListUnfinished", "all_tools", "bare", "choose", "listing", "of_tool"]

_PAGES = 100


@frozen
class Call:
    """A tool and its arguments."""

    tool: str
    arguments: dict[str, Any]


Request = Callable[[], Awaitable[object]]


class ListUnfinished(BenchFailed):
    """A tool list whose end did not come in time."""


async def all_tools(client: Client, deadline: float) -> list[Tool]:
    """The whole tool list; no page but the first is asked for after the deadline.

    Raises ``MCPError``, :class:`ListUnfinished` where the deadline comes first, and :class:`BenchFailed` where the list has
    not ended after 100 pages.
    """
    tools: list[Tool] = []
    cursor: str | None = None
    for pages in range(_PAGES):
        if pages and time.perf_counter() >= deadline:
            raise ListUnfinished(
                message=f"the tool list has not ended in time, after {pages} page{'s' * (pages > 1)}; "
                "--seconds gives it longer"
            )
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            return tools
    raise BenchFailed(message=f"the tool list has not ended after {_PAGES} pages")


def choose(tools: Sequence[Tool], wanted: Sequence[Call], server: str) -> list[Call]:
    """The wanted calls, or one of the first tool that is annotated as read-only and needs no argument.

    Raises :class:`BenchFailed` when a wanted tool is not listed or there is no safe one.
    """
    if not tools:
        raise BenchFailed(message=f"{server} lists no tools, so there is nothing to call")
    names = [tool.name for tool in tools]
    for call in wanted:
        if call.tool not in names:
            near = difflib.get_close_matches(call.tool, names, n=3) or names[:10]
            raise BenchFailed(message=f"{server} lists no tool {call.tool}; it has {', '.join(near)}")
    if wanted:
        return list(wanted)
    safe = [tool for tool in tools if tool.annotations is not None and tool.annotations.read_only_hint]
    for tool in safe:
        if not tool.input_schema.get("required"):
            return [Call(tool.name, {})]
    which = f" (read-only: {', '.join(tool.name for tool in safe[:10])})" if safe else ""
    raise BenchFailed(
        message=f"no tool of {server} is annotated as read-only and takes no arguments{which}; "
        "name one with --tool and its --arguments"
    )


def bare(client: Client) -> tuple[str, Request]:
    """The least exchange of the client's era, in which the server does no work: what client, SDK and transport cost."""
    if client.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS:
        return "ping", client.session.send_ping
    return "server/discover", lambda: client.session.send_discover(client.protocol_version)


def listing(client: Client) -> tuple[str, Request]:
    """The tool list's first page."""
    return "tools/list", client.list_tools


def of_tool(client: Client, call: Call) -> tuple[str, Request]:
    """A tool call."""

    async def request() -> None:
        result = await client.call_tool(call.tool, call.arguments)
        if result.is_error:
            raise CallFailed(f"{call.tool} returned isError: {_text(result)}")

    return call.tool, request


def _text(result: CallToolResult) -> str:
    text = " ".join(block.text for block in result.content if isinstance(block, TextContent))
    return " ".join(text.split())[:200] or "no text"


async def made(request: Request, target: Target, timeout: float) -> None:
    """Make the request.

    Raises :class:`CallFailed` where the server said no, and :class:`BenchFailed` where it is gone or hangs.
    """
    try:
        await request()
    except MCPError as refused:
        if is_own(refused, CONNECTION_CLOSED) or is_own(refused, REQUEST_TIMEOUT):
            raise explained(refused, target, timeout) from refused
        raise CallFailed(f"error {refused.code}: {printable(' '.join(refused.message.split())[:200])}") from refused
    except TimeoutError as unsent:
        raise explained(unsent, target, timeout) from unsent
    except (ValidationError, RuntimeError) as broken:  # the SDK's answers to results that break a schema
        raise CallFailed(f"invalid result: {printable(' '.join(str(broken).split())[:200])}") from broken
