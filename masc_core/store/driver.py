"""What a database must offer to hold a room: bytes in, bytes out, one atomic verb.

A driver knows nothing of tasks or agents. It keeps *documents* (a body under a collection and key, with a version and
index entries), *logs* (bodies numbered 1, 2, 3, … in commit order), *leases* (a named lock with a fence number that only
grows) and tells waiters that a log has grown. Everything else is written once, above it.
One driver object serves one room; two rooms in one database never see each other's data.
Every driver passes :class:`masc_core.testing.DriverContract`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from attrs import field

from masc_core.clock import Clock
from masc_core.frozen import frozen
from masc_core.store.line import Line

if TYPE_CHECKING:
    from masc_core.store.snapshot import Exchange, Snapshot

__all__ = [
    "MAX_BODY",
    "MAX_INDEX",
    "MAX_KEY",
    "SEALED",
    "SEALED_BYTES",
    "Absent",
    "Acquire",
    "Append",
    "Check",
    "Committed",
    "Conflict",
    "Contents",
    "Delete",
    "Document",
    "Driver",
    "Head",
    "Held",
    "IndexEntry",
    "Key",
    "LateBody",
    "Lease",
    "LogEntry",
    "Put",
    "Reached",
    "Release",
    "Remove",
    "Renew",
    "Rewrite",
    "RewriteEntry",
    "Scan",
    "Version",
    "Write",
]

MAX_BODY = 1_048_576
"""Largest body in bytes."""
MAX_KEY = 512
"""Largest key, collection or lease name in bytes of UTF-8."""
MAX_INDEX = 256
"""Largest index value in bytes of UTF-8."""
SEALED = b"\xffMASC"
"""How a sealed body begins, and no other: the first byte occurs in no text."""
SEALED_BYTES = 64
"""By how much a sealed body may be larger than :data:`MAX_BODY`."""


class Key(NamedTuple):
    """Names one document."""

    collection: str
    id: str


class IndexEntry(NamedTuple):
    """One index value of a document or log entry.

    Values are ordered by their UTF-8 bytes. ``group`` puts the record into a tally that :meth:`Driver.count` reads in
    constant time, whatever the number of records; leave it empty for values that nobody counts.
    """

    name: str
    value: str
    group: str = ""


class Document(NamedTuple):
    """A stored record as the driver sees it. ``version`` is 1 after the first write and grows by one with each.

    ``value`` is the index value under which :meth:`Driver.scan` found the document, the key for a scan in key order and
    empty otherwise.
    """

    key: Key
    version: int
    body: bytes
    value: str = ""


class LogEntry(NamedTuple):
    """One entry of a log: its sequence number, from 1, and its body."""

    seq: int
    body: bytes


class Head(NamedTuple):
    """The ends of a log: the oldest number still kept (0 when none is) and the last one given out (0 before the first)."""

    first: int
    last: int


# --- checks: all must hold, or nothing is written


@frozen
class Version:
    """The document exists at exactly this version."""

    key: Key
    version: int


@frozen
class Absent:
    """The document does not exist (never written, or deleted)."""

    key: Key


@frozen
class Held:
    """The lease is held, unexpired by the store's clock, under exactly this fence."""

    name: str
    fence: int


@frozen
class Reached:
    """The store's clock shows this time, in seconds since the epoch, or a later one: it was not set back meanwhile."""

    time: float


Check = Version | Absent | Held | Reached

# --- writes


@frozen
class Put:
    """Write a document; its index entries are replaced by ``index``. A recreated document goes on counting versions."""

    key: Key
    body: bytes
    index: Sequence[IndexEntry] = ()


@frozen
class Delete:
    """Remove a document and its index entries. Deleting what is absent does nothing."""

    key: Key


LateBody = Callable[[int, bytes | None], bytes]
"""Makes a log entry's body when its number is certain: ``body(seq, previous)``, with the body of entry ``seq - 1`` or
``None`` where that is not kept. Runs inside the commit, perhaps several times, and has no effect outside."""


@frozen
class Append:
    """Add an entry to a log under the next number. Its index entries work like a document's."""

    log: str
    body: bytes | LateBody
    index: Sequence[IndexEntry] = ()


@frozen
class Remove:
    """Take single entries out of a log. Numbers are never reused and the log's last number stays."""

    log: str
    seqs: Sequence[int]


@frozen
class Acquire:
    """Take a lease for ``seconds`` (1–86,400). Free or expired: a new fence. Held by anyone: :class:`Conflict`."""

    name: str
    owner: str
    seconds: float


@frozen
class Renew:
    """Extend a held lease to ``seconds`` from now. Another fence, or an expired lease: :class:`Conflict`."""

    name: str
    fence: int
    seconds: float


@frozen
class Release:
    """Give a lease back. Another fence, or an expired lease: :class:`Conflict`."""

    name: str
    fence: int


@frozen
class Rewrite:
    """Exchange the stored form of a document's body, which means the same as before: version and index entries stay, and
    nobody is told. Does nothing where the document is absent; check its version in the same commit."""

    key: Key
    body: bytes


@frozen
class RewriteEntry:
    """As :class:`Rewrite`, for one entry of a log."""

    log: str
    seq: int
    body: bytes


Write = Put | Delete | Append | Remove | Acquire | Renew | Release | Rewrite | RewriteEntry


@frozen
class Lease:
    """A lease as it stands; ``expires_at`` in seconds of the store's clock."""

    name: str
    owner: str
    fence: int
    expires_at: float


@frozen
class Contents:
    """How many documents each collection has and how many entries each log keeps; empty ones are left out."""

    collections: Mapping[str, int]
    logs: Mapping[str, int]


