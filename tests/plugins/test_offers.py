"""What a plugin adds besides tools, over real HTTP: modes, resources, prompts, routes, health checks, events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from auth_support import secured
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from plugin_site import Site

from masc_core.authoring.overview import rows
from masc_core.authoring.running import Seen, ask_server
from masc_core.clock import SystemClock
from masc_core.offers import as_route
from masc_core.plugins import load
from masc_core.settings import PluginSettings, Settings
from masc_core.sweep import tell_once
from masc_core.testing.app import MascApp, masc_app
from masc_core.wire.http import HttpOptions, kernel_app, serve_http
from masc_core.wire.mcp import Adapter

BOUND = 20.0
eras = pytest.mark.parametrize("mode", ["auto", "legacy"])

STANDUP = """
    from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
    TOLD = []
    OK = [True]

    @frozen
    class Said:
        id: str
        by: str
        version: int = 0

    SAID = Collection("standup_said", Said, lambda s: s.id)

    @tool(effect=WRITE, role=WORKER)
    async def standup_say(ctx: Context) -> Answer:
        \"\"\"Say something.\"\"\"
        await ctx.collection(SAID).add(Said("x", ctx.agent))
        ctx.event("standup_said")
        return Answer(text=ctx.agent)

    @resource("standup://today", mime_type="text/markdown")
    async def standup_today(ctx: Context) -> str:
        \"\"\"What everybody said today.\"\"\"
        return ", ".join(s.by for s in await ctx.collection(SAID).scan()) or "nobody"

    @resource("standup://logo", mime_type="image/png")
    async def standup_logo(ctx: Context) -> bytes:
        \"\"\"The picture.\"\"\"
        return b"\\x89PNG"

    @resource("standup://wrong")
    async def standup_wrong(ctx: Context) -> str:
        \"\"\"Gives a number.\"\"\"
        return 3

    @prompt()
    async def standup_plan(ctx: Context, focus: str, tone: str = "calm") -> str:
        \"\"\"Plan the day.\"\"\"
        return f"Plan {focus}, {tone}."

    async def page(request: Any, visit: Any) -> Any:
        outcome = await visit.call("standup_say", {})
        return JSONResponse({"agent": visit.agent, "said": dict(outcome.structured)}, 200 if not outcome.error else 403)

    async def echo(request: Any, visit: Any) -> Any:
        return PlainTextResponse(f"{request.path_params['name']} {len(await request.body())}")

    async def wrong(request: Any, visit: Any) -> Any:
        return "a string"

    async def leaves(request: Any, visit: Any) -> Any:
        sys.exit(3)

    async def stops(request: Any, visit: Any) -> Any:
        async def half():
            yield b"half"
            raise RuntimeError("half way")
        return StreamingResponse(half())

    @hookimpl
    def masc_tools(register: Any) -> None:
        register(standup_say)

    @hookimpl
    def masc_records(register: Any) -> None:
        register(SAID)

    @hookimpl
    def masc_resources(register: Any) -> None:
        for found in (standup_today, standup_logo, standup_wrong):
            register(found)

    @hookimpl
    def masc_prompts(register: Any) -> None:
        register(standup_plan)

    @hookimpl
    def masc_modes(register: Any) -> None:
        register("daily", ["standup"], "only what is said")

    @hookimpl
    def masc_routes(register: Any) -> None:
        register("/page", page, ["GET", "POST"])
        register("/echo/{name}", echo, ["POST"])
        register("/wrong", wrong, ["GET"])
        register("/leaves", leaves, ["GET"])
        register("/stops", stops, ["GET"])

    @hookimpl
    async def masc_events(ctx: Context, events: Any) -> None:
        TOLD.extend(e.type for e in events)
        if "task_claimed" in TOLD:
            raise RuntimeError("the listener broke")

    @hookimpl
    async def masc_health(ctx: Context) -> Any:
        return {"name": "board", "ok": OK[0], "detail": "a secret of the inside"}
"""


@pytest.fixture
async def app(site: Site, tmp_path: Path) -> AsyncIterator[MascApp]:
    """A room on SQLite in which category standup is installed."""
    site.add("standup", STANDUP)
    settings = Settings(cluster="t", plugins=PluginSettings(hook_seconds=1))
    registry = load()
    async with masc_app(tmp_path, backend="sqlite", clock=SystemClock(), registry=registry, settings=settings) as made:
        yield made


@contextlib.asynccontextmanager
async def serving(app: MascApp) -> AsyncIterator[str]:
    """The room of ``app`` at a free port; gives the base URL."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    options = HttpOptions(port=0, stop_timeout=1.0, max_body=1000)
    async with Adapter(app.kernel, transport="http") as adapter:
        asgi = kernel_app(app.kernel, adapter, options)
        stopping = asyncio.Event()
        task = asyncio.create_task(serve_http(asgi, options, ready=ready.set_result, stopping=stopping))
        try:
            async with asyncio.timeout(BOUND):
                yield await ready
        finally:
            stopping.set()
            await task


