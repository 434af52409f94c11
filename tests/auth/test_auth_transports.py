"""Credentials over real HTTP, real stdio and the command line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from auth_serving import BOUND, headers, serving
from auth_support import UNKNOWN
from cli_support import ENVIRONMENT, Ran, masc
from masc_forking import launcher
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from wire_support import call, envelope, initialize

from masc_core.wire._source import is_loopback, network, source_of

eras = pytest.mark.parametrize("modern", [True, False], ids=["modern", "legacy"])


class Room:
    """A project with auth on and tokens of every kind."""

    def __init__(self, path: Path, required: bool) -> None:
        self.path = path
        enabled = self.run("auth", "enable", *(["--require-token"] if required else []), "--json").json
        self.admin, self.secret = enabled["admin"]["token"], enabled["room_secret"]
        self.worker = self.token("claude")
        self.reader = self.token("rita", "--role", "reader")
        self.gone = self.token("gone")
        self.run("auth", "revoke", "gone")

    def run(self, *arguments: str, **env: str) -> Ran:
        return masc(self.path, *arguments, env=env)

    def token(self, name: str, *options: str) -> str:
        return str(self.run("auth", "token", name, *options, "--json").json["token"])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Room:
    """One room that requires tokens; its tests change nobody's credential but their own."""
    path = tmp_path_factory.mktemp("room")
    subprocess.run(["git", "init", "-q"], cwd=path, check=True)
    return Room(path, required=True)


@pytest.fixture
def url(shared: Room) -> Iterator[str]:
    """A server of its own for each test, because failures count against their source."""
    with serving(shared.path, "--mode", "full") as found:
        yield found


class Http:
    """A client of raw requests, in one of the two eras."""

    def __init__(self, url: str, modern: bool) -> None:
        self.url, self.modern = url, modern
        self.session: str | None = None

    def opened(self, token: str | None = None) -> Http:
        if not self.modern:
            reply = httpx.post(self.url, json=initialize(), headers=headers(False, "initialize", None, token))
            self.session = reply.headers["mcp-session-id"]
        return self

    def call(self, tool: str, token: str | None = None, **arguments: Any) -> httpx.Response:
        message = call(tool, 7, modern=self.modern, **arguments)
        sent = headers(self.modern, "tools/call", tool, token, self.session)
        return httpx.post(self.url, json=message, headers=sent)

    def ask(self, method: str, token: str | None = None) -> httpx.Response:
        params = {"_meta": envelope()} if self.modern else {}
        message = {"jsonrpc": "2.0", "id": 8, "method": method, "params": params}
        return httpx.post(self.url, json=message, headers=headers(self.modern, method, None, token, self.session))


def refused(reply: httpx.Response) -> tuple[int, str, str | None]:
    """Status, code of the error in the body, and what the challenge says is wrong."""
    challenge = reply.headers.get("www-authenticate", "")
    assert challenge.startswith("Bearer ") or reply.status_code != 401
    found = re.search(r'error="(\w+)"', challenge)
    return reply.status_code, reply.json()["error"]["code"], found[1] if found else None


@eras
def test_http_refuses_what_needs_a_token_with_a_challenge(url: str, shared: Room, modern: bool) -> None:
    http = Http(url, modern).opened()
    assert refused(http.call("masc_status")) == (401, "unauthorized", None)
    for bad in (UNKNOWN, "malformed", shared.gone):
        assert refused(http.call("masc_status", bad)) == (401, "invalid_token", "invalid_token")
    assert refused(http.ask("tools/list", UNKNOWN)) == (401, "invalid_token", "invalid_token")
    allowed = http.call("masc_status", shared.worker)
    assert allowed.status_code == 200 and not allowed.json()["result"]["isError"]


@eras
def test_http_shows_its_tools_to_anybody_and_lets_them_join(url: str, shared: Room, modern: bool) -> None:
    http = Http(url, modern).opened()
    listed = http.ask("tools/list")
    assert listed.status_code == 200 and len(listed.json()["result"]["tools"]) > 30
    name = f"joiner-{modern}"
    joined = http.call("masc_join", agent_name=name, room_secret=shared.secret, deliver="result")
    facts = joined.json()["result"]["structuredContent"]
    assert facts["agent"] == name
    renewed = http.call("masc_auth_refresh", agent_name=name, token=facts["token"], deliver="result")
    token = renewed.json()["result"]["structuredContent"]["token"]
    assert not http.call("masc_status", token).json()["result"]["isError"]
    assert refused(http.call("masc_status", facts["token"])) == (401, "invalid_token", "invalid_token")


@eras
def test_http_gives_refusals_of_a_good_token_as_tool_results(url: str, shared: Room, modern: bool) -> None:
    http = Http(url, modern).opened()
    for token, arguments, expected in (
        (shared.reader, {"title": "t"}, "forbidden"),
        (shared.worker, {"title": "t", "agent_name": "gemini"}, "forbidden"),
    ):
        reply = http.call("masc_add_task", token, **arguments)
        assert reply.status_code == 200
        assert reply.json()["result"]["structuredContent"]["error"]["code"] == expected