@frozen
class Committed:
    """What a commit gave out, each tuple in the order of the writes concerned."""

    appended: tuple[int, ...] = ()
    """Sequence numbers, one for each :class:`Append`."""
    leases: tuple[Lease, ...] = ()
    """One for each :class:`Acquire` and :class:`Renew`."""


class Conflict(Exception):
    """A check or a lease write did not hold; nothing was written.

    ``current`` has, for each document whose check failed, what is stored now (``None`` when absent); ``leases`` the same
    for leases.
    """

    def __init__(
        self, current: Mapping[Key, Document | None] | None = None, leases: Mapping[str, Lease | None] | None = None
    ) -> None:
        super().__init__(f"conflict on {sorted(current or {}) + sorted(leases or {})}")
        self.current = dict(current or {})
        self.leases = dict(leases or {})


@frozen
class Scan:
    """A range of one collection (or log, through :meth:`Driver.scan_log`) in index order.

    Without ``index`` the order is that of the keys. ``low`` is inclusive, ``high`` exclusive (``None``: no bound).
    ``after`` is the ``(value, id)`` of the last document of the page before, excluded; with ``reverse`` the scan runs from
    ``high`` to ``low`` and ``after`` is where it came to. Ties of a value are ordered by key, also reversed in reverse.
    """

    collection: str
    index: str = ""
    low: str = ""
    high: str | None = None
    after: tuple[str, str] | None = None
    limit: int = field(default=1000)
    reverse: bool = False


class Driver(Protocol):
    """A database for one room. Methods may be called concurrently from one event loop.

    Every method raises :class:`masc_core.errors.StorageUnavailable` when the database cannot be reached and
    :class:`masc_core.errors.StorageBusy` when waiting for its lock took more than 5 s; no method blocks the event loop
    while it waits. Cancelling a method leaves no connection, lock or transaction behind; a cancelled commit has happened
    entirely or not at all.
    """

    name: str
    """The backend's name as `masc_status` shows it: ``sqlite``, ``memory``, …"""
    clock: Clock
    """The store's clock: expiry and stored times follow it."""

    @property
    def line(self) -> Line | None:
        """Where those who lose again and again wait; ``None`` where the wait for the database's own lock is line enough."""
        ...

    async def __aenter__(self) -> Self:
        """Connect; create or migrate the schema. Raises :class:`masc_core.errors.StartError` when that cannot be done."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection. Waiters in :meth:`watch` end with :class:`asyncio.CancelledError`."""
        ...

    async def get(self, keys: Sequence[Key]) -> list[Document | None]:
        """The documents under ``keys``, in that order, all from one consistent state."""
        ...

    async def scan(self, scan: Scan) -> list[Document]:
        """At most ``scan.limit`` documents of a range, from one consistent state."""
        ...

    async def count(self, collection: str, index: str, group: str | None = None) -> dict[str, int]:
        """How many documents (or log entries) are in each group of an index, or in that one; empty ones are left out."""
        ...

    async def count_log(self, log: str, index: str, value: str, after: int = 0) -> int:
        """How many entries numbered above ``after`` have exactly this index value, without reading their bodies."""
        ...

    async def read_log(self, log: str, after: int = 0, limit: int = 100, reverse: bool = False) -> list[LogEntry]:
        """Entries numbered above ``after``, oldest first; with ``reverse`` those below ``after`` (0: from the end),
        newest first. Who sees number n could see every kept number below it: no gap fills later."""
        ...

    async def scan_log(self, scan: Scan) -> list[tuple[str, LogEntry]]:
        """Log entries by index value, as ``(value, entry)``; ``scan.collection`` names the log, ``scan.index`` is
        required, and the id in ``after`` is ``str(seq)``. Ties of a value are in numeric order of the sequence."""
        ...

    async def heads(self, logs: Sequence[str]) -> list[Head]:
        """The ends of the named logs, from one consistent state."""
        ...

    async def leases(self, names: Sequence[str]) -> list[Lease | None]:
        """The named leases as they stand; ``None`` for one that is free or expired."""
        ...

    async def contents(self) -> Contents:
        """What is kept, from one consistent state, whoever declared it. Takes time in proportion to the records."""
        ...

    async def scrub(self) -> None:
        """Overwrite or give back the places where bodies stood that were deleted or replaced, as far as this database
        keeps files of its own. Raises :class:`masc_core.errors.StorageBusy` when others did not let it; try again."""
        ...

    async def dump(self) -> Snapshot:
        """Everything the room has, from one consistent state, beside commits that go on."""
        ...

    async def exchange(self, change: Exchange) -> None:
        """Let the room have what ``change`` makes of what it has, as one atomic and durable change; waiters look again.

        It goes into the room exactly as it is: see to it that versions, numbers and fences do not go back. What ``change``
        raises is raised, and nothing changed. It may run again when others commit meanwhile.
        """
        ...

    async def commit(self, checks: Sequence[Check], writes: Sequence[Write]) -> Committed:
        """Apply all ``writes`` if all ``checks`` hold, as one atomic and (by setting) durable change.

        At least 500 writes and 4 MB fit. Raises :class:`Conflict` with the current records, and ``ValueError`` for a body,
        key or index value over its limit, in both cases having changed nothing.
        """
        ...

    async def watch(self, after: Mapping[str, int]) -> dict[str, int]:
        """Return as soon as one of the logs has grown past its number in ``after``, with the last number of each.

        Growth through this driver is seen at once, through another process normally within 50 ms and always within 2 s.
        Cancel to stop waiting.
        """
        ...
