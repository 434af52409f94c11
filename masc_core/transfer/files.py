"""Export files on the disk: new, private, whole or not there at all; compressed or not when read."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from masc_core.store.collections import Collection, Log
from masc_core.store.snapshot import Snapshot
from masc_core.transfer.errors import ExportFileUnusable, ExportInvalid
from masc_core.transfer.lines import encode
from masc_core.transfer.parsing import Broken, parse

__all__ = ["read_file", "write_file"]

LONGEST_LINE = 16 * 1_048_576
_UNSUSPECTED = 64 * 1_048_576
_MOST_PACKED = 100
_GZIP = b"\x1f\x8b"


def write_file(path: Path, snapshot: Snapshot, *, compress: bool) -> int:
    """Write a room to ``path``, which is not there before and complete, on disk and its owner's alone afterwards; its bytes.

    Raises :class:`ExportFileUnusable`, leaving nothing.
    """
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                _write(file, snapshot, compress)
                file.flush()
                os.fsync(file.fileno())
                size = file.tell()
            os.link(half, path)  # unlike a rename it does not take the place of what is there
        finally:
            half.unlink(missing_ok=True)
        _sync_directory(path.parent)
    except FileExistsError:
        raise ExportFileUnusable(file=str(path), reason="it exists already; choose another name") from None
    except OSError as error:
        raise ExportFileUnusable(file=str(path), reason=f"cannot be written ({error.strerror})") from error
    return size


def _write(file: IO[bytes], snapshot: Snapshot, compress: bool) -> None:
    if not compress:
        file.writelines(encode(snapshot))
        return
    # No time and no name in it: equal rooms give equal files.
    with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        packed.writelines(encode(snapshot))


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_file(path: Path, records: Iterable[Collection[Any] | Log[Any]]) -> Snapshot:
    """The room in a file. Raises :class:`ExportFileUnusable` and :class:`ExportInvalid`."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            if not packed:
                return parse(_lines(file), records)
            most = max(_UNSUSPECTED, _MOST_PACKED * os.fstat(file.fileno()).st_size)
            return parse(_lines(gzip.GzipFile(fileobj=file), most), records)
    except Broken as broken:
        raise ExportInvalid(file=str(path), line=broken.line, reason=str(broken)) from broken
    except (OSError, EOFError, ValueError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or "it is damaged"
        raise ExportFileUnusable(file=str(path), reason=f"cannot be read ({reason})") from error


def _lines(file: IO[bytes] | gzip.GzipFile, most: int | None = None) -> Iterator[bytes]:
    """The lines, of together at most ``most`` bytes. Raises :class:`Broken`."""
    number = size = 0
    while line := file.readline(LONGEST_LINE):
        number += 1
        size += len(line)
        if len(line) == LONGEST_LINE:
            raise Broken(number, f"it is over {LONGEST_LINE} bytes long")
        if most is not None and size > most:
            # A megabyte of gzip can hold a gigabyte, and a room is held in memory. A backup is not lost by it.
            raise Broken(
                number, f"it unpacks to over {_MOST_PACKED} times its size; if you trust it, unpack it with gunzip"
            )
        yield line
