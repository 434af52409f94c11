"""What is made of records that call after call reads, made once: their listed form, plain data, line of text.

Stores hand out one object for equal bytes (see :mod:`masc_core.store.collections`), and records are values, which nobody
changes. So what follows from such a record alone may be kept for as long as the object itself lives.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Sequence
from functools import wraps
from operator import is_
from typing import Any, Final, TypeVar

__all__ = ["Rows", "all_shared", "memo_of", "remembered", "remembered_together", "share"]

R = TypeVar("R")
D = TypeVar("D")
_MOST: Final = 4096
"""Records that are marked at once: a bound should something that is kept hold its own record."""
_MOST_TOGETHER: Final = 128


class Rows(list[R]):
    """A list that nobody changes any more, to be shared as a whole."""

    __slots__ = ("__weakref__",)


class _Kept(weakref.ref[Any]):
    """A shared record's memo, which goes when the record goes."""

    __slots__ = ("memo", "place")

    memo: dict[Any, Any]
    place: int


_kept: Final[dict[int, _Kept]] = {}
"""By the identity of the record: its equality would take longer than what is saved."""

_together: Final[dict[tuple[int, Hashable], tuple[list[weakref.ref[Any]], Any]]] = {}
"""By the identity of the first record and what is asked; those asked for lately come last."""


def share(record: R) -> R:
    """Mark a record as one that more than one call will see; returns it."""
    if id(record) not in _kept:
        if len(_kept) >= _MOST:
            _kept.clear()
        kept = _Kept(record, _forget)
        kept.place, kept.memo = id(record), {}
        _kept[id(record)] = kept
    return record


def _forget(kept: _Kept) -> None:
    _kept.pop(kept.place, None)


def memo_of(record: object) -> dict[Any, Any] | None:
    """Where to keep what follows from this very record; ``None`` for one that is not shared."""
    kept = _kept.get(id(record))
    return None if kept is None else kept.memo


def remembered(derive: Callable[[R], D]) -> Callable[[R], D]:
    """Let ``derive``, which makes one frozen record of another and looks at nothing else, run once for a shared record."""

    @wraps(derive)
    def derived(record: R) -> D:
        if (kept := _kept.get(id(record))) is None:
            return derive(record)
        found: D | None = kept.memo.get(derive)
        if found is None:
            found = kept.memo[derive] = share(derive(record))
        return found

    return derived


def all_shared(records: Sequence[object]) -> bool:
    """Whether there is something to remember of these records together."""
    return id(records) in _kept or (bool(records) and _kept.keys() >= set(map(id, records)))


def remembered_together(records: Sequence[object], asked: Hashable, make: Callable[[], D]) -> D:
    """What ``make`` makes of all these records, and of nothing else but what ``asked`` says. Of what was asked lately the last
    answer is remembered, and of :class:`Rows` that are shared each; see :func:`all_shared`."""
    if (memo := memo_of(records)) is not None:
        if asked not in memo:
            memo[asked] = make()
        kept: D = memo[asked]
        return kept
    place = id(records[0]), asked
    if (known := _together.pop(place, None)) is not None:
        before = [reference() for reference in known[0]]
        if len(before) == len(records) and all(map(is_, before, records)):
            _together[place] = known
            found: D = known[1]
            return found
    made = make()
    if len(_together) >= _MOST_TOGETHER:
        del _together[next(iter(_together))]
    _together[place] = [weakref.ref(record) for record in records], made
    return made
