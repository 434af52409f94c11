"""The chain: how entries are linked by hashes, and how a break is found.

``hash`` is the SHA-256 of the entry's other fields as canonical JSON: keys sorted, no blanks, UTF-8. ``prev`` is the hash
of the entry before, 64 zeros for the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal

import orjson
from attrs import define

from masc_core.frozen import frozen
from masc_core.store.driver import LateBody

__all__ = ["ZEROS", "Broken", "Chain", "Head", "Reason", "canonical", "chained"]

ZEROS = "0" * 64
Reason = Literal["gap", "hash", "prev", "truncated", "signature"]


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no blanks."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def chained(fields: Mapping[str, Any]) -> LateBody:
    """The body of an entry, made inside the commit: there its number and the entry before are certain."""

    def body(seq: int, previous: bytes | None) -> bytes:
        entry = {**fields, "seq": seq, "prev": _hash_in(previous)}
        entry["hash"] = sha256(canonical(entry)).hexdigest()
        return canonical(entry)

    return body


def _hash_in(body: bytes | None) -> str:
    """The hash an entry says it has. Zeros where it is gone or ruined: writing goes on, and verification finds the place."""
    try:
        found = orjson.loads(body or b"{}")["hash"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ZEROS
    return found if isinstance(found, str) else ZEROS


@frozen
class Head:
    """An entry's number and hash; of the last entry they stand for the whole log."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


class Broken(Exception):
    """The chain does not hold: the first bad entry and why."""

    def __init__(self, seq: int, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.seq = seq
        self.reason: Reason = reason


@define
class Chain:
    """Follows entries in order; ``head`` is the last that was good."""

    head: Head
    anchors: dict[int, str]
    """Hashes known from elsewhere, by number."""

    def follow(self, seq: int, body: bytes) -> Mapping[str, Any]:
        """Check the next entry and give it. Raises :class:`Broken`."""
        wanted = self.head.seq + 1
        if seq != wanted:
            raise Broken(wanted, "gap", f"entry {wanted} is missing; entry {seq} stands in its place")
        entry = checked(seq, body)
        if entry["prev"] != self.head.hash:
            raise Broken(seq, "prev", f"entry {seq} does not continue entry {seq - 1}: one of them was replaced")
        if self.anchors.get(seq, entry["hash"]) != entry["hash"]:
            raise Broken(seq, "hash", f"entry {seq} has another hash than the one that was kept: the log was rewritten")
        self.head = Head(seq, entry["hash"])
        return entry

    def ended(self) -> None:
        """Say that there are no more entries. Raises :class:`Broken` for an anchor that was not reached."""
        if beyond := [seq for seq in self.anchors if seq > self.head.seq]:
            missing = self.head.seq + 1
            raise Broken(
                missing, "truncated", f"the log ends before entry {missing}, and entry {max(beyond)} was there"
            )


def _shaped(entry: Mapping[str, Any]) -> bool:
    """What readers of entries rely on."""
    return isinstance(entry["prev"], str) and isinstance(entry["at"], str) and isinstance(entry["details"], dict)


def checked(seq: int, body: bytes) -> dict[str, Any]:
    """The entry in ``body``, if it is exactly what was written under this number. Raises :class:`Broken`."""
    try:
        entry = orjson.loads(body)
        plain = {name: value for name, value in entry.items() if name != "hash"}
        # Comparing the bytes too leaves no room for a second reading, such as a key that occurs twice.
        as_written = entry["seq"] == seq and canonical(entry) == body and _shaped(entry)
        if as_written and sha256(canonical(plain)).hexdigest() == entry["hash"]:
            return dict(entry)
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        pass
    raise Broken(seq, "hash", f"entry {seq} was altered: its content does not fit its hash")
