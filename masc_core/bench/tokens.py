"""What a server's tool list costs a conversation."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import orjson
from mcp.client.client import Client
from mcp_types import Tool

from masc_core.bench.calls import ListUnfinished, all_tools
from masc_core.bench.servers import BenchFailed, Target, label
from masc_core.bench.stats import summary

__all__ = ["COUNTED", "list_cost"]

COUNTED = "name, description and input schema of each tool as compact JSON"


async def list_cost(
    client: Client, target: Target, count: Callable[[str], int], seconds: float, lists: int = 10
) -> dict[str, Any]:
    """Tokens and bytes of each tool and of all, and what listing takes; no request but the first begins after ``seconds``.

    ``bytes`` are those of what is counted, ``listed_bytes`` those of whole entries, with titles, annotations and output
    schemas. Raises :class:`BenchFailed` where no tool is listed, the list has not ended in time, or a text is longer than can
    be counted.
    """
    times: list[float] = []
    tools: list[Tool] = []
    end = time.perf_counter() + seconds
    for _ in range(1 + lists):
        begun = time.perf_counter()
        if times and begun >= end:
            break
        try:
            tools = await all_tools(client, end)
        except ListUnfinished:
            if not times:
                raise
            break
        times.append((time.perf_counter() - begun) * 1000)
    if not tools:
        raise BenchFailed(message=f"{label(client, target)} lists no tools")
    try:
        rows = [_row(tool, count) for tool in tools]
        instructions = count(client.instructions or "")
    except ValueError as error:  # the tokenizer takes a million characters at once
        raise BenchFailed(message=f"{label(client, target)} has a text that cannot be counted: {error}") from error
    repeated = times[1:] or times
    return {
        "name": label(client, target),
        "target": target.shown,
        "protocol": client.protocol_version,
        "tools": rows,
        "total": {"tools": len(rows), **{k: sum(r[k] for r in rows) for k in ("tokens", "bytes", "listed_bytes")}},
        "instructions_tokens": instructions,
        "first_list_ms": round(times[0], 3),
        "lists": len(repeated),
        "list_ms": summary(repeated),
    }


def _row(tool: Tool, count: Callable[[str], int]) -> dict[str, Any]:
    entry = tool.model_dump(mode="json", by_alias=True, exclude_unset=True)
    counted = _compact({key: entry[key] for key in ("name", "description", "inputSchema") if key in entry})
    listed = len(_compact(entry))
    return {"name": tool.name, "tokens": count(counted.decode()), "bytes": len(counted), "listed_bytes": listed}


def _compact(entry: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(entry)
    except TypeError:  # JSON has numbers of any size, orjson those of 64 bits
        return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode()
