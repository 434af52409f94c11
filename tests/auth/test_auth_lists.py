"""Tool lists and their changes, for clients with tokens over real HTTP, and what a client of another machine is given."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from auth_support import Secured, secured
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from orjson import loads
from wire_support import MODERN, call

from masc_core import Context, hookimpl
from masc_core.clock import SystemClock
from masc_core.plugins import load
from masc_core.testing.app import MascApp, masc_app
from masc_core.wire._source import network
from masc_core.wire.http import HttpOptions, build_app, serve_http
from masc_core.wire.mcp import Adapter
from masc_plugin_auth.checks import MOST_FAILURES, Attempts

BOUND = 20.0


@contextlib.asynccontextmanager
async def serving(app: MascApp, **facts: Any) -> AsyncIterator[str]:
    """The room of ``app`` at a free port; gives the URL of /mcp."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    options = HttpOptions(port=0, stop_timeout=1.0)
    async with Adapter(app.kernel, transport="http", **facts) as adapter:
        asgi = build_app(
            adapter.server, options, health=adapter.health, endpoint_check=adapter.check_endpoint, admit=adapter.admit
        )
        stopping = asyncio.Event()
        task = asyncio.create_task(serve_http(asgi, options, ready=ready.set_result, stopping=stopping))
        try:
            async with asyncio.timeout(BOUND):
                yield await ready + "/mcp"
        finally:
            stopping.set()
            await task


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Secured]:
    """A room on SQLite with the machine's clock, and auth on."""
    async with masc_app(tmp_path, backend="sqlite", clock=SystemClock()) as made:
        yield await secured(made)


@contextlib.asynccontextmanager
async def client(url: str, token: str, told: asyncio.Event) -> AsyncIterator[Client]:
    """A client of the handshake era with a token; notes when it is told that its list changed."""

    async def hear(message: Any) -> None:
        if "ToolListChanged" in repr(message) or "ToolListChanged" in type(message).__name__:
            told.set()

    async with httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=BOUND) as http:
        given: Any = http
        transport: Any = streamable_http_client(url, http_client=given)
        async with Client(transport, mode="legacy", message_handler=hear) as made:
            yield made


async def test_one_agents_switch_changes_and_announces_its_own_list_alone(room: Secured) -> None:
    """Acceptance 5 of the modes."""
    heard, unheard = asyncio.Event(), asyncio.Event()
    claude, gemini = await room.token("claude"), await room.token("gemini")
    async with (
        serving(room.masc) as url,
        client(url, claude, heard) as one,
        client(url, gemini, unheard) as other,
    ):
        before = [len((await c.list_tools()).tools) for c in (one, other)]
        switched = await one.call_tool("masc_switch_mode", {"mode": "full"})
        assert (switched.structured_content or {})["changed"]
        await heard.wait()
        after = [len((await c.list_tools()).tools) for c in (one, other)]
        assert after[0] > before[0] and after[1] == before[1]
        assert not unheard.is_set()
        admin = room.client(room.admin)
        admin.selection = None
        await room.masc.outcome("masc_switch_mode", admin, mode="minimal", scope="room")
        await unheard.wait()
        assert [len((await c.list_tools()).tools) for c in (one, other)] == [after[0], 20]


async def test_a_session_with_an_old_token_that_only_listens_guesses_nothing(room: Secured) -> None:
    heard = asyncio.Event()
    good, gone = await room.token("claude"), await room.token("gemini")
    async with (
        serving(room.masc) as url,
        client(url, good, heard) as one,
        client(url, gone, asyncio.Event()) as other,
    ):
        await one.list_tools()
        await other.list_tools()
        await room.ask("masc_auth_revoke", room.admin, agent_name="gemini")
        admin = room.client(room.admin)
        admin.selection = None
        for n in range(MOST_FAILURES):
            heard.clear()
            await room.masc.outcome("masc_switch_mode", admin, mode=("minimal", "full")[n % 2], scope="room")
            await heard.wait()
        opened = room.masc.kernel.start_room
        opened.remember(Attempts).ensure("127.0.0.1", opened.clock.monotonic())  # nobody there is locked out


def headers(token: str, **more: str) -> dict[str, str]:
    return {
        "accept": "application/json, text/event-stream",
        "authorization": f"Bearer {token}",
        "mcp-protocol-version": MODERN,
        "mcp-method": "tools/call",
        **more,
    }


