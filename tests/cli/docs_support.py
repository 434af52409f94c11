"""Reads the fenced blocks of the documents, and runs those of the shell as a reader would."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from attrs import define, field
from cli_support import ENVIRONMENT, MASC

from masc_core.cli import main
from masc_core.frozen import frozen

__all__ = [
    "DOCUMENTS",
    "ROOT",
    "TUTORIAL",
    "Block",
    "Reader",
    "accept",
    "blocks",
    "commands_in",
    "inline_commands",
    "text_of",
]

ROOT = Path(__file__).parents[2]
TUTORIAL = "docs/plugin-tutorial.md"
"""Its blocks are steps that build on each other; it has a test of its own."""
DOCUMENTS = [
    "README.md",
    *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts),
]
DOCUMENTS.remove(TUTORIAL)
_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+?) -->\n+)?^```(?P<language>\S*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_INLINE = re.compile(r"`(?:[^`\n]* -- )?(masc [a-z][^`\n]*)`")
_SERVER = re.compile(r"masc serve\b(?!.*--stdio)")
_CLIENT = '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift\nexec "$@"\n'
"""Stands in for an agent's program, told how to start its server: starts it, and leaves at once."""


@frozen
class Block:
    """One fenced block."""

    document: str
    language: str
    text: str
    not_run: str | None
    """Why it cannot be run, from a comment ``<!-- not run: … -->`` right before it."""

    @property
    def first_line(self) -> str:
        """Names the block in a test's report."""
        return self.text.partition("\n")[0]


def text_of(document: str) -> str:
    """A document as it is written."""
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str, language: str | None = None) -> list[Block]:
    """The fenced blocks of a document, of one language or all."""
    found = [Block(document, m["language"], m["text"], m["reason"]) for m in _BLOCK.finditer(text_of(document))]
    return [block for block in found if language in (None, block.language)]


def inline_commands(document: str) -> list[list[str]]:
    """The ``masc …`` commands in running text and tables, as words."""
    return [shlex.split(command) for command in _INLINE.findall(text_of(document))]


def commands_in(block: Block) -> Iterator[list[str]]:
    """The command lines that a block of configuration tells a client to start. Raises when it does not parse."""
    yield from _commands(tomllib.loads(block.text) if block.language == "toml" else json.loads(block.text))


def _commands(value: Any) -> Iterator[list[str]]:
    if isinstance(value, list):
        for item in value:
            yield from _commands(item)
    elif isinstance(value, dict):
        if isinstance(value.get("command"), str):
            yield [value["command"], *value.get("args", ())]
        for item in value.values():
            yield from _commands(item)


def accept(words: list[str]) -> None:
    """Parse a command line without running it. Raises ``click.UsageError`` for what the program would not take."""
    assert words[0] == "masc", words
    command: click.Command = main
    context, rest = click.Context(main), words[1:]
    while isinstance(command, click.Group):
        _, found, rest = command.resolve_command(context, rest)
        assert found is not None, words
        command, context = found, click.Context(found, parent=context)
    command.make_context(command.name, rest, parent=context.parent)


@define
class Reader:
    """Somebody who types a document's commands in a new project, with nothing of MASC in the environment."""

    project: Path
    _environment: dict[str, str]
    _servers: list[subprocess.Popen[str]] = field(factory=list)

    @classmethod
    @contextmanager
    def at(cls, path: Path) -> Iterator[Reader]:
        """A reader whose project is a new repository; in the end every server that was started must stop in order."""
        programs, project = path / "programs", path / "project"
        programs.mkdir()
        (project / "DIR").mkdir(parents=True)  # what the documents call it
        for name, text in (("masc", f'#!/bin/sh\nexec {shlex.join(MASC)} "$@"\n'), ("claude", _CLIENT)):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        clean = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("GIT_")}
        path_variable = f"{programs}:{clean['PATH']}"
        reader = cls(project, {**clean, "PATH": path_variable, "HOME": str(path)})
        subprocess.run(["git", "init", "-q", "-b", "main"], cwd=project, env=clean, check=True)
        try:
            yield reader
            reader._stop()
        finally:
            for server in reader._servers:
                server.kill()
                server.communicate()

    def run(self, block: Block) -> None:
        """Run a shell block line by line; a line that serves HTTP stays up for those after it."""
        script: list[str] = []
        for line in block.text.splitlines():
            if _SERVER.match(line):
                self._run_script(script)
                script = []
                self._serve(line)
            else:
                script.append(line)
        self._run_script(script)

    def _run_script(self, lines: list[str]) -> None:
        if not lines:
            return
        done = subprocess.run(
            ["sh", "-ec", "\n".join(lines)], cwd=self.project, env=self._environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}"

    def _serve(self, line: str) -> None:
        command = [*MASC, *shlex.split(line, comments=True)[1:]]
        environment = {**self._environment, "MASC_MCP_PORT": "0"}  # the usual port may be somebody's
        server = subprocess.Popen(
            command, cwd=self.project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._servers.append(server)
        assert server.stderr is not None
        said = server.stderr.readline().strip()
        assert said.endswith("/mcp"), said + server.stderr.read()
        with urllib.request.urlopen(said.removesuffix("mcp") + "health", timeout=10) as answer:
            assert json.load(answer)["status"] == "ok"

    def _stop(self) -> None:
        for server in self._servers:
            server.terminate()
            assert server.communicate(timeout=20) == ("", "")
            assert server.returncode == 0
