"""Why a file or a room is refused."""

from __future__ import annotations

from masc_core.errors import Refused, error

__all__ = ["ExportFileUnusable", "ExportInvalid", "ImportConflict", "ImportRefused", "RestoreRefused", "RoomNotEmpty"]


@error
class ExportInvalid(Refused):
    code = "export_invalid"
    http = 400
    text = "line {line} of {file}: {reason}; nothing was changed"
    file: str
    line: int
    reason: str


@error
class ExportFileUnusable(Refused):
    code = "export_file_unusable"
    text = "{file}: {reason}"
    file: str
    reason: str


@error
class RoomNotEmpty(Refused):
    code = "room_not_empty"
    text = (
        "the room of {path} in {backend} is not empty; add what it lacks with masc import --merge, import into another "
        "cluster or directory, or go back to a backup of this room with masc restore --replace"
    )
    path: str
    backend: str


@error
class ImportConflict(Refused):
    code = "import_conflict"
    text = (
        "{count} records of {file} are in the room already and differ from it: {named}; nothing was changed. Empty the room "
        "with masc_reset, which exports it first, and import again, or import into another cluster or directory"
    )
    file: str
    count: int
    records: tuple[str, ...]
    """The first 20: a collection and key, or a log and number."""
    named: str
    unlisted = frozenset({"named"})


@error
class ImportRefused(Refused):
    code = "import_refused"
    text = (
        "{file} is not encrypted as the room is, or the room is just being converted; nothing was changed. Import it into "
        "an empty cluster or directory"
    )
    file: str


@error
class RestoreRefused(Refused):
    code = "restore_refused"
    text = "this file cannot take the place of what the room has: {explanation}"
    reason: str
    explanation: str
    unlisted = frozenset({"explanation"})
