"""Every tool that is installed, for every role and every kind of credential: allowed or refused exactly as the table says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from auth_support import HOUR, UNKNOWN, Secured, code, secured, why

from masc_core.plugins import Registry, load
from masc_core.testing import ManualClock
from masc_core.testing.app import masc_app
from masc_core.tools import Role

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
"""What auth.md says; by argument further below."""
INVOKERS = {"masc_call_read", "masc_call_write"}
REGISTRY = load(enabled=())
TOOLS = [name for name in REGISTRY.contracts if name not in INVOKERS]
PROBE = {"no such argument": True}
"""Refused after the guards and before anything happens: `invalid_argument` says that the guards let the call through."""
PASSED = "invalid_argument"


def test_every_tool_has_the_role_of_the_table() -> None:
    assert {name: REGISTRY.contracts[name].tool.role for name in TOOLS} == {name: NEEDED[name] for name in TOOLS}


def test_whom_a_credential_is_for_is_asked_even_where_the_caller_is_known() -> None:
    for name in ("masc_auth_create_token", "masc_auth_refresh", "masc_auth_revoke", "masc_rate_limit_status"):
        assert "agent_name" in REGISTRY.contracts[name].listed(caller_known=True)["properties"], name
    assert "agent_name" not in REGISTRY.contracts["masc_join"].listed(caller_known=True)["properties"]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return REGISTRY


@pytest.fixture(params=[False, True], ids=["optional", "required"])
async def room(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock, registry: Registry
) -> AsyncIterator[Any]:
    async with masc_app(tmp_path, clock=clock, registry=registry) as masc:
        made = await secured(masc, require_token=request.param)
        for role in Role:
            await made.token(f"a-{role.label}", role.label)
            await made.token(f"old-{role.label}", role.label, expires_in_hours=1)
            made.tokens[f"gone-{role.label}"] = await made.token("gone", role.label)
        await made.ask("masc_auth_revoke", made.admin, agent_name="gone")
        await clock.advance(HOUR)
        yield made, request.param


async def probe(room: Secured, tool: str, source: str, token: str | None, **more: Any) -> dict[str, Any]:
    """How a call ends at the guards; each source has its own count of failures."""
    client = room.client(token)
    client.source = source
    contract = room.masc.kernel.registry.contracts[tool].tool
    if contract.caller.value == "required" and (token is None or not room.admin):
        more = {contract.caller_field: "nobody", **more}
    return dict((await room.masc.outcome(tool, client, **PROBE, **more)).structured)


@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.label)
async def test_a_good_token_may_do_what_its_role_may(room: tuple[Secured, bool], role: Role) -> None:
    secured_room, _ = room
    for tool in TOOLS:
        result = await probe(secured_room, tool, tool, secured_room.tokens[f"a-{role.label}"])
        if role >= NEEDED[tool]:
            assert code(result) == PASSED, (tool, result)
        else:
            assert why(result["error"]) == ("forbidden", "role"), (tool, result)
            assert result["error"]["details"]["required_role"] == NEEDED[tool].label


@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.label)
@pytest.mark.parametrize(
    ("kind", "expected"), [("old", "token_expired"), ("gone", "invalid_token"), ("malformed", "invalid_token")]
)
async def test_a_bad_token_may_do_nothing_but_be_renewed(
    room: tuple[Secured, bool], role: Role, kind: str, expected: str
) -> None:
    secured_room, _ = room
    token = secured_room.tokens.get(f"{kind}-{role.label}", "not a token")
    for tool in TOOLS:
        result = await probe(secured_room, tool, tool, token)
        assert code(result) == (PASSED if tool == "masc_auth_refresh" else expected), (tool, result)


async def test_without_a_token(room: tuple[Secured, bool]) -> None:
    secured_room, required = room
    for tool in TOOLS:
        result = await probe(secured_room, tool, tool, None)
        if tool == "masc_auth_refresh":
            assert code(result) == PASSED
        elif required:
            assert why(result["error"]) == ("unauthorized", "missing_token"), tool
        elif NEEDED[tool] is Role.ADMIN:
            assert why(result["error"]) == ("forbidden", "role"), tool
        else:
            assert code(result) == PASSED, (tool, result)


@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.label)
async def test_somebody_elses_name(room: tuple[Secured, bool], role: Role) -> None:
    secured_room, _ = room
    for tool in TOOLS:
        contract = secured_room.masc.kernel.registry.contracts[tool].tool
        if contract.caller.value == "none":
            continue
        named = {contract.caller_field: "somebody"}
        result = await probe(secured_room, tool, tool, secured_room.tokens[f"a-{role.label}"], **named)
        if role is Role.ADMIN:
            assert code(result) == PASSED, (tool, result)
        else:
            assert why(result["error"]) == ("forbidden", "other_agent"), (tool, result)


async def test_a_protected_name_without_its_token(room: tuple[Secured, bool]) -> None:
    secured_room, required = room
    for tool in TOOLS:
        contract = secured_room.masc.kernel.registry.contracts[tool].tool
        if contract.caller.value == "none":
            continue
        result = await probe(secured_room, tool, tool, None, **{contract.caller_field: "A-Reader"})
        reason = "missing_token" if required else "name_protected"
        assert why(result["error"]) == ("unauthorized", reason), (tool, result)


async def test_off_every_tool_is_open_to_everybody(tmp_path: Path, registry: Registry) -> None:
    async with masc_app(tmp_path, registry=registry) as masc:
        await masc.call("masc_init")
        for tool in TOOLS:
            for token in (None, UNKNOWN, "not a token"):
                assert code(await probe(Secured(masc, "", ""), tool, tool, token)) == PASSED, (tool, token)
