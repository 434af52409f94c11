"""What is known to be asked of tools tells which one another question is for."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from masc_core import READ, READER, Context, hookimpl, tool
from masc_core.asked import QUESTIONS, Asked, place_of, questions_for, read_questions
from masc_core.authoring import rules
from masc_core.contracts import Contract
from masc_core.frozen import evolve, frozen
from masc_core.modes import Modes
from masc_core.plugins import Registry, load
from masc_core.tools import Tool

ASKED = Asked(
    {
        0: ["give the book back", "I return the book", "take the book back to the shelf"],
        1: ["lend me the book", "I want the book", "take the book from the shelf"],
        2: ["how much is the book", "the price of the book"],
        4: ["?", ""],
    }
)


def test_the_words_of_a_question_and_their_order_tell_its_tool() -> None:
    def first(question: str) -> int:
        shares = ASKED.shares(question)
        return max(shares, key=shares.__getitem__)

    assert [first(q) for q in ("the price, please", "Lend it!", "hand the book back")] == [2, 1, 0]
    assert (first("to the shelf"), first("from the shelf")) == (0, 1)
    assert sum(ASKED.shares("take the book").values()) == pytest.approx(1)


def test_nothing_is_told_of_words_that_nobody_has_asked_or_of_tools_whose_questions_are_unknown() -> None:
    assert ASKED.shares("weather tomorrow") == ASKED.shares("") == ASKED.shares("何時") == {}
    assert ASKED.shares("book").keys() == {0, 1, 2}
    assert Asked({}).shares("book") == {}


def test_a_tool_is_not_favoured_because_little_is_known_of_it() -> None:
    many = [f"show the {word} of the room" for word in ("agents", "tasks", "locks", "votes", "costs", "files")]
    asked = Asked({0: many, 1: ["dance"]})
    assert asked.shares("show the members")[0] > asked.shares("show the members")[1]


def test_a_pair_of_words_asked_once_is_not_kept() -> None:
    assert "price of" not in ASKED._gains
    assert {"price", "the book"} <= ASKED._gains.keys()


@frozen
class Steps:
    """Result."""

    count: int


@tool(effect=READ, role=READER)
async def masc_dance(ctx: Context) -> Steps:
    """Dance a few steps."""
    return Steps(3)


class Dancing:
    """A plugin that is no package, with one tool."""

    @hookimpl
    def masc_tools(self, register: Callable[[Any], None]) -> None:
        """One."""
        register(masc_dance)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of one tool's function, not yet with questions."""
    directory = tmp_path / "acme_asked"
    directory.mkdir()
    (directory / "__init__.py").write_text("async def acme_dance(): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield directory
    sys.modules.pop("acme_asked", None)


def declared(registry: Registry) -> Tool:
    """A tool of that package."""
    import acme_asked  # type: ignore[import-not-found]

    return evolve(next(iter(registry.contracts.values())).tool, name="acme_dance", handler=acme_asked.acme_dance)


@pytest.mark.parametrize("content", ["{", "[]", '{"acme_dance": "waltz"}', '{"acme_dance": [1]}', "\xff"])
def test_questions_that_cannot_be_used_count_as_none_and_are_logged(
    content: str, package: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dance = declared(load(enabled=()))
    assert questions_for([dance]) == {0: []}
    (package / QUESTIONS).write_text('{"acme_dance": ["waltz"]}')
    assert questions_for([dance]) == {0: ["waltz"]}
    assert not caplog.records
    (package / QUESTIONS).write_bytes(content.encode("latin-1"))
    with caplog.at_level(logging.WARNING):
        assert questions_for([dance, dance]) == {0: [], 1: []}
    assert len(caplog.records) == 1
    assert "questions.json of acme_asked cannot be used: " in caplog.text


def test_a_tool_without_questions_is_found_by_its_own_words() -> None:
    modes = Modes(load(enabled=(), extra=[("dancing", Dancing())]))
    assert place_of(modes.contract("masc_dance").tool) == ""
    for query in ("dance", "dance a few steps", "show me how to dance", "I want to dance"):
        assert modes.finder.find(query)[0].tool.name == "masc_dance"


@pytest.fixture(scope="module")
def shipped() -> list[Contract]:
    """The first-party tools' contracts."""
    modes = Modes(load(enabled=()))
    return list(modes.contracts(modes.installed))


def test_every_tool_of_ours_has_questions_beside_it(shipped: list[Contract]) -> None:
    known = questions_for([contract.tool for contract in shipped])
    assert {contract.tool.name for i, contract in enumerate(shipped) if len(known[i]) < 50} == set()
    assert list(rules.questions(shipped)) == []


def test_what_the_search_is_tested_with_is_not_among_what_it_knows(shipped: list[Contract]) -> None:
    known = {
        question.lower().strip(" .?!")
        for package in {place_of(contract.tool) for contract in shipped}
        for questions in read_questions(package).values()
        for question in questions
    }
    for name in ("tool_questions.json", "tool_wishes.json"):
        for each in orjson.loads(Path(__file__).with_name(name).read_bytes())["sets"]:
            assert not known & {question["question"].lower().strip(" .?!") for question in each["questions"]}, each[
                "name"
            ]