def test_http_opens_no_session_and_no_stream_for_a_bad_token(url: str, shared: Room) -> None:
    opening = httpx.post(url, json=initialize(), headers=headers(False, "initialize", None, UNKNOWN))
    assert refused(opening) == (401, "invalid_token", "invalid_token") and "mcp-session-id" not in opening.headers
    http = Http(url, modern=False).opened()
    standing = httpx.get(url, headers=headers(False, "", None, None, http.session))
    assert refused(standing) == (401, "unauthorized", None)
    assert refused(Http(url, modern=True).ask("subscriptions/listen")) == (401, "unauthorized", None)


def test_http_takes_the_token_from_the_header_alone(url: str, shared: Room) -> None:
    http = Http(f"{url}?token={shared.worker}", modern=True)
    assert refused(http.call("masc_status")) == (401, "unauthorized", None)
    twice = [("authorization", f"Bearer {shared.worker}"), ("authorization", f"Bearer {shared.admin}")]
    sent = [*headers(True, "tools/call", "masc_status", None).items(), *twice]
    reply = httpx.post(url, json=call("masc_status", 1, modern=True), headers=sent)
    assert refused(reply) == (401, "invalid_token", "invalid_token")
    lower = {**headers(True, "tools/call", "masc_status", None), "authorization": f"bearer {shared.worker}"}
    assert httpx.post(url, json=call("masc_status", 1, modern=True), headers=lower).status_code == 200


async def test_the_list_of_an_authenticated_agent_has_no_caller_and_is_its_own(url: str, shared: Room) -> None:
    sent = {"authorization": f"Bearer {shared.worker}"}
    async with httpx.AsyncClient(headers=sent, timeout=BOUND) as http:
        reply = await http.post(
            url.replace("/mcp", "/mcp"),
            json={"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": envelope()}},
            headers=headers(True, "tools/list", None, shared.worker),
        )
    result = reply.json()["result"]
    claim = next(tool for tool in result["tools"] if tool["name"] == "masc_claim")
    assert "agent_name" not in claim["inputSchema"]["properties"] and result["cacheScope"] == "private"


@contextlib.asynccontextmanager
async def over_stdio(path: Path, **env: str) -> AsyncIterator[Client]:
    """A stdio server with this environment, and its client."""
    command = [*launcher(), "serve", "--stdio", "--mode", "full", "--project", str(path)]
    parameters = StdioServerParameters(command=command[0], args=command[1:], env={**ENVIRONMENT, **env})
    async with asyncio.timeout(BOUND), Client(stdio_client(parameters), mode="legacy") as client:
        yield client


