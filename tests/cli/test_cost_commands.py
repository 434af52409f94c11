"""``masc cost``."""

from __future__ import annotations

import getpass
from pathlib import Path

import orjson
import pytest
from cli_support import add_task, masc


def test_log_and_report_take_what_the_tools_take(project: Path) -> None:
    logged = masc(
        project, "cost", "log", "--cost-usd", "0.1", "--model", "large", "--input-tokens", "10", "--output-tokens", "2",
        "--task-id", "t", "--agent", "claude", "--json",
    )  # fmt: skip
    entry = logged.json["entry"]
    assert (entry["agent"], entry["model"], entry["cost_usd"], entry["task_id"]) == ("claude", "large", 0.1, "t")
    assert masc(project, "cost", "log", "--cost-usd", "0.2").status == 0
    assert '"total_cost_usd":0.3,' in masc(project, "cost", "report", "--json").out
    whole = masc(project, "cost", "report", "--json", env={"MASC_AGENT": "claude"}).json
    assert [share["key"] for share in whole["by_agent"]] == [f"human:{getpass.getuser()}", "claude"]
    person = masc(project, "cost", "report", "--agent", f"human:{getpass.getuser()}", "--json").json
    assert (person["total_entries"], person["total_cost_usd"]) == (1, 0.2)
    mine = masc(project, "cost", "report", "--period", "all", "--agent", "claude", "--task-id", "t", "--json").json
    assert (mine["period"], mine["total_entries"]) == ("all", 1)
    assert "total_cost_usd=0.1" in masc(project, "cost", "report", "--agent", "claude").out


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e99"])
def test_a_refused_cost_ends_with_1(project: Path, value: str) -> None:
    refused = masc(project, "cost", "log", f"--cost-usd={value}")
    assert (refused.status, refused.out) == (1, "")
    assert refused.err.startswith("invalid_argument: argument cost_usd")


@pytest.mark.parametrize(
    "arguments",
    [["log", "--cost-usd", "x"], ["report", "--period", "yearly"], ["nosuch"], ["budget", "--hard", "extra"]],
)
def test_wrong_usage_ends_with_2(project: Path, arguments: list[str]) -> None:
    assert masc(project, "cost", *arguments).status == 2


def test_a_person_shows_sets_and_forgets_budgets(project: Path) -> None:
    assert masc(project, "cost", "budget", "--agent-day", "1").err.startswith("not_initialised:")
    arguments = orjson.dumps({"task_id": add_task(project, "Fix login")}).decode()
    (project / ".masc/config.toml").write_text("[costs]\nbudget_agent_day_usd = 1\nhard = true\n")
    masc(project, "cost", "log", "--cost-usd", "1", "--agent", "claude")
    assert masc(project, "call", "masc_claim", arguments, "--agent", "claude").err.startswith(
        "budget_exceeded: the agent"
    )
    shown = masc(project, "cost", "budget", "--json").json
    assert shown == {"hard": True, "stored": [], "room_spent_usd": 1.0, "changed": False, "agent_day_usd": 1.0}
    for wrong in ("x", "0", "-1", "nan", "1e10", "1e1", "1e999999999", "1_0", "+1", "１", " 1", "."):
        refused = masc(project, "cost", "budget", f"--room-day={wrong}")
        assert (refused.status, refused.err[:30]) == (1, "invalid_argument: argument roo")
    raised = masc(project, "cost", "budget", "--agent-day", "2.5", "--room-day", "none", "--json").json
    assert (raised["agent_day_usd"], "room_day_usd" in raised, raised["stored"]) == (
        2.5,
        False,
        ["agent_day", "room_day"],
    )
    assert masc(project, "call", "masc_claim", arguments, "--agent", "claude").status == 0
    assert "hard=false" in masc(project, "cost", "budget", "--soft").out
    assert masc(project, "cost", "budget", "--inherit", "--json").json["hard"] is True
    assert "masc_cost_budget" not in masc(project, "tools", "--mode", "full").out
    assert masc(project, "call", "masc_cost_budget_set").err.startswith("tool_not_found")
