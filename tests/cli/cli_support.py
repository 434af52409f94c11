"""Runs the command line as its users do: in a process of its own, which need not start from nothing each time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
from masc_forking import fork_masc

from masc_core.frozen import frozen

MASC = [sys.executable, "-m", "masc_core"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("MASC_") and name != "ME_ROOT"}


@frozen
class Ran:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, parsed."""
        return orjson.loads(self.out)


def masc(cwd: Path, *arguments: str, stdin: str = "", env: dict[str, str] | None = None) -> Ran:
    """Run ``masc`` with these arguments."""
    env = env or {}
    if "PYTHONPATH" in env:  # an interpreter reads it at its start
        done = subprocess.run(
            [*MASC, *arguments], cwd=cwd, env={**ENVIRONMENT, **env}, input=stdin, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
    else:
        done = fork_masc(arguments, cwd, {**ENVIRONMENT, **env}, stdin)
    return Ran(done.returncode, done.stdout, done.stderr)


def add_task(cwd: Path, title: str) -> str:
    """Put a task on the board; its id."""
    ran = masc(cwd, "call", "masc_add_task", orjson.dumps({"title": title}).decode(), "--json")
    assert ran.status == 0, ran
    return str(ran.json["task"]["id"])