def standup() -> Any:
    """The module of the plugin."""
    import standup as module  # type: ignore[import-not-found]  # made above

    return module


@eras
async def test_resources_are_listed_and_read(app: MascApp, mode: Any) -> None:
    await app.call("standup_say", "claude")
    async with serving(app) as url, Client(f"{url}/mcp?mode=daily", mode=mode) as client:
        found = (await client.list_resources()).resources
        assert [(r.name, str(r.uri), r.mime_type, r.description) for r in found][:2] == [
            ("standup_today", "standup://today", "text/markdown", "What everybody said today."),
            ("standup_logo", "standup://logo", "image/png", "The picture."),
        ]
        (today,) = (await client.read_resource("standup://today")).contents
        assert (today.text, today.mime_type) == ("claude", "text/markdown")  # type: ignore[union-attr]
        (logo,) = (await client.read_resource("standup://logo")).contents
        assert logo.blob == "iVBORw=="  # type: ignore[union-attr]
        with pytest.raises(MCPError) as unknown:
            await client.read_resource("standup://nowhere")
        assert unknown.value.error.code == (-32602 if mode == "auto" else -32002)
        with pytest.raises(MCPError) as broken:
            await client.read_resource("standup://wrong")
        assert broken.value.error.data["code"] == "internal_error"


@eras
async def test_prompts_are_listed_and_filled_in(app: MascApp, mode: Any) -> None:
    await app.call("masc_init")
    async with serving(app) as url, Client(f"{url}/mcp?mode=daily", mode=mode) as client:
        (found,) = (await client.list_prompts()).prompts
        assert (found.name, found.description) == ("standup_plan", "Plan the day.")
        assert [(a.name, a.required) for a in found.arguments or []] == [("focus", True), ("tone", False)]
        filled = await client.get_prompt("standup_plan", {"focus": "tests"})
        assert [m.content.text for m in filled.messages] == ["Plan tests, calm."]  # type: ignore[union-attr]
        with pytest.raises(MCPError) as refused:
            await client.get_prompt("standup_plan", {})
        assert refused.value.error.data["code"] == "invalid_argument"
        secret = await client.get_prompt("standup_plan", {"focus": "ghp_" + "a1B2" * 9})
        assert "a1B2" not in str(secret.messages)
        with pytest.raises(MCPError, match="no such prompt"):
            await client.get_prompt("nosuch", {})


@eras
async def test_a_mode_without_the_category_has_none_of_it(app: MascApp, mode: Any) -> None:
    await app.call("masc_init")
    async with serving(app) as url, Client(f"{url}/mcp?mode=minimal", mode=mode) as client:
        assert (await client.list_resources()).resources == []
        assert (await client.list_prompts()).prompts == []
        for ask in (client.read_resource("standup://today"), client.get_prompt("standup_plan", {"focus": "x"})):
            with pytest.raises(MCPError) as refused:
                await ask
            assert refused.value.error.data["code"] == "tool_not_enabled"


@eras
async def test_capabilities_are_declared_only_where_a_plugin_has_them(
    app: MascApp, tmp_path: Path, registry: Any, mode: Any
) -> None:
    async with serving(app) as url, Client(f"{url}/mcp", mode=mode) as client:
        assert client.server_capabilities.resources is not None
        assert client.server_capabilities.prompts is not None
    async with masc_app(tmp_path / "plain", clock=SystemClock(), registry=registry) as plain:
        async with serving(plain) as url, Client(f"{url}/mcp", mode=mode) as client:
            assert client.server_capabilities.resources is None
            assert client.server_capabilities.prompts is None


