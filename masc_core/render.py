"""Results as compact text: the same facts as the structured form, one line an item, no JSON.

Every id, name, status, number and text of the structured result is in the text.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from masc_core.frozen import is_record
from masc_core.remembered import all_shared, memo_of, remembered_together
from masc_core.values import CONTROLS

__all__ = ["printable", "printable_lines", "render"]

_LEADING = ("id", "name", "seq", "agent", "file_path", "path", "status")
_UNSAFE = re.compile(rf"{CONTROLS}|\\(?=[nru\\]|{CONTROLS})")
_CONTROL = re.compile(CONTROLS)
_BARE = re.compile(r"[\w./:@+-]+\Z").match
_QUOTES = re.compile('"+').findall
_CONTAINERS = frozenset({dict, list})
_LARGE = 16_384
"""Characters of lines that are not kept."""


def render(structured: Mapping[str, Any], headline: str = "", result: Any = None, *, whole: bool = False) -> str:
    """The text of a result; ``headline`` comes first where a tool shapes its own.

    ``result`` is what ``structured`` was made from. The lines of records in its lists that many calls see are made once, and
    all of its text where many calls see the result itself and it is the ``whole`` of ``structured``.
    """
    memo = memo_of(result) if whole else None
    if memo is None:
        return _text(structured, headline, result)
    known: tuple[str, str] = memo.get(render, ("", ""))
    if known[1] and known[0] == headline:
        return known[1]
    text = _text(structured, headline, result)
    if len(text) <= _LARGE:
        memo[render] = headline, text
    return text


def _text(structured: Mapping[str, Any], headline: str, result: Any) -> str:
    lines = [headline] if headline else []
    kinds = _record_lists(result.__class__)
    nested = {k: v for k, v in structured.items() if type(v) in _CONTAINERS and _nested(v)}
    if len(nested) < len(structured):
        lines.append(_line({k: v for k, v in structured.items() if k not in nested}))
    for name, value in nested.items():
        if type(value) is dict:
            lines += _record(f"{name}: ", "", value)
        else:
            lines.append(f"{name}:")
            kind = kinds.get(name)
            lines += _items("", value) if kind is None else _listed(value, getattr(result, name), kind)
    return "\n".join(lines) or "ok"


def printable(text: str) -> str:
    """Text for a terminal or a model, on one line and with nothing in it that moves a cursor or turns the writing."""
    return text if text.isascii() and text.isprintable() else _CONTROL.sub(_escaped, text)


def printable_lines(text: str) -> str:
    """As :func:`printable`, with its line ends."""
    return "\n".join(map(printable, text.split("\n")))


def _listed(items: Sequence[Any], records: Sequence[Any], kind: type) -> list[str]:
    """As :func:`_items`, of the plain data of ``records`` as ones of ``kind``."""

    def each() -> list[str]:
        lines: list[str] = []
        form = render, kind
        for item, record in zip(items, records, strict=True):
            if (memo := memo_of(record)) is None:
                lines += _items("", [item])
                continue
            if (known := memo.get(form)) is None:
                known = memo[form] = _items("", [item])
            lines += known
        return lines

    if not all_shared(records):
        return each()
    # What is too much to keep is kept as nothing.
    known = remembered_together(records, (_listed, kind), lambda: _few(each()))
    return known or each()


def _few(lines: list[str]) -> list[str]:
    return lines if sum(map(len, lines)) <= _LARGE else []


@cache
def _record_lists(result: type) -> Mapping[str, type]:
    """The fields of a result that are lists of records, and of which; not one that the pipeline may have replaced."""
    hints = typing.get_type_hints(result) if is_record(result) else {}
    lists = {name: arm for name, hint in hints.items() for arm in _arms(hint) if typing.get_origin(arm) is list}
    kinds = {name: typing.get_args(declared)[0] for name, declared in lists.items()}
    return {name: kind for name, kind in kinds.items() if is_record(kind) and name != "warnings"}


def _arms(hint: Any) -> tuple[Any, ...]:
    """The types of a union, or the type itself."""
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _items(pad: str, items: Sequence[Any]) -> list[str]:
    """One line an item, what an item holds in its turn below it."""
    lines: list[str] = []
    for item in items:
        lines += _record(f"{pad}- ", pad, item) if type(item) is dict else [f"{pad}- {_scalar(item)}"]
    return lines


def _record(start: str, pad: str, record: Mapping[str, Any]) -> list[str]:
    """A record on one line; its lists of records that hold texts follow, so that each text has a line to itself."""
    parts, lists = [], []
    for key, label in _in_order(tuple(record)):
        value = record[key]
        kind = type(value)
        if kind is str:
            parts.append(f"{label}={value}" if _BARE(value) else f"{label}={_quoted(value)}")
        elif kind is int:
            parts.append(f"{label}={value}")
        else:
            text = _value(value)
            if kind is list and '"' in text and _nested(value):
                lists.append(key)
            else:
                parts.append(f"{label}={text}")
    lines = [f"{start}{' '.join(parts)}".rstrip()]
    for key in lists:
        lines.append(f"{pad}  {key}:")
        lines += _items(f"{pad}  ", record[key])
    return lines


def _nested(value: Any) -> bool:
    kind = type(value)
    return kind is dict or (kind is list and not _CONTAINERS.isdisjoint(map(type, value)))


def _line(record: Mapping[str, Any]) -> str:
    return " ".join([f"{label}={_value(record[key])}" for key, label in _in_order(tuple(record))])


@lru_cache(maxsize=512)
def _in_order(keys: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """What names a record comes first; each key with how it is written."""
    first = [key for key in _LEADING if key in keys]
    return tuple((key, _key(key)) for key in (*first, *(key for key in keys if key not in first)))


def _key(key: str) -> str:
    """A key as it is; what users made up, such as the option of a tally, may need quotes."""
    return key if key.isidentifier() else _scalar(key)


def _value(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return value if _BARE(value) else _quoted(value)
    if kind is dict:
        return f"({_line(value)})"
    if kind is list:
        return "[" + ", ".join([f"({_line(i)})" if type(i) is dict else _scalar(i) for i in value]) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    """A scalar as it is; text with blanks in quotes, or a message could pose as an item."""
    kind = type(value)
    if kind is str:
        return value if _BARE(value) else _quoted(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is list:
        return "[" + ", ".join(map(_scalar, value)) + "]"
    return "null" if value is None else str(value)


def _quoted(text: str) -> str:
    """Text on one line, between more quotes in a row than it has itself, with nothing in it that moves a cursor.

    A backslash that could be taken for the beginning of an escape is doubled.
    """
    marks = '"' * (1 + max(map(len, _QUOTES(text)))) if '"' in text else '"'
    if not text.isprintable() or "\\" in text:  # what is escaped is a backslash or not printable
        text = _UNSAFE.sub(_escaped, text)
    return f"{marks}{text}{marks}"


def _escaped(found: re.Match[str]) -> str:
    return {"\n": r"\n", "\r": r"\r", "\\": r"\\"}.get(found[0], f"\\u{ord(found[0]):04x}")
