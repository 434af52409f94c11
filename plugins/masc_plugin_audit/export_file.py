"""Exports: JSONL with a header, one entry a line exactly as it was hashed, and a signed trailer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

import orjson
from attrs import define, field

from masc_core.frozen import frozen
from masc_plugin_audit.chain import Broken, Head, canonical
from masc_plugin_audit.errors import AuditFileUnusable
from masc_plugin_audit.keys import HEX_KEY, sign, signed_by
from masc_plugin_audit.records import SigningKey

__all__ = ["Export", "Header", "Writer", "read_export"]

FORMAT = 1
_LONGEST_LINE = 1_048_576


@frozen
class Header:
    """How an export begins: the number of its first entry, the hash before it, the key it is signed with."""

    first: int
    prev: str
    key: str

    def fields(self) -> dict[str, Any]:
        """As JSON."""
        return {"first": self.first, "prev": self.prev, "key": self.key}


def _signed_text(trailer: Mapping[str, Any]) -> bytes:
    return b"masc-audit-export " + canonical({k: v for k, v in trailer.items() if k != "signature"})


class Writer:
    """Writes an export beside its final place, 0600; :meth:`publish` puts it there. A context manager."""

    def __init__(self, path: Path, key: SigningKey) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.part")
        self._key = key
        self._header: Header | None = None
        self._file: IO[bytes] | None = None
        self.head = Head(0, "")
        self.entries = 0

    def __enter__(self) -> Self:
        self._ensure_free()
        try:
            self._part.unlink(missing_ok=True)
            self._file = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        except OSError as error:
            raise self._unusable(error) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            with suppress(OSError):
                self._part.unlink(missing_ok=True)

    def begin(self, before: Head) -> None:
        """Write the header of an export that continues ``before``."""
        self._header, self.head = Header(before.seq + 1, before.hash, self._key.public), before
        self._line({"masc_audit": FORMAT, **self._header.fields()})

    def add(self, seq: int, body: bytes, hash: str) -> None:
        """Write one entry."""
        self._write(body or canonical({"seq": seq, "unreadable": True}))
        self.head, self.entries = Head(seq, hash), self.entries + 1

    def finish(self, at: str) -> None:
        """Write the signed trailer; everything is on disk when this returns."""
        assert self._header is not None and self._file is not None
        trailer = {"masc_audit_end": FORMAT, **self._header.fields(), "entries": self.entries, "exported_at": at}
        trailer["head"] = str(self.head)
        self._line({**trailer, "signature": sign(self._key, _signed_text(trailer))})
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._unusable(error) from error

    def publish(self) -> None:
        """Give the file its name."""
        self._ensure_free()
        try:
            self._part.rename(self._path)
            directory = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise self._unusable(error) from error

    def _ensure_free(self) -> None:
        if os.path.lexists(self._path):
            raise AuditFileUnusable(path=str(self._path), reason="it exists; name a new file")

    def _line(self, value: Mapping[str, Any]) -> None:
        self._write(canonical(value))

    def _write(self, line: bytes) -> None:
        assert self._file is not None
        try:
            self._file.write(line + b"\n")
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> AuditFileUnusable:
        return AuditFileUnusable(path=str(self._path), reason=error.strerror or str(error))


@define
class Export:
    """An export being read."""

    header: Header
    _lines: Iterator[bytes] = field(repr=False)
    _trailer: Mapping[str, Any] | None = None
    _surplus: bool = False

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """The entries up to the trailer. Raises :class:`Broken` for a line that is none."""
        expected = self.header.first
        for line in self._lines:
            value = _object(line)
            if value is not None and "masc_audit_end" in value:
                self._trailer = value
                self._surplus = next(self._lines, None) is not None
                return
            seq = value.get("seq") if value is not None else None
            if type(seq) is not int:
                raise Broken(expected, "hash", f"the line of entry {expected} is no entry")
            yield seq, line
            expected = seq + 1

    def check_end(self, head: Head, public: str) -> None:
        """Check the trailer against the last entry. Raises :class:`Broken`."""
        missing = head.seq + 1
        trailer = self._trailer
        if trailer is None:
            raise Broken(missing, "truncated", f"the file ends before entry {missing}: its signed end is missing")
        count = missing - self.header.first
        if trailer.get("head") != str(head) and _longer(trailer.get("entries"), count):
            raise Broken(
                missing, "truncated", f"entry {missing} is missing: the file once had {trailer['entries']} entries"
            )
        told = {**self.header.fields(), "head": str(head), "entries": count, "masc_audit_end": FORMAT}
        fits = all(trailer.get(name) == value for name, value in told.items()) and not self._surplus
        if not fits or not signed_by(public, _signed_text(trailer), trailer.get("signature")):
            raise Broken(head.seq, "signature", "the end of the file is not what was signed, or another key signed it")


def _longer(told: object, count: int) -> bool:
    return isinstance(told, int) and told > count


def read_export(path: Path) -> Export:
    """Open an export. Raises :class:`AuditFileUnusable`, and :class:`Broken` where its header is gone."""
    lines = _lines(path)
    header = _object(next(lines, b""))
    if header is not None and "masc_audit" in header:
        first, prev, key = (header.get(name) for name in ("first", "prev", "key"))
        if type(first) is int and first > 0 and isinstance(prev, str) and isinstance(key, str) and HEX_KEY.match(key):
            return Export(Header(first, prev, key), lines)
    elif header is None or type(header.get("seq")) is not int:
        raise AuditFileUnusable(path=str(path), reason="it is no export of an audit log")
    raise Broken(1, "truncated", "the header of the export is missing or ruined")


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while line := file.readline(_LONGEST_LINE + 1):
                yield line.removesuffix(b"\n")
    except OSError as error:
        raise AuditFileUnusable(path=str(path), reason=error.strerror or str(error)) from error


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
