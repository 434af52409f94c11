"""Every way MASC says no, as one tree.

::

    MascError                     code, retryable, http; details are the typed fields of each class
    ├── InvalidArgument           a value breaks its contract
    │   ├── InvalidAgentName
    │   ├── InvalidTaskId
    │   └── InvalidFilePath
    ├── PayloadTooLarge           over the body limit
    ├── Refused                   the call is fine, the state or the caller is not
    │   ├── NotInitialised, AgentNameRequired, AmbiguousAgent, AgentNotFound, BindingRequired, PathNotAllowed,
    │   │   BudgetExceeded
    │   ├── ToolNotEnabled, ToolNotFound, ModeFixed, BudgetTooSmall
    │   ├── ConfirmRequired, ConfirmInvalid
    │   ├── Forbidden, InvalidRoomSecret
    │   ├── Unauthenticated: Unauthorized, InvalidToken, TokenExpired
    │   └── (the categories' own, in masc_plugin_<category>/errors.py or beside its tools)
    ├── RateLimited               too many calls for now
    ├── ToolTimedOut              another's tool took longer than it may
    ├── GuardBroken               a guard could not be loaded, so nothing is let through
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
from typing import Any

from masc_core._error import MascError, error, in_words

__all__ = [
    "AgentNameRequired",
    "AgentNotFound",
    "AmbiguousAgent",
    "BindingRequired",
    "BudgetExceeded",
    "BudgetTooSmall",
    "ConfirmInvalid",
    "ConfirmRequired",
    "Forbidden",
    "GuardBroken",
    "InternalError",
    "InvalidAgentName",
    "InvalidArgument",
    "InvalidFilePath",
    "InvalidRoomSecret",
    "InvalidTaskId",
    "InvalidToken",
    "MascError",
    "ModeFixed",
    "NotInitialised",
    "PathNotAllowed",
    "PayloadTooLarge",
    "RateLimited",
    "RecordUnreadable",
    "Refused",
    "ShuttingDown",
    "StartError",
    "StorageBusy",
    "StorageUnavailable",
    "TokenExpired",
    "ToolNotEnabled",
    "ToolNotFound",
    "ToolTimedOut",
    "Unauthenticated",
    "Unauthorized",
    "Unavailable",
    "error",
    "in_words",
]


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
    text = "{tool} needs to know who calls: pass {argument}, or join first"
    tool: str
    argument: str = "agent_name"
    unlisted = frozenset({"argument"})


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
    candidates: list[str]


@error
class BindingRequired(Refused):
    code = "binding_required"
    text = "{tool} needs a client that MASC can recognise again: a stdio process, an MCP session, ?agent= or a token"
    tool: str


@error
class BudgetExceeded(Refused):
    code = "budget_exceeded"
    retryable = True
    text = (
        "the {scope}'s budget is used up, {spent_usd} of {limit_usd} US dollars in 24 hours; finish what you hold and try "
        "again in {retry_after} s"
    )
    scope: str
    limit_usd: float
    spent_usd: float
    retry_after: int


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
    suggestions: list[str]


@error
class ToolNotEnabled(Refused):
    code = "tool_not_enabled"
    text = "{tool} belongs to category {category}, which mode {mode} leaves out; {hint}"
    tool: str
    category: str
    mode: str
    mode_source: str
    enable: Mapping[str, Any] | None = None
    hint: str = "another mode has it"
    unlisted = frozenset({"hint"})


@error
class ModeFixed(Refused):
    code = "mode_fixed"
    text = "this endpoint's mode is fixed to {mode} by its {fixed_by}; connect without it to switch"
    mode: str
    fixed_by: str


@error
class BudgetTooSmall(Refused):
    code = "budget_too_small"
    http = 400
    text = (
        "category core alone costs {core_tokens} tokens, more than max_tokens {max_tokens}; raise it or use mode lean"
    )
    max_tokens: int
    core_tokens: int


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
    agent: str
    action: str
    required_role: str
    role: str
    reason: str
    hint: str | None = None
    """What to do instead, where another role would not help."""
    unlisted = frozenset({"hint"})

    def __str__(self) -> str:
        hint = self.hint or f"it needs role {self.required_role}"
        return f"{self.agent} may not {self.action} ({self.reason}); {hint}"


@error
class Unauthenticated(Refused):
    """Who calls is not proven. ``challenge``: the request itself carries no usable credential, which HTTP answers with 401."""

    http = 401
    challenge: bool = False
    unlisted = frozenset({"challenge"})


@error
class Unauthorized(Unauthenticated):
    code = "unauthorized"
    text = "this call needs a token ({reason}); an admin issues one with masc_auth_create_token"
    reason: str


@error
class InvalidToken(Unauthenticated):
    code = "invalid_token"
    text = "this token is unknown, replaced or revoked; ask an admin for a new one"


@error
class TokenExpired(Unauthenticated):
    code = "token_expired"
    text = "this token expired at {expired_at}; masc_auth_refresh renews it for a week, after that an admin does"
    expired_at: str


@error
class InvalidRoomSecret(Refused):
    code = "invalid_room_secret"
    http = 401
    text = "this is not the room's secret; ask whoever enabled auth for it"


@error
class RateLimited(MascError):
    code = "rate_limited"
    retryable = True
    http = 429
    text = "the limit of {limit} {category} calls per minute is reached; try again in {retry_after} s"
    category: str
    limit: int
    current: int
    retry_after: int


@error
class ToolTimedOut(MascError):
    code = "tool_timed_out"
    http = 504
    text = "{tool} of plugin {plugin} did not end within {seconds} s and was stopped; what it had not committed is gone"
    tool: str
    plugin: str
    seconds: int


@error
class GuardBroken(MascError):
    code = "guard_broken"
    http = 503
    text = "guard {guard} is broken, so the call is refused; the log of the server and masc plugins list name the fault"
    guard: str


class Unavailable(MascError):
    """Not now; the same call can succeed later."""

    retryable = True
    http = 503


@error
class StorageUnavailable(Unavailable):
    code = "storage_unavailable"
    text = "the {backend} store does not answer ({cause}); try again in {retry_after} s"
    backend: str
    cause: str = "unreachable"
    retry_after: int = 1
    unlisted = frozenset({"cause"})


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
    text = "a defect stopped this call; the log of the server has it as incident {incident}"
    incident: str


@error
class StartError(MascError):
    """The server does not start; printed, never sent."""

    code = "start_failed"
    text = "{message}"
    message: str
    unlisted = frozenset({"message"})
