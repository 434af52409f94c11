"""What is known to be asked of tools tells which one another question is for."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from masc_core import READ, READER, WORKER, WRITE, Context, hookimpl, tool
from masc_core.authoring import rules
from masc_core.authoring.package import Package
from masc_core.contracts import Contract
from masc_core.finder import Finder
from masc_core.frozen import evolve, frozen
from masc_core.modes import Modes
from masc_core.plugins import Registry, load
from masc_core.questions import FILE, Questions, place_of, questions_for, read_questions
from masc_core.tools import Tool

QUESTIONS = Questions(
    {
        0: ["give the book back", "I return the book", "take the book back to the shelf"],
        1: ["lend me a book", "I want the book", "take that book from the shelf"],
        2: ["how much is the book", "the price of the book"],
        4: ["?", ""],
    }
)


def first(question: str, among: Questions = QUESTIONS) -> int:
    shares = among.shares(question)
    return max(shares, key=shares.__getitem__)


def test_the_words_of_a_question_and_their_order_tell_its_tool() -> None:
    assert [first(q) for q in ("the price, please", "Lend it!", "hand the book back")] == [2, 1, 0]
    assert (first("to the shelf"), first("from the shelf")) == (0, 1)
    assert sum(QUESTIONS.shares("take the book").values()) == pytest.approx(1)


def test_nothing_is_told_of_words_that_nobody_has_asked_or_of_tools_whose_questions_are_unknown() -> None:
    assert QUESTIONS.shares("weather tomorrow") == QUESTIONS.shares("the") == QUESTIONS.shares("何時") == {}
    assert QUESTIONS.shares("book").keys() == {0, 1, 2}
    assert Questions({}).shares("book") == {}


def test_articles_and_line_breaks_change_nothing() -> None:
    assert QUESTIONS.shares("book back") == QUESTIONS.shares("the book\n  back!") != QUESTIONS.shares("back book")


def test_which_file_number_or_agent_is_meant_changes_nothing() -> None:
    names = Questions({0: ["lock src/app.py", "lock 7 files"], 1: ["ask codex about src_app"]})
    for one, other in (
        ("lock src/app.py", "lock ../docs/a.md"), ("lock 7", "lock 12"), ("ask codex", "ask Gemini"), ("src app", "src_app")
    ):  # fmt: skip
        assert names.shares(one) == names.shares(other) != {}


def test_a_rare_word_tells_more_than_one_that_all_use() -> None:
    """What a word says depends on how often it is in all questions, and not only in those of one tool."""
    common = Questions({0: ["show it", "show it", "show it", "peek"], 1: ["show it", "show it", "show it", "show it"]})
    assert first("peek show", common) == 0
    many = ["show tasks", "show locks", "show votes"]
    assert first("show moon", Questions({0: [*many, "moon"], 1: [*many, "show costs", "show files"]})) == 0


def test_a_tool_is_not_favoured_because_little_is_known_of_it() -> None:
    many = [f"show the {word} of the room" for word in ("agents", "tasks", "locks", "votes", "costs", "files")]
    asked = Questions({0: many, 1: ["dance"]})
    assert asked.shares("show the members")[0] > asked.shares("show the members")[1]


def test_a_long_question_that_a_tool_fits_word_by_word_is_not_too_much_to_count() -> None:
    text = " ".join(f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(600))
    assert Questions({0: [text], 1: ["other"]}).shares(text)[0] == pytest.approx(1)


def test_a_pair_of_words_asked_once_is_not_kept() -> None:
    assert "price of" not in QUESTIONS._gains
    assert {"price", "book back"} <= QUESTIONS._gains.keys()


@frozen
class Steps:
    """Result."""

    count: int


@tool(effect=READ, role=READER)
async def masc_dance(ctx: Context) -> Steps:
    """Dance a few steps."""
    return Steps(3)


@tool(effect=READ, role=READER)
async def again(ctx: Context) -> Steps:
    """Dance those steps twice."""
    return Steps(6)


@tool(effect=WRITE, role=WORKER)
async def jira_create_issue(ctx: Context) -> Steps:
    """Create an issue in Jira."""
    return Steps(0)


class Dancing:
    """A plugin that is no package, with a tool called like a common word and one that sounds like one of MASC's."""

    @hookimpl
    def masc_tools(self, register: Callable[[Any], None]) -> None:
        """Three."""
        register(masc_dance)
        register(again)
        register(jira_create_issue)


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
    (package / FILE).write_text('{"acme_dance": ["waltz"]}')
    assert questions_for([dance]) == {0: ["waltz"]}
    assert not caplog.records
    (package / FILE).write_bytes(content.encode("latin-1"))
    with caplog.at_level(logging.WARNING):
        assert questions_for([dance, dance]) == {0: [], 1: []}
    assert len(caplog.records) == 1
    assert "questions.json of acme_asked cannot be used: " in caplog.text