async def facts(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    return dict((await client.call_tool(tool, arguments)).structured_content or {})


async def test_stdio_takes_its_token_from_the_environment(shared: Room) -> None:
    async with over_stdio(shared.path, MASC_TOKEN=shared.worker) as client:
        assert (await facts(client, "masc_auth_status"))["you"]["agent_name"] == "claude"
        assert (await facts(client, "masc_auth_list"))["error"]["code"] == "forbidden"
    for env, expected in (({}, "unauthorized"), ({"MASC_TOKEN": shared.gone}, "invalid_token")):
        async with over_stdio(shared.path, **env) as client:
            assert len((await client.list_tools()).tools) > 30
            assert (await facts(client, "masc_status"))["error"]["code"] == expected


async def test_stdio_reads_a_token_file_and_takes_up_a_renewed_one(shared: Room) -> None:
    path = Path(shared.run("auth", "token", "filed", "--file", "--json").json["token_path"])
    async with over_stdio(shared.path, MASC_TOKEN_FILE=str(path)) as client:
        assert (await facts(client, "masc_auth_status"))["you"]["agent_name"] == "filed"
        shared.run("auth", "token", "filed", "--file", "--role", "reader")
        assert (await facts(client, "masc_auth_status"))["you"]["role"] == "reader"


async def test_stdio_joins_with_the_room_secret_of_its_environment(shared: Room) -> None:
    async with over_stdio(shared.path, MASC_ROOM_SECRET=shared.secret) as client:
        joined = await facts(client, "masc_join", agent_name="newcomer")
        assert joined["agent"] == "newcomer" and "token" not in joined
        assert (await facts(client, "masc_add_task", title="t"))["task"]["created_by"] == "newcomer"
        token = Path(joined["token_path"]).read_text().strip()
    assert shared.run("call", "masc_auth_status", "--json", MASC_TOKEN=token).json["you"]["agent_name"] == "newcomer"


async def test_the_error_of_a_token_never_shows_it(shared: Room) -> None:
    async with over_stdio(shared.path, MASC_TOKEN=shared.gone) as client:
        result = await client.call_tool("masc_status", {})
        assert shared.gone not in str(result)


def test_the_command_line_acts_as_its_person_or_as_its_token(shared: Room) -> None:
    assert shared.run("call", "masc_auth_list", "--json").json["count"] >= 3
    assert shared.run("status").status == 0
    for token, tool, expected in (
        (shared.worker, "masc_tasks", "ok"),
        (shared.worker, "masc_auth_list", "forbidden"),
        (shared.admin, "masc_auth_list", "ok"),
        (shared.gone, "masc_tasks", "invalid_token"),
        (UNKNOWN, "masc_tasks", "invalid_token"),
        ("malformed", "masc_tasks", "invalid_token"),
    ):
        ran = shared.run("call", tool, "--json", MASC_TOKEN=token)
        assert ran.json.get("error", {}).get("code", "ok") == expected
        assert ran.status == (expected != "ok")
    other = shared.run("call", "masc_tasks", "--agent", "gemini", "--json", MASC_TOKEN=shared.worker)
    assert other.json["error"]["details"]["reason"] == "other_agent"
    assert shared.run("pause", MASC_TOKEN=shared.worker).err.startswith("forbidden")


def test_a_token_file_that_cannot_be_read_is_said(shared: Room) -> None:
    ran = shared.run("call", "masc_tasks", MASC_TOKEN_FILE="/nonexistent/token")
    assert ran.status == 1 and "MASC_TOKEN_FILE" in ran.err


def test_the_commands_of_auth(project: Path) -> None:
    assert masc(project, "auth", "token", "claude").err.startswith(("auth_disabled", "not_initialised"))
    room = Room(project, required=False)
    assert room.run("auth", "status", "--json").json["credentials"] == 3
    listed = room.run("auth", "list", "--json").json
    assert [c["agent_name"] for c in listed["credentials"]] == ["admin", "rita", "claude"]
    assert os.environ.get("USER", "root") and listed["credentials"][0]["created_by"].startswith("human:")
    assert room.run("auth", "revoke", "admin").err.startswith("last_admin")
    rotated = room.run("auth", "rotate-secret", "--json").json["room_secret"]
    joins = [
        room.run("call", "masc_join", json.dumps({"room_secret": s}), "--agent", "kim", "--json").json
        for s in (room.secret, rotated)
    ]
    assert joins[0]["error"]["code"] == "invalid_room_secret" and Path(joins[1]["token_path"]).exists()
    filed = room.run("auth", "rotate-secret", "--file", "--json").json
    assert Path(filed["room_secret_path"]).read_text().strip() not in (room.secret, rotated)
    anew = room.run("auth", "reset", "--json").json
    assert anew["deleted"] == 4 and anew["admin"]["agent_name"] == "admin"
    assert room.run("call", "masc_tasks", "--json", MASC_TOKEN=room.admin).json["error"]["code"] == "invalid_token"
    assert room.run("call", "masc_tasks", MASC_TOKEN=anew["admin"]["token"]).status == 0
    assert room.run("auth", "disable").status == 0 and not room.run("auth", "status", "--json").json["enabled"]


def test_a_command_prints_its_secrets_as_text_too(project: Path) -> None:
    ran = masc(project, "auth", "enable")
    assert len(re.findall(r"\b[0-9a-f]{64}\b", ran.out)) == 2, ran


def test_an_open_address_needs_auth_with_require_token(project: Path) -> None:
    """Acceptance 2 of the model, and 9 of auth."""
    started = masc(project, "serve", "--http", "--host", "0.0.0.0", "--port", "0")
    assert started.status == 1 and "require-token" in started.err and "require_token" in started.err
    room = Room(project, required=False)
    assert room.run("serve", "--http", "--host", "0.0.0.0", "--port", "0").status == 1
    room.run("auth", "enable", "--require-token")
    with serving(project, "--mode", "full", "--host", "0.0.0.0") as found:
        http = Http(found.replace("0.0.0.0", "127.0.0.1"), modern=True)
        assert refused(http.call("masc_status")) == (401, "unauthorized", None)
        disabling = http.call("masc_auth_disable", room.admin).json()["result"]["structuredContent"]
        assert disabling["error"]["code"] == "bind_requires_auth"
        for command in (("auth", "disable"), ("auth", "enable")):
            assert room.run(*command).err.startswith("bind_requires_auth"), "from another process neither"
    assert room.run("auth", "disable").status == 0


@pytest.mark.parametrize(
    ("peer", "lines", "expected"),
    [
        ("192.0.2.9", ["10.9.9.9"], "192.0.2.9"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.2.3.4, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.2.3.4", "198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["127.0.0.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
    ],
)
def test_whom_a_trusted_proxy_names(peer: str, lines: list[str], expected: str) -> None:
    from starlette.datastructures import Headers

    sent = Headers(raw=[(b"x-forwarded-for", line.encode()) for line in lines])
    assert source_of(peer, sent, [network("10.0.0.0/8")]) == expected
    assert source_of(peer, sent, []) == peer


def test_which_sources_are_this_machine() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "::1", "127.8.8.8", "::ffff:127.0.0.1"]))
    assert not any(map(is_loopback, ["10.0.0.1", "2001:db8::1", "unix", ""]))


def test_a_proxy_that_is_no_network_stops_the_start(project: Path) -> None:
    ran = masc(project, "serve", "--http", "--port", "0", "--trusted-proxy", "proxy.example")
    assert ran.status == 2 and "--trusted-proxy: proxy.example is no address" in ran.err
