"""A PostgreSQL server of the test's own, to stop, kill and misconfigure."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ACCOUNT = "postgres"


class OwnServer:
    """A server on a free port, its data in a new directory below the system's temporary one."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self.directory = Path(tempfile.mkdtemp(prefix="masc-pg-"))
        # initdb refuses to run as root.
        self._as = ["runuser", "-u", ACCOUNT, "--"] if os.geteuid() == 0 else []
        if self._as:
            shutil.chown(self.directory, ACCOUNT)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"postgresql://{ACCOUNT}@127.0.0.1:{self.port}/postgres"
        data = self.directory / "data"
        self._data = str(data)
        self._run("initdb", "-D", self._data, "-U", ACCOUNT, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        # One role has a password, to give a wrong one.
        rules = "host all guarded 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
        (data / "pg_hba.conf").write_text(rules)
        if self._as:
            shutil.chown(data / "pg_hba.conf", ACCOUNT)

    def start(self, **settings: str) -> None:
        """Start it and wait until it answers."""
        options = {
            "port": str(self.port), "listen_addresses": "127.0.0.1", "unix_socket_directories": str(self.directory),
            "fsync": "on", **settings,
        }  # fmt: skip
        text = " ".join(f"-c {name}={value}" for name, value in options.items())
        self._run("pg_ctl", "-D", self._data, "-w", "-l", str(self.directory / "log"), "-o", text, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it; ``immediate`` is how a crash looks."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", mode, "stop")

    def remove(self) -> None:
        """Stop it if it runs, and remove its files."""
        if (Path(self._data) / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.directory)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as, str(self._binaries / program), *arguments]
        # pg_ctl's child keeps its standard streams open, so a pipe would never end.
        with (self.directory.parent / f"{self.directory.name}.out").open("w+") as out:
            try:
                done = subprocess.run(command, stdout=out, stderr=out, cwd="/", check=False, timeout=60)
                out.seek(0)
                assert done.returncode == 0, out.read()
            finally:
                Path(out.name).unlink()


def binaries() -> Path:
    """Where initdb is; the test is skipped where it is not, or where root has nobody to run it as."""
    found = [Path(p).parent for p in (shutil.which("initdb"),) if p]
    found += sorted((p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/initdb")), reverse=True)
    if not found:
        pytest.skip("no PostgreSQL server is installed on this machine")
    if os.geteuid() == 0 and not shutil.which("runuser"):
        pytest.skip("initdb refuses to run as root, and there is no runuser")
    return found[0]


@pytest.fixture(scope="module")
def own_server() -> Iterator[OwnServer]:
    """A server that the tests of one module share; each starts and stops it."""
    server = OwnServer(binaries())
    yield server
    server.remove()


@pytest.fixture
def running(own_server: OwnServer) -> Iterator[OwnServer]:
    """It runs when the test begins and is stopped when it ends."""
    own_server.start()
    yield own_server
    if (own_server.directory / "data" / "postmaster.pid").exists():
        own_server.stop("immediate")
