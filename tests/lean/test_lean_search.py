"""The right tool is found by the words people and models use."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from masc_core.errors import InvalidArgument
from masc_core.lean import Finder
from masc_core.modes import Modes
from masc_core.plugins import load
from masc_core.search import Index

SETS: list[dict[str, Any]] = orjson.loads(Path(__file__).with_name("tool_questions.json").read_bytes())["sets"]
QUESTIONS = [question for each in SETS for question in each["questions"]]
RIGHT = 0.95


@pytest.fixture(scope="module")
def modes() -> Modes:
    """The first-party tools alone, whatever else is installed."""
    return Modes(load(enabled=()))


def test_each_tool_has_questions(modes: Modes) -> None:
    asked = Counter(question["tool"] for question in QUESTIONS)
    assert asked.keys() == {contract.tool.name for contract in modes.contracts(modes.installed)}
    assert min(asked.values()) >= 3


def test_the_right_tool_comes_first(modes: Modes, record_property: Any) -> None:
    wrong = []
    for each in SETS:
        missed = [q for q in each["questions"] if _first(modes.finder, q["question"]) != q["tool"]]
        record_property(f"found first, {each['name']}", f"{1 - len(missed) / len(each['questions']):.1%}")
        wrong += missed
    assert len(wrong) <= len(QUESTIONS) * (1 - RIGHT), [q["question"] for q in wrong]


def test_no_question_is_a_description(modes: Modes) -> None:
    said = {modes.contract(q["tool"]).tool.description.lower().rstrip(".") for q in QUESTIONS}
    assert not said & {q["question"].lower() for q in QUESTIONS}


@pytest.mark.parametrize("tool", sorted({question["tool"] for question in QUESTIONS}))
def test_the_arguments_of_an_answer_are_ones_the_tool_takes(modes: Modes, tool: str) -> None:
    contract = modes.contract(tool)
    listed = contract.listed(caller_known=False)
    own = contract.tool.caller_field if contract.tool.caller.value != "none" else ""
    for question in QUESTIONS:
        if question["tool"] == tool:
            given = question["arguments"]
            assert set(listed.get("required", ())) <= given.keys() <= listed["properties"].keys()
            contract.validate({name: value for name, value in given.items() if name != own})


def _first(finder: Finder, question: str) -> str | None:
    return next((contract.tool.name for contract in finder.find(question)), None)


def test_a_tool_named_exactly_comes_first(modes: Modes) -> None:
    for contract in modes.contracts(modes.installed):
        name = contract.tool.name
        short = name.removeprefix("masc_")
        for query in (name, short, short.replace("_", " "), name.upper()):
            assert _first(modes.finder, query) == name


def test_slips_of_the_pen_are_forgiven(modes: Modes) -> None:
    assert _first(modes.finder, "brodcast") == "masc_broadcast"
    assert _first(modes.finder, "encription status") == "masc_encryption_status"


def test_what_answers_little_of_the_question_is_left_out(modes: Modes) -> None:
    assert len(modes.finder.find("cast my vote")) < 10


INDEX = Index(
    [
        {"name": "red apple", "text": "fruit"},
        {"name": "pear", "text": "an apple is red"},
        {"name": "plum", "text": "x"},
    ],
    {"name": (2.0, 0.5), "text": (1.0, 0.5)},
    "pear quince\nplum damson",
)


def test_a_word_of_the_name_counts_more_and_ties_stay_in_order() -> None:
    assert INDEX.ranked("apples") == [0, 1]
    assert INDEX.ranked("nothing of it") == []
    same = Index([{"name": "one fig"}, {"name": "two figs"}], {"name": (1.0, 0.5)})
    assert same.ranked("fig") == [0, 1]


def test_words_that_stand_for_one_another_are_found_and_count_less() -> None:
    assert INDEX.ranked("quince") == [1]
    assert INDEX.ranked("damson") == [2]


def test_the_favoured_come_before_their_equals() -> None:
    same = Index([{"name": "fig"}, {"name": "fig"}], {"name": (1.0, 0.5)})
    assert same.ranked("fig", {1}) == [1, 0]


def test_an_argument_that_is_no_query_is_refused(modes: Modes) -> None:
    with pytest.raises(InvalidArgument):
        modes.contract("masc_find_tools").validate({"query": ""})
