"""Outcomes and progress as MCP carries them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from masc_core.call import Outcome

__all__ = ["progress_of", "tool_result"]


def tool_result(outcome: Outcome, version: str) -> dict[str, Any]:
    """An outcome as the result of tools/call in a protocol version."""
    result: dict[str, Any] = {
        "content": [{"type": "text", "text": outcome.text}],
        "structuredContent": outcome.structured,
        "isError": outcome.error is not None,
    }
    if version in MODERN_PROTOCOL_VERSIONS:
        result["resultType"] = "complete"
    return result


def progress_of(
    ctx: ServerRequestContext[Any, Any],
) -> Callable[[float, float | None, str | None], Awaitable[None]] | None:
    """How to report progress to the client of a request, where it asked for that."""
    if not ctx.meta or ctx.meta.get("progress_token") is None:
        return None

    async def report(elapsed: float, total: float | None, text: str | None) -> None:
        await ctx.session.report_progress(elapsed, total, text)

    return report