async def test_a_client_behind_a_trusted_proxy_is_on_the_machine_the_proxy_names(room: Secured) -> None:
    proxies = [network("127.0.0.0/8")]
    async with serving(room.masc, trusted_proxies=proxies) as url, httpx.AsyncClient(timeout=BOUND) as http:
        for forwarded, given in (("198.51.100.7", "token"), ("127.0.0.1", "token_path")):
            message = call("masc_auth_create_token", 1, modern=True, agent_name="claude")
            sent = headers(room.admin, **{"x-forwarded-for": forwarded, "mcp-name": "masc_auth_create_token"})
            url_full = f"{url}?mode=full"
            reply = await http.post(url_full, json=message, headers=sent)
            assert given in reply.json()["result"]["structuredContent"], reply.text


async def test_guessing_by_asking_for_the_list_is_limited_too(room: Secured) -> None:
    async with serving(room.masc) as url, httpx.AsyncClient(timeout=BOUND) as http:
        statuses = [(await _list(http, url, f"{n:064x}")).status_code for n in range(10)]
        limited = await _list(http, url, f"{11:064x}")
        assert statuses == [401] * 10 and limited.status_code == 429
        assert 1 <= int(limited.headers["retry-after"]) <= 60
        assert limited.json()["error"]["code"] == "rate_limited"
        assert (await _list(http, url, room.admin)).status_code == 200
    entries = [loads(e.body) for e in await room.masc.kernel.start_room.driver.read_log("audit", limit=1000)]
    noted = [(e["actor"], e["source"]) for e in entries if (e["tool"], e["outcome"]) == ("tools/list", "invalid_token")]
    assert noted == [("anonymous", "127.0.0.1")] * 10, "each failed authentication is in the log"


async def test_a_bad_token_is_noted_with_whatever_request_it_came(room: Secured) -> None:
    async with serving(room.masc) as url, httpx.AsyncClient(timeout=BOUND) as http:
        assert (await http.get(url, headers=headers("0" * 64))).status_code == 401
    last = (await room.masc.kernel.start_room.driver.read_log("audit", limit=1, reverse=True))[0]
    assert [loads(last.body)[name] for name in ("tool", "outcome", "auth")] == ["GET", "invalid_token", "none"]


async def _list(http: httpx.AsyncClient, url: str, token: str | None) -> httpx.Response:
    body = {**call("x", 1, modern=True), "method": "tools/list"}
    body["params"].pop("name")
    body["params"].pop("arguments")
    sent = headers(token or "", **{"mcp-method": "tools/list"})
    if token is None:
        del sent["authorization"]
    return await http.post(url, json=body, headers=sent)


async def test_a_list_is_public_only_where_it_is_everybodys(room: Secured) -> None:
    async def scope(http: httpx.AsyncClient, url: str, token: str | None) -> str:
        return str((await _list(http, url, token)).json()["result"]["cacheScope"])

    async with serving(room.masc) as url, httpx.AsyncClient(timeout=BOUND) as http:
        fixed = f"{url}?mode=solo"
        assert [await scope(http, u, t) for u in (url, fixed) for t in (None, room.admin)] == [
            "private", "private", "public", "private",
        ]  # fmt: skip
        await room.ask("masc_auth_disable", room.admin)
        assert await scope(http, url, None) == "public"


class Redactor:
    """Gives the trace something to show: the arguments of every call."""

    @hookimpl
    async def masc_redact(self, ctx: Context, arguments: dict[str, Any]) -> None:
        """Nothing is redacted."""


async def test_the_trace_of_hooks_shows_no_text_of_a_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setenv("MASC_TRACE_PLUGINS", "1")
    monkeypatch.setattr(sys, "stderr", written)
    async with masc_app(tmp_path, registry=load()) as masc:
        await masc.call("masc_broadcast", "claude", message="password = hunter2x")
        refused = await masc.error("masc_cost_log", "claude", model="hunter2x", input_tokens=1, output_tokens=1)
    assert "hunter2x" in refused["message"]
    assert "{'message': '…'}" in written.getvalue() and "invalid_argument" in written.getvalue()
    assert "hunter2x" not in written.getvalue()


async def test_the_trace_of_hooks_shows_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setenv("MASC_TRACE_PLUGINS", "1")
    monkeypatch.setattr(sys, "stderr", written)
    async with masc_app(tmp_path, registry=load(extra=[("guard:redactor", Redactor())])) as masc:
        room = await secured(masc)
        joined = await room.ask("masc_join", agent_name="gemini", room_secret=room.secret, deliver="result")
        await room.ask("masc_auth_refresh", agent_name="gemini", token=joined["token"], deliver="result")
    assert "'room_secret': '…'" in written.getvalue() and "'token': '…'" in written.getvalue()
    for secret in (room.secret, room.admin, joined["token"]):
        assert secret not in written.getvalue()
