"""Calls over HTTP in both eras: response types, deliveries, disconnects."""

from __future__ import annotations

import asyncio
import json

import pytest
from mcp.client.client import Client as SdkClient
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from wire_support import BOUND, LEGACY, MODERN, call, connected, envelope, initialize, serving, soon

from masc_core.errors import InvalidAgentName, InvalidArgument

pytestmark = pytest.mark.usefixtures("parser")
both_eras = pytest.mark.parametrize("modern", [True, False], ids=["stateless", "handshake"])


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_sdk_client_can_list_and_call(mode: str) -> None:
    """The official client works in both eras, and ``auto`` finds the stateless one."""
    async with serving() as running, SdkClient(running.url, mode=mode) as client:
        assert client.protocol_version == (MODERN if mode == "auto" else LEGACY)
        assert "echo" in [tool.name for tool in (await client.list_tools()).tools]
        result = await client.call_tool("echo", {"text": "hello"})
        assert result.content[0].text == "hello"  # type: ignore[union-attr]


@both_eras
async def test_a_plain_call_is_answered_as_json(modern: bool) -> None:
    async with serving() as running, connected(running.port, modern=modern) as client:
        reply = await client.call("echo", modern=modern, text="hé")
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
        assert reply.json()["result"]["content"][0]["text"] == "hé"


@both_eras
async def test_a_call_that_reports_progress_is_answered_as_a_stream(modern: bool) -> None:
    async with serving() as running, connected(running.port, modern=modern) as client:
        reply = await client.call("progress", modern=modern, meta={"progressToken": "p"}, text="done")
        assert reply.headers["content-type"].startswith("text/event-stream")
        sent = [json.loads(line[6:]) for line in reply.body.decode().splitlines() if line.startswith("data: {")]
        assert [message.get("method", "result") for message in sent] == ["notifications/progress", "result"]


