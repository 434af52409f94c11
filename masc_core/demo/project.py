"""The repository the demonstration works on."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from masc_core.errors import StartError

__all__ = ["FILES", "commit", "git", "temporary_project"]

FILES = {
    "README.md": "# hello\n\nGreets people.\n",
    "hello/__init__.py": '"""Greets people."""\n',
    "hello/greeting.py": 'def greet(name: str) -> str:\n    return f"Hello, {name}!"\n',
    "hello/cli.py": "import sys\n\nfrom hello.greeting import greet\n\nprint(greet(sys.argv[1]))\n",
    "tests/test_greeting.py": 'from hello.greeting import greet\n\n\ndef test_greet():\n    assert "Ada" in greet("Ada")\n',
}
"""A small program, with room for two agents."""

_IDENTITY = ("-c", "user.name=MASC demo", "-c", "user.email=demo@example.org", "-c", "commit.gpgsign=false")


async def git(directory: Path, *arguments: str) -> str:
    """Run git there and give its output. Raises :class:`StartError` when it fails."""
    command = ["git", *_IDENTITY, *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except FileNotFoundError:
        raise StartError(message="git is not on the PATH; the demonstration needs it") from None
    except subprocess.CalledProcessError as error:
        raise StartError(message=f"git {arguments[0]} failed: {error.stderr.strip()}") from error
    return str(done.stdout).strip()


async def commit(directory: Path, message: str) -> str:
    """Commit everything in a checkout; the commit."""
    await git(directory, "add", "--all")
    await git(directory, "commit", "--quiet", "--no-verify", "--message", message)
    return await git(directory, "rev-parse", "HEAD")


def _temporary_directory() -> Path:
    return Path(tempfile.mkdtemp(prefix="masc-demo-")).resolve()


@asynccontextmanager
async def temporary_project(keep: bool) -> AsyncIterator[Path]:
    """A git repository with a few files and one commit; removed afterwards unless ``keep``."""
    top = _temporary_directory()
    try:
        project = top / "hello"
        for name, text in FILES.items():
            path = project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        await git(project, "init", "--quiet", "--initial-branch=main")
        await commit(project, "A program that greets")
        yield project
    finally:
        if not keep:
            await asyncio.to_thread(shutil.rmtree, top, ignore_errors=True)