@eras
async def test_who_needs_a_token_needs_it_for_resources_prompts_and_routes(app: MascApp, mode: Any) -> None:
    room = await secured(app, require_token=True)
    token = await room.token("claude")
    async with serving(app) as url:
        for headers, good in (({}, False), ({"authorization": f"Bearer {'0' * 64}"}, False), (bearer(token), True)):
            async with httpx.AsyncClient(headers=headers, timeout=BOUND) as http:
                page = await http.post(f"{url}/x/standup/page")
                assert page.status_code == (200 if good else 401)
                if good:
                    assert page.json()["agent"] == "claude"
                    assert page.json()["said"]["text"] == "claude"
                else:
                    assert page.headers["www-authenticate"].startswith("Bearer")
                    asked = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": reading(mode)}
                    reply = await http.post(f"{url}/mcp?mode=full", json=asked, headers=era(mode))
                    assert reply.status_code in ({401} if mode == "auto" else {400, 401}), reply.text
                    assert "nobody" not in reply.text
        given: Any = httpx.AsyncClient(headers=bearer(token), timeout=BOUND)
        async with (
            given,
            Client(streamable_http_client(f"{url}/mcp?mode=full", http_client=given), mode=mode) as client,
        ):
            (today,) = (await client.read_resource("standup://today")).contents
            assert today.text == "claude"  # type: ignore[union-attr]


def bearer(token: str) -> dict[str, str]:
    """The header of a token."""
    return {"authorization": f"Bearer {token}"}


def era(mode: str) -> dict[str, str]:
    """The headers of a request of an era."""
    base = {"accept": "application/json, text/event-stream"}
    modern = {"mcp-protocol-version": "2026-07-28", "mcp-method": "resources/read", "mcp-name": "standup://today"}
    return base | (modern if mode == "auto" else {})


def reading(mode: str) -> dict[str, Any]:
    """The parameters of a resources/read."""
    prefix = "io.modelcontextprotocol/"
    meta = {
        f"{prefix}protocolVersion": "2026-07-28",
        f"{prefix}clientCapabilities": {},
        f"{prefix}clientInfo": {"name": "t", "version": "1"},
    }
    return {"uri": "standup://today", **({"_meta": meta} if mode == "auto" else {})}


async def test_a_reader_s_token_reads_and_a_route_gives_it_no_more(app: MascApp) -> None:
    room = await secured(app, require_token=True)
    token = await room.token("looker", role="reader")
    async with serving(app) as url, httpx.AsyncClient(headers=bearer(token), timeout=BOUND) as http:
        page = await http.post(f"{url}/x/standup/page")
        assert (page.status_code, page.json()["said"]["error"]["code"]) == (403, "forbidden")


async def test_routes_are_below_their_category_and_within_the_bounds_of_the_server(app: MascApp) -> None:
    await app.call("masc_init")
    async with serving(app) as url, httpx.AsyncClient(timeout=BOUND) as http:
        page = await http.get(f"{url}/x/standup/page?agent=codex")
        assert (page.status_code, page.json()["agent"], page.json()["said"]["text"]) == (200, "codex", "codex")
        assert (await http.post(f"{url}/x/standup/echo/ada", content=b"abc")).text == "ada 3"
        assert (await http.get(f"{url}/x/standup/echo/ada")).status_code == 405
        assert (await http.post(f"{url}/x/standup/echo/ada", content=b"a" * 1001)).status_code == 413
        assert (await http.get(f"{url}/x/standup/page", headers={"host": "evil.example"})).status_code == 403
        foreign = {"origin": "https://evil.example"}
        assert (await http.post(f"{url}/x/standup/page", headers=foreign)).status_code == 403
        assert (await http.get(f"{url}/x/standup/page?agent=a%20b")).status_code == 400
        broken = await http.get(f"{url}/x/standup/wrong")
        assert (broken.status_code, broken.json()["error"]["code"]) == (500, "internal_error")
        faults = app.kernel.registry.faults
        assert faults is not None
        assert "route /wrong failed: TypeError('it must give a Response, not str')" in faults.last["standup"]
        assert (await http.get(f"{url}/x/standup/leaves")).json()["error"]["code"] == "internal_error"
        assert "route /leaves failed: SystemExit(3)" in faults.last["standup"]
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(f"{url}/x/standup/stops")
        assert "route /stops failed: RuntimeError('half way')" in faults.last["standup"]
        assert (await http.get(f"{url}/health")).json()["plugins"] == {"faulty": ["standup"]}
        for missing in ("/page", "/x/core/page", "/x/standup", "/x"):
            assert (await http.get(url + missing)).status_code == 404


async def test_health_shows_names_and_never_why(app: MascApp) -> None:
    await app.call("masc_init")
    async with serving(app) as url, httpx.AsyncClient(timeout=BOUND) as http:
        good = await http.get(f"{url}/health")
        assert (good.status_code, good.json()["status"]) == (200, "ok")
        assert good.json()["checks"] == [{"plugin": "standup", "name": "board", "ok": True}]
        standup().OK[0] = False
        bad = await http.get(f"{url}/health")
        assert (bad.status_code, bad.json()["status"]) == (200, "degraded")
        assert bad.json()["checks"] == [{"plugin": "standup", "name": "board", "ok": False}]
        standup().OK[0] = "yes"
        wrong = (await http.get(f"{url}/health")).json()
        assert wrong["checks"] == [{"plugin": "standup", "name": "standup", "ok": False}]
        assert wrong["plugins"] == {"faulty": ["standup"]}
        assert "secret" not in good.text + bad.text


