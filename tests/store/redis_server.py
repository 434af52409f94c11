"""A Redis server of the tests' own, on a free port, with its data in a directory of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

FIT = ("--appendonly", "yes", "--appendfsync", "always")


def ensure_installed() -> None:
    """Skip the test where there is no Redis; on a build server that is a failure."""
    if shutil.which("redis-server") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("redis-server is not installed")
        pytest.skip("redis-server is not installed")


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


class RedisServer:
    """A server that can be started again on the same port and data."""

    def __init__(self, directory: Path, *options: str) -> None:
        ensure_installed()
        self.directory = directory
        self.options = options or FIT
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *, wait: bool = True) -> None:
        """Start it and, unless told otherwise, wait until it answers."""
        where = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory), "--save", "")
        self._process = subprocess.Popen(
            ["redis-server", *where, *self.options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if not wait:
            return
        until = time.monotonic() + 20
        while not self.ask("PING").startswith((b"+PONG", b"-NOAUTH")):
            assert self._process.poll() is None, "redis-server ended at its start"
            assert time.monotonic() < until, "redis-server does not answer"
            time.sleep(0.01)

    def ask(self, *command: str) -> bytes:
        """The first part of the raw answer to a command; empty when nobody answers."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                parts = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in command)
                connection.sendall(f"*{len(command)}\r\n{parts}".encode())
                return connection.recv(65_536)
        except OSError:
            return b""

    def kill(self) -> None:
        """SIGKILL, as a crash would end it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
