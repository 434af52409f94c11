"""Results go past the SDK's shaping, so they have to be in shape: for every version what the SDK would make of them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from mcp.shared.memory import create_client_server_memory_streams
from mcp.shared.message import SessionMessage
from mcp_types.methods import serialize_server_result
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, KNOWN_PROTOCOL_VERSIONS
from test_adapter import app, serving
from wire_support import BOUND, MODERN, Client, connected, envelope, initialize

from masc_core.call import Outcome, failure
from masc_core.errors import InvalidArgument
from masc_core.testing.app import MascApp, masc_app
from masc_core.wire._results import tool_result
from masc_core.wire.mcp import Adapter

__all__ = ["app"]

ADDED = {"agent_name": "ann", "title": "one"}

OUTCOMES = {
    "empty": Outcome({}, "ok"),
    "nested": Outcome(
        {"a": [{"b": None, "c": 1.5, "d": [True, 2**62]}], "ünïcode \x00": "\u2028😀", "decision": {"resultType": "x"}},
        "line\nline \t\x00 😀",
    ),
    "named like what the protocol names": Outcome({"content": [], "isError": True, "_meta": {"x": None}}, "ok"),
    "refused": failure(InvalidArgument(field="a", reason="type", expected="must be \u2028 one")),
}


@pytest.mark.parametrize("version", KNOWN_PROTOCOL_VERSIONS)
@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES)
def test_a_result_is_in_shape(outcome: Outcome, version: str) -> None:
    result = tool_result(outcome, version)
    assert serialize_server_result("tools/call", version, result) == result


@pytest.mark.parametrize("version", HANDSHAKE_PROTOCOL_VERSIONS)
async def test_a_handshake_client_gets_no_more_than_its_era_knows(app: MascApp, version: str) -> None:
    async with serving(app) as url, connected(_port(url)) as client:
        await client.handshake(version)
        result = (await _called(client, mcp_protocol_version=version))["result"]
        assert result.keys() == {"content", "isError", "structuredContent"}


async def test_a_stateless_client_is_told_who_answers(app: MascApp) -> None:
    async with serving(app) as url, connected(_port(url)) as client:
        for _ in range(2):  # nor does an answer change the next one's
            headers = {"mcp_protocol_version": MODERN, "mcp_method": "tools/call", "mcp_name": "masc_status"}
            result = (await _called(client, meta=envelope(), **headers))["result"]
            assert result.keys() == {"content", "isError", "structuredContent", "resultType", "_meta"}
            assert result["_meta"]["io.modelcontextprotocol/serverInfo"].items() >= {
                ("name", "masc"),
                ("title", "MASC"),
            }


@pytest.mark.parametrize("params", [None, {}, {"name": 1}, {"name": "masc_status", "arguments": []}])
@pytest.mark.parametrize("modern", [True, False])
async def test_malformed_parameters_are_the_clients_fault(
    app: MascApp, params: dict[str, Any] | None, modern: bool
) -> None:
    async with serving(app) as url, connected(_port(url)) as client:
        headers: dict[str, Any] = {}
        if modern:
            params = {**(params or {}), "_meta": envelope()}
            headers = {"mcp_protocol_version": MODERN, "mcp_method": "tools/call", "mcp_name": str(params.get("name"))}
        else:
            await client.handshake()
        message = {"jsonrpc": "2.0", "id": 5, "method": "tools/call"} | ({} if params is None else {"params": params})
        reply = (await client.request(json.dumps(message).encode(), **headers)).json()
        assert reply["error"]["code"] in (-32602, -32020), reply


async def test_an_envelope_that_is_malformed_is_the_clients_fault(app: MascApp) -> None:
    async with serving(app) as url, connected(_port(url)) as client:
        headers = {"mcp_protocol_version": MODERN, "mcp_method": "tools/call", "mcp_name": "masc_status"}
        meta = {**envelope(), "io.modelcontextprotocol/clientCapabilities": {"elicitation": 5}}
        assert (await _called(client, meta=meta, **headers))["error"]["code"] == types.INVALID_PARAMS


async def test_a_call_that_wants_no_answer_is_none(app: MascApp) -> None:
    """As the SDK has it: a notification cannot be answered, cancelled or waited for."""
    async with serving(app) as url, connected(_port(url), modern=False) as client:
        message = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "masc_add_task", "arguments": ADDED}}
        assert (await client.request(json.dumps(message).encode())).status == 202
        assert (await _called(client))["result"]["structuredContent"]["initialised"] is False


async def test_nor_is_it_over_a_pipe(app: MascApp) -> None:
    async with create_client_server_memory_streams() as ((answers, requests), (read, write)):
        adapter = Adapter(app.kernel, transport="stdio")
        serving = asyncio.create_task(adapter.server.run(read, write, adapter.initialization))
        params = {"name": "masc_add_task", "arguments": ADDED}
        for message in (
            types.JSONRPCRequest.model_validate(initialize()),
            types.JSONRPCNotification(jsonrpc="2.0", method="notifications/initialized"),
            types.JSONRPCNotification(jsonrpc="2.0", method="tools/call", params=params),
            types.JSONRPCRequest(jsonrpc="2.0", id=9, method="tools/call", params={"name": "masc_status"}),
        ):
            await requests.send(SessionMessage(message))
        async with asyncio.timeout(BOUND):
            told = [await answers.receive() for _ in range(2)][-1]
        serving.cancel()
    assert isinstance(told, SessionMessage) and isinstance(told.message, types.JSONRPCResponse)
    assert told.message.result["structuredContent"]["initialised"] is False


ODD = {
    "no JSON": tool_result(Outcome({"a": object()}, "ok"), MODERN),
    "malformed form": {"resultType": "input_required", "inputRequests": {"a": {"method": "elicitation/create"}}},
}


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
async def test_what_tools_of_others_give_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modern: bool, odd: dict[str, Any]
) -> None:
    async def answer(*_: object) -> dict[str, Any]:
        return dict(odd)

    monkeypatch.setattr(Adapter, "_call_tool", answer)
    async with (
        masc_app(tmp_path, extra=[("others", object())]) as app,
        serving(app) as url,
        connected(_port(url), modern=modern) as client,
    ):
        reply = await client.call("masc_status", modern=modern)
        assert reply.json()["error"]["code"] == types.INTERNAL_ERROR, "it is not the client's fault"


async def test_a_call_before_the_handshake_is_refused(app: MascApp) -> None:
    asked = types.JSONRPCRequest(jsonrpc="2.0", id=1, method="tools/call", params={"name": "masc_status"})
    async with create_client_server_memory_streams() as ((answers, requests), (read, write)):
        adapter = Adapter(app.kernel, transport="stdio")
        serving = asyncio.create_task(adapter.server.run(read, write, adapter.initialization))
        await requests.send(SessionMessage(asked))
        async with asyncio.timeout(BOUND):
            answer = await answers.receive()
        serving.cancel()
    assert isinstance(answer, SessionMessage) and isinstance(answer.message, types.JSONRPCError)
    assert answer.message.error.code == types.INVALID_PARAMS


def _port(url: str) -> int:
    return int(url.split(":")[2].partition("/")[0])


async def _called(client: Client, meta: dict[str, Any] | None = None, **headers: Any) -> dict[str, Any]:
    params = {"name": "masc_status", "arguments": {}} | ({"_meta": meta} if meta else {})
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    reply: dict[str, Any] = (await client.request(json.dumps(message).encode(), **headers)).json()
    return reply
