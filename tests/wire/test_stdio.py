"""MCP over standard input and output, in real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from masc_forking import launcher
from mcp.client.client import Client as SdkClient
from mcp.client.stdio import StdioServerParameters, stdio_client
from wire_support import BOUND, MODERN, Json, call, envelope, initialize

HERE = Path(__file__).parent
SERVER = str(HERE / "stdio_server.py")
ROOT = str(HERE.parents[1])
ENV = {**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, str(HERE)]), "PYTHONUNBUFFERED": "1"}

both_loops = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
both_eras = pytest.mark.parametrize("modern", [True, False], ids=["stateless", "handshake"])


class Process:
    """A server process and its pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.stdin, self.stdout, self.stderr = process.stdin, process.stdout, process.stderr

    async def send(self, message: Json | bytes) -> None:
        self.stdin.write((message if isinstance(message, bytes) else json.dumps(message).encode()) + b"\n")
        await self.stdin.drain()

    async def read(self) -> Any:
        return json.loads(await asyncio.wait_for(self.stdout.readline(), BOUND))

    async def ask(self, message: Json | bytes) -> Any:
        await self.send(message)
        return await self.read()

    async def handshake(self) -> None:
        await self.ask(initialize())
        await self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def ended(self) -> tuple[int, str]:
        """Exit status and what stood on standard error, within the five seconds we promise."""
        async with asyncio.timeout(5):
            error = await self.stderr.read()
            return await self.process.wait(), error.decode()

    async def says(self, word: str) -> None:
        async with asyncio.timeout(BOUND):
            while word not in (line := (await self.stderr.readline()).decode()):
                assert line, f"the process ended without saying {word}"


@asynccontextmanager
async def started(trick: str = "-", loop: str = "asyncio") -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *launcher(Path(SERVER)), trick, loop, stdin=-1, stdout=-1, stderr=-1, env=ENV
    )
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_sdk_client_can_list_and_call(mode: str) -> None:
    parameters = StdioServerParameters(command=sys.executable, args=[SERVER, "-"], env=ENV)
    async with SdkClient(stdio_client(parameters), mode=mode) as client:
        assert (client.protocol_version == MODERN) is (mode == "auto")
        assert "echo" in [tool.name for tool in (await client.list_tools()).tools]
        assert (await client.call_tool("echo", {"text": "hello"})).content[0].text == "hello"  # type: ignore[union-attr]


@both_loops
@both_eras
async def test_a_call_and_the_end_of_input(modern: bool, loop: str) -> None:
    async with started(loop=loop) as server:
        if not modern:
            await server.handshake()
        answer = await server.ask(call("echo", 1, modern=modern, text="hé"))
        assert answer["result"]["content"][0]["text"] == "hé"
        server.stdin.close()
        assert (await server.ended())[0] == 0


async def test_what_is_printed_does_not_reach_the_wire() -> None:
    async with started() as server:
        assert "result" in await server.ask(call("echo", 1, modern=True))
        server.stdin.close()
        assert "stray print while serving" in (await server.ended())[1]


async def test_requests_piped_in_before_the_end_are_answered() -> None:
    async with started() as server:
        for n in range(3):
            await server.send(call("echo", n, modern=True))
        server.stdin.close()
        assert sorted([(await server.read())["id"] for _ in range(3)]) == [0, 1, 2]
        assert (await server.ended())[0] == 0


@both_loops
async def test_the_end_of_input_cancels_a_blocking_handler(loop: str) -> None:
    async with started(loop=loop) as server:
        await server.send(call("wait", 1, modern=True))
        await server.ask(call("echo", 2, modern=True))
        server.stdin.close()
        status, error = await server.ended()
        assert (status, "CANCELLED" in error, "DELIVERED" in error) == (0, True, False)


async def test_a_handler_that_resists_cancellation_does_not_keep_the_process() -> None:
    async with started("stubborn") as server:
        await server.send(call("wait", 1, modern=True))
        await server.ask(call("echo", 2, modern=True))
        server.stdin.close()
        status, error = await server.ended()
        assert (status, "RESISTING" in error) == (1, True)


