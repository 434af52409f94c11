"""Where an argument may hold free text: known from its declared type, so that guards need no list of tools."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Union

import attrs

from masc_core.values import Bound, Verbatim

__all__ = ["Texts", "texts_of"]

Texts = bool | Mapping[str, Any]
"""True: any string within may be text. False: none is. A mapping: by field of a record, all else within being text.
A list has the ``Texts`` of its items."""

_ONE_WORD = re.compile(r"\^[\w:-]*\[[\w\\:.-]+\](?:[+*]|\{\d+(?:,\d*)?\})\$\Z")
"""Patterns that no free text matches: a fixed beginning, then one class of word characters."""


def texts_of(annotation: Any) -> Texts:
    """Where values of a declared type hold text. What is not marked otherwise is text: replacing too much is mended by a
    mark, storing a secret is not."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return False if any(map(_excludes_text, args[1:])) else texts_of(args[0])
    if origin is Literal or annotation in (int, float, bool, Decimal, type(None)):
        return False
    if origin in (list, tuple):
        return texts_of(args[0])
    if origin in (Union, types.UnionType):
        return _any_of([texts_of(a) for a in args])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return texts_of(args[1]) is not False
    if isinstance(annotation, type) and attrs.has(annotation):
        return _record(annotation)
    return True


def _excludes_text(extra: object) -> bool:
    if isinstance(extra, Bound):
        return "enum" in extra.keywords or bool(_ONE_WORD.match(extra.keywords.get("pattern", "")))
    return isinstance(extra, Verbatim)


def _record(cls: type) -> Texts:
    hints = typing.get_type_hints(cls, include_extras=True)
    return {a.name.rstrip("_"): texts_of(hints[a.name]) for a in attrs.fields(cls)}


def _any_of(arms: list[Texts]) -> Texts:
    """An optional is as its value; of several kinds of value, one that may be text makes all of them so."""
    some = [arm for arm in arms if arm is not False]
    return False if not some else some[0] if len(some) == 1 else True
