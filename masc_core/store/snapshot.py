"""A whole room as it is stored, in the same form whatever database keeps it: what exports and backups are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from attrs import Factory

from masc_core.frozen import frozen
from masc_core.store.driver import IndexEntry, Key, Lease

__all__ = ["Exchange", "Snapshot", "StoredDocument", "StoredEntry", "indexed"]


class StoredDocument(NamedTuple):
    """A document as it is stored; without a body one that was deleted, whose version goes on counting."""

    key: Key
    version: int
    body: bytes | None
    indexes: tuple[IndexEntry, ...] = ()


class StoredEntry(NamedTuple):
    """One entry of a log as it is stored."""

    log: str
    seq: int
    body: bytes
    indexes: tuple[IndexEntry, ...] = ()


@frozen
class Snapshot:
    """Everything of a room, from one state. Equal rooms give equal snapshots on every driver: documents are in the order of
    their keys, entries in that of log and number, index entries as :func:`indexed` gives them."""

    fence: int = 0
    """The last fence given out."""
    leases: Sequence[Lease] = ()
    """Those that are held, by name."""
    documents: Sequence[StoredDocument] = ()
    lasts: Mapping[str, int] = Factory(dict)
    """The last number given out in each log, by its name."""
    entries: Sequence[StoredEntry] = ()

    @property
    def empty(self) -> bool:
        """Nothing was ever written, or nobody could tell."""
        return not (self.documents or self.lasts or self.fence)


Exchange = Callable[[Snapshot], Snapshot]
"""From what a room has to what it is to have; runs with the room locked or again after a change, without other effect."""


def indexed(values: Iterable[tuple[str, str]], groups: Iterable[tuple[str, str]] = ()) -> tuple[IndexEntry, ...]:
    """Index entries with these ``(name, value)`` and ``(name, group)`` pairs, in the one order that snapshots have.

    A database keeps values and groups apart; that a group came with a value means nothing.
    """
    by_name: dict[str, tuple[list[str], list[str]]] = {}
    for name, value in sorted(set(values)):
        by_name.setdefault(name, ([], []))[0].append(value)
    for name, group in sorted(set(groups)):
        by_name[name][1].append(group)
    found: list[IndexEntry] = []
    for name, (some, counted) in by_name.items():
        most = range(max(len(some), len(counted)))
        found += [IndexEntry(name, some[min(n, len(some) - 1)], counted[n] if n < len(counted) else "") for n in most]
    return tuple(found)
