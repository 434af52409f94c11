"""Where the time of one call goes: store, validation, guards, SDK, transport, client, in microseconds and as a picture.

``python benchmarks/split.py [--calls 300] [--plot FILE] [--json]`` starts servers whose parts are timed (see
timed_server.py), calls a read and a durable write in turn, over stdio and HTTP in both protocol eras, and prints each part's
own median time. Timing adds a few microseconds to each part. All twelve categories and all guards are installed and on,
but for tokens and encryption, which a room begins without.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from common import ENVIRONMENT, http_server, json_option, show, stdio_server
from mcp.client.client import Client

from masc_core.bench.plot import new_figure
from masc_core.testing.limits import lift_limits

SERVER = [sys.executable, str(Path(__file__).with_name("timed_server.py")), "serve"]
PARTS = (
    "store: read",
    "store: write",
    "store: commit to disk",
    "validation",
    "guards",
    "handler",
    "rendering",
    "kernel",
    "MASC transport",
    "SDK",
    "pipe or socket",
    "client",
)
"""From the inside out."""
WARM_UP = 50


async def rounds(client: Client, calls: int) -> list[tuple[str, float, float]]:
    """What each call took, in microseconds: name, from end to end, processor time of this process, the client."""
    found = []
    for i in range(2 * (calls + WARM_UP)):
        name, arguments = (
            ("read", {"limit": 1}) if i % 2 else ("write", {"task_id": "task-001", "priority": 1 + i // 2 % 5})
        )
        tool = "masc_tasks" if i % 2 else "masc_update_priority"
        began, cpu = time.perf_counter(), time.process_time()
        result = await client.call_tool(tool, arguments)
        found.append((name, (time.perf_counter() - began) * 1e6, (time.process_time() - cpu) * 1e6))
        assert not result.is_error, result
    return found


async def over(transport: str, era: str, project: Path, calls: int) -> list[dict[str, Any]]:
    """One transport and era: a row for reads and one for writes."""
    lift_limits(project)
    file = project / "split.json"
    options = ["--project", str(project), "--mode", "full"]
    async with contextlib.AsyncExitStack() as stack:
        if transport == "http":
            os.environ["MASC_SPLIT_FILE"] = ENVIRONMENT["MASC_SPLIT_FILE"] = str(file)
            url = await stack.enter_async_context(http_server([*SERVER, "--http", "--port", "0", *options]))
            server: Any = f"{url}?agent=bench"
        else:
            server = stdio_server([*SERVER, "--stdio", "--agent", "bench", *options], {"MASC_SPLIT_FILE": str(file)})
        client = await stack.enter_async_context(Client(server, mode=era))
        await client.call_tool("masc_start", {"task_title": "measured"})
        outside = await rounds(client, calls)
    inside = json.loads(file.read_text(encoding="utf-8"))[1:]  # without masc_start
    name = f"{transport} {'2026-07-28' if era == 'auto' else '2025-11-25'}"
    return [row(name, kind, outside, inside) for kind in ("read", "write")]


def row(
    name: str, kind: str, outside: Sequence[tuple[str, float, float]], inside: Sequence[dict[str, float]]
) -> dict[str, Any]:
    """Median microseconds of each part."""
    pairs = [pair for pair in zip(outside, inside, strict=True) if pair[0][0] == kind][WARM_UP:]
    found = {part: statistics.median(parts.get(part, 0.0) for _, parts in pairs) for part in PARTS[:-2]}
    total = statistics.median(whole for (_, whole, _), _ in pairs)
    rest = max(0.0, total - sum(found.values()))  # medians need not add up
    # What neither side works on is the way there and back, and the wait for a processor; a client may work beside the server.
    found["client"] = min(rest, statistics.median(cpu for (_, _, cpu), _ in pairs))
    found["pipe or socket"] = rest - found["client"]
    return {"over": name, "call": kind, "total": round(total)} | {part: round(found[part]) for part in PARTS}


async def measure(calls: int) -> list[dict[str, Any]]:
    """Every row."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for transport in ("stdio", "http"):
            for era in ("auto", "legacy"):
                project = Path(scratch) / f"{transport}-{era}"
                project.mkdir()
                rows += await over(transport, era, project, calls)
    return rows


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """A bar for each row, its parts from the inside out."""
    figure = new_figure()
    figure.set_size_inches(9, 4.6)
    axes = figure.subplots()
    names = [f"{r['call']}, {r['over']}" for r in rows]
    left = [0.0] * len(rows)
    for i, part in enumerate(PARTS):
        wide = [r[part] / 1000 for r in rows]
        axes.barh(names, wide, left=left, label=part, color=f"C{i % 10}", hatch="//" if i >= 10 else None)
        left = [a + b for a, b in zip(left, wide, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds, median")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize="small", ncols=4, loc="upper center", bbox_to_anchor=(0.4, -0.13))
    figure.savefig(path)


@click.command(help=__doc__)
@click.option("--calls", default=300, show_default=True, help="Measured calls of each kind.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw it, as PNG or SVG.")
@json_option
def main(calls: int, plot: Path | None, as_json: bool) -> None:
    """Measure, print and draw."""
    rows = asyncio.run(measure(calls))
    show(rows, as_json)
    if plot is not None:
        draw(rows, plot)


if __name__ == "__main__":
    main()
