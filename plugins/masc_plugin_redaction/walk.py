"""Structured values: each string is treated by itself, keys and structure stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["rewritten", "strings"]

Rewrite = Callable[[str, str], str]
"""``(key the string is the value of, string) -> string``"""


def strings(value: Any, texts: Any = True, key: str = "") -> Iterator[tuple[str, str]]:
    """The strings within ``value`` that may be text, as its declared type says (see :data:`masc_core._texts.Texts`), each
    after the key it is a value of. Items of a list are values of the list's key."""
    waiting = [(value, texts, key)]
    while waiting:
        inner, where, label = waiting.pop()
        if where is False:
            continue
        if isinstance(inner, str):
            yield label, inner
        elif isinstance(inner, dict):
            waiting += [(item, _within(where, name), str(name)) for name, item in inner.items()]
        elif isinstance(inner, (list, tuple)):
            waiting += [(item, where, label) for item in inner]


def rewritten(value: Any, rewrite: Rewrite, texts: Any = True, key: str = "") -> Any:
    """A copy of ``value`` in which ``rewrite`` was applied to each string that may be text, as :func:`strings` finds
    them."""
    root = [value]
    waiting: list[tuple[Any, Any, Any, str]] = [(root, 0, texts, key)]
    while waiting:
        holder, place, where, label = waiting.pop()
        inner = holder[place]
        if where is False:
            continue
        if isinstance(inner, str):
            holder[place] = rewrite(label, inner)
        elif isinstance(inner, dict):
            holder[place] = copied = dict(inner)
            waiting += [(copied, name, _within(where, name), str(name)) for name in copied]
        elif isinstance(inner, (list, tuple)):
            holder[place] = items = list(inner)
            waiting += [(items, i, where, label) for i in range(len(items))]
    return root[0]


def _within(where: Any, key: object) -> Any:
    return where.get(key, True) if isinstance(where, Mapping) else where
