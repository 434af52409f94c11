"""A scripted agent: an MCP client that times its calls and says what it does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from attrs import define, field
from mcp.client.client import Client
from mcp_types import CallToolResult, TextContent

from masc_core.demo.report import Narrator, Report, TimedCall
from masc_core.errors import MascError, error

__all__ = ["Agent", "StoryBroken"]


@error
class StoryBroken(MascError):
    """A call did not end as the story has it."""

    code = "story_broken"
    text = "{agent} called {tool} and got {answer!r}"
    agent: str
    tool: str
    answer: str


@define
class Agent:
    """One of the two. ``call`` gives results, ``refused`` expects an error, ``attempt`` takes either."""

    name: str
    transport: str
    client: Client
    narrator: Narrator
    report: Report
    task: str = ""
    worktree: Path = field(factory=Path)
    branch: str = ""

    async def attempt(self, tool: str, *, quiet: bool = False, waits: bool = False, **arguments: Any) -> dict[str, Any]:
        """Call a tool; the structured result, which for a refusal is ``{"error": {…}}``."""
        started = time.perf_counter()
        result = await self.client.call_tool(tool, arguments)
        taken = (time.perf_counter() - started) * 1000
        self.report.calls.append(TimedCall(tool, self.transport, taken, waits))
        if not quiet:
            self.narrator.says(self.name, f"{tool}: {_text(result)}")
        return dict(result.structured_content or {})

    async def call(self, tool: str, *, quiet: bool = False, waits: bool = False, **arguments: Any) -> dict[str, Any]:
        """Call a tool that must succeed. Raises :class:`StoryBroken`."""
        result = await self.attempt(tool, quiet=quiet, waits=waits, **arguments)
        if "error" in result:
            raise StoryBroken(agent=self.name, tool=tool, answer=result["error"]["message"])
        return result

    async def refused(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool that must be refused; the error. Raises :class:`StoryBroken`."""
        result = await self.attempt(tool, **arguments)
        if "error" not in result:
            raise StoryBroken(agent=self.name, tool=tool, answer="success where a refusal was due")
        refusal: dict[str, Any] = result["error"]
        return refusal

    async def tool_names(self) -> set[str]:
        """The tools listed for this agent now."""
        return {tool.name for tool in (await self.client.list_tools()).tools}


def _text(result: CallToolResult) -> str:
    return " ".join(block.text for block in result.content if isinstance(block, TextContent))
