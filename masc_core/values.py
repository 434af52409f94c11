"""The values tools take, by name: ``task_id: TaskId`` in a signature is both the contract and the check.

An alias carries JSON Schema keywords in a :class:`Bound` and, where a schema cannot say it all, a :class:`Parsed` function
that returns the value as it is stored or raises.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from typing import Annotated, Any

import orjson

from masc_core.errors import InvalidAgentName, InvalidArgument, InvalidFilePath, InvalidTaskId, MascError
from masc_core.frozen import frozen
from masc_core.store.driver import MAX_INDEX

__all__ = [
    "PERSON",
    "ActorName",
    "AgentName",
    "AgentType",
    "Bound",
    "Capabilities",
    "Capability",
    "Comment",
    "Description",
    "FilePath",
    "JsonState",
    "Limit",
    "Message",
    "Offset",
    "Parsed",
    "Priority",
    "Sequence",
    "TaskId",
    "Title",
    "Verbatim",
    "VersionNumber",
    "actor_name",
    "agent_name",
    "capability_key",
    "check_text",
    "file_path",
    "json_state",
    "not_blank",
    "one_line",
    "shown",
    "task_id",
]

CONTROLS = "[\\x00-\\x08\\x0a-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]"
"""Pattern of the characters that break a line, steer a terminal or turn the direction of writing; tabs are none."""
NAME_LENGTH = 64
"""Most characters of an agent name."""
MAX_STATE = 102_400
"""Bytes of a JSON state in compact form."""
PERSON = "human:"
"""Begins the name of a person at the command line or a page."""
RESERVED_NAMES = frozenset({"system", "all", "human", "anonymous"})

_AGENT_NAME = re.compile(r"[A-Za-z0-9_-]*\Z")
_TASK_ID = re.compile(r"[A-Za-z0-9_:-]{1,128}\Z")
_DRIVE = re.compile(r"[A-Za-z]:")
_NOT_IN_A_LINE = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029]")
"""Control characters, and with them whatever ends a line for somebody who reads it."""
_BLANKS = " \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"


class Bound:
    """JSON Schema keywords of a value, as keyword arguments: ``Bound(minimum=1, maximum=5)``."""

    def __init__(self, **keywords: Any) -> None:
        self.keywords = keywords


@frozen
class Parsed:
    """Names the function that brings a value into its stored form: ``parse(field, value) -> value``, or raises."""

    parse: Callable[[str, Any], Any]
    trims: bool = False
    """Surrounding blanks are gone before the bounds are checked."""
    raises: type[MascError] | None = None
    """The error of its own that it refuses a value with, where that is not one which every tool can give."""


@frozen
class Verbatim:
    """Marks what is no free text, so that redaction leaves it as it is: a name, an id, a path, a credential.

    Strings with an enumeration, or with a pattern that allows one word only, need no mark.
    """


def shown(value: str, limit: int) -> str:
    """The beginning of a refused value, fit for an error: what no encoder takes is replaced."""
    return value[:limit].encode("utf-8", "replace").decode()


def check_text(field: str, value: str) -> str:
    """``value``, unless it holds NUL or an unpaired surrogate, which no store keeps faithfully."""
    if "\0" in value:
        raise InvalidArgument(field=field, reason="characters", expected="must be text without NUL characters")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidArgument(
                field=field, reason="characters", expected="must be text without unpaired surrogates"
            ) from None
    return value


def trimmed(value: Any) -> Any:
    """A string, or each of a list, without surrounding blanks; line breaks are none. Anything else as it is."""
    if isinstance(value, str):
        return value.strip(_BLANKS)
    return [trimmed(item) for item in value] if isinstance(value, list) else value


def one_line(field: str, value: str) -> str:
    """``value`` without surrounding blanks; refused when nothing is left or it has a control character or line break."""
    if _NOT_IN_A_LINE.search(value):
        raise InvalidArgument(field=field, reason="characters", expected="must be one line without control characters")
    if not (stripped := value.strip(_BLANKS)):
        raise InvalidArgument(field=field, reason="blank", expected="must be more than blanks")
    return stripped


def agent_name(field: str, value: str) -> str:
    """``value`` if it is an agent name: 1–64 of ``A–Z a–z 0–9 _ -``, not reserved."""
    if not 1 <= len(value) <= NAME_LENGTH:
        raise InvalidAgentName(field=field, value=shown(value, 80), reason="length")
    if not _AGENT_NAME.match(value):
        raise InvalidAgentName(field=field, value=shown(value, 64), reason="characters")
    if value.lower() in RESERVED_NAMES:
        raise InvalidAgentName(field=field, value=value, reason="reserved")
    return value


def actor_name(field: str, value: str) -> str:
    """``value`` if it is an agent name or names a person, as ``human:<os user>``."""
    return one_line(field, value) if value.startswith(PERSON) else agent_name(field, value)


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
    if any(c in "<>" or unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} for c in path):
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


def not_blank(field: str, value: str) -> str:
    """``value``, unless it is blank."""
    if not value.strip():
        raise InvalidArgument(field=field, reason="blank", expected="must be more than blanks")
    return value


def json_state(field: str, value: dict[str, Any]) -> dict[str, Any]:
    """``value``, if it can be kept and given back as it is: at most 102,400 bytes as compact JSON, numbers of 64 bits."""
    try:
        json.dumps(value, allow_nan=False)
        size = len(orjson.dumps(value))
    except (TypeError, ValueError):  # no JSON at all, such as NaN; or a whole number that JSON libraries would change
        raise InvalidArgument(
            field=field, reason="number", expected="must have finite numbers only, whole ones of at most 64 bits"
        ) from None
    if size > MAX_STATE:
        raise InvalidArgument(
            field=field, reason="maxLength", expected=f"must have at most {MAX_STATE} bytes as compact JSON, not {size}"
        )
    return value


def _capabilities(field: str, value: list[str]) -> list[str]:
    """Blanks cut, duplicates dropped ignoring case, the first spelling kept."""
    seen: dict[str, str] = {}
    for i, capability in enumerate(value):
        text = one_line(f"{field}.{i}", capability)
        seen.setdefault(text.casefold(), text)
    return list(seen.values())


def capability_key(capability: str) -> str:
    """What a capability is found by, ignoring case: cut where folding makes it longer than an index value may be."""
    folded = capability.casefold()
    return folded if folded.isascii() else folded.encode()[:MAX_INDEX].decode(errors="ignore")


AgentName = Annotated[str, Bound(minLength=1, maxLength=NAME_LENGTH, pattern="^[A-Za-z0-9_-]+$"), Parsed(agent_name)]
ActorName = Annotated[str, Bound(minLength=1, maxLength=128), Parsed(actor_name), Verbatim()]
"""An agent, or a person where one can be meant."""
TaskId = Annotated[
    str, Bound(minLength=1, maxLength=128, pattern="^[A-Za-z0-9_:-]+$"), Parsed(task_id, raises=InvalidTaskId)
]
FilePath = Annotated[str, Bound(minLength=1, maxLength=500), Parsed(file_path, raises=InvalidFilePath), Verbatim()]
Message = Annotated[str, Bound(minLength=1, maxLength=50_000), Parsed(not_blank)]
Title = Annotated[str, Bound(minLength=1, maxLength=500), Parsed(one_line, trims=True)]
Description = Annotated[str, Bound(maxLength=20_000)]
Comment = Annotated[str, Bound(maxLength=2_000)]
JsonState = Annotated[dict[str, Any], Parsed(json_state)]
AgentType = Annotated[str, Bound(minLength=1, maxLength=64), Parsed(one_line, trims=True), Verbatim()]
Capability = Annotated[str, Bound(minLength=1, maxLength=64), Parsed(one_line, trims=True), Verbatim()]
Capabilities = Annotated[
    list[Annotated[str, Bound(minLength=1, maxLength=64)]],
    Bound(maxItems=50),
    Parsed(_capabilities, trims=True),
    Verbatim(),
]
Priority = Annotated[int, Bound(minimum=1, maximum=5)]
VersionNumber = Annotated[int, Bound(minimum=1)]
Sequence = Annotated[int, Bound(minimum=0, maximum=2**53)]
Offset = Annotated[int, Bound(minimum=0, maximum=1_000_000)]
Limit = Annotated[int, Bound(minimum=1, maximum=200)]
