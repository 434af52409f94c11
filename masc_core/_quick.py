"""A quick yes for plain arguments; the reference validator has the last word on all others.

Most calls bring a handful of scalars. Walking their schema with the reference validator takes longer than the store does,
so each property is compiled to one function that says *certainly valid* or *ask the validator*.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["quick_check"]

Check = Callable[[Any], bool]
_KNOWN: Mapping[str, frozenset[str]] = {
    "string": frozenset({"type", "default", "enum", "minLength", "maxLength", "pattern"}),
    "integer": frozenset({"type", "default", "minimum", "maximum"}),
    "number": frozenset({"type", "default", "minimum", "maximum"}),
    "boolean": frozenset({"type", "default"}),
    "array": frozenset({"type", "default", "items", "minItems", "maxItems"}),
}


def quick_check(schema: Mapping[str, Any]) -> Check:
    """Whether an object certainly obeys ``schema``, an object schema without unknown properties; a no is none."""
    checks = {name: _of(value) for name, value in schema["properties"].items()}
    required = frozenset(schema.get("required", ()))

    def check(given: Mapping[str, Any]) -> bool:
        if not required <= given.keys():
            return False
        for name, value in given.items():  # noqa: SIM110  # a generator would cost more than most checks
            if (certain := checks.get(name)) is None or not certain(value):
                return False
        return True

    return check


def _of(schema: Mapping[str, Any]) -> Check:
    kind = schema.get("type")
    if not isinstance(kind, str) or not schema.keys() <= _KNOWN.get(kind, frozenset()):
        return lambda value: False
    if kind == "boolean":
        return lambda value: value is True or value is False
    if kind in ("integer", "number"):
        kinds = frozenset({int} if kind == "integer" else {int, float})
        return _number(kinds, schema.get("minimum", float("-inf")), schema.get("maximum", float("inf")))
    if kind == "array":
        return _array(_of(schema.get("items", {})), schema.get("minItems", 0), schema.get("maxItems", float("inf")))
    return _string(schema)


def _number(kinds: frozenset[type], low: float, high: float) -> Check:
    return lambda value: type(value) in kinds and low <= value <= high


def _array(item: Check, least: int, most: float) -> Check:
    return lambda value: type(value) is list and least <= len(value) <= most and all(map(item, value))


def _string(schema: Mapping[str, Any]) -> Check:
    if "enum" in schema:
        allowed = frozenset(schema["enum"])
        return lambda value: type(value) is str and value in allowed
    least, most = schema.get("minLength", 0), schema.get("maxLength", float("inf"))
    if "pattern" not in schema:
        return lambda value: type(value) is str and least <= len(value) <= most
    search = re.compile(re.sub(r"\$\Z", r"\\Z", schema["pattern"])).search
    return lambda value: type(value) is str and least <= len(value) <= most and search(value) is not None
