"""The kernel over real HTTP with the official client, in both protocol eras."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from masc_core import READ, READER, Bound, Context, hookimpl, tool
from masc_core.clock import SystemClock
from masc_core.frozen import frozen
from masc_core.testing.app import MascApp, masc_app
from masc_core.wire.http import HttpOptions, build_app, serve_http
from masc_core.wire.mcp import INSTRUCTIONS, Adapter

BOUND = 20.0
_ENVELOPE = {
    "protocolVersion": "2026-07-28",
    "clientInfo": {"name": "test", "version": "1"},
    "clientCapabilities": {},
}
eras = pytest.mark.parametrize("mode", ["auto", "legacy"])


@contextlib.asynccontextmanager
async def serving(app: MascApp) -> AsyncIterator[str]:
    """The room of ``app`` at a free port; gives the URL of /mcp."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    options = HttpOptions(port=0, stop_timeout=1.0)
    async with Adapter(app.kernel, transport="http") as adapter:
        asgi = build_app(adapter.server, options, health=adapter.health, endpoint_check=adapter.check_endpoint)
        stopping = asyncio.Event()
        task = asyncio.create_task(serve_http(asgi, options, ready=ready.set_result, stopping=stopping))
        try:
            async with asyncio.timeout(BOUND):
                yield await ready + "/mcp"
        finally:
            stopping.set()
            await task


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[MascApp]:
    """A room on SQLite with the machine's clock."""
    async with masc_app(tmp_path, backend="sqlite", clock=SystemClock()) as made:
        yield made


def facts(result: Any) -> dict[str, Any]:
    """The structured part of a tool result."""
    content: dict[str, Any] = result.structured_content
    return content


@eras
async def test_the_first_minute_of_an_agent(app: MascApp, mode: Any) -> None:
    async with serving(app) as url, Client(f"{url}?agent=claude", mode=mode) as client:
        assert facts(await client.call_tool("masc_join", {}))["agent"] == "claude"
        assert facts(await client.call_tool("masc_add_task", {"title": "Fix login"}))["task"]["id"] == "task-001"
        claimed = await client.call_tool("masc_claim", {"task_id": "task-001"})
        assert facts(claimed)["task"]["assignee"] == "claude"
        assert "task-001" in claimed.content[0].text  # type: ignore[union-attr]
        assert facts(await client.call_tool("masc_done", {"task_id": "task-001"}))["changed"] is True


@eras
async def test_a_refusal_is_a_tool_result_with_its_code(app: MascApp, mode: Any) -> None:
    async with serving(app) as url, Client(url, mode=mode) as client:
        refused = await client.call_tool("masc_claim", {"task_id": "task-001"})
        assert refused.is_error
        assert facts(refused)["error"]["code"] == "agent_name_required"


