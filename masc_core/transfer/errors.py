"""Why a file or a room is refused."""

from __future__ import annotations

from masc_core.errors import Refused, error

__all__ = ["ExportFileUnusable", "ExportInvalid", "RestoreRefused", "RoomNotEmpty"]


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
        "the room of {path} in {backend} is not empty; import into another cluster or directory, or go back to a backup "
        "of this room with masc restore --replace"
    )
    path: str
    backend: str


@error
class RestoreRefused(Refused):
    code = "restore_refused"
    text = "this file cannot take the place of what the room has: {explanation}"
    reason: str
    explanation: str
    unlisted = frozenset({"explanation"})
