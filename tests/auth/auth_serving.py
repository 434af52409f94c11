"""A real HTTP server process, and the headers of a request with a token."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cli_support import ENVIRONMENT
from masc_forking import launcher
from wire_support import LEGACY, MODERN

BOUND = 60.0


@contextlib.contextmanager
def serving(path: Path, *options: str) -> Iterator[str]:
    """A real HTTP server; its URL of /mcp."""
    command = [*launcher(), "serve", "--http", "--port", "0", "--project", str(path), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            found = re.search(r"http://\S+", line)
            assert found is not None, line + process.stderr.read()
            yield found[0]
        finally:
            process.send_signal(signal.SIGTERM)


def headers(
    modern: bool, method: str, name: str | None, token: str | None, session: str | None = None
) -> dict[str, str]:
    given = {
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "authorization": f"Bearer {token}" if token is not None else None,
        "mcp-protocol-version": MODERN if modern else (LEGACY if session else None),
        "mcp-method": method if modern else None,
        "mcp-name": name if modern else None,
        "mcp-session-id": session,
    }
    return {key: value for key, value in given.items() if value is not None}
