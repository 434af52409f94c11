"""What things are called in Redis: the keys of a room, and the members of its ordered indexes.

A name (of a collection or log) has six keys: ``v`` versions with index entries, ``b`` bodies, ``x`` the index, ``t``
tallies, ``s`` the entries of the log as a stream, ``e`` their bodies by number, because nothing in a stream can be exchanged.
``meta`` has a field ``c:<name>`` for each collection that was ever written to, ``heads`` has one for each log. The index is
one sorted set with all scores 0, which Redis orders by bytes; the first letter of a member tells what it is:

    k <key>                         a document, in key order
    i <index> NUL <value> NUL <key>       a document under an index value
    l <index> NUL <value> NUL <sequence>  a log entry under an index value, the sequence in 16 digits
    t <index> NUL <group>              a group that somebody is in

So every key a script touches is known before it runs, also those of index entries that an older version of a record had.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from urllib.parse import quote

from masc_core.store.driver import IndexEntry, Scan

__all__ = [
    "DIGITS",
    "MOST",
    "RoomKeys",
    "key_range",
    "log_prefixes",
    "members",
    "pair_of",
    "seq_digits",
    "seq_of",
    "tallies",
    "tally_pair",
    "value_of",
]

DIGITS = 16
MOST = 2**53 - 1
"""Largest sequence number: Lua counts in doubles."""
_KINDS = ("v", "b", "x", "t", "s", "e")
_FORWARD, _BACKWARD = b"ZRANGEBYLEX", b"ZREVRANGEBYLEX"


class RoomKeys:
    """The keys of one room. Cluster and room are escaped, so that no two rooms share a key whatever their names are."""

    def __init__(self, cluster: str, room: str) -> None:
        self._begin(f"masc:{{{quote(cluster, safe='')}:{quote(room, safe='')}}}:".encode())

    def _begin(self, prefix: bytes) -> None:
        self.prefix = prefix
        self.meta, self.heads, self.leases = (self.prefix + name for name in (b"meta", b"heads", b"leases"))
        self.hints = self.prefix + b"hints"
        self.line, self.tickets = self.prefix + b"line", self.prefix + b"tickets"

    def of(self, kind: str, name: str) -> bytes:
        """One of the six keys of a collection or log."""
        return self.prefix + f"{kind}:{name}".encode()

    def all_of(self, name: str) -> list[bytes]:
        """All six, in the order in which the commit script expects them."""
        return [self.of(kind, name) for kind in _KINDS]

    def beside(self, token: str) -> RoomKeys:
        """Keys in the same slot that are none of the room's."""
        keys = copy(self)
        keys._begin(self.prefix + f"incoming:{token}:".encode())
        return keys

    def slot(self, client: str, lane: int) -> bytes:
        """Where the outcome of a connection's last commit is kept."""
        return self.prefix + f"slot:{client}:{lane}".encode()


def members(index: Iterable[IndexEntry], key: str) -> list[bytes]:
    """The index members of a document."""
    return [_place(b"i", name, value) + key.encode() for name, value in _values(index)]


def log_prefixes(index: Iterable[IndexEntry]) -> list[bytes]:
    """The index members of a log entry, without the number that it gets in the commit."""
    return [_place(b"l", name, value) for name, value in _values(index)]


def tallies(index: Iterable[IndexEntry]) -> list[bytes]:
    """The tally fields a record counts in."""
    return sorted({tally(entry[0], entry[2]) for entry in index if entry[2]})


def tally(index: str, group: str) -> bytes:
    """The tally field of one group."""
    return _escape(index) + b"\0" + group.encode()


def group_range(index: str) -> tuple[bytes, bytes, int]:
    """Start and stop of the groups of an index, and how many bytes stand before the group in a member."""
    start = b"t" + _escape(index)
    return b"[" + start + b"\0", b"(" + start + b"\1", len(start) + 1


def value_of(member: bytes) -> str:
    """The index value in a member of kind ``i`` or ``l``."""
    return _plain(member.split(b"\0", 2)[1]).decode()


def pair_of(member: bytes) -> tuple[str, str]:
    """The index and the value in a member of kind ``i`` or ``l``."""
    name, value, _ = member[1:].split(b"\0", 2)
    return _plain(name).decode(), _plain(value).decode()


def tally_pair(field: bytes) -> tuple[str, str]:
    """The index and the group of a tally field."""
    name, _, group = field.partition(b"\0")
    return _plain(name).decode(), group.decode()


def seq_digits(seq: int) -> bytes:
    """A sequence number as members of kind ``l`` end with it."""
    return _digits(seq)


def seq_of(member: bytes) -> int:
    """The sequence number in a member of kind ``l``."""
    return int(member[-DIGITS:])


def value_bounds(log_index: str, value: str, after: int) -> tuple[bytes, bytes]:
    """Start and stop of the entries of one value numbered above ``after``."""
    place = _place(b"l", log_index, value)
    return b"(" + place + _digits(max(0, after)), b"(" + place[:-1] + b"\1"


def key_range(scan: Scan, *, log: bool = False) -> tuple[bytes, bytes, bytes, int]:
    """A scan as a command: its name, start, stop, limit."""
    if scan.index:
        start = (b"l" if log else b"i") + _escape(scan.index) + b"\0"
        low, high = _escape(scan.low), None if scan.high is None else _escape(scan.high)
        end = start[:-1] + b"\1"
    else:
        start, end = b"k", b"l"
        low, high = scan.low.encode(), None if scan.high is None else scan.high.encode()
    lower = (start + low, b"[")
    upper = (end if high is None else start + high, b"(")
    if scan.after is not None:
        after = _after(scan, start, log)
        if scan.reverse and after < upper[0]:
            upper = (after, b"(")
        elif not scan.reverse and after >= lower[0]:
            lower = (after, b"(")
    first, last = lower[1] + lower[0], upper[1] + upper[0]
    return (_BACKWARD, last, first, scan.limit) if scan.reverse else (_FORWARD, first, last, scan.limit)


def _after(scan: Scan, start: bytes, log: bool) -> bytes:
    assert scan.after is not None
    value, id = scan.after
    if not scan.index:
        return start + id.encode()
    return start + _escape(value) + b"\0" + (_digits(int(id)) if log else id.encode())


def _values(index: Iterable[IndexEntry]) -> list[tuple[str, str]]:
    return sorted({(entry[0], entry[1]) for entry in index})


def _place(kind: bytes, index: str, value: str) -> bytes:
    return kind + _escape(index) + b"\0" + _escape(value) + b"\0"


def _digits(seq: int) -> bytes:
    return b"%0*d" % (DIGITS, min(seq, MOST))


def _escape(text: str) -> bytes:
    # NUL ends a part. Taking its place by two bytes that sort as it does keeps the order, and the parts apart.
    raw = text.encode()
    return raw.replace(b"\1", b"\1\2").replace(b"\0", b"\1\1") if b"\0" in raw or b"\1" in raw else raw


def _plain(raw: bytes) -> bytes:
    return raw.replace(b"\1\1", b"\0").replace(b"\1\2", b"\1") if b"\1" in raw else raw
