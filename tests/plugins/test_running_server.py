"""``masc plugins list`` asks the room's server, and nobody whom a file in a repository names instead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import orjson
import pytest

from masc_core.authoring import running

HEALTH = orjson.dumps({"status": "degraded", "plugins": {"faulty": ["standup"]}})


class Handler(BaseHTTPRequestHandler):
    """Answers /health, and sends whoever asks below /away there."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(302 if self.path.startswith("/away") else 503)
        self.send_header("Location", "/health")
        self.end_headers()
        self.wfile.write(b"" if self.path.startswith("/away") else HEALTH)

    def log_message(self, *given: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def _named(directory: Path, url: str) -> running.Seen | None:
    (directory / "server.json").write_bytes(orjson.dumps({"url": url}))
    return running.ask_server(directory)


def test_the_server_of_this_machine_is_asked_and_sends_nobody_elsewhere(tmp_path: Path, port: int) -> None:
    seen = _named(tmp_path, f"http://127.0.0.1:{port}/mcp")
    assert seen == running.Seen(f"http://127.0.0.1:{port}/health", ("standup",))
    assert _named(tmp_path, f"http://127.0.0.1:{port}/away/mcp") is None


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1/mcp", "http://mcp.example/mcp", "http://127.0.0.1@mcp.example/mcp", "http://[2001:db8::1]/mcp",
        "file:///etc/passwd", "ftp://127.0.0.1/mcp", "", "http://[/mcp",
    ],
)  # fmt: skip
def test_nobody_else_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    asked: list[str] = []
    monkeypatch.setattr(running, "_get", asked.append)
    assert _named(tmp_path, url) is None
    assert asked == []