async def test_elicitation_reaches_the_client_of_a_session() -> None:
    async with serving() as running, connected(running.port, modern=False) as client:
        await client.send(client.tool("elicit", modern=False))
        _, headers = await client.head()
        assert headers["content-type"].startswith("text/event-stream")
        parts = client.chunks()
        async with asyncio.timeout(BOUND):
            asked = json.loads((await anext(parts)).decode().partition("data: ")[2])
        answer = {"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "decline"}}
        other = await running.connect()
        other.session = client.session
        assert (await other.request(json.dumps(answer).encode())).status == 202
        async with asyncio.timeout(BOUND):
            rest = b"".join([part async for part in parts])
        assert b"decline" in rest
        await other.close()


@both_eras
async def test_a_defect_in_a_handler_shows_no_detail_of_it_in_a_stateless_answer(modern: bool) -> None:
    async with serving() as running, connected(running.port, modern=modern) as client:
        reply = await client.call("fail", modern=modern)
        assert b"Traceback" not in reply.body
        assert "error" in reply.json()
        assert modern is (b"secret detail" not in reply.body)


@both_eras
async def test_a_delivery_is_confirmed_after_the_response(modern: bool) -> None:
    async with serving() as running, connected(running.port, modern=modern) as client:
        assert (await client.call("deliver", modern=modern)).status == 200
        await soon(running.echo.delivered)


async def test_a_disconnect_cancels_a_stateless_handler_and_drops_its_deliveries() -> None:
    async with serving() as running:
        async with connected(running.port) as client:
            await client.send(client.tool("wait", modern=True))
            await soon(running.echo.started)
        await soon(running.echo.cancelled)
        assert not running.echo.delivered.is_set()


async def test_a_disconnect_cancels_a_stateless_handler_that_may_stream() -> None:
    async with serving() as running:
        async with connected(running.port) as client:
            await client.send(client.tool("wait", modern=True, meta={"progressToken": 1}))
            await soon(running.echo.started)
        await soon(running.echo.cancelled)
        assert not running.echo.delivered.is_set()


async def test_a_disconnected_session_call_finishes_and_is_not_confirmed() -> None:
    """In the handshake era only notifications/cancelled cancels; what nobody received is not delivered."""
    async with serving() as running, connected(running.port, modern=False) as client:
        other = await running.connect()
        other.session = client.session
        await other.send(other.compose(json.dumps(call("wait", 99, modern=False)).encode()))
        await soon(running.echo.started)
        await other.close()
        # The next answer on this loop proves that the server has seen the other connection go.
        assert (await client.call("echo", modern=False)).status == 200
        running.echo.release.set()
        assert (await client.call("echo", modern=False)).status == 200
        assert not running.echo.cancelled.is_set()
        assert not running.echo.delivered.is_set()


async def test_cancelled_ends_a_session_call_without_confirming_it() -> None:
    async with serving() as running, connected(running.port, modern=False) as client:
        await client.send(client.tool("wait", modern=False))
        await soon(running.echo.started)
        other = await running.connect()
        other.session = client.session
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        assert (await other.request(json.dumps(cancel).encode())).status == 202
        await soon(running.echo.cancelled)
        assert (await client.reply()).json()["error"]["code"] == -32800
        assert not running.echo.delivered.is_set()
        await other.close()


@pytest.mark.parametrize("version", ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"])
async def test_every_handshake_version_is_agreed_to(version: str) -> None:
    async with serving() as running, connected(running.port) as client:
        assert (await client.handshake(version)).json()["result"]["protocolVersion"] == version


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_another_version_is_refused_with_the_supported_list(method: str) -> None:
    async with serving() as running, connected(running.port) as client:
        body = json.dumps(call("echo", 7, modern=True)).encode() if method == "POST" else b""
        reply = await client.request(body, method=method, mcp_protocol_version="2023-01-01")
        error = reply.json()["error"]
        assert (reply.status, error["code"], error["data"]["requested"]) == (400, -32022, "2023-01-01")
        assert error["data"]["supported"] == [MODERN, LEGACY, "2025-06-18", "2025-03-26", "2024-11-05"]
        assert reply.json()["id"] == (7 if method == "POST" else None)
        assert running.echo.calls == []


async def test_discover_lists_the_versions_of_both_eras() -> None:
    async with serving() as running, connected(running.port) as client:
        body = {"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": envelope()}}
        reply = await client.request(
            json.dumps(body).encode(), mcp_protocol_version=MODERN, mcp_method="server/discover"
        )
        assert reply.json()["result"]["supportedVersions"][-1] == "2024-11-05"


async def test_a_request_id_in_use_is_refused() -> None:
    async with serving() as running, connected(running.port, modern=False) as client:
        await client.send(client.tool("wait", modern=False))
        await soon(running.echo.started)
        other = await running.connect()
        other.session = client.session
        reply = await other.request(json.dumps(call("echo", 1, modern=False)).encode())
        assert (reply.status, reply.json()["error"]["code"]) == (400, -32600)
        running.echo.release.set()
        assert (await client.reply()).status == 200
        await other.close()


async def test_the_session_idle_longest_makes_room() -> None:
    async with serving(max_sessions=2) as running:
        async with connected(running.port, modern=False) as a, connected(running.port, modern=False) as b:
            assert (await a.call("echo", modern=False)).status == 200
            async with connected(running.port, modern=False) as c:
                assert (await c.call("echo", modern=False)).status == 200
            assert (await a.call("echo", modern=False)).status == 200
            assert (await b.call("echo", modern=False)).status == 404


async def test_an_idle_session_ends() -> None:
    async with serving(session_timeout=0.05) as running, connected(running.port, modern=False) as client:
        async with asyncio.timeout(BOUND):
            while (await client.request(b"", method="GET", accept="application/json")).status != 404:
                # A request restarts the clock, so give the session its idle time; the bound is the timeout above.
                await asyncio.sleep(0.06)


async def test_a_refused_handshake_leaves_no_session() -> None:
    async with serving(max_sessions=1) as running, connected(running.port, modern=False) as client:
        broken = initialize()
        del broken["params"]["capabilities"]
        other = await running.connect()
        assert (await other.request(json.dumps(broken).encode())).status == 400
        await other.close()
        assert client.session is not None


async def test_a_session_ends_by_delete() -> None:
    async with serving() as running, connected(running.port, modern=False) as client:
        assert (await client.request(method="DELETE")).status == 200
        assert (await client.call("echo", modern=False)).status == 404


async def test_query_parameters_are_checked_before_anything_else() -> None:
    def check(query: object, agent: str | None) -> None:
        if query != {"mode": "lean"}:
            raise InvalidArgument(field="mode", reason="enum", expected="must be lean")
        if agent is not None:
            raise InvalidAgentName(field="X-MASC-Agent", value=agent, reason="characters")

    async with serving(endpoint_check=check) as running, connected(running.port) as client:
        body = json.dumps(call("echo", 1, modern=True)).encode()
        headers = {"mcp_protocol_version": MODERN, "mcp_method": "tools/call", "mcp_name": "echo"}
        assert (await client.request(body, target="/mcp?mode=lean", **headers)).status == 200
        for query in ("mode=leen", "mode=lean&mode=lean", "mode="):
            reply = await client.request(body, target=f"/mcp?{query}", **headers)
            assert (reply.status, reply.json()["error"]["code"]) == (400, "invalid_argument")
        reply = await client.request(body, target="/mcp?mode=lean&mode=lean", **headers)
        assert reply.json()["error"]["details"] == {
            "field": "mode", "reason": "repeated", "expected": "must be given once"
        }  # fmt: skip
        reply = await client.request(body, target="/mcp?mode=lean", x_masc_agent="a b", **headers)
        assert (reply.status, reply.json()["error"]["code"]) == (400, "invalid_agent_name")
        assert running.echo.calls == ["echo"]


async def test_paths_and_methods() -> None:
    async def page(request: object) -> PlainTextResponse:
        return PlainTextResponse("page")

    async with serving(routes=[Route("/page", page)]) as running, connected(running.port) as client:
        health = await client.request(method="GET", target="/health")
        assert (health.status, health.json()) == (200, {"status": "ok", "version": "1"})
        assert (await client.request(method="GET", target="/page")).body == b"page"
        assert (await client.request(method="GET", target="/elsewhere")).status == 404
        for method, target, allow in (("PUT", "/mcp", "GET, POST, DELETE"), ("POST", "/health", "GET, HEAD")):
            reply = await client.request(method=method, target=target)
            assert (reply.status, reply.headers["allow"]) == (405, allow)
        assert (await client.request(method="GET", mcp_protocol_version=MODERN)).status == 405
        assert (await client.request(method="GET")).status == 400
        assert not any(name.startswith("access-control") for name in health.headers)
