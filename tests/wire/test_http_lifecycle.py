"""Starting and stopping the HTTP server."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from wire_support import BOUND, Client, connected, serving, soon

from masc_core.errors import StartError
from masc_core.wire.http import HttpOptions, build_app, serve_http

HERE = Path(__file__).parent
ENV = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(HERE)])}
both_parsers = pytest.mark.usefixtures("parser")


async def test_a_port_in_use_is_a_start_error_with_a_remedy() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        with pytest.raises(StartError, match=r"is in use; stop .* --port"):
            async with serving(port=held.getsockname()[1]):
                raise AssertionError("it started")


@pytest.mark.parametrize(
    ("host", "says"), [("no-such-host.invalid", "no host this machine knows"), ("192.0.2.1", "not an address")]
)
async def test_a_host_that_is_not_ours_is_a_start_error(host: str, says: str) -> None:
    with pytest.raises(StartError, match=says):
        async with serving(host=host):
            raise AssertionError("it started")


async def test_a_malformed_allowed_host_is_a_start_error() -> None:
    with pytest.raises(StartError):
        async with serving(allowed_hosts=("http://x",)):
            raise AssertionError("it started")


@both_parsers
async def test_an_event_stops_the_server_and_standing_streams() -> None:
    async with serving() as running, connected(running.port, modern=False) as client:
        await client.send(client.compose(b"", method="GET", accept="text/event-stream"))
        assert (await client.head())[0] == 200
        running.stopping.set()
        await asyncio.wait_for(running.task, BOUND)
        assert (await client.closed()).endswith(b"0\r\n\r\n")


@both_parsers
async def test_a_running_call_may_finish() -> None:
    async with serving(stop_timeout=BOUND) as running, connected(running.port) as client:
        await client.send(client.tool("wait", modern=True, text="late"))
        await soon(running.echo.started)
        running.stopping.set()
        running.echo.release.set()
        assert b"late" in (await client.reply()).body


@both_parsers
async def test_a_call_that_does_not_finish_is_cancelled_after_the_stop_timeout() -> None:
    async with serving(stop_timeout=0.1) as running, connected(running.port) as client:
        await client.send(client.tool("wait", modern=True))
        await soon(running.echo.started)
        running.stopping.set()
        await asyncio.wait_for(running.task, BOUND)
        assert running.echo.cancelled.is_set()
        assert (await client.closed()).startswith(b"HTTP/1.1 503")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("release", ["release", "hold"])
async def test_a_signal_stops_the_process_without_a_traceback(number: signal.Signals, release: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "http_server.py"), release, stdout=-1, stderr=-1, env=ENV
    )
    try:
        assert process.stdout is not None
        url = (await asyncio.wait_for(process.stdout.readline(), BOUND * 2)).decode().strip()
        client = await Client.connect(int(url.rpartition(":")[2]))
        await client.send(client.tool("wait", modern=True, text="late"))
        # An answer on another connection proves that the call has been read.
        async with connected(client.port) as other:
            assert (await other.call("echo", modern=True)).status == 200
        process.send_signal(number)
        if release == "release":
            assert b"late" in (await client.reply()).body
        _, error = await asyncio.wait_for(process.communicate(), BOUND)
        assert (process.returncode, b"Traceback" in error) == (0, False), error
        await client.close()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@both_parsers
async def test_an_ipv6_address_is_printed_in_brackets() -> None:
    from wire_support import Echo

    async def health() -> tuple[int, dict[str, str]]:
        return 200, {}

    options = HttpOptions(host="::1", port=0)
    app = build_app(Echo().server, options, health=health)
    stopping = asyncio.Event()
    seen: list[str] = []

    def ready(url: str) -> None:
        seen.append(url)
        stopping.set()

    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        await asyncio.wait_for(serve_http(app, options, ready=ready, stopping=stopping), BOUND)
    except StartError:
        pytest.skip("no IPv6 here")
    assert seen[0].startswith("http://[::1]:")
