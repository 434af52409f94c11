"""Patterns from the settings. They run on RE2, which takes time linear in the text whatever the pattern."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from masc_plugin_redaction.shapes import Span

__all__ = ["LONGEST", "compile_linear", "spans", "why_not"]

LONGEST = 500
"""Characters of a pattern."""
MOST_MATCHES = 1_000
"""Matches of one pattern in one text. A search is linear, as many searches as characters are not: the last match takes
the rest of the text with it."""


@cache
def compile_linear(regex: str) -> Any:
    """The compiled pattern. Raises ``ValueError`` with the reason where there is none."""
    try:
        import re2  # type: ignore[import-untyped]
    except ImportError as error:
        raise ValueError("cannot be used: install the package google-re2") from error
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(regex, options=options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        raise ValueError(f"does not compile: {reason.decode() if isinstance(reason, bytes) else reason}") from error


def why_not(regex: str) -> str | None:
    """Why a pattern cannot be taken, or ``None`` when it can."""
    if not 1 <= len(regex) <= LONGEST:
        return f"must have 1 to {LONGEST} characters"
    try:
        compile_linear(regex)
    except (ValueError, UnicodeError) as error:
        return str(error)
    return "has nested unbounded repeats" if _nests_repeats(regex) else None


def spans(regex: str, text: str) -> Iterator[Span]:
    """Where a pattern matches something."""
    for count, match in enumerate(compile_linear(regex).finditer(text), 1):
        if count == MOST_MATCHES:
            yield match.start(), len(text)
            return
        if match.end() > match.start():
            yield match.span()


def _nests_repeats(regex: str) -> bool:
    """Whether an unbounded repeat is repeated without bound, as in ``(a+)+``. The pattern is known to compile."""
    repeats = [False]  # for each open group, whether it holds an unbounded repeat
    closed = False  # what was just read is a group that holds one
    at = 0
    while at < len(regex):
        token, at = _token(regex, at)
        if token == "(":
            repeats.append(False)
            closed = False
        elif token == ")":
            closed = repeats.pop()
            repeats[-1] |= closed
        elif token in {"*", "+"} or (token.startswith("{") and token.endswith(",}")):
            if closed:
                return True
            repeats[-1] = True
        elif token != "?" and not token.startswith("{"):
            closed = False
    return False


def _token(regex: str, at: int) -> tuple[str, int]:
    """The token at a place, and where the next one begins."""
    char = regex[at]
    if regex.startswith(r"\Q", at):
        end = regex.find(r"\E", at)
        return "Q", len(regex) if end < 0 else end + 2
    if char == "\\":
        return "escape", at + 2
    if char == "[":
        return "class", _end_of_class(regex, at)
    if char == "{" and (end := regex.find("}", at)) > 0 and regex[at + 1 : end].replace(",", "").isdigit():
        return regex[at : end + 1], end + 1
    return char, at + 1


def _end_of_class(regex: str, at: int) -> int:
    at += 2 if regex.startswith("[^", at) else 1
    first = at
    while at < len(regex) and (regex[at] != "]" or at == first):
        if regex[at] == "\\":
            at += 2
        elif regex.startswith("[:", at) and (end := regex.find(":]", at)) > 0:
            at = end + 2
        else:
            at += 1
    return at + 1
