"""An MCP server on stdio that misbehaves as it is told, written without the SDK; and the echo server of the benchmarks."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

__all__ = ["ECHO", "bad_server", "echo_over_http", "http_that_hangs"]

_BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ECHO = shlex.join([sys.executable, str(_BENCHMARKS / "echo_server.py"), "stdio"])

_BAD = """\
import itertools, json, sys
how = sys.argv[1]
READ_ONLY = {} if how == "unannotated" else {"annotations": {"readOnlyHint": True}}
NEEDS = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
TOOLS = [
    {"name": "drop", "description": "Delete everything.", "inputSchema": {"type": "object"}},
    {"name": "peek", "description": "Look.", "inputSchema": NEEDS if how == "needy" else {"type": "object"}, **READ_ONLY},
]
if how == "untrue":
    TOOLS[1]["outputSchema"] = {"type": "object", "required": ["cheese"]}
if how == "great":
    TOOLS[0]["inputSchema"] = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 2**64}}}
if how == "long":
    TOOLS[0]["description"] = "x" * 1_000_000
if how == "chatty":
    print("Welcome!", flush=True)
calls = 0
for line in sys.stdin:
    asked = json.loads(line)
    method, answer = asked["method"], {"error": {"code": -32601, "message": "no such method"}}
    if how == "mute" or "id" not in asked:
        continue
    if method == "initialize" and how == "closed":
        answer = {"error": {"code": -32000, "message": "no cheese"}}
    elif method == "initialize":
        info = {"name": "bad", "version": "1"}
        version = "1999-01-01" if how == "old" else "2025-11-25"
        answer = {"result": {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}}
    elif method == "ping" and how != "unpingable":
        answer = {"result": {}}
    elif method == "tools/list":
        page = int((asked.get("params") or {}).get("cursor") or 0)
        answer = {"result": {"tools": [] if how == "empty" else TOOLS[page:page + 1] if how == "paged" else TOOLS}}
        if (how == "paged" and page == 0) or how == "endless":
            answer["result"]["nextCursor"] = "1"
    elif method == "tools/call":
        calls += 1
        assert asked["params"]["name"] == "peek" or how == "unannotated", "called what is not safe"
        if how == "dies" and calls == 10:
            sys.exit("Traceback: out of cheese")
        if how == "hangs" and calls == 10:
            continue
        failed = how == "refuses" or (how == "flaky" and calls % 2 == 0)
        text = f"no {chr(10)} cheese {calls}" if failed else "cheese"
        answer = {"result": {"content": [{"type": "text", "text": text}], "isError": failed}}
        if how == "rejects" and calls > 5:
            answer = {"error": {"code": -32050, "message": "not now"}}
        if how in ("-32000", "-32001") and calls == 10:
            answer = {"error": {"code": int(how), "message": "Connection closed", "data": {"why": "cheese"}}}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer}), flush=True)
"""


def bad_server(directory: Path, how: str) -> str:
    """The command that starts it; ``how`` says what it does wrong, if anything."""
    program = directory / "bad_server.py"
    program.write_text(_BAD)
    return shlex.join([sys.executable, str(program), how])


_DIES = """\
import asyncio, itertools, os, sys
import echo_server
calls, answer = itertools.count(1), echo_server.call_tool
async def call_tool(ctx, params):
    return await answer(ctx, params) if next(calls) < 10 else os._exit(1)
echo_server.call_tool = call_tool
asyncio.run(echo_server.over_http())
"""


@contextmanager
def echo_over_http(*, dies: bool = False) -> Iterator[str]:
    """The URL of a running echo server, which ``dies`` at its tenth call."""
    command = [sys.executable, "-c", _DIES] if dies else [*shlex.split(ECHO)[:-1], "http"]
    environment = {**os.environ, "PYTHONPATH": str(_BENCHMARKS)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stderr is not None
            yield server.stderr.readline().strip()
        finally:
            server.terminate()


_SAYS: dict[str, dict[str, Any]] = {
    "initialize": {
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "slow", "version": "1"},
    },
    "tools/list": {"tools": []},
}


@contextmanager
def http_that_hangs(where: str) -> Iterator[str]:
    """The URL of a server with sessions that has no answer to ``everything``, to ``notifications`` or to a ``DELETE``."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def answer(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            for name, value in (("Content-Type", "application/json"), ("Mcp-Session-Id", "1")):
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if where == "everything" or (where == "notifications" and "id" not in asked):
                over.wait()
            elif "id" not in asked:
                self.answer(202)
            else:
                reply = {"jsonrpc": "2.0", "id": asked["id"], "result": _SAYS[asked["method"]]}
                self.answer(200, json.dumps(reply).encode())

        def do_GET(self) -> None:
            self.answer(405)

        def do_DELETE(self) -> None:
            if where == "DELETE":
                over.wait()
            else:
                self.answer(204)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/mcp"
        finally:
            over.set()
            server.shutdown()
            serving.join()
