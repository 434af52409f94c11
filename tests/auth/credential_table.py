"""The table of auth.md: every tool, for every role and every kind of credential, and how each call must end.

What is expected is worked out here from the specification's own lists, never from what a tool declares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any

from attrs import define, field

from masc_core.frozen import frozen
from masc_core.plugins import load
from masc_core.tools import Role

Json = dict[str, Any]

READER = """
    masc_join masc_leave masc_status masc_tasks masc_archive_view masc_get_config masc_switch_mode masc_find_tools
    masc_messages masc_listen masc_who masc_portal_status masc_worktree_list masc_heartbeat masc_agents
    masc_find_by_capability masc_vote_status masc_votes masc_pending_interrupts masc_cost_report masc_auth_status
    masc_auth_refresh masc_rate_limit_status masc_rate_limit_config masc_encryption_status
""".split()
WORKER = """
    masc_start masc_add_task masc_claim masc_claim_next masc_transition masc_done masc_update_priority masc_broadcast
    masc_lock masc_unlock masc_portal_open masc_portal_send masc_portal_close masc_worktree_create masc_worktree_remove
    masc_cleanup_zombies masc_register_capabilities masc_vote_create masc_vote_cast masc_interrupt masc_branch masc_cost_log
""".split()
ADMIN = """
    masc_set_room masc_init masc_reset masc_gc masc_approve masc_reject masc_auth_enable masc_auth_disable
    masc_auth_create_token masc_auth_revoke masc_auth_list masc_encryption_enable masc_encryption_disable masc_generate_key
""".split()
NEEDED = {
    **dict.fromkeys(READER, Role.READER),
    **dict.fromkeys(WORKER, Role.WORKER),
    **dict.fromkeys(ADMIN, Role.ADMIN),
}
"""What auth.md says; where an argument asks for more, see :data:`HIGHER`."""
HIGHER: tuple[tuple[str, Json], ...] = (
    ("masc_switch_mode", {"mode": "full", "scope": "room"}),
    ("masc_rate_limit_status", {"agent_name": "somebody"}),
    ("masc_rate_limit_config", {"per_minute": 100_000}),
)
"""Calls that need an admin by their arguments. They are made in earnest: the handler decides."""


def needed(tool: str, given: Mapping[str, Any], agent: str) -> Role:
    """The role that a call of ``agent`` needs."""
    match tool:
        case "masc_switch_mode" if given.get("scope") == "room":
            return Role.ADMIN
        case "masc_rate_limit_status" if given.get("agent_name", agent) != agent:
            return Role.ADMIN
        case "masc_rate_limit_config" if given:
            return Role.ADMIN
    return NEEDED[tool]


INVOKERS = {"masc_call_read", "masc_call_write"}
"""They have the role of the tool they call."""
REGISTRY = load(enabled=())
TOOLS = [name for name in REGISTRY.contracts if name not in INVOKERS]
PROBE = "no such argument"
"""Refused after the guards and before anything happens: `invalid_argument` for it says that the guards let a call through."""
PASSED = "passed"
REFUSALS = {"unauthorized", "invalid_token", "token_expired", "forbidden", "rate_limited", "tool_not_enabled"}
OTHER = "somebody"
UNKNOWN_TOKEN = "0" * 64
Ending = tuple[str, str | None]
"""Code and reason of an error; ``("passed", None)`` where the guards had nothing against the call."""


class Credential(Enum):
    """What a call comes with."""

    NONE = "no token"
    GOOD = "good"
    EXPIRED = "expired"
    REVOKED = "revoked"
    REPLACED = "replaced"
    UNKNOWN = "never issued"
    MALFORMED = "malformed"
    OTHERS = "someone else's name as the argument"
    ENDPOINT = "someone else's name as the endpoint"
    PROTECTED = "no token, someone else's name"

    @property
    def has_token(self) -> bool:
        return self not in (Credential.NONE, Credential.PROTECTED)


COLUMNS = [(role, c) for role in Role for c in Credential if c.has_token or role is Role.WORKER]
"""Roles and credentials. Who comes without a token is a worker, unless the settings differ."""


@frozen
class Row:
    """A tool and the arguments that matter."""

    tool: str
    needed: Role
    given: Mapping[str, Any]

    @property
    def caller_field(self) -> str | None:
        """The argument that names the caller, where the tool has one."""
        tool = REGISTRY.contracts[self.tool].tool
        return None if tool.caller.value == "none" else tool.caller_field

    @property
    def in_earnest(self) -> bool:
        return PROBE not in self.given


def rows() -> list[Row]:
    """Every tool, and the calls that need more than their tool."""
    plain = [Row(tool, NEEDED[tool], {PROBE: True}) for tool in TOOLS]
    return [*plain, *(Row(tool, Role.ADMIN, given) for tool, given in HIGHER)]


@frozen
class Cell:
    """One call of the table. ``role`` is the token's; without a token it is what anonymous callers have."""

    row: Row
    role: Role
    credential: Credential

    def arguments(self) -> Json:
        """What the tool is given."""
        given = dict(self.row.given)
        name = {Credential.OTHERS: OTHER, Credential.PROTECTED: "A-Reader", Credential.NONE: "nobody"}
        if self.row.caller_field is not None and self.credential in name:
            given[self.row.caller_field] = name[self.credential]
        return given


