"""Several real server processes on one room: seen live, and killed in the middle of writes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from masc_core.testing.limits import lift_limits

MASC = [sys.executable, "-m", "masc_core", "serve"]
BOUND = 20.0


def facts(result: Any) -> dict[str, Any]:
    """The structured part of a tool result."""
    content: dict[str, Any] = result.structured_content
    return content


def stdio(project: Path, agent: str) -> Client:
    """A client of a stdio server process of its own."""
    arguments = [*MASC[1:], "--stdio", "--project", str(project), "--agent", agent]
    return Client(stdio_client(StdioServerParameters(command=MASC[0], args=arguments)), mode="legacy")


@contextlib.asynccontextmanager
async def http(project: Path) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """An HTTP server process: its URL and itself."""
    process = await asyncio.create_subprocess_exec(
        *MASC, "--http", "--port", "0", "--project", str(project), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(BOUND):
            line = (await process.stderr.readline()).decode()
        found = re.search(r"http://\S+", line)
        assert found is not None, line
        yield found[0], process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]  # or the pipe warns when it is collected


async def test_three_servers_share_one_room_live(tmp_path: Path) -> None:
    """A message sent through one process wakes a listen held in another."""
    lift_limits(tmp_path)
    async with (
        http(tmp_path) as (url, _),
        stdio(tmp_path, "claude") as claude,
        stdio(tmp_path, "codex") as codex,
        Client(f"{url}?agent=gemini", mode="auto") as gemini,
    ):
        for client in (claude, codex, gemini):
            assert not (await client.call_tool("masc_join", {})).is_error
        for sender, listener in ((claude, codex), (gemini, claude), (codex, gemini)):
            # The read position moves once an answer has left, so a quick second listen may hear the same again.
            while facts(await listener.call_tool("masc_listen", {"timeout": 1}))["messages"]:
                pass
            waiting = asyncio.create_task(listener.call_tool("masc_listen", {"timeout": 20}))
            while not any(a["mark"] == "listening" for a in facts(await sender.call_tool("masc_who", {}))["agents"]):
                assert not waiting.done()
            seq = facts(await sender.call_tool("masc_broadcast", {"message": "wake up"}))["seq"]
            async with asyncio.timeout(BOUND):
                heard = facts(await waiting)
            assert [m["seq"] for m in heard["messages"]] == [seq]


async def _write_until_killed(url: str, pid: int, writer: str, acknowledged: list[int]) -> None:
    """Broadcast until 40 more are acknowledged, then kill the server while further ones are on their way."""
    goal = len(acknowledged) + 40
    async with Client(f"{url}?agent={writer}", mode="auto") as client:
        while True:
            acknowledged.append(facts(await client.call_tool("masc_broadcast", {"message": "x"}))["seq"])
            if len(acknowledged) == goal:
                asyncio.get_running_loop().call_later(0.003, os.kill, pid, signal.SIGKILL)


async def test_a_killed_server_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    """kill -9 in the middle of writes: everything answered is there, numbered without a gap, and nothing needs repair."""
    lift_limits(tmp_path)
    acknowledged: list[int] = []
    for cycle in range(3):
        async with http(tmp_path) as (url, process):
            before = len(acknowledged)
            writing = _write_until_killed(url, process.pid, f"writer{cycle}", acknowledged)
            (broken,) = await asyncio.wait_for(asyncio.gather(writing, return_exceptions=True), BOUND)
            assert isinstance(broken, BaseException)
            assert len(acknowledged) >= before + 40
    seen: list[int] = []
    more = True
    async with stdio(tmp_path, "reader") as reader:
        while more:
            page = facts(await reader.call_tool("masc_messages", {"since_seq": seen[-1] if seen else 1, "limit": 100}))
            seen += [message["seq"] for message in page["messages"]]
            more = page["more"]
    assert seen == list(range(2, seen[-1] + 1))
    assert set(acknowledged) - {1} <= set(seen)
