"""What the hooks give that any plugin may implement, as types; other people's answers are checked against them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

from masc_core.contracts import schema_of

__all__ = ["Ended", "Examined", "Found", "Health", "Nothing", "Released", "Status", "answer_schema"]


class Status(TypedDict, total=False):
    """What a category adds to masc_status."""

    locks: dict[str, Any]
    interrupts_open: int
    votes_pending: int


class Released(TypedDict, total=False):
    """What was let go of, by name."""

    tasks_released: list[str]
    tasks_kept: list[str]
    locks_released: list[str]
    portals_closed: list[str]
    worktrees: list[str]


class Ended(TypedDict, total=False):
    """What was let go of with a task."""

    locks_released: list[str]


class Found(TypedDict):
    """One thing that is not as it should be."""

    code: str
    severity: Literal["error", "warning"]
    what: str
    mend: str
    fixed: bool


class Examined(TypedDict, total=False):
    """What a look at the records came to."""

    facts: dict[str, Any]
    findings: list[Found]


class Health(TypedDict):
    """How something the plugin depends on is doing."""

    name: str
    ok: bool
    detail: str


class Nothing(TypedDict):
    """The hook asks for no answer."""


_ANSWERS: Mapping[str, Any] = {
    "masc_status": Status,
    "masc_agent_released": Released,
    "masc_task_ended": Ended,
    "masc_doctor": Examined,
    "masc_health": Health,
    "masc_unread": Mapping[str, int],
    "masc_gc": Mapping[str, int | list[str]],
}


@cache
def answer_schema(hook: str) -> dict[str, Any]:
    """The JSON Schema of what a hook is to give when it gives anything."""
    return _schema(_ANSWERS.get(hook, Nothing))


def _schema(annotation: Any) -> dict[str, Any]:
    if get_origin(annotation) is list and is_typeddict(get_args(annotation)[0]):
        return {"type": "array", "items": _schema(get_args(annotation)[0])}
    if not is_typeddict(annotation):
        return schema_of(annotation)
    properties = {name: _schema(hint) for name, hint in get_type_hints(annotation).items()}
    required = sorted(annotation.__required_keys__)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