def cells(role: Role, credential: Credential) -> Iterator[Cell]:
    """A column: every row, as far as it has the argument that the column is about."""
    naming = credential in (Credential.OTHERS, Credential.PROTECTED)
    for row in rows():
        if row.caller_field is not None or not naming:
            yield Cell(row, role, credential)


def expected(cell: Cell, required: bool, local: bool = False) -> Ending:
    """How the call must end by auth.md, section Deciding, and the pipeline of model.md: who calls is settled before what
    the role may. ``local``: the command line, where a person without a token is an admin."""
    if cell.row.tool == "masc_auth_refresh":
        return PASSED, None  # needs no other credential than its argument
    match cell.credential:
        case Credential.EXPIRED:
            return "token_expired", None
        case Credential.REVOKED | Credential.REPLACED | Credential.UNKNOWN | Credential.MALFORMED:
            return "invalid_token", None
        case Credential.OTHERS | Credential.ENDPOINT if cell.role is not Role.ADMIN:
            return "forbidden", "other_agent"
        case Credential.NONE | Credential.PROTECTED if local:
            return PASSED, None
        case Credential.NONE | Credential.PROTECTED if required:
            return "unauthorized", "missing_token"
        case Credential.PROTECTED:
            return "unauthorized", "name_protected"
    return (PASSED, None) if cell.role >= cell.row.needed else ("forbidden", "role")


def ending(cell: Cell, structured: Mapping[str, Any]) -> Ending:
    """How a call ended. A probe passed when its unknown argument was refused; a call in earnest by its result, or by an
    error that has nothing to do with who calls."""
    error = structured.get("error")
    if error is None:
        return (PASSED, None) if cell.row.in_earnest else ("accepted", None)
    code, details = error["code"], error["details"]
    if cell.row.in_earnest and code not in REFUSALS and code in _declared(cell.row.tool):
        return PASSED, None
    if (code, details.get("reason"), details.get("field")) == ("invalid_argument", "unknown", PROBE):
        return PASSED, None
    if code == "forbidden" and details.get("reason") == "role" and details["required_role"] != cell.row.needed.label:
        return code, f"role {details['required_role']}"
    return code, details.get("reason")


def _declared(tool: str) -> set[str]:
    return {error.code for error in REGISTRY.contracts[tool].tool.errors}


@define
class Table:
    """What was found over one way in."""

    over: str
    _record: Callable[[str, object], None]
    count: int = 0
    wrong: list[tuple[object, ...]] = field(factory=list)

    def note(self, cell: Cell, found: object, wanted: object) -> None:
        """Compare one cell."""
        self.count += 1
        if found != wanted:
            name = (cell.row.tool, dict(cell.row.given), cell.role.label, cell.credential.value)
            self.wrong.append((*name, found, wanted))

    def conclude(self) -> None:
        """Report the cells to the end of the run, and fail if one is not as specified."""
        self._record("credential table", {"over": self.over, "cells": self.count, "wrong": len(self.wrong)})
        assert self.count and not self.wrong, self.wrong[:20]
