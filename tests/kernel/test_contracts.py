"""What a contract refuses, and with which words."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from masc_core.errors import MascError
from masc_core.plugins import load
from masc_core.testing import MascApp

CONTRACTS = load().contracts


async def test_a_misspelt_argument_names_the_nearest(masc: MascApp) -> None:
    """Acceptance 8 of model.md."""
    error = await masc.error("masc_add_task", titel="T")
    assert (error["code"], error["details"]["reason"], error["details"]["field"]) == (
        "invalid_argument",
        "unknown",
        "titel",
    )
    assert "title" in error["details"]["expected"]
    assert "agent_name" in (await masc.error("masc_claim", "claude", agentname="x"))["details"]["expected"]


COMMON = {"invalid_argument", "invalid_agent_name"}


@pytest.mark.parametrize("name", sorted(CONTRACTS))
def test_whatever_an_argument_is_refused_with_is_in_the_contract(name: str) -> None:
    contract = CONTRACTS[name]
    declared = COMMON | {error.code for error in contract.errors}
    assert len({error.code for error in contract.errors}) == len(contract.errors)
    codes = set()
    for field, schema in contract.input["properties"].items():
        bad: Any
        for bad in ("", " ", "a b", "../x", "x" * 600, "a\n", "\x00", -1, {}):
            value = [bad] if schema.get("type") == "array" else bad
            arguments = {**contract.tool.examples[0], field: value}
            try:
                contract.validate(arguments)
            except MascError as error:
                codes.add(error.code)
    assert codes <= declared


def test_a_parameter_brings_the_error_it_is_refused_with() -> None:
    def codes(tool: str) -> set[str]:
        return {error.code for error in CONTRACTS[tool].errors}

    assert codes("masc_claim") >= {"invalid_task_id", "task_not_found"}
    assert codes("masc_add_task") >= {"invalid_task_id", "invalid_file_path"}
    assert codes("masc_lock") == {"invalid_task_id", "invalid_file_path", "file_locked"}
    assert "invalid_task_id" in codes("masc_worktree_remove")


async def test_of_equally_near_names_the_first_is_named(masc: MascApp) -> None:
    """agent_name and agent_type are equally like agnet; the caller is what was meant."""
    details = (await masc.error("masc_join", agnet="claude"))["details"]
    assert details["expected"] == "masc_join does not know it; it knows agent_name"
    details = (await masc.error("masc_join", agent_tipe="claude"))["details"]
    assert details["expected"] == "masc_join does not know it; it knows agent_type"


async def test_where_the_caller_is_known_its_argument_is_not_recommended(masc: MascApp) -> None:
    known = masc.client("claude")
    near = (await masc.outcome("masc_claim", known, agnet="x")).structured["error"]
    assert near["details"]["expected"].endswith("it knows agent_name, which is best left out: the caller is known here")
    far = (await masc.outcome("masc_claim", known, qqq="x")).structured["error"]
    assert far["details"]["expected"] == "masc_claim does not know it; it knows task_id, expected_version"
    without = (await masc.outcome("masc_tasks", known, qqq="x")).structured["error"]
    assert "left out" not in without["details"]["expected"], "it has no argument for the caller"
    unknown = await masc.error("masc_claim", "claude", qqq="x")
    assert (
        unknown["details"]["expected"] == "masc_claim does not know it; it knows agent_name, task_id, expected_version"
    )


@pytest.mark.parametrize("value", [True, 3.0, "3", [], {}, float("nan")])
async def test_integers_are_json_integers(masc: MascApp, value: object) -> None:
    error = await masc.error("masc_add_task", title="T", priority=value)
    assert (error["details"]["field"], error["details"]["reason"]) == ("priority", "type")


async def test_null_counts_as_absent(masc: MascApp) -> None:
    added = await masc.call("masc_add_task", title="T", priority=None, assignee=None, agent_name=None)
    assert added["task"]["priority"] == 3
    error = await masc.error("masc_add_task", title=None)
    assert (error["details"]["field"], error["details"]["reason"]) == ("title", "missing")


@pytest.mark.parametrize(
    ("tool", "arguments", "fits"),
    [
        ("masc_add_task", {"title": "x" * 500}, True),
        ("masc_add_task", {"title": "x" * 501}, False),
        ("masc_add_task", {"title": "😀" * 500}, True),
        ("masc_add_task", {"title": " \u3000" + "x" * 500 + "\xa0 "}, True),
        ("masc_add_task", {"title": " " + "x" * 501}, False),
        ("masc_add_task", {"title": " " * 600}, False),
        ("masc_add_task", {"title": "x" * 499 + "\n"}, False),
        ("masc_start", {"agent_name": "a", "task_title": " " + "x" * 500}, True),
        ("masc_join", {"agent_name": "a", "agent_type": " " + "x" * 64}, True),
        ("masc_claim_next", {"agent_name": "a", "capability": "x" * 64 + " "}, True),
        ("masc_add_task", {"title": "T", "capabilities": [" " + "c" * 64]}, True),
        ("masc_add_task", {"title": "T", "capabilities": [" " + "c" * 65]}, False),
        ("masc_add_task", {"title": "T", "capabilities": [" "]}, False),
        ("masc_add_task", {"title": "T", "description": "x" * 20_000}, True),
        ("masc_add_task", {"title": "T", "description": "x" * 20_001}, False),
        ("masc_add_task", {"title": "T", "description": "a\0"}, False),
        ("masc_add_task", {"title": "T", "priority": 1}, True),
        ("masc_add_task", {"title": "T", "priority": 5}, True),
        ("masc_add_task", {"title": "T", "files": ["a"] * 100}, True),
        ("masc_add_task", {"title": "T", "files": ["a"] * 101}, False),
        ("masc_add_task", {"title": "T", "files": "a"}, False),
        ("masc_add_task", {"title": "T", "capabilities": ["c"] * 51}, False),
        ("masc_add_task", {"title": "T", "capabilities": ["c" * 64]}, True),
        ("masc_add_task", {"title": "T", "capabilities": ["c" * 65]}, False),
        ("masc_add_task", {"title": "T", "capabilities": ["c" * 65, 3]}, False),
        ("masc_add_task", {"title": "T", "capabilities": ["a", None]}, False),
        ("masc_claim_next", {"agent_name": "a", "exclude_task_ids": ["t"] * 100}, True),
        ("masc_claim_next", {"agent_name": "a", "exclude_task_ids": ["t"] * 101}, False),
        ("masc_tasks", {"limit": 200}, True),
        ("masc_tasks", {"limit": 201}, False),
        ("masc_tasks", {"limit": 0}, False),
        ("masc_tasks", {"offset": 1_000_000}, True),
        ("masc_tasks", {"offset": 1_000_001}, False),
        ("masc_tasks", {"status": "open"}, True),
        ("masc_tasks", {"status": "Open"}, False),
        ("masc_join", {"agent_name": "a", "session_id": "0123abcd"}, True),
        ("masc_join", {"agent_name": "a", "session_id": "0123abcd\n"}, False),
        ("masc_join", {"agent_name": "a", "session_id": "0123ABCD"}, False),
    ],
)
async def test_bounds_are_inclusive(masc: MascApp, tool: str, arguments: dict[str, Any], fits: bool) -> None:
    await masc.call("masc_init")
    result = await masc.call(tool, **arguments)
    assert ("error" not in result) is fits, result
    if not fits:
        assert result["error"]["code"] == "invalid_argument"


async def test_the_rule_of_a_value_gives_its_own_error(masc: MascApp) -> None:
    assert (await masc.error("masc_claim", "claude", task_id="a b"))["code"] == "invalid_task_id"
    assert (await masc.error("masc_claim", "a b", task_id="t"))["code"] == "invalid_agent_name"
    error = await masc.error("masc_add_task", title="T", files=["ok", "../x"])
    assert (error["code"], error["details"]["field"]) == ("invalid_file_path", "files.1")


async def test_surrounding_blanks_are_not_counted_and_not_kept(masc: MascApp) -> None:
    assert (await masc.call("masc_add_task", title=" " + "x" * 500 + " "))["task"]["title"] == "x" * 500
    error = await masc.error("masc_add_task", title=" \u2003 ")
    assert (error["details"]["field"], error["details"]["reason"]) == ("title", "blank")
    error = await masc.error("masc_add_task", title=" " + "x" * 501)
    assert (error["details"]["field"], error["details"]["reason"]) == ("title", "maxLength")


async def test_capabilities_lose_blanks_and_duplicates(masc: MascApp) -> None:
    added = await masc.call("masc_add_task", title="T", capabilities=[" Python", "python", "Go"])
    assert added["task"]["capabilities"] == ["Python", "Go"]


HOSTILE: list[Any] = [
    True, -1, 10**30, 1.5, float("nan"), "", " ", "x", "\0", "\ud800", "x" * 100_000, "a\nb", [], [None], [["x"]], ["\ud800"],
    ["x" * 65, 3], [3, "x" * 65], ["", 3], {}, {"\ud800": 1}, {"a": {"b": "\0"}},
]  # fmt: skip


@pytest.mark.parametrize("tool", sorted(CONTRACTS))
def test_no_argument_whatever_breaks_validation(tool: str) -> None:
    contract = CONTRACTS[tool]
    for name in [*contract.input["properties"], "other", "\ud800"]:
        for value in HOSTILE:
            try:
                assert isinstance(contract.validate({name: value}), dict)
            except MascError as error:
                said = orjson.loads(orjson.dumps(error.as_dict()))
            else:
                continue
            assert said["code"]


def test_the_listed_schema_hides_a_known_caller() -> None:
    claim = CONTRACTS["masc_claim"]
    assert "agent_name" in claim.listed(False)["properties"]
    assert "agent_name" not in claim.listed(True)["properties"]