MIDDLEMAN = """
import subprocess, sys, signal
server = subprocess.Popen(sys.argv[1:], stderr=subprocess.DEVNULL)
print(server.pid, file=sys.stderr, flush=True)
signal.pause()
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux to watch a process that is not ours")
async def test_the_death_of_the_parent_ends_the_process() -> None:
    """A middleman starts the server on pipes that stay open in this process, and dies."""
    source, sink = os.pipe()
    middleman = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MIDDLEMAN, sys.executable, SERVER, "-", stdin=source, stdout=-1, stderr=-1, env=ENV
    )
    assert middleman.stdout is not None
    assert middleman.stderr is not None
    fd = os.pidfd_open(int(await asyncio.wait_for(middleman.stderr.readline(), BOUND)))
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(fd, gone.set)
    try:
        os.write(sink, json.dumps(call("echo", 1, modern=True)).encode() + b"\n")
        await asyncio.wait_for(middleman.stdout.readline(), BOUND)
        os.write(sink, json.dumps(call("wait", 2, modern=True)).encode() + b"\n")
        middleman.kill()
        await asyncio.wait_for(gone.wait(), BOUND)
    finally:
        loop.remove_reader(fd)
        for end in (fd, source, sink):
            os.close(end)
        if middleman.returncode is None:
            middleman.kill()
        await middleman.wait()


async def test_a_client_that_stops_reading_ends_the_process_quietly() -> None:
    async with started() as server:
        await server.ask(call("echo", 1, modern=True))
        server.process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
        await server.send(call("echo", 2, modern=True))
        status, error = await server.ended()
        assert (status, "Traceback" in error) == (0, False), error


async def test_a_client_that_stops_reading_ends_a_process_that_has_nothing_to_say() -> None:
    async with started() as server:
        await server.ask(call("echo", 1, modern=True))
        server.process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
        status, error = await server.ended()
        assert (status, "Traceback" in error) == (0, False), error


async def test_a_client_that_reads_late_gets_everything() -> None:
    async with started() as server:
        text = "x" * 9_000
        for n in range(100):
            await server.send(call("echo", n, modern=True, text=text))
        answers = [await server.read() for _ in range(100)]
        assert all(answer["result"]["content"][0]["text"] == text for answer in answers)


@both_loops
async def test_a_line_over_the_limit_is_an_error_and_the_connection_goes_on(loop: str) -> None:
    async with started(loop=loop) as server:
        answer = await server.ask(call("echo", 1, modern=True, text="x" * 3_000_000))
        assert (answer["id"], answer["error"]["code"]) == (None, -32600)
        assert answer["error"]["data"]["code"] == "payload_too_large"
        assert answer["error"]["data"]["details"] == {"limit_bytes": 10_000}
        assert "result" in await server.ask(call("echo", 2, modern=True))


@pytest.mark.parametrize(
    ("line", "code", "request_id"),
    [
        (b"{", -32700, None),
        (b"\xff\xfe", -32700, None),
        (b'"\\ud800"', -32600, None),
        (b'{"jsonrpc":"2.0","id":6,"method":"to\\ud800ols"}', -32600, 6),
        (b'{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}', -32600, None),
        (b'{"jsonrpc":"2.0","id":6,"method":"tools/list","params":{"cursor":"\\udc00"}}', -32600, 6),
        (
            b'{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"a","_meta":{"progressToken":"\\udc00"}}}',
            -32600,
            6,
        ),
        (b'{"jsonrpc":"2.0","id":NaN,"method":"\\ud800"}', -32700, None),
        (b'{"jsonrpc":"2.0","id":6,"x":"\\ud800","y":' + b"[" * 9_000, -32700, None),
        (b"[" * 9_000, -32700, None),
        (b"[]", -32600, None),
        (b"null", -32600, None),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600, None),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600, None),
        (b'{"jsonrpc":"1.0","id":5,"method":"ping"}', -32600, 5),
    ],
)
async def test_malformed_lines_are_answered(line: bytes, code: int, request_id: int | None) -> None:
    async with started() as server:
        answer = await server.ask(line)
        assert (answer["error"]["code"], answer["id"]) == (code, request_id)
        assert "result" in await server.ask(call("echo", 2, modern=True))


async def test_blank_lines_and_windows_line_ends_are_fine() -> None:
    async with started() as server:
        await server.send(b"\n  \n\r")
        assert "result" in await server.ask(json.dumps(call("echo", 2, modern=True)).encode() + b"\r")


@both_eras
async def test_a_delivery_is_confirmed_after_the_answer(modern: bool) -> None:
    async with started() as server:
        if not modern:
            await server.handshake()
        assert "result" in await server.ask(call("deliver", 1, modern=modern))
        await server.says("DELIVERED")


async def test_a_cancelled_request_is_neither_answered_nor_confirmed() -> None:
    async with started() as server:
        await server.send(call("wait", 1, modern=True))
        await server.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})
        assert (await server.ask(call("echo", 2, modern=True)))["id"] == 2
        server.stdin.close()
        _, error = await server.ended()
        assert "CANCELLED" in error
        assert "DELIVERED" not in error


async def test_the_eras_do_not_mix() -> None:
    async with started() as server:
        await server.ask({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": envelope()}})
        assert (await server.ask(initialize()))["error"]["code"] == -32022


@pytest.mark.parametrize("target", ["file", "null"])
async def test_regular_files_work_too(target: str, tmp_path: Path) -> None:
    source, sink = tmp_path / "in", tmp_path / "out"
    source.write_text(json.dumps(call("echo", 1, modern=True, text="filed")) + "\n")
    with source.open("rb") as stdin, (sink if target == "file" else Path(os.devnull)).open("wb") as stdout:
        process = await asyncio.create_subprocess_exec(
            sys.executable, SERVER, "-", stdin=stdin, stdout=stdout, stderr=-1, env=ENV
        )
        _, error = await asyncio.wait_for(process.communicate(), BOUND * 2)
    assert process.returncode == 0, error
    if target == "file":
        assert json.loads(sink.read_text())["result"]["content"][0]["text"] == "filed"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@both_loops
async def test_a_signal_lets_running_calls_finish(number: signal.Signals, loop: str) -> None:
    async with started("release", loop) as server:
        await server.send(call("wait", 1, modern=True, text="late"))
        await server.ask(call("echo", 2, modern=True))
        server.process.send_signal(number)
        assert (await server.read())["result"]["content"][0]["text"] == "late"
        status, error = await server.ended()
        assert (status, "Traceback" in error) == (0, False), error


@asynccontextmanager
async def on_sockets(loop: str, shape: str) -> AsyncIterator[tuple[asyncio.StreamWriter, asyncio.StreamReader, Any]]:
    """A server whose standard streams are sockets, as Node and Bun start one, or one socket, as inetd does."""
    ours_in, theirs_in = socket.socketpair()
    ours_out, theirs_out = (ours_in, theirs_in) if shape == "one" else socket.socketpair()
    if shape in ("client never writes", "neither way back"):
        ours_out.shutdown(socket.SHUT_WR)
    if shape in ("server never reads", "neither way back"):
        theirs_out.shutdown(socket.SHUT_RD)
    process = await asyncio.create_subprocess_exec(
        sys.executable, SERVER, "-", loop, stdin=theirs_in.fileno(), stdout=theirs_out.fileno(), stderr=-1, env=ENV
    )
    for theirs in {theirs_in, theirs_out}:
        theirs.close()
    reader, writer = await asyncio.open_connection(sock=ours_in)
    if ours_out is not ours_in:
        reader, other = await asyncio.open_connection(sock=ours_out, limit=10_000)
    try:
        yield writer, reader, process
    finally:
        writer.close()
        if ours_out is not ours_in:
            other.close()
        if process.returncode is None:
            process.kill()
        await process.wait()


SHAPES = ["two", "client never writes", "server never reads", "neither way back", "one"]


@both_loops
@pytest.mark.parametrize("shape", SHAPES)
async def test_sockets_in_place_of_pipes(loop: str, shape: str) -> None:
    async with on_sockets(loop, shape) as (writer, reader, process), asyncio.timeout(BOUND):
        for n in range(2):
            writer.write(json.dumps(call("echo", n, modern=True, text="hello")).encode() + b"\n")
            assert json.loads(await reader.readline())["result"]["content"][0]["text"] == "hello"
        writer.write(json.dumps(call("echo", 3, modern=True, text="last")).encode() + b"\n")
        writer.write_eof()
        assert json.loads(await reader.readline())["result"]["content"][0]["text"] == "last"
        assert await process.wait() == 0


@both_loops
async def test_no_answer_is_broken_for_a_reader_that_is_late(loop: str) -> None:
    text, calls = "x" * 9_000, 150  # more than a socket holds
    async with on_sockets(loop, "two") as (writer, reader, _), asyncio.timeout(BOUND):
        for n in range(calls):
            writer.write(json.dumps(call("echo", n, modern=True, text=text)).encode() + b"\n")
        await writer.drain()
        answers = [json.loads(await reader.readline()) for _ in range(calls)]
        assert {answer["id"] for answer in answers} == set(range(calls))
        assert all(answer["result"]["content"][0]["text"] == text for answer in answers)


@both_loops
async def test_a_socket_that_nobody_reads_any_more_ends_the_process(loop: str) -> None:
    async with on_sockets(loop, "two") as (writer, reader, process), asyncio.timeout(BOUND):
        writer.write(json.dumps(call("echo", 1, modern=True)).encode() + b"\n")
        await reader.readline()
        reader._transport.abort()  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        writer.write(json.dumps(call("echo", 2, modern=True)).encode() + b"\n")
        error = (await process.stderr.read()).decode()
        assert (await process.wait(), "Traceback" in error) == (0, False), error
