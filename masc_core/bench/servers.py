"""Connects to a server over stdio or HTTP, and says in one sentence why it cannot."""

from __future__ import annotations

import contextlib
import math
import shlex
import tempfile
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, TextIO
from urllib.parse import urlsplit

import anyio
import httpx2
from attrs import field
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT, Implementation
from pydantic import ValidationError

from masc_core import __version__
from masc_core.bench.streams import is_own, watched
from masc_core.errors import MascError, error
from masc_core.frozen import frozen
from masc_core.render import printable

__all__ = ["BenchFailed", "Target", "connect", "explained", "label"]

# The SDK raises RuntimeError for a protocol version that it does not know.
_EXPECTED = (MCPError, httpx2.HTTPError, httpx2.InvalidURL, ValidationError, OSError, RuntimeError, MascError)
_SSE_SECONDS = 300.0
_CLOSED = (401, 403)


@error
class BenchFailed(MascError):
    """A server that cannot be measured, or no longer."""

    code = "bench_failed"
    text = "{message}"
    message: str
    server: str = ""
    """Which one, where it is a server's fault."""
    unlisted = frozenset({"message", "server"})


@frozen
class Target:
    """A server to measure: a URL, or a command that serves one client on its standard input and output."""

    at: str | StdioServerParameters
    token: str | None = field(default=None, repr=False)
    """Sent to a URL as ``Authorization: Bearer``."""

    @property
    def shown(self) -> str:
        """The URL without user and query, where secrets may be, or the command line."""
        if isinstance(self.at, str):
            parts = urlsplit(self.at)
            return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        return shlex.join([self.at.command, *self.at.args])


@contextlib.asynccontextmanager
async def connect(target: Target, era: str, timeout: float) -> AsyncIterator[Client]:
    """A client that is connected; each answer must come within ``timeout`` seconds.

    ``era`` is ``auto`` (2026-07-28 where the server has it) or ``legacy`` (the handshake). Raises :class:`BenchFailed` when
    the server cannot be reached, does not answer or breaks the protocol, now or inside the block.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        try:
            # The client's own limit is one of each request, and it waits ten seconds for server/discover before the handshake,
            # whatever it is told. A scope, since a cancelled task would leave the server's process behind; around all of the
            # client's life, since it opens scopes of its own that must be closed before this one.
            with anyio.CancelScope(deadline=anyio.current_time() + timeout) as connecting:
                async with contextlib.AsyncExitStack() as stack:
                    transport = await _transport(stack, target, timeout, said)
                    client = Client(
                        watched(transport, timeout),
                        mode=era,
                        cache=None,
                        read_timeout_seconds=timeout,
                        client_info=Implementation(name="masc-bench", version=__version__),
                    )
                    await stack.enter_async_context(client)
                    connecting.deadline = math.inf
                    yield client
            if connecting.cancelled_caught:
                raise _too_late(target, era, timeout)
        except (ExceptionGroup, *_EXPECTED) as raised:
            raise explained(raised, target, timeout, _last_words(said)) from raised


def _too_late(target: Target, era: str, timeout: float) -> BenchFailed:
    hint = ", --era legacy leaves server/discover out" if era == "auto" else ""
    message = f"{target.shown} did not answer within {timeout:g} s; --timeout gives it longer{hint}"
    return BenchFailed(message=message, server=target.shown)


async def _transport(stack: contextlib.AsyncExitStack, target: Target, timeout: float, said: TextIO) -> Any:
    """What the client talks over."""
    if not isinstance(target.at, str):
        return stdio_client(target.at, errlog=said)
    headers = {"Authorization": f"Bearer {target.token}"} if target.token else None
    # A read may last: the SDK keeps a stream of server messages open. A single answer has the client's own time limit.
    limits = httpx2.Timeout(timeout, read=_SSE_SECONDS)
    hooks: dict[str, list[Callable[..., Any]]] = {
        "request": [partial(_brief_goodbye, timeout)],
        "response": [_admitted],
    }
    http = httpx2.AsyncClient(headers=headers, timeout=limits, event_hooks=hooks)
    return streamable_http_client(target.at, http_client=await stack.enter_async_context(http))


async def _brief_goodbye(timeout: float, request: httpx2.Request) -> None:
    """Let the end of a session, which the SDK awaits before it closes, take no longer than an answer."""
    if request.method == "DELETE":
        request.extensions["timeout"]["read"] = timeout


async def _admitted(response: httpx2.Response) -> None:
    """End where no call is let in, which the SDK reports as some error of the server. Raises ``httpx2.HTTPStatusError``."""
    if response.request.method == "POST" and response.status_code in _CLOSED:
        response.raise_for_status()


def explained(raised: BaseException, target: Target, timeout: float, last_words: str = "") -> BaseException:
    """The failure as a :class:`BenchFailed`, or the cause itself where it is none of a server.

    The SDK's task groups wrap an exception several times.
    """
    while isinstance(raised, BaseExceptionGroup):
        raised = raised.exceptions[0]
    if isinstance(raised, BenchFailed):
        if raised.server != target.shown or not last_words or last_words in raised.message:
            return raised
        return BenchFailed(message=raised.message + last_words, server=raised.server)
    if isinstance(raised, MascError) or not isinstance(raised, _EXPECTED):
        return raised
    return BenchFailed(message=f"{target.shown} {_why(raised, timeout)}{last_words}", server=target.shown)


def _why(raised: Exception, timeout: float) -> str:
    if is_own(raised, REQUEST_TIMEOUT):
        return f"did not answer within {timeout:g} s ({raised}); --timeout gives it longer"
    if isinstance(raised, TimeoutError):
        return f"took no request for {timeout:g} s; --timeout gives it longer"
    if is_own(raised, CONNECTION_CLOSED):
        return "ended without an answer"
    if isinstance(raised, httpx2.HTTPStatusError):
        hint = "; --token-env hands over a bearer token" if raised.response.status_code == 401 else ""
        return f"answered with HTTP {raised.response.status_code} {raised.response.reason_phrase}{hint}"
    if isinstance(raised, MCPError):
        return f"answered with error {raised.code}: {raised.message}"
    if isinstance(raised, FileNotFoundError | PermissionError):
        return f"cannot be started: {raised.strerror}"
    if isinstance(raised, ValidationError):
        return f"broke the protocol: {raised.error_count()} faults in {raised.title}"
    if isinstance(raised, RuntimeError):
        return f"cannot be talked to: {raised}"
    return f"cannot be reached: {str(raised) or type(raised).__name__}"


def _last_words(said: TextIO) -> str:
    """The end of what a server wrote to standard error, which often has the reason."""
    said.seek(0)
    lines = said.read().split("\n")
    words = " | ".join(line.strip() for line in lines if line.strip())[-300:]
    return f"; it said: {words}" if words else ""


def label(client: Client, target: Target) -> str:
    """Name and version as the server gives them."""
    info = client.server_info
    return printable(f"{info.name} {info.version}") if info is not None else target.shown
