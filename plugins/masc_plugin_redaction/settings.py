"""``[redaction]`` in ``config.toml``."""

from __future__ import annotations

import re
from typing import Any

from attrs import Attribute, field, frozen

__all__ = ["RedactionSettings"]

MOST = 100
"""Patterns of a room."""
_NAME = re.compile(r"[a-z][a-z0-9_]{1,31}\Z")


def _at_most(name: str, values: list[Any]) -> None:
    if len(values) > MOST:
        raise ValueError(f"{name} must be at most {MOST}, not {len(values)}")


def _why_not(regex: str) -> str | None:
    """Why a pattern cannot be taken. Imported where there are patterns: most rooms have none."""
    from masc_plugin_redaction.regexes import why_not

    return why_not(regex)


def _check_patterns(_: object, attribute: Attribute[Any], values: list[Any]) -> None:
    _at_most(attribute.name, values)
    for i, value in enumerate(values):
        if not isinstance(value, dict) or value.keys() != {"name", "regex"}:
            raise ValueError(f"{attribute.name}[{i}] must be {{name = …, regex = …}}, not {value!r}")
        name, regex = value["name"], value["regex"]
        if not isinstance(name, str) or not _NAME.match(name):
            raise ValueError(f"{attribute.name}[{i}] is named {name!r}; use a-z, 0-9 and _, 2 to 32 long")
        if not isinstance(regex, str):
            raise ValueError(f"{attribute.name}[{i}] {name}: regex must be a string, not {regex!r}")
        if (reason := _why_not(regex)) is not None:
            raise ValueError(f"{attribute.name}[{i}] {name}: {regex[:500]!r} {reason}")


def _check_allow(_: object, attribute: Attribute[Any], values: list[Any]) -> None:
    _at_most(attribute.name, values)
    for i, value in enumerate(values):
        if not isinstance(value, str):
            raise ValueError(f"{attribute.name}[{i}] must be a string, not {value!r}")
        if (reason := _why_not(value)) is not None:
            raise ValueError(f"{attribute.name}[{i}] {value[:500]!r} {reason}")


@frozen
class RedactionSettings:
    """``[redaction]``: on or off, patterns of your own, and matches that are none."""

    enabled: bool = True
    """Replace what looks like a secret before it is stored."""
    patterns: list[Any] = field(factory=list, validator=_check_patterns)
    """Tables with ``name`` and ``regex``; what matches is replaced by ``[REDACTED:name]``."""
    allow: list[Any] = field(factory=list, validator=_check_allow)
    """Regular expressions; a secret in which one of them is found stays."""

    @property
    def named(self) -> tuple[tuple[str, str], ...]:
        """Name and regular expression of each pattern."""
        return tuple((p["name"], p["regex"]) for p in self.patterns)
