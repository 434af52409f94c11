"""One text: find secrets, let the longest win, put placeholders in their place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from masc_core.frozen import frozen
from masc_plugin_redaction import places, regexes
from masc_plugin_redaction.contexts import CONTEXTS
from masc_plugin_redaction.kinds import ORDER
from masc_plugin_redaction.labels import label_starts, labelled, labelled_by_key
from masc_plugin_redaction.regexes import compile_linear
from masc_plugin_redaction.services import LEAST, SERVICES
from masc_plugin_redaction.shapes import Shape, Span

__all__ = ["Redactor", "hex_words", "long_words", "lowered"]

MOST_PASSES = 8
_PLACEHOLDER = re.compile(r"\[REDACTED:[a-z][a-z0-9_]{1,31}\]")
_HEX = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{64,}+")
_UPPER = re.compile("[A-Z]+")
_FREE, _PLACED = -1, -2


@frozen
class Match:
    """A secret in a text."""

    kind: str
    start: int
    end: int
    rank: int
    label: int
    """Where the label begins that told, or ``start``."""

    @property
    def order(self) -> tuple[int, int, int]:
        """The longest first, then by the table, then by place."""
        return self.start - self.end, self.rank, self.start


def hex_words(text: str) -> Iterator[tuple[str, Span]]:
    """Every 64 hex digits in a row, in lower case, with their place."""
    if len(text) >= 64:
        for run in _HEX.finditer(text):
            for start in range(run.start(), run.end() - 63):
                yield text[start : start + 64].lower(), (start, start + 64)


@frozen
class Redactor:
    """What is replaced: the kinds of the table, and those of the settings as ``(name, regex)``."""

    patterns: tuple[tuple[str, str], ...] = ()
    allow: tuple[str, ...] = ()

    def redact(self, text: str, counts: Counter[str], key: str = "", known: Collection[str] = ()) -> str:
        """``text`` with placeholders for its secrets, their numbers added to ``counts`` by kind.

        ``key`` is what the text is the value of; ``known`` are words of 64 hex digits that are secret.
        """
        # What is left may read differently beside a placeholder: a word that begins where there was none.
        for _ in range(MOST_PASSES):
            found = [m for m in self._matches(text, key, known) if not self._allowed(text[m.start : m.end])]
            if not found or (chosen := _resolve(text, found)) == []:
                break
            text = _replace(text, chosen)
            counts.update(match.kind for match in chosen)
        return text

    def _allowed(self, secret: str) -> bool:
        return any(compile_linear(regex).search(secret) for regex in self.allow)

    def _matches(self, text: str, key: str, known: Collection[str]) -> Iterator[Match]:
        lower = lowered(text)
        for shape in _hinted(text, lower):
            yield from _of(shape.kind, shape.find(text))
        if key:
            yield from _by_key(key, text)
        if starts := label_starts(lower):
            for kind, label, (start, end) in labelled(text, starts):
                yield Match(kind, start, end, ORDER[kind], label)
            if any(hint in text for hint in places.HINTS):
                for kind, label, (start, end) in places.placed(text, starts):
                    yield Match(kind, start, end, ORDER[kind], label)
        if known:
            yield from _of("masc_token", (span for word, span in hex_words(text) if word in known))
        for i, (name, regex) in enumerate(self.patterns):
            for start, end in regexes.spans(regex, text):
                yield Match(name, start, end, len(ORDER) + i, start)


def lowered(text: str) -> str:
    """The text in lower case, each character in its place."""
    lower = text.lower()
    return lower if len(lower) == len(text) else _UPPER.sub(lambda match: match[0].lower(), text)


def long_words(text: str) -> str:
    """The words of a text that are as long as a credential. Most texts have none, and are not searched for any."""
    return " ".join([word for word in text.split() if len(word) >= LEAST]) if len(text) >= LEAST else ""


def _hinted(text: str, lower: str) -> Iterator[Shape]:
    """The shapes that may be in a text."""
    if words := long_words(text):
        for shape in SERVICES:
            for hint in shape.hints:
                if hint in words:
                    if any(shape.find(words)):
                        yield shape
                    break
    for shape in CONTEXTS:
        for hint in shape.hints:
            if hint in lower:
                yield shape
                break


def _of(kind: str, spans: Iterable[Span]) -> Iterator[Match]:
    for start, end in spans:
        yield Match(kind, start, end, ORDER[kind], start)


def _by_key(key: str, text: str) -> Iterator[Match]:
    if (kind := labelled_by_key(key, text)) is not None:
        yield Match(kind, 0, len(text), ORDER[kind], 0)
    name = key.lower()
    if len(text) == 40 and "aws" in name and "secret" in name and re.fullmatch(r"[A-Za-z0-9+/]{40}", text):
        yield Match("aws_secret", 0, 40, ORDER["aws_secret"], 0)


def _resolve(text: str, found: list[Match]) -> list[Match]:
    """The matches to replace, in order of place, without overlaps.

    What a loser covers beyond its winner goes with the winner: no piece of a secret is left.
    """
    owner = [_FREE] * len(text)
    for placed in _PLACEHOLDER.finditer(text):
        owner[placed.start() : placed.end()] = [_PLACED] * (placed.end() - placed.start())
    winners: list[Match] = []
    bounds: list[list[int]] = []

    def take(match: Match, start: int, end: int) -> None:
        owner[start:end] = [len(winners)] * (end - start)
        winners.append(match)
        bounds.append([start, end])

    losers = []
    for match in sorted(found, key=lambda m: m.order):
        if owner[match.label] == _PLACED and match.label != match.start:
            continue  # the word is part of a placeholder
        held = set(owner[match.start : match.end])
        if held == {_FREE}:
            take(match, match.start, match.end)
        elif _FREE in held:
            losers.append(match)
    for match in losers:
        for start, end in _gaps(owner, match):
            before = owner[start - 1] if start > match.start else _FREE
            after = owner[end] if end < match.end else _FREE
            if (winner := max(before, after)) < 0:
                take(match, start, end)
                continue
            owner[start:end] = [winner] * (end - start)
            bounds[winner] = [min(bounds[winner][0], start), max(bounds[winner][1], end)]
    chosen = [Match(m.kind, b[0], b[1], m.rank, m.label) for m, b in zip(winners, bounds, strict=True)]
    return sorted(chosen, key=lambda m: m.start)


def _gaps(owner: list[int], match: Match) -> list[Span]:
    """The free places within a match."""
    gaps: list[Span] = []
    start = None
    for i in range(match.start, match.end + 1):
        free = i < match.end and owner[i] == _FREE
        if free and start is None:
            start = i
        elif not free and start is not None:
            gaps.append((start, i))
            start = None
    return gaps


def _replace(text: str, chosen: list[Match]) -> str:
    parts: list[str] = []
    at = 0
    for match in chosen:
        parts += text[at : match.start], f"[REDACTED:{match.kind}]"
        at = match.end
    return "".join(parts) + text[at:]
