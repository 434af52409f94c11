"""What a kind of secret is: where to look for it, and how it is found."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache

from masc_core.frozen import frozen
from masc_plugin_redaction.stand_ins import is_filled_up

__all__ = ["START", "WORD_KINDS", "Finder", "Shape", "Span", "compiled", "pattern"]

Span = tuple[int, int]
"""Start and end of a secret in a text."""
Finder = Callable[[str], Iterator[Span]]

WORD_KINDS = ("password", "api_key", "secret", "token")
"""Kinds known by the word before the value, see :mod:`.labels`."""

# A letter before the prefix makes it the end of another word (`task-…`), unless it belongs to an escape such as \n.
START = r"(?:(?<![A-Za-z])|(?<=\\[nrt]))"


@frozen
class Shape:
    """One kind: looked for where one of its hints is in the text."""

    kind: str
    hints: tuple[str, ...]
    find: Finder


@cache
def compiled(regex: str, flags: int = 0) -> re.Pattern[str]:
    """Compiled on first use: a server that has met no candidate has compiled nothing."""
    return re.compile(regex, flags)


def pattern(regex: str, flags: int = re.ASCII, unless: Callable[[str], bool] | None = None) -> Finder:
    """Finds what ``regex`` matches: the group that took part where it has any, else all of it; ``unless`` says what is
    none."""

    def find(text: str) -> Iterator[Span]:
        for match in compiled(regex, flags).finditer(text):
            start, end = match.span(match.lastindex or 0)
            value = text[start:end]
            if not is_filled_up(value) and (unless is None or not unless(value)):
                yield start, end

    return find
