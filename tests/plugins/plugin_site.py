"""Installed distributions that did not come from pip: a directory with modules and their ``.dist-info``."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

HEAD = """
import asyncio, sys, time
from typing import Any
from attrs import field
import masc_core
from masc_core import (READ, READER, WORKER, WRITE, Collection, Context, Refused, Title, frozen, hookimpl, prompt,
                       resource, tool)

@frozen
class Answer:
    text: str = "fine"
"""


class Site:
    """Adds distributions to a directory that is on ``sys.path`` or ``PYTHONPATH``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(exist_ok=True)

    def add(self, name: str, source: str, group: str = "masc.plugins", target: str | None = None) -> None:
        """A distribution ``name`` with one module of that name, as entry point ``name`` of a group."""
        self.module(name, source)
        self.points(f"dist-{name}", f"[{group}]\n{name.removeprefix('mod_')} = {target or name}\n")

    def module(self, name: str, source: str) -> None:
        """A module alone."""
        (self.path / f"{name}.py").write_text(
            HEAD + dedent(source if source[:1].isspace() else f"    {source}"), encoding="utf-8"
        )

    def points(self, distribution: str, text: str) -> None:
        """A distribution with these entry points."""
        info = self.path / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(text)
