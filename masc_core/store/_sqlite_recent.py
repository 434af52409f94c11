"""What the SQLite driver has read lately, for as long as nobody has changed the file."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from masc_core.store._moment import Moment
from masc_core.store._sqlite_index import Asked, Moved, made_wrong_by
from masc_core.store._sqlite_known import Known
from masc_core.store._sqlite_reads import get_documents
from masc_core.store.driver import Document, Key

__all__ = ["Recent"]

_DOCUMENTS = 1024
_RESULTS = 128
_OUTLIVE = 8
"""So many questions of one collection are looked at in a commit: what was asked once is not worth it."""
_LARGE_BODY = 8192
_LARGE_RESULT = 65_536
_FRESH = 0.001
"""Seconds for which a look is good at most: a unit of work that blocks instead of waiting may be told something too."""

_R = TypeVar("_R")
_F = TypeVar("_F")


class Recent:
    """Answers of one connection, kept while they are true: most calls read the same few records and pages again.

    SQLite counts the commits of all other connections, of this process or another (``PRAGMA data_version``); each look
    begins with that counter, which costs a fraction of any query. The connection's own commits are told with
    :meth:`committed`, and what they did not concern stays true. What was read is as new as the counter or newer, so an
    answer is never older than the look.

    One look serves all that a unit of work is told from here at once, until it asks the file for something or waits: an answer
    from here after one that is newer than the look could be older than what the unit of work knows.
    """

    def __init__(self, db: sqlite3.Connection | None = None, moment: Moment | None = None) -> None:
        self._db = db
        self._moment = moment or Moment()
        self._looked_for: object | None = None
        self._looked_at = 0.0
        self._version: int | None = None
        self._documents: dict[Key, Document | None] = {}
        self._results: dict[Asked, object] = {}
        """Those asked for lately come last."""
        self._asked: dict[str, dict[Asked, None]] = {}
        """The questions whose answers are kept, by the collection or log they are of, in the same order."""
        self._known = Known()

    def known(self) -> Known:
        """What is known of the state that the open transaction sees."""
        self._look_for(None)
        return self._known

    def documents(self, db: sqlite3.Connection, room: int, keys: Sequence[Key]) -> list[Document | None]:
        """The documents, all of one state: either all are remembered or all are loaded."""
        if db is not self._db:
            self.look_again()
            return get_documents(db, room, keys)[0]
        self._look()
        known = self._documents
        try:
            return [known[key] for key in keys]
        except KeyError:
            self._looked_for = None
            found, rows = get_documents(db, room, keys)
        self._remember(zip(keys, found, strict=True))
        self._known.follow_rows(rows)
        return found

    def figures(self, db: sqlite3.Connection, asked: Asked, load: Callable[..., _F], *arguments: Any) -> _F:
        """Counts by group, a number or a pair of them; a dictionary is the caller's."""
        if db is not self._db:
            self.look_again()
            return load(db, *arguments)
        self._look()
        found = self._answer(asked)
        if found is None:
            self._looked_for = None
            self._keep(asked, found := load(db, *arguments))
        return found.copy() if isinstance(found, dict) else found  # type: ignore[return-value]

    def rows(self, db: sqlite3.Connection, asked: Asked, load: Callable[..., list[_R]], *arguments: Any) -> list[_R]:
        """A page of documents or log entries, with or without their index values; the list is the caller's."""
        if db is not self._db:
            self.look_again()
            return load(db, *arguments)
        self._look()
        if isinstance(found := self._answer(asked), list):
            return found.copy()
        self._looked_for = None
        loaded = load(db, *arguments)
        if sum(map(_size, loaded)) <= _LARGE_RESULT:
            self._keep(asked, loaded.copy())
        return loaded

    def committed(
        self,
        changed: Collection[str],
        moved: Mapping[str, Sequence[Moved]],
        left: Mapping[Key, Document | None] | None,
    ) -> None:
        """Follow a commit of this connection: the logs and collections of which anything may be different, the documents
        written by collection, and as they are now, or ``None`` where that is not known."""
        for place in changed:
            for asked in self._asked.pop(place, ()):
                del self._results[asked]
        for place, documents in moved.items():
            if place in self._asked:
                wrong = made_wrong_by(documents)
                for n, asked in enumerate(reversed([*self._asked[place]])):
                    if n >= _OUTLIVE or wrong(asked):
                        self._drop(asked)
        if left is None:
            self._documents.clear()
        else:
            self._remember(left.items())

    def look_again(self) -> None:
        """Before the next answer, whoever asks: the file is asked past this, and may be newer than the last look."""
        self._looked_for = None

    def forget(self) -> None:
        """Look at everything again."""
        self._results.clear()
        self._asked.clear()
        self._documents.clear()
        self._known.forget()

    def _remember(self, documents: Iterable[tuple[Key, Document | None]]) -> None:
        if len(self._documents) > _DOCUMENTS:
            self._documents.clear()
        for key, document in documents:
            if document is None or len(document.body) <= _LARGE_BODY:
                self._documents[key] = document
            else:
                self._documents.pop(key, None)

    def _answer(self, asked: Asked) -> object:
        found = self._results.pop(asked, None)
        if found is not None:
            self._results[asked] = found
            of_place = self._asked[asked[0]]
            del of_place[asked]
            of_place[asked] = None
        return found

    def _keep(self, asked: Asked, found: object) -> None:
        if len(self._results) >= _RESULTS:
            self._drop(next(iter(self._results)))
        self._results[asked] = found
        self._asked.setdefault(asked[0], {})[asked] = None

    def _drop(self, asked: Asked) -> None:
        del self._results[asked]
        of_place = self._asked[asked[0]]
        del of_place[asked]
        if not of_place:
            del self._asked[asked[0]]

    def _look(self) -> None:
        unit, self._moment.unit = self._moment.unit, None
        if unit is None or unit is not self._looked_for or time.monotonic() - self._looked_at > _FRESH:
            self._look_for(unit)

    def _look_for(self, unit: object | None) -> None:
        assert self._db is not None
        version = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self.forget()
            self._version = version
        self._looked_for = None
        if unit is not None:
            # Before whoever asks can go on after a wait, however short.
            asyncio.get_running_loop().call_soon(self.look_again)
            self._looked_for, self._looked_at = unit, time.monotonic()


def _size(row: Any) -> int:
    return len(row[1].body if type(row) is tuple else row.body)
