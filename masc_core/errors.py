"""Every way MASC says no, as one tree.

::

    MascError                     code, retryable, http; details are the typed fields of each class
    ├── InvalidArgument           a value breaks its contract
    │   ├── InvalidAgentName
    │   ├── InvalidTaskId
    │   └── InvalidFilePath
    ├── PayloadTooLarge           over the body limit
    ├── Refused                   the call is fine, the state or the caller is not
    │   ├── NotInitialised, AgentNameRequired, AmbiguousAgent, AgentNotFound, BindingRequired, PathNotAllowed
    │   ├── ToolNotEnabled, ToolNotFound, ModeFixed
    │   ├── ConfirmRequired, ConfirmInvalid
    │   ├── Forbidden, Unauthorized
    │   └── (the categories' own, in masc_plugin_<category>/errors.py or beside its tools)
    ├── Unavailable               try again: StorageUnavailable, StorageBusy, ShuttingDown
    ├── RecordUnreadable          stored bytes that cannot be opened
    ├── InternalError             a defect, named by an incident id
    └── StartError                the server does not start (never on the wire)

A subclass states ``code`` and ``text`` once and its details as fields::

    @error
    class VoteNotFound(Refused):
        code = "vote_not_found"
        http = 404
        text = "no vote {vote_id}; masc_votes lists them"
        vote_id: str
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar, dataclass_transform

import attrs

__all__ = [
    "AgentNameRequired",
    "AgentNotFound",
    "AmbiguousAgent",
    "BindingRequired",
    "ConfirmInvalid",
    "ConfirmRequired",
    "Forbidden",
    "InternalError",
    "InvalidAgentName",
    "InvalidArgument",
    "InvalidFilePath",
    "InvalidTaskId",
    "MascError",
    "ModeFixed",
    "NotInitialised",
    "PathNotAllowed",
    "PayloadTooLarge",
    "RecordUnreadable",
    "Refused",
    "ShuttingDown",
    "StartError",
    "StorageBusy",
    "StorageUnavailable",
    "ToolNotEnabled",
    "ToolNotFound",
    "Unauthorized",
    "Unavailable",
    "error",
]


T = TypeVar("T")


@dataclass_transform(kw_only_default=True, field_specifiers=(attrs.field,))
def error(cls: type[T]) -> type[T]:
    """Make an error class from its annotated details, all keyword arguments."""
    return attrs.define(kw_only=True, eq=False, slots=False, auto_exc=True, str=False)(cls)


class MascError(Exception):
    """Something MASC refuses or cannot do, with a stable code.

    ``str(error)`` is one lower-case sentence that names the thing and says what to do next.
    """

    code: ClassVar[str] = "internal_error"
    """Stable name; part of the contract with users."""
    retryable: ClassVar[bool] = False
    """The same call can succeed later, unchanged."""
    http: ClassVar[int] = 409
    """HTTP status where the error travels outside MCP."""
    text: ClassVar[str] = ""
    """The message, a format string over the details."""

    @property
    def details(self) -> dict[str, Any]:
        """The details as JSON values; absent ones are left out."""
        declared: tuple[attrs.Attribute[Any], ...] = getattr(type(self), "__attrs_attrs__", ())
        return {a.name: value for a in declared if (value := getattr(self, a.name)) is not None and a.repr}

    def __str__(self) -> str:
        return self.text.format_map(vars(self))

    def as_dict(self) -> dict[str, Any]:
        """``{code, message, retryable, details}``, the shape of every error on the wire."""
        return {"code": self.code, "message": str(self), "retryable": self.retryable, "details": self.details}


@error
class InvalidArgument(MascError):
    code = "invalid_argument"
    http = 400
    text = "argument {field}: {expected}"
    field: str
    reason: str
    expected: str
    input_schema: Mapping[str, Any] | None = None


@error
class InvalidAgentName(MascError):
    code = "invalid_agent_name"
    http = 400
    text = "{field} {value!r} is no agent name ({reason}): use 1 to 64 of A-Z a-z 0-9 _ - that are not reserved"
    field: str
    value: str
    reason: str


@error
class InvalidTaskId(MascError):
    code = "invalid_task_id"
    http = 400
    text = "{field} {value!r} is no task id: use 1 to 128 of A-Z a-z 0-9 _ : -"
    field: str
    value: str


@error
class InvalidFilePath(MascError):
    code = "invalid_file_path"
    http = 400
    text = "{field} {value!r} is no usable path ({reason}): give a path relative to the project, without .."
    field: str
    value: str
    reason: str


@error
class PayloadTooLarge(MascError):
    code = "payload_too_large"
    http = 413
    text = "the request is over {limit_bytes} bytes; send less at once"
    limit_bytes: int


class Refused(MascError):
    """The call is well-formed; the room's state or the caller's standing says no."""


@error
class NotInitialised(Refused):
    code = "not_initialised"
    text = "there is no room at {path}; call masc_init, or start the server with --project"
    path: str


@error
class AgentNameRequired(Refused):
    code = "agent_name_required"
    http = 400
    text = "{tool} needs to know who calls: pass agent_name, or join first"
    tool: str


@error
class AmbiguousAgent(Refused):
    code = "ambiguous_agent"
    text = "{agent!r} fits several agents: {candidates}; name one of them"
    agent: str
    candidates: list[str]


@error
class AgentNotFound(Refused):
    code = "agent_not_found"
    http = 404
    text = "no agent {agent!r} in this room; near names: {candidates}"
    agent: str
    candidates: list[str] = attrs.Factory(list)


@error
class BindingRequired(Refused):
    code = "binding_required"
    text = "{tool} needs a client that MASC can recognise again: a stdio process, an MCP session, ?agent= or a token"
    tool: str


@error
class PathNotAllowed(Refused):
    code = "path_not_allowed"
    http = 403
    text = "{path} is outside the directories this server may open; start it with --allow-room"
    path: str


@error
class ToolNotFound(Refused):
    code = "tool_not_found"
    http = 404
    text = "no tool {tool!r}; near names: {suggestions}"
    tool: str
    suggestions: list[str] = attrs.Factory(list)


@error
class ToolNotEnabled(Refused):
    code = "tool_not_enabled"
    text = "{tool} belongs to category {category}, which mode {mode} leaves out; {hint}"
    tool: str
    category: str
    mode: str
    mode_source: str
    enable: Mapping[str, Any] | None = None
    hint: str = attrs.field(default="details.enable holds the call that helps", repr=False)


@error
class ModeFixed(Refused):
    code = "mode_fixed"
    text = "this endpoint's mode is fixed to {mode} by its {fixed_by}; connect without it to switch"
    mode: str
    fixed_by: str


@error
class ConfirmRequired(Refused):
    code = "confirm_required"
    text = "{action} needs confirmation: {effect}; repeat with confirm true"
    action: str
    effect: str
    confirm_code: str | None = None
    expires_at: str | None = None


@error
class ConfirmInvalid(Refused):
    code = "confirm_invalid"
    text = "the confirmation is unusable ({reason}); ask for a new one"
    reason: str


@error
class Forbidden(Refused):
    code = "forbidden"
    http = 403
    text = "{agent} may not {action} ({reason}); it needs role {required_role}"
    agent: str
    action: str
    required_role: str
    role: str
    reason: str


@error
class Unauthorized(Refused):
    code = "unauthorized"
    http = 401
    text = "this call needs a token ({reason})"
    reason: str


class Unavailable(MascError):
    """Not now; the same call can succeed later."""

    retryable = True
    http = 503


@error
class StorageUnavailable(Unavailable):
    code = "storage_unavailable"
    text = "the {backend} store does not answer ({cause}); try again in {retry_after} s"
    backend: str
    cause: str = attrs.field(default="unreachable", repr=False)
    retry_after: int = 1


@error
class StorageBusy(Unavailable):
    code = "storage_busy"
    text = "the store stayed busy for longer than the retries; try again in {retry_after} s"
    retry_after: int = 1


@error
class ShuttingDown(Unavailable):
    code = "shutting_down"
    text = "the server is stopping; try again in {retry_after} s"
    retry_after: int = 5


@error
class RecordUnreadable(MascError):
    code = "record_unreadable"
    http = 500
    text = "{collection} {key} cannot be read ({reason}); the rest of the room is not affected"
    collection: str
    key: str
    reason: str


@error
class InternalError(MascError):
    code = "internal_error"
    http = 500
    text = "a defect in MASC stopped this call; the log has it as incident {incident}"
    incident: str


@error
class StartError(MascError):
    """The server does not start; printed, never sent."""

    code = "start_failed"
    text = "{message}"
    message: str = attrs.field(repr=False)
