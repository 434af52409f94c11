"""A request is begun once its body is there, and every way in which a body can come, or not come, ends well."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping

import pytest
from wire_support import MODERN, Client, Running, call, serving, soon

from masc_core.errors import InvalidArgument
from masc_core.wire._app import McpApp
from masc_core.wire._protocol import CONNECTION
from masc_core.wire.http import HttpOptions

pytestmark = pytest.mark.usefixtures("parser")

HEADERS = {"mcp_protocol_version": MODERN, "mcp_method": "tools/call", "mcp_name": "echo"}
PATIENT = 30.0


def parts(client: Client, **headers: str) -> tuple[bytes, bytes]:
    """Head and body of a call."""
    body = json.dumps(call("echo", 1, modern=True, text="here")).encode()
    return client.compose(b"", **{**HEADERS, "content_length": str(len(body)), **headers}), body


@pytest.mark.parametrize("pieces", [1, 2, 7])
async def test_a_body_may_come_in_pieces(pieces: int) -> None:
    async with serving(body_timeout=PATIENT) as running:
        client = await running.connect()
        head, body = parts(client)
        await client.send(head)
        size = len(body) // pieces + 1
        for start in range(0, len(body), size):
            assert running.echo.calls == []
            await client.send(body[start : start + size])
            await asyncio.sleep(0)
        assert (await client.reply()).json()["result"]["content"][0]["text"] == "here"


async def test_a_client_that_waits_for_leave_to_send_its_body_gets_it() -> None:
    async with serving(body_timeout=PATIENT) as running:
        client = await running.connect()
        head, body = parts(client, expect="100-continue")
        await client.send(head)
        assert (await client.head())[0] == 100
        await client.send(body)
        assert (await client.reply()).status == 200


@pytest.mark.parametrize("cut", [0, 1, 40])
async def test_requests_may_follow_one_another_before_the_first_is_answered(cut: int) -> None:
    """The last one's body comes in two pieces; ``cut`` bytes of it with the rest."""
    async with serving(body_timeout=PATIENT) as running:
        client = await running.connect()
        head, body = parts(client)
        whole = head + body
        await client.send(whole + whole + head + body[:cut])
        assert [(await client.reply()).status for _ in range(2)] == [200, 200]
        await client.send(body[cut:])
        assert (await client.reply()).status == 200


async def test_blanks_around_a_header_are_not_part_of_it() -> None:
    async with serving() as running:
        client = await running.connect()
        head, body = parts(client)
        await client.send(head.replace(b"mcp-method: tools/call", b"mcp-method:\t tools/call \t") + body)
        assert (await client.reply()).status == 200


async def test_a_client_that_leaves_before_its_body_has_come_leaves_nothing_behind() -> None:
    async with serving(body_timeout=PATIENT, max_connections=2) as running:
        for _ in range(5):  # more than would be let in if one of them still counted
            client = await running.connect()
            await client.send(parts(client)[0])
            await client.close()
        client = await running.connect()
        async with asyncio.timeout(PATIENT):
            assert (await client.call("echo", modern=True)).status == 200
        assert running.echo.calls == ["echo"]


async def test_a_server_that_stops_waits_for_no_body(parser: str) -> None:
    """h11 has begun the request with its headers, so it has to be cancelled first."""
    stop_timeout = PATIENT if parser == "httptools" else 0.05
    async with serving(body_timeout=PATIENT, stop_timeout=stop_timeout) as running:
        client = await running.connect()
        await client.send(parts(client)[0])
        assert (await _other(running)) == 200
        running.stopping.set()
        async with asyncio.timeout(PATIENT):
            assert (await client.closed()).startswith(b"HTTP/1.1 503")
        assert running.echo.calls == ["echo"]


async def test_nor_for_that_of_a_request_behind_one_that_may_finish(parser: str) -> None:
    async with serving(body_timeout=PATIENT, stop_timeout=PATIENT) as running:
        client = await running.connect()
        head, body = parts(client)
        await client.send(client.tool("wait", modern=True) + head + body[:-5])
        await soon(running.echo.started)
        running.stopping.set()
        await _told_to_stop(running)
        running.echo.release.set()
        async with asyncio.timeout(PATIENT):
            told = await client.closed()
        assert b" 200 " in told
        assert (b" 503 " in told) == (parser == "httptools"), "h11 has not read it"
        await running.task
        with contextlib.suppress(ConnectionError):
            await client.send(body[-5:])
        assert running.echo.calls == ["wait"]


async def _told_to_stop(running: Running) -> None:
    """Until no new connection is let in."""
    with contextlib.suppress(ConnectionError):
        while True:
            _, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.transport.abort()
            await asyncio.sleep(0.005)


async def _other(running: Running) -> int:
    return (await (await running.connect()).call("echo", modern=True)).status


@pytest.mark.parametrize(("method", "target"), [("GET", "/health"), ("POST", "/nowhere"), ("PUT", "/mcp")])
async def test_what_needs_no_body_does_not_wait_for_one(method: str, target: str) -> None:
    async with serving(body_timeout=PATIENT * 10) as running:
        client = await running.connect()
        await client.send(client.compose(b"", method, target, content_length="5"))
        async with asyncio.timeout(PATIENT):
            assert (await client.reply()).status in (200, 404, 405)


async def test_a_body_that_is_too_large_is_not_waited_for_however_small() -> None:
    async with serving(max_body=1000, body_timeout=PATIENT * 10) as running:
        client = await running.connect()
        await client.send(parts(client, content_length="1001")[0])
        async with asyncio.timeout(PATIENT):
            assert (await client.reply()).status == 413


