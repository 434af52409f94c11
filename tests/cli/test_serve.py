"""masc serve: both transports as processes, their start, their refusals, their end."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from cli_support import ENVIRONMENT, MASC, add_task, masc
from masc_forking import launcher
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters

from masc_core.cli._announce import Announcement
from masc_core.cli.serve import LINES
from masc_core.kernel import Kernel
from masc_core.plugins import Registry
from masc_core.rooms import Base
from masc_core.testing import ManualClock


@contextmanager
def http(
    project: Path, *options: str, env: dict[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running HTTP server and its ready line."""
    command = [*MASC, "serve", "--project", str(project), *options]
    with subprocess.Popen(
        command, env={**ENVIRONMENT, **(env or {})}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            yield process, process.stderr.readline().strip()
        finally:
            if process.poll() is None:
                process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Stop a server in order: status, rest of standard output and error."""
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


async def test_http_says_where_it_is_and_starts_without_a_trace(project: Path) -> None:
    with http(project, "--port", "0") as (process, url):
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/mcp")
        assert not (project / ".masc").exists()
        async with Client(f"{url}?agent=claude", cache=None) as client:
            added = await client.call_tool("masc_add_task", {"title": "Fix login"})
            assert added.structured_content is not None
            assert added.structured_content["task"]["created_by"] == "claude"
        file = project / ".masc/server.json"
        async with asyncio.timeout(20):
            while not file.exists():  # the server writes it beside the call that made the room
                await asyncio.sleep(0.01)
        assert orjson.loads(file.read_bytes())["url"] == url
        assert ended(process) == (0, "", "")
    assert not (project / ".masc/server.json").exists()


async def test_server_json_comes_with_the_room_whoever_makes_it(
    project: Path, clock: ManualClock, registry: Registry
) -> None:
    place = project / ".masc/server.json"
    async with Kernel(Base(project, may_create=True), registry, clock=clock) as kernel:
        async with Announcement(kernel.start_room, as_json=False) as announcement:
            announcement.make("http://127.0.0.1:1")
            await clock.advance(60)
            assert not place.exists()
            place.parent.mkdir()
            await clock.advance(2)
            assert orjson.loads(place.read_bytes())["url"] == "http://127.0.0.1:1/mcp"
        assert not place.exists()


async def test_a_server_that_never_had_a_room_leaves_nothing_behind(
    project: Path, clock: ManualClock, registry: Registry
) -> None:
    async with Kernel(Base(project, may_create=True), registry, clock=clock) as kernel:
        async with Announcement(kernel.start_room, as_json=False) as announcement:
            announcement.make("http://127.0.0.1:1")
        (project / ".masc").mkdir()
        await clock.advance(60)
    assert list((project / ".masc").iterdir()) == []


async def test_server_json_is_there_while_the_server_is(project: Path) -> None:
    add_task(project, "Fix login")
    with http(project, "--http", "--json", env={"MASC_MCP_PORT": "0", "MASC_MODE": "minimal"}) as (process, line):
        facts = orjson.loads((project / ".masc/server.json").read_bytes())
        assert facts == orjson.loads(line)
        assert facts["pid"] == process.pid
        assert facts["url"] == f"http://127.0.0.1:{facts['port']}/mcp"
        async with Client(facts["url"], cache=None) as client:
            config = (await client.call_tool("masc_get_config", {})).structured_content
            assert config is not None
            assert (config["mode"], config["mode_source"]) == ("minimal", "process")
        assert ended(process)[0] == 0
    assert not (project / ".masc/server.json").exists()


async def test_server_json_names_a_server_that_still_runs(
    project: Path, clock: ManualClock, registry: Registry
) -> None:
    place = project / ".masc/server.json"
    place.parent.mkdir()
    async with Kernel(Base(project, may_create=True), registry, clock=clock) as kernel:
        async with Announcement(kernel.start_room, as_json=False) as first:
            first.make("http://127.0.0.1:1")
            async with Announcement(kernel.start_room, as_json=False) as second:
                second.make("http://127.0.0.1:2")
                await clock.advance(2)
                assert orjson.loads(place.read_bytes())["port"] == 2
            assert not place.exists()
            await clock.advance(2)
            assert orjson.loads(place.read_bytes())["port"] == 1
        assert not place.exists()


async def test_server_json_names_no_server_that_was_killed(
    project: Path, clock: ManualClock, registry: Registry
) -> None:
    place = project / ".masc/server.json"
    add_task(project, "Fix login")
    async with Kernel(Base(project, may_create=True), registry, clock=clock) as kernel:
        async with Announcement(kernel.start_room, as_json=False) as survivor:
            survivor.make("http://127.0.0.1:1")
            with http(project, "--port", "0") as (process, url):
                await clock.advance(2)
                assert orjson.loads(place.read_bytes())["url"] == url
                process.kill()
                process.wait()
                assert orjson.loads(place.read_bytes())["url"] == url
                await clock.advance(2)
                assert orjson.loads(place.read_bytes())["port"] == 1
        assert not place.exists()


@pytest.mark.parametrize(
    "found",
    [
        b'{"pid":1,"url":"http://127.0.0.1:9/mcp"}',
        b'{"pid":1,"process":"process:another-machine:1:2@3"}',
        b'{"pid":1,"process":"process:nonsense"}',
        b'{"pid":1,"process":7}',
        b"[]",
        b"half a fi",
    ],
)
async def test_server_json_that_cannot_be_judged_is_left_alone(
    project: Path, clock: ManualClock, registry: Registry, found: bytes
) -> None:
    place = project / ".masc/server.json"
    place.parent.mkdir()
    async with Kernel(Base(project, may_create=True), registry, clock=clock) as kernel:
        async with Announcement(kernel.start_room, as_json=False) as announcement:
            announcement.make("http://127.0.0.1:1")
            place.write_bytes(found)
            await clock.advance(4)
            assert place.read_bytes() == found


def test_server_json_of_another_server_stays(project: Path) -> None:
    add_task(project, "Fix login")
    with http(project, "--port", "0") as (first, _), http(project, "--port", "0") as (second, _):
        assert ended(first)[0] == 0
        assert orjson.loads((project / ".masc/server.json").read_bytes())["pid"] == second.pid


async def test_stdio_serves_one_named_agent_in_a_fixed_mode(project: Path) -> None:
    command = [
        *launcher(),
        "serve",
        "--stdio",
        "--mode",
        "solo",
        "--agent",
        "claude",
        "--project",
        str(project),
    ]
    async with Client(
        StdioServerParameters(command=command[0], args=command[1:], env=ENVIRONMENT), cache=None
    ) as client:
        assert not (project / ".masc").exists()
        await client.call_tool("masc_join", {})
        status = (await client.call_tool("masc_status", {})).structured_content
        assert status is not None
        assert (status["caller"], status["mode"]) == ("claude", "solo")
        fixed = (await client.call_tool("masc_switch_mode", {"mode": "full"})).structured_content
        assert fixed is not None
        assert fixed["error"]["code"] == "mode_fixed"


def test_stdio_ends_with_its_input_and_on_a_signal(project: Path) -> None:
    ran = masc(project, "serve", "--stdio")
    assert (ran.status, ran.out, ran.err) == (0, "", "")
    command = [*MASC, "serve", "--stdio", "--project", str(project)]
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        process.stdin.write(orjson.dumps(ping) + b"\n")
        process.stdin.flush()
        assert orjson.loads(process.stdout.readline())["id"] == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_no_address_that_others_can_reach(project: Path, host: str) -> None:
    ran = masc(project, "serve", "--http", "--host", host, "--port", "0")
    assert ran.status == 1
    assert "auth" in ran.err
    assert "require_token" in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    "options",
    [["--stdio", "--allow-room", "nosuch"], ["--http", "--host", "no.such.invalid"]],
)
def test_what_cannot_be_served_is_one_sentence(project: Path, options: list[str]) -> None:
    ran = masc(project, "serve", *options)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("masc: ")
    assert ran.err.count("\n") == 1


async def test_allow_room_limits_where_clients_go(project: Path, tmp_path: Path) -> None:
    inside, outside = project / "sub", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    command = [*launcher(), "serve", "--stdio", "--project", str(project), "--allow-room", str(project)]
    async with Client(
        StdioServerParameters(command=command[0], args=command[1:], env=ENVIRONMENT), cache=None
    ) as client:
        refused = (await client.call_tool("masc_set_room", {"path": str(outside)})).structured_content
        assert refused is not None
        assert refused["error"]["code"] == "path_not_allowed"
        assert not (await client.call_tool("masc_set_room", {"path": str(inside)})).is_error


def test_starting_the_command_line_imports_little() -> None:
    code = "import sys, masc_core.cli.serve; print(sorted({'rich', 'uvicorn', 'masc_core.demo'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_log_lines_do_not_steer_the_terminal() -> None:
    record = logging.LogRecord("masc_core", logging.ERROR, "", 0, "a\x1b[2K\u202e%s\nb", ("\x9b",), None)
    assert LINES.format(record).endswith(r" ERROR masc_core: a\u001b[2K\u202e\u009b" + "\nb")
