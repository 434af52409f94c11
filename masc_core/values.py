"""The values tools take, by name: ``task_id: TaskId`` in a signature is both the contract and the check.

An alias carries JSON Schema keywords in a :class:`Bound` and, where a schema cannot say it all, a :class:`Parsed` function
that returns the value as it is stored or raises.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Annotated, Any

from attrs import frozen

from masc_core.errors import InvalidAgentName, InvalidArgument, InvalidFilePath, InvalidTaskId

__all__ = [
    "AgentName",
    "AgentType",
    "Bound",
    "Capabilities",
    "Capability",
    "Comment",
    "Description",
    "FilePath",
    "Limit",
    "Message",
    "Offset",
    "Parsed",
    "Priority",
    "Sequence",
    "TaskId",
    "Title",
    "VersionNumber",
    "agent_name",
    "check_text",
    "file_path",
    "one_line",
    "shown",
    "task_id",
]

RESERVED_NAMES = frozenset({"system", "all", "human", "anonymous"})

_AGENT_NAME = re.compile(r"[A-Za-z0-9_-]*\Z")
_TASK_ID = re.compile(r"[A-Za-z0-9_:-]{1,128}\Z")
_DRIVE = re.compile(r"[A-Za-z]:")


class Bound:
    """JSON Schema keywords of a value, as keyword arguments: ``Bound(minimum=1, maximum=5)``."""

    def __init__(self, **keywords: Any) -> None:
        self.keywords = keywords


@frozen
class Parsed:
    """Names the function that brings a value into its stored form: ``parse(field, value) -> value``, or raises."""

    parse: Callable[[str, Any], Any]


def shown(value: str, limit: int) -> str:
    """The beginning of a refused value, fit for an error: what no encoder takes is replaced."""
    return value[:limit].encode("utf-8", "replace").decode()


def check_text(field: str, value: str) -> str:
    """``value``, unless it holds NUL or an unpaired surrogate, which no store keeps faithfully."""
    if "\0" in value:
        raise InvalidArgument(field=field, reason="characters", expected="text without NUL characters")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidArgument(
                field=field, reason="characters", expected="text without unpaired surrogates"
            ) from None
    return value


def one_line(field: str, value: str) -> str:
    """``value`` without surrounding blanks; refused when nothing is left or it has a control character."""
    if any(unicodedata.category(c) == "Cc" for c in value):
        raise InvalidArgument(field=field, reason="characters", expected="one line without control characters")
    if not (stripped := value.strip()):
        raise InvalidArgument(field=field, reason="blank", expected="more than blanks")
    return stripped


def agent_name(field: str, value: str) -> str:
    """``value`` if it is an agent name: 1–64 of ``A–Z a–z 0–9 _ -``, not reserved."""
    if not 1 <= len(value) <= 64:
        raise InvalidAgentName(field=field, value=shown(value, 80), reason="length")
    if not _AGENT_NAME.match(value):
        raise InvalidAgentName(field=field, value=shown(value, 64), reason="characters")
    if value.lower() in RESERVED_NAMES:
        raise InvalidAgentName(field=field, value=value, reason="reserved")
    return value


def task_id(field: str, value: str) -> str:
    """``value`` if it is a task id: 1–128 of ``A–Z a–z 0–9 _ : -``."""
    if not _TASK_ID.match(value):
        raise InvalidTaskId(field=field, value=shown(value, 160))
    return value


def file_path(field: str, value: str) -> str:
    """The normal form of a project-relative path; a trailing ``/`` is kept and means the subtree.

    ``\\`` becomes ``/``, the text NFC, empty and ``.`` segments go. Never touches the file system.
    """

    def refuse(reason: str) -> InvalidFilePath:
        return InvalidFilePath(field=field, value=shown(value, 520), reason=reason)

    if not 1 <= len(value) <= 500:
        raise refuse("length")
    path = unicodedata.normalize("NFC", value.replace("\\", "/"))
    if any(c in "<>" or unicodedata.category(c) in {"Cc", "Cs"} for c in path):
        raise refuse("characters")
    if path.startswith("/"):
        raise refuse("absolute")
    if _DRIVE.match(path):
        raise refuse("drive")
    segments = [s for s in path.split("/") if s not in {"", "."}]
    if ".." in segments:
        raise refuse("traversal")
    if not segments:
        raise refuse("empty")
    return "/".join(segments) + ("/" if path.endswith(("/", "/.")) else "")


def _not_blank(field: str, value: str) -> str:
    if not value.strip():
        raise InvalidArgument(field=field, reason="blank", expected="more than blanks")
    return value


def _capabilities(field: str, value: list[str]) -> list[str]:
    """Blanks cut, duplicates dropped ignoring case, the first spelling kept."""
    seen: dict[str, str] = {}
    for i, capability in enumerate(value):
        text = one_line(f"{field}.{i}", capability)
        seen.setdefault(text.casefold(), text)
    return list(seen.values())


AgentName = Annotated[str, Bound(minLength=1, maxLength=64, pattern="^[A-Za-z0-9_-]+$"), Parsed(agent_name)]
TaskId = Annotated[str, Bound(minLength=1, maxLength=128, pattern="^[A-Za-z0-9_:-]+$"), Parsed(task_id)]
FilePath = Annotated[str, Bound(minLength=1, maxLength=500), Parsed(file_path)]
Message = Annotated[str, Bound(minLength=1, maxLength=50_000), Parsed(_not_blank)]
Title = Annotated[str, Bound(minLength=1, maxLength=500), Parsed(one_line)]
Description = Annotated[str, Bound(maxLength=20_000)]
Comment = Annotated[str, Bound(maxLength=2_000)]
AgentType = Annotated[str, Bound(minLength=1, maxLength=64), Parsed(one_line)]
Capability = Annotated[str, Bound(minLength=1, maxLength=64), Parsed(one_line)]
Capabilities = Annotated[
    list[Annotated[str, Bound(minLength=1, maxLength=64)]], Bound(maxItems=50), Parsed(_capabilities)
]
Priority = Annotated[int, Bound(minimum=1, maximum=5)]
VersionNumber = Annotated[int, Bound(minimum=1)]
Sequence = Annotated[int, Bound(minimum=0, maximum=2**53)]
Offset = Annotated[int, Bound(minimum=0, maximum=1_000_000)]
Limit = Annotated[int, Bound(minimum=1, maximum=200)]