@pytest.mark.parametrize("error", [PermissionError("no"), TypeError("no"), AttributeError("no"), ImportError("no")])
def test_a_package_that_cannot_be_looked_into_counts_as_one_without_questions(
    error: Exception, package: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: str) -> None:
        raise error

    monkeypatch.setattr("masc_core.questions.files", refuse)
    assert questions_for([declared(load(enabled=()))]) == {0: []}
    assert "questions.json of acme_asked cannot be used: no" in caplog.text


@pytest.fixture
def finder_knowing(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], Finder]:
    """Makes the search with one tool more, of which these questions are known."""

    def make(questions: list[str]) -> Finder:
        def known(tools: Sequence[Tool]) -> dict[int, list[str]]:
            return {**questions_for(tools), [tool.name for tool in tools].index("masc_dance"): questions}

        monkeypatch.setattr("masc_core.finder.questions_for", known)
        modes = Modes(load(enabled=(), extra=[("dancing", Dancing())]))
        assert place_of(modes.contract("masc_dance").tool) == ""
        return modes.finder

    return make


Make = Callable[[list[str]], Finder]


def names(finder: Finder, query: str) -> list[str]:
    return [contract.tool.name for contract in finder.find(query)]


@pytest.mark.parametrize("questions", [[], ["do the waltz"], ["do the waltz", "let us swing", "I like a tango"]])
def test_a_tool_of_which_little_is_known_is_found_by_its_own_words(finder_knowing: Make, questions: list[str]) -> None:
    finder = finder_knowing(questions)
    for query in (
        "dance",
        "dance a few steps",
        "show me how to dance",
        "I want to dance",
        "dance before the task is done",
    ):
        assert names(finder, query)[0] == "masc_dance"


def test_a_tool_of_which_little_is_known_is_not_what_others_are_asked_for(finder_knowing: Make) -> None:
    finder = finder_knowing(["do the waltz"])
    for query, wanted in (
        ("steps of the task that wait for a person", "masc_pending_interrupts"),
        ("show the board again", "masc_tasks"),
        ("create task", "masc_add_task"),
        ("create a jira issue", "jira_create_issue"),
        ("waltz", "masc_dance"),
    ):
        assert names(finder, query)[0] == wanted


def test_a_tool_is_found_by_its_questions_alone(finder_knowing: Make) -> None:
    assert names(finder_knowing([]), "do the waltz") == []
    for question in ("do the waltz", "ship it", "I am done with the login", "lock us in"):
        assert names(finder_knowing([question]), question)[0] == "masc_dance"
    assert names(finder_knowing(["do the waltz"]), "polka") == []


async def test_a_search_that_many_ask_for_at_once_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Counted(Finder):
        def __init__(self, modes: Modes) -> None:
            made.append(threading.current_thread())
            super().__init__(modes)

    monkeypatch.setattr("masc_core.finder.Finder", Counted)
    modes = Modes(load(enabled=()))
    finders = await asyncio.gather(*(modes.made_finder() for _ in range(6)))
    assert {id(finder) for finder in [*finders, modes.finder]} == {id(modes.finder)}
    assert len(made) == 1
    assert made[0] is not threading.current_thread()


@pytest.fixture(scope="module")
def shipped() -> list[Contract]:
    """The first-party tools' contracts."""
    modes = Modes(load(enabled=()))
    return list(modes.contracts(modes.installed))


def test_every_tool_of_ours_has_questions_beside_it(shipped: list[Contract]) -> None:
    known = questions_for([contract.tool for contract in shipped])
    assert {contract.tool.name for i, contract in enumerate(shipped) if len(known[i]) < 50} == set()
    assert list(rules.questions(shipped, Package("masc", "", {}))) == []


def test_what_the_search_is_tested_with_is_not_among_what_it_knows(shipped: list[Contract]) -> None:
    known = {
        _bare(question)
        for package in {place_of(contract.tool) for contract in shipped}
        for questions in read_questions(package).values()
        for question in questions
    }
    for name in ("tool_questions.json", "tool_wishes.json"):
        for each in orjson.loads(Path(__file__).with_name(name).read_bytes())["sets"]:
            assert not known & {_bare(question["question"]) for question in each["questions"]}, each["name"]


def _bare(question: str) -> str:
    return " ".join(re.findall(r"\w+", question.lower()))
