"""The same table over what clients really use: MCP on stdio and over HTTP, and the command line."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from auth_serving import BOUND, headers, serving
from cli_support import ENVIRONMENT
from click.testing import CliRunner
from credential_rooms import StoredRoom, store_room
from credential_table import COLUMNS, OTHER, REGISTRY, Cell, Credential, Table, cells, ending, expected
from masc_forking import launcher
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from wire_support import call, initialize

from masc_core.cli import main
from masc_core.tools import Role

Record = Callable[[str, object], None]
Rooms = dict[bool, StoredRoom]
CLOCKED = Path(__file__).with_name("clocked_masc.py")


def _whole(part: object) -> str:
    match part:
        case bool():
            return "required" if part else "optional"
        case Role():
            return part.label
    return str(getattr(part, "value", part))


_TRIED = [column for column in COLUMNS if column[1] not in (Credential.REPLACED, Credential.UNKNOWN)]
columns = pytest.mark.parametrize(
    ("required", "role", "credential"),
    [
        *((True, *column) for column in _TRIED),
        # Where a token is optional, only this may end otherwise.
        *((False, *column) for column in _TRIED if column[1] is Credential.GOOD or not column[1].has_token),
    ],
    ids=_whole,
)
"""What the kernel's table has, but for two kinds of token that are as invalid as a revoked one."""


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Rooms:
    """A room that requires tokens and one that does not, with tokens of every kind. No test changes them."""
    made = {}
    for required in (True, False):
        made[required] = asyncio.run(store_room(tmp_path_factory.mktemp("room"), required))
    return made


# --- stdio


@asynccontextmanager
async def over_stdio(room: StoredRoom, role: Role, credential: Credential) -> AsyncIterator[Client]:
    """A server process of its own with the credential in its environment, and its client."""
    command = [*launcher(CLOCKED), "serve", "--stdio", "--project", str(room.path)]
    command += ["--agent", OTHER] if credential is Credential.ENDPOINT else []
    token = room.tokens.get((role, credential))
    env = {**ENVIRONMENT, **({"MASC_TOKEN": token} if token is not None else {})}
    server = StdioServerParameters(command=command[0], args=command[1:], env=env)
    async with asyncio.timeout(BOUND), Client(stdio_client(server), mode="legacy") as client:
        yield client


@columns
async def test_stdio(rooms: Rooms, required: bool, role: Role, credential: Credential, record_property: Record) -> None:
    found = Table("stdio", record_property)
    async with over_stdio(rooms[required], role, credential) as client:
        for cell in cells(role, credential):
            result = await client.call_tool(cell.row.tool, cell.arguments())
            structured: Any = result.structured_content
            found.note(cell, ending(cell, structured), expected(cell, required))
    found.conclude()


# --- HTTP


@pytest.fixture(scope="module")
def urls(rooms: Rooms) -> Iterator[dict[bool, str]]:
    """One server for each room. It believes a proxy, so that each call can come from an address of its own: failures
    count against theirs."""
    with ExitStack() as stack:
        proxy = ("--trusted-proxy", "127.0.0.0/8")
        yield {required: stack.enter_context(serving(room.path, *proxy)) for required, room in rooms.items()}


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """Connections are kept: a credential counts for its request alone."""
    with httpx.Client(timeout=BOUND) as client:
        yield client


Answer = tuple[str, str | None, int, str | None]
"""Code and reason, HTTP status, and the challenge."""
REALM = 'Bearer realm="masc"'
BAD = REALM + ', error="invalid_token", error_description="the token is '
CHALLENGES: dict[object, str] = {
    ("unauthorized", "missing_token"): REALM,
    ("invalid_token", None): f'{BAD}unknown, replaced or revoked"',
    ("token_expired", None): f'{BAD}expired"',
}
"""RFC 6750: a request without a token is told the scheme alone. These end a request; all else is the tool's answer."""


class OverHttp:
    """A client in one of the two eras, each of whose calls comes from another address."""

    def __init__(self, http: httpx.Client, url: str, modern: bool) -> None:
        self._http, self._url, self._modern = http, url, modern
        self._calls = 0
        self._session: str | None = None
        if not modern:
            reply = http.post(url, json=initialize(), headers=headers(False, "initialize", None, None))
            self._session = reply.headers["mcp-session-id"]

    def call(self, cell: Cell, token: str | None) -> Answer:
        """How a call ends."""
        self._calls += 1
        sent = headers(self._modern, "tools/call", cell.row.tool, token, self._session)
        sent["x-forwarded-for"] = _address(cell, self._modern)
        if cell.credential is Credential.ENDPOINT:
            sent["x-masc-agent"] = OTHER
        message = call(cell.row.tool, self._calls, modern=self._modern, **cell.arguments())
        reply = self._http.post(self._url, json=message, headers=sent)
        body = reply.json()
        found = ending(cell, body["result"]["structuredContent"] if reply.status_code == 200 else body)
        return (*found, reply.status_code, reply.headers.get("www-authenticate"))


def _address(cell: Cell, modern: bool) -> str:
    """One that no other cell has: failures of earlier ones must not count here."""
    column = COLUMNS.index((cell.role, cell.credential))
    return f"10.{int(modern)}.{column}.{list(REGISTRY.contracts).index(cell.row.tool) + 1}"


@pytest.mark.parametrize("modern", [True, False], ids=["stateless", "handshake"])
@columns
def test_http(
    rooms: Rooms,
    urls: dict[bool, str],
    http: httpx.Client,
    required: bool,
    role: Role,
    credential: Credential,
    modern: bool,
    record_property: Record,
) -> None:
    found = Table("HTTP", record_property)
    client = OverHttp(http, urls[required], modern)
    for cell in cells(role, credential):
        ended = expected(cell, required)
        challenge = CHALLENGES.get(ended)
        answer = client.call(cell, rooms[required].tokens.get((role, credential)))
        found.note(cell, answer, (*ended, 200 if challenge is None else 401, challenge))
    found.conclude()


# --- command line


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """The real entry point, in this process so that plugins are loaded once; its environment clean but for the token."""
    for name in os.environ.keys() - ENVIRONMENT.keys():
        monkeypatch.delenv(name)
    monkeypatch.setattr("masc_core.plugins.load", lambda: REGISTRY)
    return CliRunner()


@columns
def test_command_line(
    rooms: Rooms, entry: CliRunner, required: bool, role: Role, credential: Credential, record_property: Record
) -> None:
    room, found = rooms[required], Table("command line", record_property)
    agent = ["--agent", OTHER] if credential is Credential.ENDPOINT else []
    for cell in cells(role, credential):
        given = orjson.dumps(cell.arguments()).decode()
        command = ["call", cell.row.tool, given, "--json", "--project", str(room.path), *agent]
        ran = entry.invoke(main, command, env={"MASC_TOKEN": room.tokens.get((role, credential))})
        structured = orjson.loads(ran.stdout)
        ended = (ending(cell, structured), ran.exit_code)
        found.note(cell, ended, (expected(cell, required, local=True), int("error" in structured)))
    found.conclude()
