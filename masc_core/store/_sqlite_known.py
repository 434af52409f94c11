"""Where the records lie that a commit changes, for as long as nobody else changes the file."""

from __future__ import annotations

from collections.abc import Mapping

from masc_core.store.driver import Key

__all__ = ["Known", "Row"]

_ROWS = 2048
_LOGS = 256
_LARGE = 8192

Row = tuple[int, int, str]
"""A document's number in the table, its version and its index entries as they are stored there."""


class Known:
    """What a commit would have to look up before it writes: rows of documents, ends of logs.

    :class:`~masc_core.store._sqlite_recent.Recent` sees to it that this is forgotten when another connection commits;
    our own commits are followed.
    """

    def __init__(self) -> None:
        self.rows: dict[Key, Row | None] = {}
        """``None``: there is no such document."""
        self.lasts: dict[str, int] = {}
        """The last number of a log."""
        self.tails: dict[str, bytes] = {}
        """The newest entry of a log whose entries depend on the one before."""
        self.last_entry: int | None = None
        """The number of the newest entry of any log in the table."""

    def forget(self) -> None:
        """Know nothing any more."""
        self.rows.clear()
        self.lasts.clear()
        self.tails.clear()
        self.last_entry = None

    def follow_rows(self, rows: Mapping[Key, Row | None]) -> None:
        """Rows as they are now."""
        if len(self.rows) > _ROWS:
            self.rows.clear()
        for key, row in rows.items():
            if row is None or len(row[2]) <= _LARGE:
                self.rows[key] = row
            else:
                self.rows.pop(key, None)

    def follow_logs(self, lasts: Mapping[str, int], tails: Mapping[str, bytes | None], last_entry: int) -> None:
        """Ends as they are now; ``None`` for a newest entry that is not worth knowing."""
        if len(self.lasts) > _LOGS:
            self.lasts.clear()
            self.tails.clear()
        self.lasts.update(lasts)
        for log, tail in tails.items():
            if tail is None or len(tail) > _LARGE:
                self.tails.pop(log, None)
            else:
                self.tails[log] = tail
        if last_entry:
            self.last_entry = last_entry
