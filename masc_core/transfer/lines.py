"""A room as lines of JSON, format 1.

::

    {"masc_export":1,"fence":9,"logs":{"messages":120}}        the last fence and log numbers given out
    {"lease":"sweep","owner":"…","fence":9,"expires_at":1.7e9}
    {"collection":"tasks","key":"task-001","version":3,"index":[["state","todo","todo"]],"record":{…}}
    {"collection":"tasks","key":"task-002","version":2,"deleted":true}
    {"log":"messages","seq":1,"index":[["mentions","codex"]],"record":{…}}
    {"end":5,"sha256":"…"}                                     how many lines came before, and their digest

Leases, documents and entries come in this order, each sorted, so equal rooms give equal files. A record is the stored JSON;
one that is sealed is ``{"_sealed":1,"kid":hex,"nonce":base64,"ct":base64}``; bytes that are neither are ``"body"`` in base64.
An index entry is a name, a value and, where records are counted by it, a group.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from masc_core.store.driver import IndexEntry
from masc_core.store.envelope import as_json, from_json, is_sealed
from masc_core.store.snapshot import Snapshot, StoredDocument, StoredEntry

__all__ = ["FORMAT", "body_of", "encode"]

FORMAT = 1
"""The number of this format."""


def encode(snapshot: Snapshot) -> Iterator[bytes]:
    """The lines, each with its line break."""
    digest, count = hashlib.sha256(), 0
    for value in _values(snapshot):
        line = orjson.dumps(value) + b"\n"
        digest.update(line)
        count += 1
        yield line
    yield orjson.dumps({"end": count, "sha256": digest.hexdigest()}) + b"\n"


def _values(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    yield {"masc_export": FORMAT, "fence": snapshot.fence, "logs": dict(snapshot.lasts)}
    for lease in snapshot.leases:
        held = {"owner": lease.owner, "fence": lease.fence, "expires_at": lease.expires_at}
        yield {"lease": lease.name, **held}
    for document in snapshot.documents:
        yield _document(document)
    for entry in snapshot.entries:
        yield _entry(entry)


def _document(document: StoredDocument) -> dict[str, Any]:
    collection, key = document.key
    place = {"collection": collection, "key": key, "version": document.version}
    if document.body is None:
        return {**place, "deleted": True}
    return {**place, **_index(document.indexes), **_shown(document.body)}


def _entry(entry: StoredEntry) -> dict[str, Any]:
    return {"log": entry.log, "seq": entry.seq, **_index(entry.indexes), **_shown(entry.body)}


def _index(index: Iterable[IndexEntry]) -> dict[str, Any]:
    found = [list(entry) if entry.group else list(entry[:2]) for entry in index]
    return {"index": found} if found else {}


def _shown(body: bytes) -> dict[str, Any]:
    """The form from which exactly these bytes come back."""
    for form in (_sealed, _plain):
        try:
            shown = form(body)
            if body_of(shown) == body:
                return shown
        except (ValueError, TypeError, KeyError):
            continue  # such as a record that says of itself that it is sealed
    return {"body": base64.b64encode(body).decode()}


def _sealed(body: bytes) -> dict[str, Any]:
    return {"record": as_json(body)} if is_sealed(body) else {}


def _plain(body: bytes) -> dict[str, Any]:
    return {"record": orjson.loads(body)}


def body_of(shown: dict[str, Any]) -> bytes:
    """The stored bytes of a line with ``record`` or ``body``. Raises ``ValueError`` and ``TypeError`` for anything else."""
    if ("record" in shown) == ("body" in shown):
        raise ValueError("it needs either record or body")
    if "body" in shown:
        return base64.b64decode(shown["body"], validate=True)
    record = shown["record"]
    if isinstance(record, dict) and "_sealed" in record:
        return from_json(record)
    return orjson.dumps(record)
