"""Index entries as the rows of the SQLite file have them, and which answers a change of them makes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from masc_core.store.driver import IndexEntry, Scan

__all__ = ["Asked", "Moved", "asked_by", "decode", "encode", "made_wrong_by"]

Asked = tuple[Any, ...]
"""A question, of the collection or log that comes first in it."""
Moved = tuple[str, str, str]
"""A document that was written: its id, and its encoded index entries before and after."""
_OF_SCAN, _OF_COUNT = 7, 3


def encode(index: Sequence[IndexEntry]) -> str:
    """Index entries as a record's row has them."""
    return orjson.dumps([[*entry] for entry in index]).decode() if index else ""


def decode(indexed: str) -> list[IndexEntry]:
    """Index entries from a record's row."""
    return [IndexEntry(*entry) for entry in orjson.loads(indexed)] if indexed else []


def asked_by(scan: Scan) -> Asked:
    """The question of a scan; hashed faster than the scan itself."""
    return scan.collection, scan.index, scan.low, scan.high, scan.after, scan.limit, scan.reverse


def made_wrong_by(moved: Iterable[Moved]) -> Callable[[Asked], bool]:
    """Tells of a question whether the answer from before these documents of its collection were written may be wrong."""
    places: dict[str, set[str]] = {"": set()}
    groups: dict[str, set[str]] = {}
    for id, before, after in moved:
        places[""].add(id)
        old = decode(before)
        new = old if before == after else decode(after)
        for name, value, _ in (*old, *new):
            places.setdefault(name, set()).add(value)
        for name, group in {(e.name, e.group) for e in old} ^ {(e.name, e.group) for e in new}:
            groups.setdefault(name, set()).add(group)

    def wrong(asked: Asked) -> bool:
        if len(asked) == _OF_SCAN:
            _, name, low, high, *_ = asked
            return any(low <= value and (high is None or value < high) for value in places.get(name, ()))
        if len(asked) == _OF_COUNT:
            _, name, group = asked
            return name in groups and (group is None or group in groups[name])
        return True  # of a log that has the collection's name

    return wrong
