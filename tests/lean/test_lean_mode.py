"""Lean mode: a list that never changes, and every tool through it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from masc_core.frozen import evolve
from masc_core.identity import Client
from masc_core.modes import LEAN_LIST
from masc_core.plugins import Registry
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app

Json = dict[str, Any]
SIDE_EFFECTS = ("masc_auth_enable", "masc_encryption_enable")
"""They change what the others may do."""


def lean(masc: MascApp, agent: str | None = None, **facts: Any) -> Client:
    """A client whose endpoint fixes lean."""
    return evolve(masc.client(agent, **facts), selection=masc.kernel.modes.check("lean", (), "url"))


async def ask(masc: MascApp, tool: str, client: Client | None = None, **arguments: Any) -> Json:
    return dict((await masc.outcome(tool, client or lean(masc), **arguments)).structured)


async def through(masc: MascApp, invoker: str, name: str, client: Client | None = None, **arguments: Any) -> Json:
    """What a tool gives when an invoker names it."""
    return await ask(masc, f"masc_call_{invoker}", client, name=name, arguments=arguments)


def code(result: Json) -> str:
    return str(result["error"]["code"]) if "error" in result else "ok"


async def test_a_vote_is_found_and_made_and_the_list_stays(masc: MascApp) -> None:
    """Acceptance 6 of modes.md."""
    before = await masc.kernel.list_tools(lean(masc))
    found = await ask(masc, "masc_find_tools", query="vote")
    assert "masc_vote_create" in [tool["name"] for tool in found["tools"]]
    vote: Json = {"proposer": "claude", "topic": "Which?", "options": ["a", "b"]}
    assert (await through(masc, "write", "masc_vote_create", **vote))["vote"]["id"] == "vote-001"
    refused = (await through(masc, "read", "masc_vote_create", **vote))["error"]
    assert (refused["code"], refused["details"]["reason"]) == ("invalid_argument", "not_a_read")
    assert (await through(masc, "read", "masc_votes"))["total"] == 1
    assert await masc.kernel.list_tools(lean(masc)) == before
    assert tuple(tool["name"] for tool in before) == LEAN_LIST
    config = await ask(masc, "masc_get_config")
    assert (config["mode"], config["enabled_tool_count"], config["enabled_categories"]) == ("lean", 5, [])


async def test_every_tool_gives_through_an_invoker_what_it_gives_by_itself(tmp_path: Path, registry: Registry) -> None:
    """Two rooms live the same life, one of them called directly."""
    async with (
        masc_app(tmp_path / "a", clock=ManualClock(), registry=registry) as direct,
        masc_app(tmp_path / "b", clock=ManualClock(), registry=registry) as invoked,
    ):
        for name in sorted(registry.contracts, key=lambda name: name in SIDE_EFFECTS):
            tool = registry.contracts[name].tool
            for example in tool.examples:
                arguments = dict(example)
                if tool.caller.value != "none":
                    arguments.setdefault(tool.caller_field, "claude")
                if name == "masc_listen":  # nobody moves the clock: let it hear what was said before
                    arguments |= {"since_seq": 0, "include_system": True}
                one = await ask(direct, name, direct.client(), **arguments)
                other = await through(invoked, "read" if tool.reads else "write", name, **arguments)
                assert (name, code(one), one.keys()) == (name, code(other), other.keys())
                assert code(one) not in {"internal_error", "tool_not_enabled"}


async def test_what_is_named_is_what_is_audited(masc: MascApp) -> None:
    await through(masc, "write", "masc_add_task", agent_name="claude", title="Fix login")
    await through(masc, "write", "masc_claim", agent_name="claude", task_id="task-9")
    entries = [orjson.loads(e.body) for e in await masc.kernel.start_room.driver.read_log("audit", 0, 100)]
    told = [(entry["tool"], entry["outcome"]) for entry in entries]
    assert told[-2:] == [("masc_add_task", "ok"), ("masc_claim", "task_not_found")]


async def test_what_is_named_is_what_is_counted(tmp_path: Path, registry: Registry) -> None:
    async with masc_app(tmp_path, registry=registry, limited=True) as masc:
        client = lean(masc, "claude")
        results = [await through(masc, "write", "masc_broadcast", client, message="hi") for _ in range(60)]
        error = next(result["error"] for result in results if "error" in result)
        assert (error["code"], error["details"]["category"]) == ("rate_limited", "broadcast")
        assert code(await through(masc, "read", "masc_tasks", client)) == "ok"


async def test_roles_count_through_an_invoker(masc: MascApp) -> None:
    """Acceptance 7 of modes.md."""
    made = await masc.call("masc_auth_enable", deliver="result")
    admin = masc.client(token=made["admin"]["token"])
    new: Json = {"agent_name": "gemini", "role": "reader", "deliver": "result"}
    reader = lean(masc, token=(await ask(masc, "masc_auth_create_token", admin, **new))["token"])
    assert code(await through(masc, "write", "masc_gc", reader)) == "forbidden"
    assert code(await through(masc, "read", "masc_tasks", reader)) == "ok"
    found = (await ask(masc, "masc_find_tools", reader, category="health"))["tools"]
    assert {tool["name"]: tool["allowed"] for tool in found} == {
        "masc_heartbeat": True,
        "masc_cleanup_zombies": False,
        "masc_gc": False,
        "masc_agents": True,
    }


@pytest.mark.parametrize(
    ("arguments", "field", "reason"),
    [
        ({}, "name", "missing"),
        ({"name": 7}, "name", "type"),
        ({"name": "masc_tasks", "arguments": "{}"}, "arguments", "type"),
        ({"name": "masc_tasks", "args": {}}, "args", "unknown"),
        ({"name": "masc_call_write"}, "name", "lean_tool"),
        ({"name": "masc_find_tools"}, "name", "lean_tool"),
    ],
)
async def test_an_invoker_says_what_is_wrong_with_its_own_arguments(
    masc: MascApp, arguments: Json, field: str, reason: str
) -> None:
    await masc.call("masc_init")
    for invoker in ("masc_call_read", "masc_call_write"):
        error = (await ask(masc, invoker, **arguments))["error"]
        assert (error["code"], error["details"]["field"], error["details"]["reason"]) == (
            "invalid_argument",
            field,
            reason,
        )


async def test_wrong_arguments_bring_the_schema(masc: MascApp) -> None:
    await masc.call("masc_init")
    contract = masc.kernel.registry.contracts["masc_claim"]
    error = (await through(masc, "write", "masc_claim", agent_name="claude", task="task-001"))["error"]
    assert error["details"]["input_schema"] == contract.listed(caller_known=False)
    named = (await through(masc, "write", "masc_claim", lean(masc, "claude"), task="task-001"))["error"]
    assert named["details"]["input_schema"] == contract.listed(caller_known=True)
    assert "input_schema" not in (await masc.error("masc_claim", "claude", task="task-001"))["details"]
    wrong = {"name": "masc_claim", "arguments": {"task": "task-001"}}
    text = (await masc.outcome("masc_call_write", lean(masc, "claude"), **wrong)).text
    refusal, shown = text.split("\n")
    assert refusal.startswith("invalid_argument: argument task: masc_claim does not know it")
    assert shown.startswith("input_schema: type=object properties=(task_id=(type=string) ")


async def test_a_tool_that_is_not_there_brings_near_names(masc: MascApp) -> None:
    error = (await through(masc, "write", "masc_clam"))["error"]
    assert error["code"] == "tool_not_found"
    assert error["details"]["suggestions"][0] == "masc_claim" and len(error["details"]["suggestions"]) <= 5


async def test_a_direct_call_tells_the_one_that_helps(masc: MascApp) -> None:
    cases: tuple[tuple[str, Json, str], ...] = (
        ("masc_add_task", {"agent_name": "claude", "title": "Fix"}, "masc_call_write"),
        ("masc_tasks", {"status": "todo"}, "masc_call_read"),
    )
    for tool, arguments, invoker in cases:
        error = (await ask(masc, tool, **arguments))["error"]
        assert error["code"] == "tool_not_enabled"
        enable = error["details"]["enable"]
        assert enable == {"tool": invoker, "arguments": {"name": tool, "arguments": arguments}}
        assert error["message"].endswith(f"; call {invoker} with name={tool} and its arguments as arguments")
        assert code(await ask(masc, enable["tool"], **enable["arguments"])) == "ok"


async def test_outside_lean_the_invokers_are_not_there(masc: MascApp) -> None:
    client = Client(transport="http", source="test")
    call: Json = {"name": "masc_add_task", "arguments": {"agent_name": "claude", "title": "Fix"}}
    await masc.call("masc_init")
    error = (await ask(masc, "masc_call_write", client, **call))["error"]
    assert (error["code"], error["details"]["tool"]) == ("tool_not_enabled", "masc_call_write")
    enable = error["details"]["enable"]
    assert enable == {"tool": "masc_switch_mode", "arguments": {"mode": "lean"}}
    assert (await masc.call("masc_tasks"))["total"] == 0
    assert (await ask(masc, enable["tool"], client, **enable["arguments"]))["mode"] == "lean"
    assert (await ask(masc, "masc_call_write", client, **call))["task"]["id"] == "task-001"
    fixed = evolve(client, selection=masc.kernel.modes.check("minimal", (), "url"))
    assert "?mode=lean" in (await ask(masc, "masc_find_tools", fixed))["error"]["message"]


async def test_joining_through_an_invoker_binds_the_caller(masc: MascApp) -> None:
    """Bindings belong to the client, not to the tool in between."""
    client = lean(masc, bindings=("session:x",))
    client.transport = "stdio"
    assert (await through(masc, "write", "masc_join", client, agent_name="claude"))["agent"] == "claude"
    added = await through(masc, "write", "masc_add_task", client, title="Fix")
    assert added["task"]["created_by"] == "claude"


async def test_finding_shows_the_contract_as_a_list_would(masc: MascApp) -> None:
    await masc.call("masc_init")
    for client in (lean(masc), lean(masc, "claude")):
        listed = {tool["name"]: tool for tool in masc.kernel.modes.listing(("comm",), client.caller_known)}
        found = await ask(masc, "masc_find_tools", client, category="comm")
        assert [tool["name"] for tool in found["tools"]] == list(listed)
        for tool in found["tools"]:
            assert tool["input_schema"] == listed[tool["name"]]["inputSchema"]
            assert tool["summary"] == listed[tool["name"]]["description"]


async def test_finding_says_how_much_there_is(masc: MascApp) -> None:
    modes = masc.kernel.modes
    categories = (await ask(masc, "masc_find_tools"))["categories"]
    assert [entry["name"] for entry in categories] == list(modes.installed)
    assert sum(len(entry["tools"]) for entry in categories) == len(modes.contracts(modes.installed))
    whole = await ask(masc, "masc_find_tools", category="core", detail="summary")
    assert (len(whole["tools"]), whole["total"], whole["more"]) == (16, 16, False)
    assert "input_schema" not in whole["tools"][0]
    some = await ask(masc, "masc_find_tools", category="core", limit=3)
    assert (len(some["tools"]), some["total"], some["more"]) == (3, 16, True)
    nothing = await ask(masc, "masc_find_tools", query="xylophone")
    assert (nothing["tools"], nothing["total"], nothing["more"]) == ([], 0, False)
    assert [entry["name"] for entry in nothing["categories"]] == list(modes.installed)
    error = (await ask(masc, "masc_find_tools", category="nosuch"))["error"]
    assert error["details"]["field"] == "category" and "voting" in error["message"]


async def test_a_tool_named_like_the_kernels_stops_the_start(registry: Registry) -> None:
    from masc_core import READ, READER, Context, hookimpl, tool
    from masc_core.errors import StartError
    from masc_core.lean import Anything
    from masc_core.plugins import load

    @tool(effect=READ, role=READER)
    async def masc_find_tools(ctx: Context) -> Anything:
        """Find."""
        return Anything()

    class Taken:
        @staticmethod
        @hookimpl
        def masc_tools(register: Any) -> None:
            register(masc_find_tools)

    with pytest.raises(StartError, match="acme: takes tool masc_find_tools, which is the kernel's"):
        load(extra=[("acme", Taken)], strict=True)
    with pytest.raises(StartError, match="category lean"):
        load(extra=[("lean", Taken)], strict=True)
