"""The kinds of secret that are known by their shape, in the order in which they win.

Every finder takes time linear in the text: a repeat either has an end, or swallows what it looked at whether it matched
or not, so that nothing is looked at again (possessive ``++`` and ``*+`` never give back).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache

from masc_core.frozen import frozen

__all__ = ["ORDER", "SHAPES", "WORD_KINDS", "Shape", "Span", "is_placeholder"]

Span = tuple[int, int]
"""Start and end of a secret in a text."""
Finder = Callable[[str], Iterator[Span]]

WORD_KINDS = ("password", "api_key", "secret", "token")
"""Kinds known by the word before the value, see :mod:`.labels`."""

_AWS_SECRET = r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/=])"
_BEGIN = r"-----BEGIN [^\n-]{0,64}?PRIVATE KEY[^\n-]{0,16}-----"
_END = r"-----END [^\n-]{0,64}?PRIVATE KEY[^\n-]{0,16}-----"
# A letter before the prefix makes it the end of another word (`task-…`), unless it belongs to an escape such as \n.
_START = r"(?:(?<![A-Za-z])|(?<=\\[nrt]))"
_PART = r"[A-Za-z0-9_-]"
_JWT = rf"eyJ(?:({_PART}{{7,}}+\.{_PART}{{10,}}+\.{_PART}{{10,}}+)|{_PART}*+)"
_AUTHORITY = r"(?<=[A-Za-z0-9+.-])://([^\s/?#\"'<>`\\]*+)"
_REST_OF_USER = re.compile(r"[^\s\"'<>`@]{0,100}@")
_PLACEHOLDER = re.compile(r"<[^<>]*>|\$\{[^}]*\}+|\*{3,}|changeme|example", re.IGNORECASE)


@cache
def compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """Compiled on first use: a server that has met no candidate has compiled nothing."""
    return re.compile(pattern, flags)


def is_placeholder(value: str) -> bool:
    """The value stands for another: ``<…>``, ``${…}``, ``***``, ``changeme``, ``example``."""
    return _PLACEHOLDER.fullmatch(value) is not None


def _pattern(pattern: str, flags: int = re.ASCII) -> Finder:
    """Finds what ``pattern`` matches: its last group where it has one, else all of it."""

    def find(text: str) -> Iterator[Span]:
        regex = compiled(pattern, flags)
        for match in regex.finditer(text):
            if match.start(regex.groups) >= 0:
                yield match.span(regex.groups)

    return find


def _private_keys(text: str) -> Iterator[Span]:
    """A PEM block from its BEGIN line to its END line, or to the end of the text."""
    at = 0
    while begin := compiled(_BEGIN).search(text, at):
        end = compiled(_END).search(text, begin.end())
        at = end.end() if end else len(text)
        yield begin.start(), at


def _jwts(text: str) -> Iterator[Span]:
    for match in compiled(_JWT).finditer(text):
        if match.start(1) >= 0:
            yield match.span()


def _url_passwords(text: str) -> Iterator[Span]:
    for match in compiled(_AUTHORITY).finditer(text):
        start, end = match.span(1)
        colon = text.find(":", start, end)
        if colon < 0:
            continue
        at = text.rfind("@", colon, end)
        # A password that holds / ? or # unescaped; what looks like a port is one.
        if at < 0 and not text[colon + 1 : end].isdigit() and (rest := _REST_OF_USER.match(text, end)):
            at = rest.end() - 1
        if at > colon + 1 and not is_placeholder(text[colon + 1 : at]):
            yield colon + 1, at


def _aws_secrets(text: str) -> Iterator[Span]:
    for match in compiled(_AWS_SECRET, re.ASCII).finditer(text):
        before = text[max(0, match.start() - 120) : match.start()]
        label = before.rstrip(" \t\r\n\"'`\\=:>|")
        between = before[len(label) :]
        label = re.split(r"[^\w .\-\"'\]\[]", label.lower())[-1]
        said = between.strip() or label.endswith(("secret", "key"))
        if said and "aws" in label and "secret" in label:
            yield match.span()


@frozen
class Shape:
    """One kind: looked for where one of its hints is in the text."""

    kind: str
    hints: tuple[str, ...]
    find: Finder


SHAPES: tuple[Shape, ...] = (
    Shape("aws_key", ("AKIA", "ASIA"), _pattern(r"A(?:K|S)IA[A-Z0-9]{16}")),
    Shape("aws_secret", ("ws", "WS"), _aws_secrets),
    Shape("private_key", ("PRIVATE KEY",), _private_keys),
    Shape("bearer", ("earer", "EARER"), _pattern(r"bearer[ \t]{1,8}([\w.~+/-]{16,}+={0,2})", re.ASCII | re.IGNORECASE)),
    Shape(
        "github_token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        _pattern(r"gh[pousr]_\w{36,}+|github_pat_\w{22,}+"),
    ),
    Shape("anthropic_key", ("sk-ant-",), _pattern(_START + r"sk-ant-[\w-]{20,}+")),
    Shape("openai_key", ("sk-",), _pattern(_START + r"(?:sk-proj-[\w-]{20,}+|sk-[A-Za-z0-9]{48,}+)")),
    Shape("slack_token", ("xox", "xapp-"), _pattern(_START + r"(?:xox[abprs]|xapp)-[A-Za-z0-9-]{10,}+")),
    Shape("google_key", ("AIza",), _pattern(_START + r"AIza[\w-]{35}")),
    Shape(
        "stripe_key",
        ("sk_", "rk_", "whsec_"),
        _pattern(_START + r"(?:[sr]k_(?:live|test)_[A-Za-z0-9]{16,}+|whsec_[A-Za-z0-9+/_-]{16,}+={0,2})"),
    ),
    Shape("npm_token", ("npm_",), _pattern(_START + r"npm_[A-Za-z0-9]{36,}+")),
    Shape("pypi_token", ("pypi-",), _pattern(_START + r"pypi-[\w-]{50,}+")),
    Shape("jwt", ("eyJ",), _jwts),
    Shape("url_password", ("://",), _url_passwords),
)

ORDER = {kind: i for i, kind in enumerate((*(s.kind for s in SHAPES), *WORD_KINDS, "masc_token"))}
"""The rank of each kind where two matches are equally long; patterns from the settings come after these."""
