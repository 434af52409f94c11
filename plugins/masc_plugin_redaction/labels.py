"""Values known by the word before them: ``password = …``, ``"api_key": "…"``, ``token '…'``.

The word alone says nothing; it needs ``=``, ``:`` or a quote, or a place that :mod:`.places` knows. Words may end longer
ones (``DB_PASSWORD``, ``clientSecret``), never begin them (``token_count``). Each character is looked at a bounded number
of times: a value that was found is never entered again, and all that is looked at before giving up has a bounded length or
holds no further word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from masc_plugin_redaction.shapes import WORD_KINDS, Span
from masc_plugin_redaction.stand_ins import end_of_code, is_filled_up, is_placeholder, is_word

__all__ = ["SHORTEST", "SIGNS", "WORDS", "label_starts", "labelled", "labelled_by_key"]

SHORTEST = 6
"""Characters of a value."""

WORDS = (
    r"(?:(?P<password>password|passwd|passphrase|pwd|(?<=_)(?-i:PASS)|(?<=[\"'])pass(?=\\{0,4}[\"']))"
    r"|(?P<api_key>(?:api[_ -]?|(?:(?<!secret)(?<!secret_)access|account|auth|encryption|master|signing|storage"
    r"|subscription)[_-]?)key)"
    r"|(?P<secret>secret(?:[_-]?key(?:_base)?)?)|(?P<token>token))"
)
_TYPE = r"(?:str|string|bytes|text|char|optional\[str\]|str \| none|final|secretstr|&str|&'static str)"
_LABEL = re.compile(
    WORDS + r"(?P<close>\\{0,4}[\"'`])?(?:\[\d{0,6}\]|\])?\*{0,2}[ \t]*+"
    rf"(?:(?P<sep>:[ \t]*{_TYPE}[ \t]*=(?!=)|=>|:?={{1,3}}|:(?!:))\*{{0,2}}[ \t]*+|(?=\\{{0,4}}[\"'`“‘«]))",
    re.ASCII | re.IGNORECASE,
)
_HINTS = ("passw", "passphrase", "_pass", '"pass', "'pass", "pwd", "secret", "token", "key")
SIGNS = ("pass", "pwd", "secret", "token", "key")
"""One of these is in every label, in lower case."""
_BEFORE_KEY = re.compile(r"(?:api[_ -]?|(?:access|account|auth|encryption|master|signing|storage|subscription)[_-]?)\Z")
_REACH = len("subscription_")
_KEY = re.compile(WORDS + r"\W*\Z", re.ASCII | re.IGNORECASE)
# A value on a line below: after a bracket, a block scalar's sign, an escaped end of line; in a list, in a fenced block.
_LINES = r"(?:(?:\r?\n|(?:\\r)?\\n)[ \t]*+){1,3}"
_NEXT_LINE = re.compile(rf"(?:\(|[|>][+-]?|\\)?[ \t]*+{_LINES}(?:```\w{{0,20}}{_LINES}|- )?")
_OPENING = re.compile(r"\(?[a-z@$]{0,2}(?P<escape>\\{0,4})(?P<quote>\"\"\"|'''|[\"'`“‘«])", re.IGNORECASE)
_CLOSING = {"“": "”", "‘": "’", "«": "»"}
_QUOTED = {quote: re.compile(rf"(?:[^{_CLOSING.get(quote, quote)}\\\n]|\\.)*+") for quote in '"`“‘«'}
_QUOTED["'"] = re.compile(r"(?:[^'\\\n]|\\.|'')*+")  # SQL, YAML and INI files double it
# Where only the closing quote makes it a value, another opening one ends the search for it: else each of many words would
# look through all the rest of the line.
_CLOSED = _QUOTED | {quote: re.compile(rf"(?:[^{quote}{closing}\\\n]|\\.)*+") for quote, closing in _CLOSING.items()}
_NEXT_KEY = r"[\"'{\[]|[\w.$-]{1,64}[\"']?[=:]"
_BARE = re.compile(rf"(?:[^\s,;&\"'`]++|[,;&](?!{_NEXT_KEY})|[\"'`](?![,;:)\]}}>\s]|\Z))*+")
_STAND_IN = re.compile(r"(?:<[^<>\n]{0,200}>|\$\{\{[^}\n]{0,200}\}\}|\$\{[^}\n]{0,200}\})(?=[\s,;:.)\]}&\"'`/@]|\Z)")
_ALONE = re.compile(r"(?![\w.$-]{1,64}[=:])(?:[^\s\\\"]|\\(?![rn\"])|\"(?![,}\]]))++[ \t]*+(?=[\r\n\\\"]|\Z)")
_AFTER_STRING = re.compile(r"\s|,\s")
_NO_SECRETS = frozenset("string boolean number integer object undefined required optional".split())
"""What signatures and schemas say in place of a value."""


def _stands_in(value: str) -> bool:
    return is_placeholder(value) or is_filled_up(value)


def labelled_by_key(key: str, value: str) -> str | None:
    """The kind of a whole string that is the value of ``key`` in a structure, where the key says so."""
    if len(value) < SHORTEST or _stands_in(value) or (match := _KEY.search(key[-80:])) is None:
        return None
    return match.lastgroup


def label_starts(lower: str) -> list[int]:
    """Where labels may begin in a text, given in lower case: a search for plain words is many times faster than one for
    the pattern, which ignores case."""
    starts = []
    for hint in _HINTS:
        at = lower.find(hint)
        while at >= 0:
            if hint != "key":
                starts.append(at + (hint[0] in "_\"'"))
            elif qualified := _BEFORE_KEY.search(lower, max(0, at - _REACH), at):
                starts.append(qualified.start())
            at = lower.find(hint, at + 1)
    return sorted(starts)


def labelled(text: str, starts: Iterable[int]) -> Iterator[tuple[str, int, Span]]:
    """Kind, start of the label and place of each value, where labels may begin at ``starts``."""
    at = 0
    for start_of_label in starts:
        if start_of_label < at or (label := _LABEL.match(text, start_of_label)) is None:
            continue
        kind = next(kind for kind in WORD_KINDS if label[kind])
        start, end, found = _value(text, label, kind)
        at = max(end, label.end(kind))
        value = text[start:end]
        if found and len(value) >= SHORTEST and value not in _NO_SECRETS and not _stands_in(value):
            yield kind, label.start(), (start, end)


def _value(text: str, label: re.Match[str], kind: str) -> tuple[int, int, bool]:
    """Where the value after a label is, and whether it is one; what ends it is where to look for the next label."""
    at = label.end()
    separated = label["sep"] is not None
    # A quote that touches the word closes it, or is an apostrophe.
    if not separated and label["close"] is None and at == label.end(kind):
        return at, at, False
    below = _NEXT_LINE.match(text, at) if separated else None
    at = below.end() if below else at
    if opening := _OPENING.match(text, at):
        return _quoted(text, opening, certain=separated)
    if not separated:
        return at, at, False
    if stands := _STAND_IN.match(text, at):
        return stands.end(), stands.end(), False
    alone = _ALONE.match(text, at) if below else None
    if below and not alone:
        return at, at, False
    if (code := end_of_code(text, at)) is not None:
        return code, code, False
    start, end = _bare(text, at, alone.end() if alone else len(text))
    return start, end, not is_word(text, kind, label.start(), start, end)


def _quoted(text: str, opening: re.Match[str], certain: bool) -> tuple[int, int, bool]:
    """The inside of a string. One that is not closed ends with its line, and counts only after ``=`` or ``:``."""
    start, quote = opening.end(), opening["quote"]
    # `print("token: " + …)`: the quote after the label was the end of a string.
    if _AFTER_STRING.match(text, start):
        return start, start, False
    if opening["escape"] or len(quote) > 1:
        closing = text.find(opening["escape"] + quote, start)
        end = closing if closing >= 0 else len(text)
    else:
        inside = (_QUOTED if certain else _CLOSED)[quote].match(text, start)
        end = inside.end() if inside else start
        closing = end if text[end : end + 1] == _CLOSING.get(quote, quote) else -1
    return (start, end, True) if certain or closing >= 0 else (start, start, False)


def _bare(text: str, start: int, end: int) -> Span:
    """A value without quotes: up to a blank or the next key, without the punctuation that ends it."""
    found = _BARE.match(text, start, end)
    value = found[0] if found else ""
    closers = "".join(c for c, opener in ((")", "("), ("]", "["), ("}", "{"), (">", "<")) if opener not in value)
    return start, start + len(value.rstrip(",;.:\"'`”’»" + closers))
