"""The right tool is found by the words people and models use."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from masc_core.errors import InvalidArgument
from masc_core.finder import Finder
from masc_core.modes import Modes
from masc_core.plugins import load
from masc_core.search import Index

SETS: list[dict[str, Any]] = orjson.loads(Path(__file__).with_name("tool_questions.json").read_bytes())["sets"]
WISHES: list[dict[str, Any]] = orjson.loads(Path(__file__).with_name("tool_wishes.json").read_bytes())["sets"]
QUESTIONS = [question for each in SETS for question in each["questions"]]
RIGHT = 0.95
AMONG_THREE = 0.98


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


def test_the_right_tool_is_found_for_wishes_in_any_words(modes: Modes, record_property: Any) -> None:
    shares = {}
    for each in WISHES:
        wishes = [(q["tool"], [c.tool.name for c in modes.finder.find(q["question"])[:3]]) for q in each["questions"]]
        first = sum(names[:1] == [tool] for tool, names in wishes) / len(wishes)
        in_three = sum(tool in names for tool, names in wishes) / len(wishes)
        record_property(f"found first, among three, {each['name']}", f"{first:.1%}, {in_three:.1%}")
        shares[each["name"]] = (first >= RIGHT, in_three >= AMONG_THREE)
    # Which ones are missed is not told: who mends them one by one has no measure left.
    assert set(shares.values()) == {(True, True)}, shares


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


def test_a_tool_that_is_named_comes_first(modes: Modes) -> None:
    for contract in modes.contracts(modes.installed):
        name = contract.tool.name
        short = name.removeprefix("masc_")
        for query in (name, short, short.replace("_", " "), name.upper(), f"`{name}`", f"use {name}() for this"):
            assert _first(modes.finder, query) == name
        assert _first(modes.finder, f"mcp__masc__{name}") == name
        assert _first(modes.finder, " ".join(reversed(short.split("_")))) == name
    for query in ("encryption enable", "enable encryption", "ENABLE_ENCRYPTION"):
        assert _first(modes.finder, query) == "masc_encryption_enable"
    assert _first(modes.finder, "what does masc do") != "masc_init"
    both = [contract.tool.name for contract in modes.finder.find("masc_unlock, not mcp_masc_masc_lock")]
    assert both[:2] == ["masc_unlock", "masc_lock"]
    assert modes.finder.find("???") == []


def test_a_file_is_no_name(modes: Modes) -> None:
    assert _first(modes.finder, "lock schemas/core/masc_reset.json") == "masc_lock"
    assert _first(modes.finder, "lock masc_leave.md for me") == "masc_lock"


def test_more_than_the_best_is_shown_where_others_may_be_meant(modes: Modes) -> None:
    for query, others in (("vote", {"masc_vote_create", "masc_vote_status"}), ("lock src/app.py", {"masc_unlock"})):
        assert others <= {contract.tool.name for contract in modes.finder.find(query)}


def test_a_topic_alone_shows_first_what_changes_nothing(modes: Modes) -> None:
    for topic in ("encryption", "cost", "auth", "task"):
        assert modes.finder.find(topic)[0].tool.reads


def test_an_apostrophe_may_be_typographic(modes: Modes) -> None:
    for query in ("what\u2019s on the board", "I don\u2019t need the lock any longer"):
        assert modes.finder.find(query) == modes.finder.find(query.replace("\u2019", "'")) != []


def test_slips_of_the_pen_are_forgiven(modes: Modes) -> None:
    assert _first(modes.finder, "brodcast") == "masc_broadcast"
    assert _first(modes.finder, "encription status") == "masc_encryption_status"


def test_a_slip_is_one_letter_and_another_word_is_none() -> None:
    index = Index([{"name": "broadcast"}, {"name": "posted"}, {"name": "catch"}], {"name": (1.0, 0.5)})
    for slip in ("brodcast", "broadcasst", "braodcast", "broadcest"):
        assert index.ranked(slip) == [0]
    for other in ("postgres", "hatch", "roadcast", "broad"):
        assert index.ranked(other) == []


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


def test_a_text_that_says_something_to_all_of_a_question_comes_before_one_that_says_much_to_half() -> None:
    others = [{"name": "plum"}, {"name": "plum"}, *({"name": f"tree{n}"} for n in range(6))]
    index = Index([{"name": "fig fig fig fig"}, {"name": "fig plum"}, *others], {"name": (1.0, 0.0)})
    assert index.ranked("fig plum")[:2] == [1, 0]


def test_words_that_stand_for_one_another_are_found_and_count_less() -> None:
    assert INDEX.ranked("quince") == [1]
    assert INDEX.ranked("damson") == [2]


def test_what_counts_more_comes_before_its_equals() -> None:
    equal = Index([{"name": "fig"}, {"name": "fig"}], {"name": (1.0, 0.5)})
    assert equal.ranked("fig", {1: 1.5}) == [1, 0]


def test_words_and_phrases_that_mean_the_same_are_one() -> None:
    index = Index(
        [{"name": "deny"}, {"name": "leave room"}, {"name": "not here"}],
        {"name": (1.0, 0.5)},
        same="leave sign_off quit\nnot no_longer without",
    )
    assert index.ranked("quitting") == index.ranked("signing off") == [1]
    assert index.ranked("no longer") == index.ranked("doesn't") == [2]
    assert index.ranked("off") == []


def test_the_best_of_a_word_and_those_like_it_counts() -> None:
    texts = [{"name": "gourd", "text": "plum"}, {"name": "plum"}]
    weights = {"name": (100.0, 0.5), "text": (0.001, 0.5)}
    index = Index(texts, weights, alike="gourd plum")
    assert index.ranked("plum") == [1, 0]


def test_a_search_keeps_no_word_of_a_query() -> None:
    index = Index([{"name": "fig"}], {"name": (1.0, 0.5)})
    index.ranked("my secret figs")
    assert "secret" not in repr(vars(index))


def test_the_point_may_come_later_in_a_sentence(modes: Modes) -> None:
    asked = "This room here; is authentication on?"
    assert modes.finder.find(asked)[0].tool.name == "masc_auth_status"
    assert _first(modes.finder, "This task here, please cancel it") == "masc_transition"


def test_an_order_finds_what_is_charged_as_reading_but_leaves_something(modes: Modes) -> None:
    for order in ("send a sign of life", "tell the system I'm alive"):
        assert _first(modes.finder, order) == "masc_heartbeat"


def test_to_issue_a_token_is_no_task(modes: Modes) -> None:
    assert _first(modes.finder, "issue a token") == "masc_auth_create_token"
    assert _first(modes.finder, "create task") == "masc_add_task"
    assert _first(modes.finder, "list all tickets") == "masc_tasks"


def test_a_switch_is_read_whatever_stands_between(modes: Modes) -> None:
    for words in ("turn the encryption on", "turn on encryption"):
        assert _first(modes.finder, words) == "masc_encryption_enable"
    assert _first(modes.finder, "switch authentication on") == "masc_auth_enable"


def test_who_names_one_of_many_is_shown_what_shows_one(modes: Modes) -> None:
    for words in ("show vote-8", "show ballot 8"):
        assert _first(modes.finder, words) == "masc_vote_status"


OPPOSITES = {
    "masc_lock": ("keep src/app.py to myself", "I need the lock on src/app.py", "reserve a.py so no one else edits it"),
    "masc_unlock": ("I no longer need the lock", "others may edit src/app.py again", "let go of src/app.py"),
    "masc_portal_open": ("set up a one-to-one session with codex", "start collaborating with codex in private"),
    "masc_portal_close": ("finish the session with codex", "end the private collaboration with codex"),
    "masc_worktree_create": ("give me a sandbox", "I want my own working copy"),
    "masc_worktree_remove": ("I don't need the sandbox any longer", "tear down the working copy"),
    "masc_auth_enable": ("require login", "start to demand tokens"),
    "masc_auth_disable": ("no more login required", "stop asking for tokens"),
    "masc_encryption_disable": ("no encryption for new records", "I don't want the data encrypted"),
    "masc_interrupt": ("I need approval for a dangerous step", "get permission before I delete files"),
    "masc_approve": ("allow the step", "give the go-ahead for the step that waits for confirmation"),
    "masc_reject": ("do not allow the step", "refuse the step that the agent asked for"),
}


@pytest.mark.parametrize("name", OPPOSITES)
def test_what_is_wanted_decides_between_opposites(modes: Modes, name: str) -> None:
    for words in OPPOSITES[name]:
        assert _first(modes.finder, words) == name, words


def test_what_something_is_about_is_not_what_is_wanted(modes: Modes) -> None:
    for topic in ("the database", "encryption", "tokens", "the file lock"):
        assert _first(modes.finder, f"start a poll about {topic}") == "masc_vote_create"
    assert _first(modes.finder, "ask for permission before I delete files") == "masc_interrupt"


def test_where_a_room_is_names_no_file(modes: Modes) -> None:
    for path in ("/srv/app", "~/src/shop", "../frontend", "/home/me/other-project"):
        assert _first(modes.finder, f"use the room of {path}") == "masc_set_room"


def test_who_only_asks_is_shown_a_tool_that_reads(modes: Modes) -> None:
    assert _first(modes.finder, "what was approved") == "masc_pending_interrupts"
    for asked in ("is authentication on", "is our data encrypted", "what worktrees are there", "is encryption on"):
        tool = modes.finder.find(asked)[0].tool
        assert tool.reads, f"{asked}: {tool.name}"
    assert _first(modes.finder, "list everything that nobody has started") == "masc_tasks"


def test_an_argument_that_is_no_query_is_refused(modes: Modes) -> None:
    with pytest.raises(InvalidArgument):
        modes.contract("masc_find_tools").validate({"query": ""})
