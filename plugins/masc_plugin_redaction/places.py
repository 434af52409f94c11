"""Values after a word without ``=``, ``:`` or quote, where the place tells: an option (``--token …``), an element
(``<password>…</password>``), an environment's ``name`` and ``value``, a line of a Dockerfile, a netrc.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from masc_plugin_redaction.labels import WORDS
from masc_plugin_redaction.shapes import WORD_KINDS, Span, compiled
from masc_plugin_redaction.stand_ins import is_placeholder

__all__ = ["HINTS", "placed"]

HINTS = ("--", "</", "value", "login", "ENV ", "ARG ")
"""One of them is in a text that has such a place."""
_FIELD = (
    WORDS + r"(?:>(?P<element>[^\s<>]{6,}+)(?=</)"
    r"|[\"']?,?(?:\s|\\[nrt]){1,40}[\"']?value[\"']?[ \t]{0,4}:[ \t]{0,4}[\"']?(?P<named>[^\s\"'`<>]{6,}+)"
    r"|\s{1,8}(?P<after>[^\s\"'`<>(){}\[\]$|;&-][^\s\"'`<>|;&]{5,}+))"
)
_BEFORE = {
    "element": r"<[\w:.-]{0,60}\Z",
    "named": r"name[\"']?[ \t]{0,4}:[ \t]{0,4}[\"']?[\w.-]{0,60}\Z",
    "after": (
        r"(?:(?:(?<![\w-])|(?<=\\[nrt]))(?:--(?:\w{1,30}-){0,3}|(?:ENV|ARG)[ \t]{1,4}\w{0,60})"
        r"|(?:machine\s{1,8}\S{1,100}|default)\s{1,8}login\s{1,8}\S{1,60}\s{1,8})\Z"
    ),
}
_REACH = 200


def placed(text: str, starts: Iterable[int]) -> Iterator[tuple[str, int, Span]]:
    """Kind, start of the word and place of each value, where words may begin at ``starts``."""
    field, at = compiled(_FIELD, re.ASCII | re.IGNORECASE), 0
    for start in starts:
        if start < at or (match := field.match(text, start)) is None:
            continue
        at = match.end()
        way = next(way for way in _BEFORE if match[way])
        kind = next(kind for kind in WORD_KINDS if match[kind])
        if _plain(way, kind, match[way]):
            continue
        before = text[max(0, match.start() - _REACH) : match.start()]
        if compiled(_BEFORE[way], re.ASCII).search(before):
            yield kind, match.start(), match.span(way)


def _plain(way: str, kind: str, value: str) -> bool:
    """A word of the documentation, as in ``--token TOKEN``, ``use --password instead``, ``<token>identifier</token>``."""
    wordy = way == "after" or (way == "element" and kind == "token")
    return is_placeholder(value) or (wordy and value.isalpha() and (value.isupper() or value[1:].islower()))
