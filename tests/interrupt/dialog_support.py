"""A room served for real, and users who answer forms."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import mcp_types as types
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from masc_core.testing import MascApp
from masc_core.wire.http import HttpOptions, build_app, serve_http
from masc_core.wire.mcp import Adapter

BOUND = 20.0
ASK: dict[str, Any] = {
    "task_id": "task-001",
    "step": 3,
    "action": "drop the table",
    "message": "There is no backup.",
    "wait_seconds": 300,
}


async def decide(masc: MascApp, tool: str, agent: str, **arguments: Any) -> dict[str, Any]:
    """Decide as the agent of an endpoint, which a server can tell from who asked."""
    named = masc.client(agent, bindings=(f"agent:{agent.lower()}",))
    return dict((await masc.outcome(tool, named, **arguments)).structured)


async def refused_to(masc: MascApp, tool: str, agent: str, **arguments: Any) -> dict[str, Any]:
    """The error of a decision that must be refused."""
    result = await decide(masc, tool, agent, **arguments)
    assert "error" in result, f"{tool} was expected to be refused and gave {result}"
    error: dict[str, Any] = result["error"]
    return error


def facts(result: Any) -> dict[str, Any]:
    """The structured part of a tool result."""
    content: dict[str, Any] = result.structured_content
    return content


class User:
    """A person who answers forms in the way a test says, or not before the client takes the form away."""

    def __init__(self, action: str | None, content: dict[str, Any] | None = None) -> None:
        self.action = action
        self.content = content
        self.asked: list[types.ElicitRequestFormParams] = []
        self.looking = asyncio.Event()
        self.taken_away = asyncio.Event()

    async def __call__(self, context: Any, params: Any) -> Any:
        self.asked.append(params)
        self.looking.set()
        if self.action is None:
            try:
                await asyncio.Event().wait()
            finally:
                self.taken_away.set()
        return types.ElicitResult.model_validate({"action": self.action, "content": self.content})


@contextlib.asynccontextmanager
async def serving(app: MascApp) -> AsyncIterator[str]:
    """The room of ``app`` at a free port; gives the URL of /mcp in mode full."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    options = HttpOptions(port=0, stop_timeout=1.0)
    async with Adapter(app.kernel, transport="http") as adapter:
        asgi = build_app(adapter.server, options, health=adapter.health, endpoint_check=adapter.check_endpoint)
        stopping = asyncio.Event()
        task = asyncio.create_task(serve_http(asgi, options, ready=ready.set_result, stopping=stopping))
        try:
            async with asyncio.timeout(BOUND):
                url = await ready
            yield f"{url}/mcp?mode=full&agent=claude"
        finally:
            stopping.set()
            await task


def stdio(project: Path, agent: str | None, mode: Any, user: User | None) -> Client:
    """A client of a stdio server process of its own."""
    arguments = ["-m", "masc_core", "serve", "--stdio", "--mode", "full", "--project", str(project)]
    arguments += ["--agent", agent] if agent else []
    parameters = StdioServerParameters(command=sys.executable, args=arguments)
    return Client(stdio_client(parameters), mode=mode, elicitation_callback=user)


Connect = Callable[[User | None], contextlib.AbstractAsyncContextManager[Client]]


def masc(cwd: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line as its users do, in a process of its own."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MASC_") and k != "ME_ROOT"}
    return subprocess.run(
        [sys.executable, "-m", "masc_core", *arguments], cwd=cwd, env=environment, input=stdin, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
