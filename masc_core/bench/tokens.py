"""What a server's tool list costs a conversation."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson
from mcp.client.client import Client
from mcp_types import Tool

from masc_core.bench.calls import all_tools
from masc_core.bench.servers import BenchFailed, Target, label
from masc_core.bench.stats import summary

__all__ = ["COUNTED", "list_cost"]

COUNTED = "name, description and input schema of each tool as compact JSON"


async def list_cost(client: Client, target: Target, count: Callable[[str], int], lists: int = 10) -> dict[str, Any]:
    """Tokens and bytes of each tool and of all, and what listing takes.

    ``bytes`` are those of what is counted, ``listed_bytes`` those of whole entries, with titles, annotations and output
    schemas. Raises :class:`BenchFailed` where no tool is listed.
    """
    times = []
    tools: list[Tool] = []
    for _ in range(1 + lists):
        begun = time.perf_counter()
        tools = await all_tools(client)
        times.append((time.perf_counter() - begun) * 1000)
    if not tools:
        raise BenchFailed(message=f"{label(client, target)} lists no tools")
    rows = [_row(tool, count) for tool in tools]
    return {
        "name": label(client, target),
        "target": target.shown,
        "protocol": client.protocol_version,
        "tools": rows,
        "total": {"tools": len(rows), **{k: sum(r[k] for r in rows) for k in ("tokens", "bytes", "listed_bytes")}},
        "instructions_tokens": count(client.instructions or ""),
        "first_list_ms": round(times[0], 3),
        "list_ms": summary(times[1:]),
    }


def _row(tool: Tool, count: Callable[[str], int]) -> dict[str, Any]:
    entry = tool.model_dump(mode="json", by_alias=True, exclude_unset=True)
    counted = orjson.dumps({key: entry[key] for key in ("name", "description", "inputSchema") if key in entry})
    listed = len(orjson.dumps(entry))
    return {"name": tool.name, "tokens": count(counted.decode()), "bytes": len(counted), "listed_bytes": listed}