@pytest.mark.parametrize(
    ("query", "header", "code", "details"),
    [
        ("?mode=bad", None, "invalid_argument", {"field": "mode", "reason": "enum"}),
        ("?mode=budget", None, "invalid_argument", {"field": "max_tokens", "reason": "missing"}),
        ("?mode=budget&max_tokens=many", None, "invalid_argument", {"field": "max_tokens", "reason": "type"}),
        ("?mode=minimal&categories=comm", None, "invalid_argument", {"field": "categories", "reason": "conflict"}),
        ("?mode=full&max_tokens=2000", None, "invalid_argument", {"field": "max_tokens", "reason": "conflict"}),
        ("?mode=Minimal", "claude", "invalid_argument", {"field": "mode", "reason": "enum"}),
        ("?categories=nosuch", None, "invalid_argument", {"field": "categories", "reason": "unknown"}),
        ("?agent=a%20b", None, "invalid_agent_name", {"field": "agent", "value": "a b", "reason": "characters"}),
        ("?agent=", None, "invalid_agent_name", {"field": "agent", "value": "", "reason": "length"}),
        ("?agent=All", None, "invalid_agent_name", {"field": "agent", "value": "All", "reason": "reserved"}),
        ("", "a b", "invalid_agent_name", {"field": "X-MASC-Agent", "value": "a b", "reason": "characters"}),
        ("?agent=a", "x" * 65, "invalid_agent_name", {"field": "X-MASC-Agent", "value": "x" * 65, "reason": "length"}),
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_an_endpoint_that_cannot_be_served_is_a_typed_error(
    app: MascApp, method: str, query: str, header: str | None, code: str, details: dict[str, str]
) -> None:
    """Whatever is asked of it; a refused mode or category comes with the valid names."""
    async with serving(app) as url, httpx.AsyncClient() as http:
        headers = {} if header is None else {"X-MASC-Agent": header}
        reply = await http.request(method, url + query, headers=headers, json={"jsonrpc": "2.0"})
        error = reply.json()["error"]
        expected = error["details"].pop("expected", "")
        assert (reply.status_code, error["code"], error["details"]) == (400, code, details)
        assert error["message"].startswith(f"argument {details['field']}: " if expected else f"{details['field']} '")
        names = {"enum": app.kernel.modes.names, "unknown": app.kernel.modes.installed}.get(details["reason"], ())
        assert all(name in expected for name in names)


@eras
async def test_an_unknown_tool_is_a_protocol_error(app: MascApp, mode: Any) -> None:
    async with serving(app) as url, Client(url, mode=mode) as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool("masc_clam", {})
        assert caught.value.error.code == -32602
        assert "masc_claim" in caught.value.error.message


@eras
async def test_the_url_fixes_the_mode_and_the_caller_leaves_the_schemas(app: MascApp, mode: Any) -> None:
    async with serving(app) as url, Client(f"{url}?mode=minimal&agent=claude", mode=mode) as client:
        tools = (await client.list_tools()).tools
        assert len(tools) == 20
        assert not any("agent_name" in tool.input_schema["properties"] for tool in tools)
        refused = facts(await client.call_tool("masc_switch_mode", {"mode": "full"}))
        assert refused["error"]["code"] == "mode_fixed"


async def test_a_handshake_session_is_a_binding(app: MascApp) -> None:
    async with serving(app) as url, Client(url, mode="legacy") as first, Client(url, mode="legacy") as second:
        assert facts(await first.call_tool("masc_join", {"agent_name": "claude"}))["agent"] == "claude"
        other = facts(await second.call_tool("masc_join", {"agent_name": "Claude"}))
        assert (other["agent"], other["renamed"]) == ("Claude-2", True)
        again = facts(await first.call_tool("masc_join", {"agent_name": "claude"}))
        assert (again["agent"], again["rejoined"]) == ("claude", True)


async def test_a_switch_is_announced_to_sessions_whose_list_changes(app: MascApp) -> None:
    told, silent = asyncio.Event(), asyncio.Event()

    def hear(event: asyncio.Event) -> Any:
        async def handler(message: Any) -> None:
            if "ToolListChanged" in type(message).__name__ or "ToolListChanged" in repr(message):
                event.set()

        return handler

    async with (
        serving(app) as url,
        Client(url, mode="legacy", message_handler=hear(told)) as free,
        Client(f"{url}?mode=solo", mode="legacy", message_handler=hear(silent)) as fixed,
    ):
        await free.call_tool("masc_init", {"agent_name": "claude"})
        await fixed.list_tools()
        before = len((await free.list_tools()).tools)
        switched = facts(await free.call_tool("masc_switch_mode", {"mode": "minimal"}))
        assert switched["changed"] is True
        async with asyncio.timeout(BOUND):
            await told.wait()
        assert len((await free.list_tools()).tools) == 20 != before
        assert not silent.is_set()


def test_the_instructions_fit_their_two_kilobytes() -> None:
    assert len(INSTRUCTIONS.encode()) < 2048


async def test_a_budget_too_small_for_core_is_refused_at_the_endpoint(app: MascApp) -> None:
    async with serving(app) as url, httpx.AsyncClient() as http:
        reply = await http.post(f"{url}?mode=budget&max_tokens=300", json={"jsonrpc": "2.0"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "budget_too_small")


@eras
async def test_lean_and_budget_are_chosen_by_the_url(app: MascApp, mode: Any) -> None:
    async with serving(app) as url, Client(f"{url}?mode=budget&max_tokens=1600", mode=mode) as client:
        config = (await client.call_tool("masc_get_config", {})).structured_content or {}
        assert (config["mode"], config["max_tokens"], config["mode_source"]) == ("budget", 1600, "url")
        assert len((await client.list_tools()).tools) == config["enabled_tool_count"]
    async with serving(app) as url, Client(f"{url}?mode=lean&agent=claude", mode=mode) as client:
        assert len((await client.list_tools()).tools) == 5
        task = {"name": "masc_add_task", "arguments": {"title": "Fix login"}}
        added = (await client.call_tool("masc_call_write", task)).structured_content or {}
        assert added["task"]["created_by"] == "claude"
        wrong = await client.call_tool("masc_call_write", {"name": "masc_clam"})
        assert wrong.is_error and (wrong.structured_content or {})["error"]["code"] == "tool_not_found"


@frozen
class _Region:
    """Result of the next tool."""

    region: str


@tool(effect=READ, role=READER)
async def region_ask(ctx: Context, region: Annotated[str, Bound(**{"x-mcp-header": "Region"})]) -> _Region:
    """Say a region."""
    return _Region(region)


async def test_an_argument_repeated_in_a_header_must_agree_with_it(tmp_path: Path) -> None:
    class Plugin:
        @hookimpl
        def masc_tools(self, register: Any) -> None:
            register(region_ask)

    async with (
        masc_app(tmp_path, extra=[("region", Plugin())]) as app,
        serving(app) as url,
        httpx.AsyncClient() as http,
    ):

        async def status(name: str, arguments: dict[str, str], **headers: str) -> int:
            meta = {f"io.modelcontextprotocol/{key}": value for key, value in _ENVELOPE.items()}
            params = {"name": name, "arguments": arguments, "_meta": meta}
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            fixed = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": name}
            fixed["Accept"] = "application/json, text/event-stream"
            reply = await http.post(url, json=body, headers=fixed | {f"Mcp-Param-{k}": v for k, v in headers.items()})
            return reply.status_code

        asked = {"region": "north"}
        assert await status("region_ask", asked, Region="north") == 200
        assert [await status("region_ask", asked, Region="south"), await status("region_ask", asked)] == [400, 400]
        assert await status("masc_tasks", {"status": "all"}, Status="other") == 200  # a header that nobody asked for
