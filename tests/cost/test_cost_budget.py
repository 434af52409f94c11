"""Budgets: warnings, the hard stop, who sets them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cost_support import codes, limit, room

from masc_core.errors import StartError
from masc_core.kernel import local_client
from masc_core.plugins import Registry
from masc_core.settings import load_settings
from masc_core.testing import ManualClock, MascApp
from masc_plugin_cost.settings import CostSettings

AGENT_1 = CostSettings(budget_agent_day_usd=Decimal(1))
HARD_1 = CostSettings(budget_agent_day_usd=Decimal(1), hard=True)


async def test_a_budget_warns_then_stops(tmp_path: Path, clock: ManualClock, registry: Registry) -> None:
    """Acceptance 5."""
    async with room(tmp_path, clock, registry, HARD_1) as masc:
        for title in ("a", "b"):
            await masc.call("masc_add_task", title=title)
        near = await masc.call("masc_cost_log", "claude", cost_usd=0.85)
        assert codes(near) == ["budget_near"]
        assert near["budget"] == {"scope": "agent", "limit_usd": 1.0, "spent_usd": 0.85, "exceeded": False}
        assert (await masc.call("masc_claim", "claude", task_id="task-001"))["changed"] is True
        over = await masc.call("masc_cost_log", "claude", cost_usd=0.2)
        assert (codes(over), over["entry"]["seq"], over["budget"]["exceeded"]) == (["budget_exceeded"], 2, True)
        refused = await masc.error("masc_claim", "claude", task_id="task-002")
        assert (refused["code"], refused["retryable"]) == ("budget_exceeded", True)
        assert refused["details"] == {"scope": "agent", "limit_usd": 1.0, "spent_usd": 1.05, "retry_after": 86_401}
        assert (await masc.call("masc_done", "claude", task_id="task-001"))["task"]["status"] == "done"


@pytest.mark.parametrize(("cost", "warned"), [(0.799999, []), (0.8, ["budget_near"]), (0.999999, ["budget_near"]),
                                              (1, ["budget_exceeded"])])  # fmt: skip
async def test_the_thresholds_are_inclusive(
    tmp_path: Path, clock: ManualClock, registry: Registry, cost: float, warned: list[str]
) -> None:
    async with room(tmp_path, clock, registry, AGENT_1) as masc:
        logged = await masc.call("masc_cost_log", "claude", cost_usd=cost)
        assert (codes(logged), logged["budget"]["exceeded"]) == (warned, cost == 1)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("masc_claim", {"task_id": "task-002"}),
        ("masc_claim_next", {}),
        ("masc_start", {"task_title": "new"}),
        ("masc_transition", {"task_id": "task-002", "action": "claim"}),
        ("masc_transition", {"task_id": "task-001", "action": "start"}),
    ],
)
async def test_over_a_hard_budget_no_work_starts(masc: MascApp, tool: str, arguments: dict[str, Any]) -> None:
    client = masc.client("claude", bindings=("session:a@host:1:1",))
    for title in ("a", "b"):
        await masc.outcome("masc_add_task", client, title=title)
    await masc.outcome("masc_claim", client, task_id="task-001")
    await masc.outcome("masc_cost_log", client, cost_usd=1)
    await limit(masc, agent_day="1", hard=True)
    refused = await masc.outcome(tool, client, **arguments)
    assert refused.error is not None and refused.error.code == "budget_exceeded"
    assert (await masc.call("masc_tasks", status="all"))["total"] == 2
    if tool == "masc_claim":
        assert "error" not in await masc.call(tool, "gemini", **arguments)
    await limit(masc, hard=False)
    assert (await masc.outcome("masc_start", client, task_title="c")).error is None


async def test_everything_else_goes_on(masc: MascApp) -> None:
    await masc.call("masc_add_task", title="a")
    await masc.call("masc_claim", "claude", task_id="task-001")
    await masc.call("masc_cost_log", "claude", cost_usd=1)
    await limit(masc, agent_day="0.5", hard=True)
    for tool, arguments in (
        ("masc_claim", {"task_id": "task-001"}),
        ("masc_start", {}),
        ("masc_broadcast", {"message": "over budget"}),
        ("masc_add_task", {"title": "later"}),
        ("masc_cost_log", {"cost_usd": 1}),
        ("masc_transition", {"task_id": "task-001", "action": "release"}),
    ):
        assert "error" not in await masc.call(tool, "claude", **arguments), tool


async def test_the_rooms_budget_stops_every_agent_until_the_window_moves_on(masc: MascApp, clock: ManualClock) -> None:
    await masc.call("masc_add_task", title="a")
    await masc.call("masc_cost_log", "claude", cost_usd=3)
    await clock.advance(600.5)
    logged = await masc.call("masc_cost_log", "gemini", cost_usd=2)
    assert "budget" not in logged
    await limit(masc, agent_day="100", room_day="5", hard=True)
    error = await masc.error("masc_claim", "codex", task_id="task-001")
    assert error["details"] == {"scope": "room", "limit_usd": 5.0, "spent_usd": 5.0, "retry_after": 86_400 - 600}
    clock.jump(error["details"]["retry_after"] - 1)
    assert (await masc.error("masc_claim", "codex", task_id="task-001"))["details"]["retry_after"] == 1
    clock.jump(1)
    assert (await masc.call("masc_claim", "codex", task_id="task-001"))["changed"] is True


async def test_of_two_budgets_the_one_nearest_to_its_limit_is_shown(masc: MascApp) -> None:
    await masc.call("masc_init")
    await limit(masc, agent_day="10", room_day="100")
    assert (await masc.call("masc_cost_log", "claude", cost_usd=1))["budget"]["scope"] == "agent"
    await limit(masc, room_day="1.5")
    logged = await masc.call("masc_cost_log", "claude", cost_usd=8)
    assert (logged["budget"]["scope"], codes(logged)) == ("room", ["budget_exceeded", "budget_near"])
    assert (await masc.call("masc_cost_log", "gemini", cost_usd=1))["budget"]["scope"] == "room"


async def test_stored_limits_go_before_the_file_until_forgotten(
    tmp_path: Path, clock: ManualClock, registry: Registry
) -> None:
    async with room(tmp_path, clock, registry, HARD_1) as masc:
        await masc.call("masc_add_task", title="a")
        await masc.call("masc_cost_log", "claude", cost_usd=1)
        assert (await masc.error("masc_claim", "claude", task_id="task-001"))["code"] == "budget_exceeded"
        raised = await limit(masc, agent_day="2")
        assert raised == {"hard": True, "stored": ["agent_day"], "room_spent_usd": 1.0, "changed": True,
                          "agent_day_usd": 2.0}  # fmt: skip
        assert (await masc.call("masc_claim", "claude", task_id="task-001"))["changed"] is True
        assert "agent_day_usd" not in await limit(masc, agent_day="none")
        assert (await limit(masc, agent_day="none"))["changed"] is False
        assert (await limit(masc, inherit=True))["agent_day_usd"] == 1.0
        assert (await limit(masc, inherit=True, hard=False))["stored"] == ["hard"]
        await masc.call("masc_reset", confirm=True)
        assert (await limit(masc))["stored"] == ["hard"]


async def test_no_agent_can_call_what_sets_limits(masc: MascApp) -> None:
    assert not [name for name in masc.kernel.registry.contracts if "budget" in name]


def settings_of(path: Path, text: str) -> CostSettings:
    """What config.toml says."""
    (path / ".masc").mkdir()
    (path / ".masc/config.toml").write_text(text)
    return load_settings(path, {}, {"costs": CostSettings}).of(CostSettings)


def test_the_file_sets_budgets_and_prices(tmp_path: Path) -> None:
    text = (
        "[costs]\nbudget_agent_day_usd = 0.1\nbudget_room_day_usd = 20\nhard = true\n"
        '[costs.prices."a.b/c-1"]\ninput_per_million = 0.3\noutput_per_million = 15'
    )
    found = settings_of(tmp_path, text)
    assert (found.budget_agent_day_usd, found.budget_room_day_usd, found.hard) == (Decimal("0.1"), Decimal(20), True)
    assert found.prices["a.b/c-1"].input_per_million == Decimal("0.3")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("budget_agent_day_us = 1", "costs.budget_agent_day_us; did you mean budget_agent_day_usd?"),
        ("budget_agent_day_usd = 0", "costs.budget_agent_day_usd must be 0.000001 to"),
        ("budget_room_day_usd = -1", "costs.budget_room_day_usd must be"),
        ("budget_room_day_usd = nan", "costs.budget_room_day_usd must be"),
        ("budget_room_day_usd = inf", "costs.budget_room_day_usd must be"),
        ("budget_room_day_usd = 1e99", "costs.budget_room_day_usd must be"),
        ('budget_room_day_usd = "1"', "costs.budget_room_day_usd must be of type Decimal"),
        ("hard = 1", "costs.hard must be of type bool"),
        ("prices = 1", "costs.prices must be of type dict"),
        ("prices.x = 1", 'costs.prices."x" must be a section'),
        ("prices.x.input_per_million = 1", 'costs.prices."x".output_per_million is missing'),
        ("prices.x.input_per_milion = 1", 'costs.prices."x".input_per_milion is an unknown setting; did you mean'),
        (
            "prices.x = {input_per_million = -1, output_per_million = 1}",
            'costs.prices."x".input_per_million must be 0 to',
        ),
        (
            "prices.x = {input_per_million = true, output_per_million = 1}",
            'costs.prices."x".input_per_million must be a',
        ),
        (
            "prices.x = {input_per_million = nan, output_per_million = 1}",
            'costs.prices."x".input_per_million must be 0 to',
        ),
    ],
)
def test_a_wrong_file_is_named_with_the_key(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(StartError) as refused:
        settings_of(tmp_path, f"[costs]\n{text}")
    assert named in str(refused.value)


async def test_a_person_at_the_command_line_is_no_agent_over_budget(masc: MascApp) -> None:
    await masc.call("masc_add_task", title="a")
    await masc.call("masc_cost_log", "claude", cost_usd=1)
    await limit(masc, room_day="1", hard=True)
    assert (await masc.error("masc_claim", "claude", task_id="task-001"))["code"] == "budget_exceeded"
    assert (await masc.outcome("masc_claim", local_client(), task_id="task-001")).error is None
