"""How long a server takes from being started to its first answer over stdio, beside the bare SDK, and what memory it has.

``python benchmarks/startup.py [--runs 15] [--json]`` starts ``masc serve --stdio`` on an existing room and the echo
server in turn. ``initialize`` is the answer to the handshake of 2025-11-25, ``call`` that to a first tools/call of
2026-07-28. The request waits in the pipe before the server runs. Memory is read after that answer.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import orjson
import psutil
from common import ECHO, ENVIRONMENT, MASC, json_option, make_room, percentile, show

BUDGET = {"time": 1.15, "memory": 1.25}
CLIENT = {"name": "bench", "version": "1"}
_META = "io.modelcontextprotocol/"
_MB = 1024 * 1024

INITIALIZE = {
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": CLIENT},
}


def call(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """A stateless tools/call."""
    meta = {f"{_META}protocolVersion": "2026-07-28", f"{_META}clientCapabilities": {}, f"{_META}clientInfo": CLIENT}
    return {"method": "tools/call", "params": {"name": tool, "arguments": arguments, "_meta": meta}}


def first_answer(command: Sequence[str], request: dict[str, Any]) -> dict[str, float]:
    """Start the server and ask; milliseconds until its answer, its processor time and its memory in MB then.

    Raises ``RuntimeError`` when the answer is an error.
    """
    line = orjson.dumps({"jsonrpc": "2.0", "id": 1, **request}) + b"\n"
    begun = time.perf_counter()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 0}
    with subprocess.Popen(command, **pipes, env=ENVIRONMENT) as server:
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(line)
        answer = b""
        while not answer.endswith(b"\n") and (part := server.stdout.read(65_536)):
            answer += part
        taken = (time.perf_counter() - begun) * 1000
        memory, cpu = psutil.Process(server.pid).memory_full_info(), cpu_ms(server.pid)
        server.stdin.close()
    result = orjson.loads(answer or b"{}").get("result")
    if result is None or result.get("isError"):
        raise RuntimeError(f"{command} answered {answer[:500]!r}")
    return {"ms": taken, "cpu_ms": cpu, "rss": memory.rss / _MB, "uss": memory.uss / _MB}


def cpu_ms(pid: int) -> float:
    """Processor time a process has had, which says more than the clock on a busy machine; 0 where only Linux knows."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6


def measure(project: Path, runs: int) -> list[dict[str, Any]]:
    """Both servers and both requests in turn, ``runs`` times after one that warms the caches."""
    masc = [*MASC, "--stdio", "--project", str(project), "--mode", "standard", "--agent", "bench"]
    echo = [*ECHO, "stdio"]
    cases = {
        "initialize": ((masc, INITIALIZE), (echo, INITIALIZE)),
        "call": ((masc, call("masc_status", {})), (echo, call("echo", {"text": "hello"}))),
    }
    found: dict[str, list[tuple[dict[str, float], dict[str, float]]]] = {name: [] for name in cases}
    for i in range(runs + 1):
        for name, (ours, yard) in cases.items():
            pair = first_answer(*ours), first_answer(*yard)
            if i:
                found[name].append(pair)
    return [row(name, pairs) for name, pairs in found.items()]


def row(name: str, pairs: list[tuple[dict[str, float], dict[str, float]]]) -> dict[str, Any]:
    """Medians of both, and the ratios of the medians."""
    result: dict[str, Any] = {"first": name}
    for what, unit in (("ms", ""), ("cpu_ms", ""), ("rss", "_mb"), ("uss", "_mb")):
        ours, yard = (percentile([pair[i][what] for pair in pairs], 50) for i in (0, 1))
        result |= {f"masc_{what}{unit}": round(ours, 1), f"echo_{what}{unit}": round(yard, 1)}
        if yard:
            result[f"{what}_ratio"] = round(ours / yard, 3)
    return result


@click.command(help=__doc__)
@click.option(
    "--runs", default=15, show_default=True, type=click.IntRange(1, 200), help="Measured starts of each kind."
)
@json_option
def main(runs: int, as_json: bool) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(make_room(Path(scratch), tasks=5))
        rows = measure(Path(scratch), runs)
    show(rows, as_json)
    if not as_json:
        click.echo(f"budget: time at most {BUDGET['time']} times the bare SDK's, memory at most {BUDGET['memory']}")


if __name__ == "__main__":
    main()