async def test_health_names_what_was_left_out_and_is_gone_with_a_broken_guard(site: Site, tmp_path: Path) -> None:
    site.add("bad", "raise RuntimeError('a secret of the inside')")
    async with masc_app(tmp_path / "a", registry=load()) as app:
        status, body = await Adapter(app.kernel, transport="http").health()
        assert (status, body["status"], body["plugins"]) == (200, "degraded", {"failed": ["bad"]})
        assert "secret" not in str(body)
    site.add("watch", "raise RuntimeError('no')", group="masc.guards")
    async with masc_app(tmp_path / "b", registry=load()) as app:
        status, body = await Adapter(app.kernel, transport="http").health()
        assert (status, body["plugins"]) == (503, {"failed": ["guard watch", "bad"]})


async def test_a_mode_of_a_plugin_is_offered_switched_to_and_outlives_it(app: MascApp, tmp_path: Path) -> None:
    await app.call("masc_init")
    client = app.client()
    client.selection = None
    switched = await app.outcome("masc_switch_mode", client, mode="daily")
    assert switched.structured["enabled_categories"] == ["core", "standup"]
    assert switched.structured["mode_description"] == "only what is said"
    assert "daily" in [m["name"] for m in switched.structured["available_modes"]]
    refused = await app.outcome("masc_switch_mode", client, mode="weekly")
    assert refused.error is not None
    settings = Settings(cluster="t")
    plain = load([name for name in app.kernel.registry.categories if name != "standup"])
    async with masc_app(tmp_path, backend="sqlite", registry=plain, settings=settings) as later:
        config = (await later.outcome("masc_get_config", client)).structured
        assert (config["mode"], config["plugins_missing"]) == ("daily", ["daily"])
        assert config["enabled_categories"] == ["core", "comm", "worktree", "health"]


async def test_a_listener_is_told_once_of_what_happens_from_then_on(app: MascApp) -> None:
    await app.call("masc_init")
    kernel, room, told = app.kernel, app.kernel.start_room, standup().TOLD
    assert await tell_once(kernel, room) == 0
    await app.call("masc_add_task", "claude", title="x")
    async with masc_app(app.path, backend="sqlite", registry=kernel.registry, settings=room.settings) as other:
        both = await asyncio.gather(tell_once(kernel, room), tell_once(other.kernel, other.kernel.start_room))
        assert sum(both) == len(told) > 0
        assert told[-1] == "task_added"
        assert await tell_once(other.kernel, other.kernel.start_room) == 0


async def test_a_listener_that_breaks_fails_no_call_and_misses_only_what_broke_it(app: MascApp) -> None:
    await app.call("masc_init")
    kernel, room, told = app.kernel, app.kernel.start_room, standup().TOLD
    await tell_once(kernel, room)
    assert (await app.call("masc_start", "claude", task_title="x"))["task"]["assignee"] == "claude"
    await tell_once(kernel, room)
    assert "the listener broke" in kernel.registry.faults.last["standup"]  # type: ignore[union-attr]
    told.clear()
    await app.call("masc_done", "claude", task_id="task-001")
    await tell_once(kernel, room)
    assert told
    assert "task_claimed" not in told


async def test_a_running_server_tells_other_commands_what_has_failed_in_it(app: MascApp) -> None:
    await app.call("masc_init")
    server_file = app.path / ".masc" / "server.json"
    assert ask_server(server_file.parent) is None
    async with serving(app) as url:
        server_file.write_bytes(orjson.dumps({"url": f"{url}/mcp"}))
        async with httpx.AsyncClient(timeout=BOUND) as http:
            await http.get(f"{url}/x/standup/wrong")
        seen = await asyncio.to_thread(ask_server, server_file.parent)
        assert seen == Seen(f"{url}/health", ("standup",))
    assert ask_server(server_file.parent) is None
    assert [row["faulty"] for row in rows(seen) if row["name"] in ("standup", "core")] == [False, True]
    assert {row["faulty"] for row in rows()} == {None}


@pytest.mark.parametrize("path", ["/{id}/{id}", "/{id:nosuch}"])
def test_a_route_that_cannot_be_matched_is_named(path: str) -> None:
    async def endpoint(request: Any, visit: Any) -> Any: ...

    with pytest.raises(ValueError, match="cannot be matched"):
        as_route("bad", path, endpoint, ("GET",))