async def test_the_time_of_one_body_is_not_that_of_the_next(parser: str) -> None:
    """A connection goes on after a request that was refused without its body."""

    def refuse(params: Mapping[str, str], agent: str | None) -> None:
        if params:
            raise InvalidArgument(field="refused", reason="value", expected="must not be")

    async with serving(body_timeout=0.2, endpoint_check=refuse) as running:
        client = await running.connect()
        head, body = parts(client)
        await client.send(head.replace(b"/mcp", b"/mcp?refused=1", 1) + body[:5])
        assert (await client.reply()).status == 400
        head, whole = parts(client, transfer_encoding="chunked")
        head = b"".join(line for line in head.splitlines(keepends=True) if not line.startswith(b"content-length"))
        await client.send(body[5:] + head)
        await asyncio.sleep(0.01)
        await client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(whole), whole))
        assert (await client.reply()).status == 200


@pytest.mark.parametrize("place", ["behind a request", "after a body"])
async def test_a_header_that_does_not_end_is_cut_off_anywhere(parser: str, place: str) -> None:
    if (parser, place) == ("h11", "behind a request"):
        return  # nothing is read then
    async with serving(max_body=1000, header_timeout=PATIENT * 10, body_timeout=PATIENT * 10) as running:
        client = await running.connect()
        if place == "after a body":
            head = client.compose(b"", transfer_encoding="chunked").replace(b"content-length: 0\r\n", b"")
            await client.send(head + b"1\r\nx\r\n0\r\n")
        else:
            await client.send(client.tool("wait", modern=True))
            await soon(running.echo.started)
            await client.send(b"POST /mcp HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            await client.send(b"x: ")
            for _ in range(64):
                await client.send(b"x" * 65_536)
        async with asyncio.timeout(PATIENT):
            assert b" 200 " not in await client.closed()


@pytest.mark.parametrize("place", ["behind a request", "after a body"])
@pytest.mark.parametrize(("size", "fine"), [(500, True), (7_000, False)])
async def test_every_block_of_headers_is_bounded(parser: str, place: str, size: int, fine: bool) -> None:
    """Ten of them, in pieces of which none is too large."""
    if (parser, place) == ("h11", "behind a request"):
        return  # nothing is read then
    async with serving(body_timeout=PATIENT * 10) as running:
        client = await running.connect()
        if place == "after a body":
            head, body = parts(client, transfer_encoding="chunked")
            head = b"".join(line for line in head.splitlines(keepends=True) if not line.startswith(b"content-length"))
            await client.send(head + b"%x\r\n%b\r\n0\r\n" % (len(body), body))
        else:
            await client.send(client.tool("wait", modern=True))
            await soon(running.echo.started)
            await client.send(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nconnection: close\r\n" % client.port)
        with contextlib.suppress(ConnectionError):
            for n in range(10):
                await client.send(b"x%d: " % n + b"x" * size + b"\r\n")
                await asyncio.sleep(0.001)
            await client.send(b"\r\n")
        running.echo.release.set()
        if fine:
            answers = 1 if place == "after a body" else 2
            assert [(await client.reply()).status for _ in range(answers)] == [200] * answers
        else:
            async with asyncio.timeout(PATIENT):
                unwanted = b'"status"' if place == "behind a request" else b" 200 "
                assert unwanted not in await client.closed()


async def test_many_requests_without_a_pause_are_many_small_ones() -> None:
    """Each read ends within a request, and all of them together are more than one may be."""
    async with serving(max_body=1000) as running:
        client = await running.connect()
        request = client.compose(b"", "GET", "/health", x="x" * 20_000)
        sent = b"".join([request] * 30)
        answers = asyncio.create_task(_statuses(client, 30))
        for start in range(0, len(sent), 15_000):
            await client.send(sent[start : start + 15_000])
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENT):
            assert await answers == [200] * 30


async def _statuses(client: Client, count: int) -> list[int]:
    return [(await client.reply()).status for _ in range(count)]


async def test_after_a_refused_body_the_next_request_is_read_from_its_beginning() -> None:
    async with serving() as running:
        client = await running.connect()
        await client.send(client.compose(b"", "POST", "/nowhere", content_length="200000"))
        assert (await client.reply()).status == 404
        for _ in range(4):
            await client.send(b"x" * 50_000)
            await asyncio.sleep(0.01)
        assert (await client.request(b"", "GET", "/health")).status == 200


class _Overdue:
    """A connection whose body has had its time."""

    complete = False
    overdue = True
    lost = False


async def test_a_body_that_has_had_its_time_is_not_waited_for_again() -> None:
    async with serving() as running:

        async def health() -> tuple[int, dict[str, object]]:
            return 200, {}

        app = McpApp(running.echo.server, HttpOptions(body_timeout=PATIENT * 10), health=health)
        sent: list[dict[str, object]] = []

        async def never() -> dict[str, object]:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: object) -> None:
            sent.append(message)  # type: ignore[arg-type]

        headers = [(b"host", b"127.0.0.1:1"), (b"content-length", b"5"), (b"mcp-protocol-version", MODERN.encode())]
        scope = {
            "type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "headers": headers,
            "server": ("127.0.0.1", 1), CONNECTION: _Overdue(),
        }  # fmt: skip
        async with asyncio.timeout(PATIENT):
            await app(scope, never, send)
        assert sent[0]["status"] == 408
