"""Small pieces of Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from functools import cache

from masc_core.plugins import Registry, load

__all__ = ["code", "fence", "one_line", "prose", "registry", "table"]

_ROLE = re.compile(r":\w+:``?~?\.?([^`]+)``?|:\w+:`~?\.?([^`]+)`")


@cache
def registry() -> Registry:
    """MASC as it comes: the first-party plugins and guards."""
    return load(enabled=())


def prose(docstring: str | None) -> str:
    """A docstring as Markdown."""
    text = _ROLE.sub(lambda m: f"`{m[1] or m[2]}`", inspect.cleandoc(docstring or ""))
    return text.replace("``", "`")


def one_line(docstring: str | None) -> str:
    """A docstring as one line of Markdown, for a table's cell."""
    return " ".join(prose(docstring).split()).replace("|", "\\|")


def code(text: object) -> str:
    """Text in the type of code."""
    return f"`{text}`"


def fence(language: str, text: str) -> str:
    """A fenced block."""
    return f"```{language}\n{text.rstrip()}\n```"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; empty when it has no rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines]) if lines else ""
