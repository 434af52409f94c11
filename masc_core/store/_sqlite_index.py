"""Index entries as the rows of the SQLite file have them, and which answers a change of them makes wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def made_wrong_by(moved: Sequence[Moved]) -> Callable[[Asked], bool]:
    """Tells of a question whether the answer from before these documents of its collection were written may be wrong."""
    places: dict[str, list[str]] = {"": [id for id, _, _ in moved]}
    groups: dict[str, list[str]] = {}
    for _, before, after in moved:
        old = orjson.loads(before or "[]")
        new = old if before == after else orjson.loads(after or "[]")
        for name, value, _ in old:
            places.setdefault(name, []).append(value)
        if new is old:
            continue
        for name, value, _ in new:
            places.setdefault(name, []).append(value)
        for name, group in {(name, group) for name, _, group in old} ^ {(name, group) for name, _, group in new}:
            groups.setdefault(name, []).append(group)

    def wrong(asked: Asked) -> bool:
        if len(asked) == _OF_SCAN:
            _, name, low, high, *_ = asked
            for value in places.get(name, ()):  # noqa: SIM110  # each commit asks this of several questions
                if low <= value and (high is None or value < high):
                    return True
            return False
        if len(asked) == _OF_COUNT:
            _, name, group = asked
            return name in groups and (group is None or group in groups[name])
        return True  # of a log that has the collection's name

    return wrong
