"""Sets the stage, lets the story run, and measures the modes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import orjson
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from masc_core.demo.agent import Agent, StoryBroken
from masc_core.demo.project import temporary_project
from masc_core.demo.report import ModeSize, Narrator, Report
from masc_core.demo.servers import http_server, stdio_server
from masc_core.demo.story import Story

__all__ = ["play"]

_LONGEST = 60.0
"""Seconds after which something hangs."""


async def play(narrator: Narrator, keep: bool = False) -> Report:
    """Run the demonstration. Raises :class:`masc_core.errors.StartError` when the stage cannot be set."""
    report = Report()
    async with temporary_project(keep) as project:
        if keep:
            report.project = str(project)
        try:
            async with asyncio.timeout(_LONGEST):
                await _on_stage(project, narrator, report)
        except* (StoryBroken, MCPError, TimeoutError, ConnectionError) as broken:
            report.check("the story runs to its end", False, _first(broken))
    return report


async def _on_stage(project: Path, narrator: Narrator, report: Report) -> None:
    narrator.chapter("Two servers, one room")
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(http_server(project))
        narrator.says("masc", f"serves {project} at {url}, for claude")
        over_http = await stack.enter_async_context(Client(f"{url}?agent=claude", cache=None))
        over_stdio = await stack.enter_async_context(Client(stdio_server(project, "gemini"), cache=None))
        narrator.says("masc", "serves the same room to gemini on stdio, from a process of its own")
        claude = Agent("claude", "http", over_http, narrator, report)
        gemini = Agent("gemini", "stdio", over_stdio, narrator, report)
        await Story(project, claude, gemini, narrator, report).run()
        await _measure_modes(url, claude, report)


async def _measure_modes(url: str, agent: Agent, report: Report) -> None:
    config = await agent.call("masc_get_config", quiet=True)
    for mode in (known["name"] for known in config["available_modes"]):
        anybody, tokens = await _listed(f"{url}?mode={mode}")
        _, tokens_named = await _listed(f"{url}?agent=claude&mode={mode}")
        report.modes.append(ModeSize(mode, len(anybody), len(orjson.dumps(anybody)), tokens, tokens_named))


async def _listed(url: str) -> tuple[list[dict[str, object]], int]:
    """The tools that are listed at a URL, and the tokens they cost by what the server says."""
    async with Client(url, cache=None) as client:
        tools = (await client.list_tools()).tools
        config = (await client.call_tool("masc_get_config", {})).structured_content or {}
    return [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools], config["tool_tokens"]


def _first(group: BaseExceptionGroup[Exception]) -> str:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"it took more than {_LONGEST:.0f} s" if isinstance(error, TimeoutError) else str(error)
