"""Modes: what is listed, what is refused, what is stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from masc_core.identity import Client
from masc_core.modes import Modes
from masc_core.plugins import Registry, load
from masc_core.testing.app import MascApp, masc_app

CLIENT = Client(transport="http", source="test")
COUNTS = {"minimal": 20, "solo": 19, "standard": 30}


async def call(masc: MascApp, tool: str, **arguments: Any) -> dict[str, Any]:
    """A call by a client whose endpoint fixes no mode."""
    return dict((await masc.outcome(tool, CLIENT, **arguments)).structured)


async def test_the_default_is_standard_and_a_stored_mode_goes_before(masc: MascApp) -> None:
    assert (await masc.kernel.active(CLIENT)).selection.source == "default"
    switched = await call(masc, "masc_switch_mode", mode="minimal")
    assert (switched["previous_mode"], switched["mode"], switched["changed"]) == ("standard", "minimal", True)
    active = await masc.kernel.active(CLIENT)
    assert (active.selection.mode, active.selection.source) == ("minimal", "room")
    assert (await call(masc, "masc_switch_mode", mode="minimal"))["changed"] is False
    back = await call(masc, "masc_switch_mode", mode="inherit")
    assert (back["mode"], back["mode_source"]) == ("standard", "default")


@pytest.mark.parametrize("mode", sorted(COUNTS))
async def test_each_mode_lists_its_tools_and_config_counts_them(masc: MascApp, mode: str) -> None:
    """Acceptance 1 of modes.md, for the modes whose categories are all there."""
    await call(masc, "masc_switch_mode", mode=mode)
    listed = await masc.kernel.list_tools(CLIENT)
    config = await call(masc, "masc_get_config")
    assert config["enabled_tool_count"] == len(listed)
    if {"core", "comm", "worktree", "health"} <= set(masc.kernel.registry.categories):
        assert len(listed) == COUNTS[mode]


async def test_config_says_for_each_client_and_mode_what_is_enabled_and_what_it_costs(masc: MascApp) -> None:
    known = Client(transport="http", source="test", agent="claude")
    for mode in ("minimal", "full", "minimal"):
        await call(masc, "masc_switch_mode", mode=mode)
        for client in (CLIENT, known):
            config = (await masc.outcome("masc_get_config", client)).structured
            enabled = [info["name"] for info in config["categories"] if info["enabled"]]
            assert sorted(enabled) == sorted(config["enabled_categories"])
            modes, knows = masc.kernel.modes, client.caller_known
            costs = {info["name"]: info["tokens"] for info in config["categories"]}
            assert costs == {name: modes.cost([name], knows).tokens for name in modes.installed}
            shown = {info["name"]: info["tokens"] for info in config["available_modes"]}
            assert shown[mode] == config["tool_tokens"] == modes.cost(config["enabled_categories"], knows).tokens


@pytest.mark.parametrize(("mode", "listed"), [("standard", False), ("solo", False), ("parallel", True), ("full", True)])
async def test_portals_are_for_larger_teams(masc: MascApp, mode: str, listed: bool) -> None:
    await call(masc, "masc_switch_mode", mode=mode)
    names = [tool["name"] for tool in await masc.kernel.list_tools(CLIENT) if tool["name"].startswith("masc_portal_")]
    order = ["masc_portal_open", "masc_portal_send", "masc_portal_close", "masc_portal_status"]
    assert names == (order if listed else [])
    categories = (await masc.kernel.active(CLIENT)).categories
    assert not listed or categories[:5] == ("core", "comm", "portal", "worktree", "health")


async def test_the_call_that_helps_helps(masc: MascApp) -> None:
    """Acceptance 3 of modes.md, with category comm."""
    await call(masc, "masc_switch_mode", mode="minimal")
    error = (await call(masc, "masc_who"))["error"]
    assert (error["code"], error["details"]["category"]) == ("tool_not_enabled", "comm")
    enable = error["details"]["enable"]
    said = error["message"].partition(f"call {enable['tool']} with ")[2]
    assert json.loads(said) == enable["arguments"], "some clients show a model the text alone"
    await call(masc, enable["tool"], **enable["arguments"])
    assert "error" not in await call(masc, "masc_who")
    assert (await masc.kernel.active(CLIENT)).categories == ("core", "comm", "health")


async def test_a_vote_outside_the_mode_succeeds_after_the_call_that_helps(masc: MascApp) -> None:
    """Acceptance 3 of modes.md."""
    vote: dict[str, Any] = {"proposer": "claude", "topic": "Which?", "options": ["a", "b"]}
    error = (await call(masc, "masc_vote_create", **vote))["error"]
    assert (error["code"], error["details"]["category"]) == ("tool_not_enabled", "voting")
    enable = error["details"]["enable"]
    await call(masc, enable["tool"], **enable["arguments"])
    assert (await call(masc, "masc_vote_create", **vote))["vote"]["id"] == "vote-001"


async def test_parallel_has_discovery_and_voting_where_the_order_says(masc: MascApp) -> None:
    await call(masc, "masc_switch_mode", mode="parallel")
    assert {"comm", "discovery", "voting"} <= set((await masc.kernel.active(CLIENT)).categories)
    names = [tool["name"] for tool in await masc.kernel.list_tools(CLIENT)]
    first = names.index("masc_register_capabilities")
    assert names[first - 1] == "masc_agents"
    assert names[first : first + 6] == [
        "masc_register_capabilities",
        "masc_find_by_capability",
        "masc_vote_create",
        "masc_vote_cast",
        "masc_vote_status",
        "masc_votes",
    ]


async def test_custom_always_has_core_and_unknown_names_store_nothing(masc: MascApp) -> None:
    """Acceptance 10 of modes.md."""
    await call(masc, "masc_switch_mode", mode="custom", categories=["health"])
    assert (await masc.kernel.active(CLIENT)).categories == ("core", "health")
    refused: tuple[dict[str, Any], ...] = ({"categories": ["nosuch"]}, {"categories": []}, {})
    for arguments in refused:
        error = (await call(masc, "masc_switch_mode", mode="custom", **arguments))["error"]
        assert error["code"] == "invalid_argument"
    assert (await masc.kernel.active(CLIENT)).categories == ("core", "health")


async def test_a_list_of_categories_makes_any_mode_custom(masc: MascApp) -> None:
    assert (await call(masc, "masc_switch_mode", mode="full", categories=["health"]))["mode"] == "custom"


async def test_an_endpoints_mode_is_fixed(masc: MascApp) -> None:
    """Acceptance 4 of modes.md."""
    client = Client(transport="http", source="test", selection=masc.kernel.modes.check("minimal", (), "url"))
    before = await masc.kernel.list_tools(client)
    outcome = await masc.outcome("masc_switch_mode", client, mode="full")
    assert outcome.structured["error"]["details"] == {"mode": "minimal", "fixed_by": "url"}
    assert await masc.kernel.list_tools(client) == before
    hidden = (await masc.outcome("masc_who", client)).structured["error"]
    assert "enable" not in hidden["details"]
    assert "?mode=custom&categories=core,comm,health" in hidden["message"]


async def test_a_stored_category_that_is_gone_is_reported(masc: MascApp) -> None:
    active = masc.kernel.modes.resolve(type(masc.kernel.modes.check("full", (), "room"))("custom", ("gone",), "room"))
    assert (active.categories, active.missing) == (("core",), ("gone",))


async def test_a_stored_mode_outlives_a_restart(tmp_path: Path, registry: Registry) -> None:
    """Acceptance 11 of modes.md."""
    async with masc_app(tmp_path, backend="sqlite", registry=registry) as masc:
        await call(masc, "masc_switch_mode", mode="solo")
    async with masc_app(tmp_path, backend="sqlite", registry=registry) as masc:
        assert (await call(masc, "masc_get_config"))["mode"] == "solo"


@pytest.mark.parametrize(
    ("mode", "tools"), [("minimal", 20), ("solo", 19), ("standard", 30), ("parallel", 45), ("full", 60), ("lean", 5)]
)
def test_each_mode_has_its_number_of_tools(mode: str, tools: int) -> None:
    """Acceptance 1 of modes.md."""
    modes = Modes(load(enabled=()))
    assert len(modes.listing(modes.resolve(modes.check(mode, (), "url")).categories, True)) == tools


async def test_a_budget_takes_what_fits_and_core_at_least(masc: MascApp) -> None:
    """Acceptance 9 of modes.md."""
    costs = {row["name"]: row["tokens"] for row in (await call(masc, "masc_get_config"))["categories"]}
    await call(masc, "masc_init")
    error = (await call(masc, "masc_switch_mode", mode="budget", max_tokens=costs["core"] - 1))["error"]
    assert error["code"] == "budget_too_small"
    assert error["details"] == {"max_tokens": costs["core"] - 1, "core_tokens": costs["core"]}
    assert (await masc.kernel.active(CLIENT)).selection.mode == "standard"
    exact = await call(masc, "masc_switch_mode", mode="budget", max_tokens=costs["core"])
    assert (exact["enabled_categories"], exact["tool_tokens"]) == (["core"], costs["core"])
    # In the order of value; what no longer fits is passed over for what does.
    some = costs["core"] + costs["comm"] + costs["worktree"]
    assert costs["health"] > costs["worktree"]
    fitting = await call(masc, "masc_switch_mode", mode="budget", max_tokens=some)
    assert fitting["enabled_categories"] == ["core", "comm", "worktree"]
    assert (fitting["max_tokens"], fitting["order"]) == (some, "value")
    assert fitting["tool_tokens"] <= some


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"mode": "budget"}, "max_tokens"),
        ({"mode": "budget", "max_tokens": 199}, "max_tokens"),
        ({"mode": "budget", "max_tokens": 100_001}, "max_tokens"),
        ({"mode": "minimal", "max_tokens": 2000}, "max_tokens"),
        ({"mode": "inherit", "max_tokens": 2000}, "max_tokens"),
        ({"mode": "full", "order": "use"}, "order"),
        ({"mode": "budget", "max_tokens": 2000, "order": "size"}, "order"),
    ],
)
async def test_what_does_not_go_together_is_refused(masc: MascApp, arguments: dict[str, Any], field: str) -> None:
    await call(masc, "masc_init")
    error = (await call(masc, "masc_switch_mode", **arguments))["error"]
    assert (error["code"], error["details"]["field"]) == ("invalid_argument", field)
    assert (await masc.kernel.active(CLIENT)).selection.source == "default"


async def test_an_endpoints_budget_depends_on_its_tokens_alone(masc: MascApp) -> None:
    selection = masc.kernel.modes.check(None, (), "url", 2000)
    assert selection == masc.kernel.modes.check("budget", (), "process", 2000).__class__(
        "budget", selection.categories, "url", 2000, "value"
    )
    anybody = Client(transport="http", source="test", selection=selection)
    named = Client(transport="http", source="test", selection=selection, agent="claude")
    names = [[tool["name"] for tool in await masc.kernel.list_tools(client)] for client in (anybody, named)]
    assert names[0] == names[1]
    assert (await call(masc, "masc_get_config"))["mode"] == "standard"


async def test_a_stored_budget_outlives_a_restart(tmp_path: Path, registry: Registry) -> None:
    async with masc_app(tmp_path, backend="sqlite", registry=registry) as masc:
        await call(masc, "masc_init")
        before = await call(masc, "masc_switch_mode", mode="budget", max_tokens=1600)
    async with masc_app(tmp_path, backend="sqlite", registry=registry) as masc:
        after = await call(masc, "masc_get_config")
    kept = ("mode", "max_tokens", "order", "enabled_categories", "mode_source")
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}
