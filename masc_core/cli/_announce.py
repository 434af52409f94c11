"""How an HTTP server says where it is: a line on stderr, and ``.masc/server.json`` for tools that look for it."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import click
import orjson

from masc_core.clock import SystemClock, timestamp

__all__ = ["Announcement"]


class Announcement:
    """Made when the server is ready, withdrawn when it ends."""

    def __init__(self, directory: Path, as_json: bool) -> None:
        self._file = directory / "server.json"
        self._as_json = as_json

    def make(self, base_url: str) -> None:
        """Print the URL; write the file where the room's directory exists, since starting creates nothing."""
        url = f"{base_url}/mcp"
        started = timestamp(SystemClock().now())
        facts = {"pid": os.getpid(), "port": urlsplit(base_url).port, "url": url, "started_at": started}
        if self._file.parent.is_dir():
            self._write(orjson.dumps(facts))
        click.echo(orjson.dumps(facts) if self._as_json else url, err=True)

    def withdraw(self) -> None:
        """Remove the file, unless another server has written it since."""
        try:
            if orjson.loads(self._file.read_bytes()).get("pid") == os.getpid():
                self._file.unlink()
        except (OSError, orjson.JSONDecodeError, AttributeError):
            return

    def _write(self, content: bytes) -> None:
        """Readers see the old file or the new one, never half of it."""
        half = self._file.with_name(f"server.json.{os.getpid()}")
        try:
            half.write_bytes(content + b"\n")
            half.replace(self._file)
        except OSError as error:
            click.echo(
                f"masc: {self._file} cannot be written ({error.strerror}); the server runs all the same", err=True
            )
