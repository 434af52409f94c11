"""Every tool that is installed, for every role and every kind of credential: allowed or refused exactly as the table says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from auth_support import HOUR, UNKNOWN, Secured, secured
from credential_rooms import issue
from credential_table import (
    COLUMNS,
    NEEDED,
    OTHER,
    PASSED,
    REGISTRY,
    TOOLS,
    Cell,
    Credential,
    Row,
    Table,
    cells,
    ending,
    expected,
    needed,
)

from masc_core.clock import SystemClock
from masc_core.frozen import evolve
from masc_core.settings import Settings
from masc_core.testing import ManualClock
from masc_core.testing.app import masc_app
from masc_core.tools import Role
from masc_plugin_auth.records import AuthSettings


def test_every_tool_has_the_role_of_the_table() -> None:
    assert {name: REGISTRY.contracts[name].tool.role for name in TOOLS} == {name: NEEDED[name] for name in TOOLS}


def test_whom_a_credential_is_for_is_asked_even_where_the_caller_is_known() -> None:
    for name in ("masc_auth_create_token", "masc_auth_refresh", "masc_auth_revoke", "masc_rate_limit_status"):
        assert "agent_name" in REGISTRY.contracts[name].listed(caller_known=True)["properties"], name
    assert "agent_name" not in REGISTRY.contracts["masc_join"].listed(caller_known=True)["properties"]


@pytest.fixture(params=[False, True], ids=["optional", "required"])
async def room(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Any]:
    async with masc_app(tmp_path, clock=clock, registry=REGISTRY) as masc:
        made = await secured(masc, require_token=request.param)
        tokens = await issue(made)
        await clock.advance(HOUR)
        yield made, request.param, tokens


async def probe(room: Secured, cell: Cell, token: str | None) -> dict[str, Any]:
    """How a call ends at the guards; each has a source of its own, because failures count against theirs."""
    client = room.client(token, agent=OTHER if cell.credential is Credential.ENDPOINT else None)
    client.source, client.selection = cell.row.tool, None
    return dict((await room.masc.outcome(cell.row.tool, client, **cell.arguments())).structured)


@pytest.mark.parametrize(
    ("role", "credential"), COLUMNS, ids=lambda part: part.label if isinstance(part, Role) else part.value
)
async def test_the_kernel_lets_through_whom_the_table_lets_through(
    room: tuple[Secured, bool, dict[Any, str]],
    role: Role,
    credential: Credential,
    record_property: Callable[[str, object], None],
) -> None:
    secured_room, required, tokens = room
    table = Table("kernel", record_property)
    for cell in cells(role, credential):
        result = await probe(secured_room, cell, tokens.get((role, credential)))
        table.note(cell, ending(cell, result), expected(cell, required))
    table.conclude()


@pytest.mark.parametrize("role", [Role.READER, Role.WORKER], ids=lambda role: role.label)
async def test_without_a_token_the_default_role_decides(
    tmp_path: Path, role: Role, record_property: Callable[[str, object], None]
) -> None:
    chosen = evolve(Settings(), sections={AuthSettings: AuthSettings(role.label)})
    async with masc_app(tmp_path, settings=chosen, registry=REGISTRY) as masc:
        room = await secured(masc)
        await issue(room)
        table = Table("kernel", record_property)
        for cell in cells(role, Credential.NONE):
            table.note(cell, ending(cell, await probe(room, cell, None)), expected(cell, required=False))
        table.conclude()


async def test_off_every_tool_is_open_to_everybody(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async with masc_app(tmp_path, registry=REGISTRY) as masc:
        person = masc.client()
        person.selection = None
        await masc.outcome("masc_switch_mode", person, mode="full")
        table = Table("kernel", record_property)
        for cell in cells(Role.ADMIN, Credential.NONE):
            for token in (None, UNKNOWN, "not a token"):
                found = await probe(Secured(masc, "", ""), cell, token)
                table.note(cell, ending(cell, found), (PASSED, None))
        table.conclude()


@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.label)
async def test_a_good_token_is_accepted_in_earnest(
    tmp_path: Path, role: Role, record_property: Callable[[str, object], None]
) -> None:
    """The examples of each contract, in a room of their own: a result, an error the contract declares, or the refusal of
    the role."""
    table = Table("kernel in earnest", record_property)
    for number, tool in enumerate(TOOLS):
        path = tmp_path / str(number)
        path.mkdir()
        async with asyncio.timeout(60), masc_app(path, clock=SystemClock(), registry=REGISTRY) as masc:
            room = await secured(masc)
            token = await room.token("claude", role.label)
            client = room.client(token, bindings=("process:test:0:0",))
            for example in REGISTRY.contracts[tool].tool.examples:
                own = {"token": token, Row(tool, role, {}).caller_field: "claude"}
                given = {name: own.get(name, value) for name, value in example.items()}
                cell = Cell(Row(tool, needed(tool, given, "claude"), given), role, Credential.GOOD)
                result = dict((await masc.outcome(tool, client, **given)).structured)
                table.note(cell, ending(cell, result), expected(cell, required=False))
    table.conclude()
