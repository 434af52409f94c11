"""Results as compact text: the same facts as the structured form, one line an item, no JSON.

Every id, name, status, number and text of the structured result is in the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["render"]

_LEADING = ("id", "name", "seq", "agent", "file_path", "path", "status")
_BREAK = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_BARE = re.compile(r"[\w./:@+-]+\Z")


def render(structured: Mapping[str, Any], headline: str = "") -> str:
    """The text of a result; ``headline`` comes first where a tool shapes its own."""
    lines = [headline] if headline else []
    scalars = {k: v for k, v in structured.items() if not _nested(v)}
    if scalars:
        lines.append(_line(scalars))
    for name, value in structured.items():
        if isinstance(value, dict):
            lines += _section(name, value)
        elif isinstance(value, list) and _nested(value):
            lines.append(f"{name}:" if value else f"{name}: none")
            lines += [f"- {_inline(item)}" for item in value]
    return "\n".join(lines) or "ok"


def _section(name: str, value: Mapping[str, Any]) -> list[str]:
    """A nested record on one line, its own lists of records one line an item."""
    flat = {k: v for k, v in value.items() if not (isinstance(v, list) and _nested(v))}
    lines = [f"{name}: {_inline(flat)}".rstrip()]
    for key, items in value.items():
        if key not in flat:
            lines.append(f"{name}.{key}:")
            lines += [f"- {_inline(item)}" for item in items]
    return lines


def _nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(i, dict | list) for i in value))


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return _line(value)
    return _scalar(value)


def _line(record: Mapping[str, Any]) -> str:
    first = [key for key in _LEADING if key in record and not _nested(record[key])]
    parts = [f"{key}={_scalar(record[key])}" for key in first]
    parts += [f"{key}={_value(value)}" for key, value in record.items() if key not in first]
    return " ".join(parts)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return f"({_line(value)})"
    if isinstance(value, list):
        return "[" + ", ".join(f"({_line(i)})" if isinstance(i, dict) else _scalar(i) for i in value) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    """A scalar as it is; text with blanks in quotes, its line breaks escaped, or a message could pose as an item."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_scalar(i) for i in value) + "]"
    text = str(value)
    if _BARE.match(text):
        return text
    return f'"{_BREAK.sub(_escaped, text)}"'


def _escaped(found: re.Match[str]) -> str:
    return {"\n": r"\n", "\r": r"\r"}.get(found[0], f"\\u{ord(found[0]):04x}")
