"""Text and structure of a result carry the same facts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from masc_core import Context, hookimpl
from masc_core.call import failure
from masc_core.errors import StartError
from masc_core.identity import Client
from masc_core.render import render
from masc_core.testing.app import MascApp, masc_app

TITLE = 'Ünïcode "quoted", with, commas = and separators'


def facts(value: Any) -> Iterator[str]:
    """Every id, name, number and text in a result."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from facts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from facts(inner)
    elif not isinstance(value, bool):
        yield str(value)


def _shown(fact: str) -> str:
    """A fact as the text has it, where a line break would start a new item."""
    return fact.replace("\n", r"\n").replace("\u2028", r"\u2028")


async def test_every_fact_of_every_core_result_is_in_its_text(masc: MascApp) -> None:
    """Acceptance 4 of model.md, for category core."""
    client = Client(transport="http", source="test", bindings=("session:a",))
    calls: list[tuple[str, dict[str, Any]]] = [
        ("masc_status", {}),
        ("masc_init", {"agent_name": "claude"}),
        ("masc_set_room", {"path": str(masc.path)}),
        ("masc_join", {"agent_name": "claude", "capabilities": ["Python 3"], "room_secret": "0" * 64}),
        ("masc_start", {"agent_name": "claude", "task_title": TITLE}),
        (
            "masc_add_task",
            {"title": TITLE, "description": "two\nlines and\u2028more", "files": ["a b/", "c"], "priority": 5},
        ),
        ("masc_add_task", {"title": "B", "depends_on": ["task-002"], "assignee": "claude", "capabilities": ["x y"]}),
        ("masc_claim", {"agent_name": "claude", "task_id": "task-002"}),
        ("masc_transition", {"agent_name": "claude", "task_id": "task-002", "action": "start", "notes": "a, b\nc"}),
        ("masc_lock", {"agent_name": "claude", "file_path": "src/a b.py"}),
        ("masc_status", {"agent_name": "claude"}),
        ("masc_tasks", {}),
        ("masc_done", {"agent_name": "claude", "task_id": "task-002", "notes": "ok\n- not an item"}),
        ("masc_claim_next", {"agent_name": "gemini"}),
        ("masc_update_priority", {"task_id": "task-003", "priority": 1}),
        ("masc_archive_view", {}),
        ("masc_get_config", {}),
        ("masc_switch_mode", {"mode": "custom", "categories": ["health", "comm"]}),
        ("masc_leave", {"agent_name": "claude"}),
    ]
    called = {tool for tool, _ in calls}
    assert {n for n, c in masc.kernel.registry.contracts.items() if c.tool.category == "core"} <= called
    for tool, arguments in calls:
        outcome = await masc.outcome(tool, client, **arguments)
        assert outcome.error is None, (tool, outcome.text)
        missing = [fact for fact in facts(outcome.structured) if _shown(fact) not in outcome.text]
        assert not missing, (tool, missing, outcome.text)
        assert "null" not in str(outcome.structured)


@pytest.mark.parametrize(
    "structured",
    [
        {"a": {"b": {"c": {"d": "deep"}}}},
        {"a": [{"b": [{"c": ["deep", "er"]}]}]},
        {"a": [["x", "y"], ["z"]]},
        {"a": {"items": [{"n": 1.5}, {"n": -2}]}},
        {"a": {"claude": 3}},
        {"": "odd"},
    ],
)
def test_nothing_is_lost_however_deep(structured: dict[str, Any]) -> None:
    text = render(structured)
    assert all(fact in text for fact in facts(structured))


def test_an_empty_result_is_still_a_text() -> None:
    assert render({})


@pytest.mark.parametrize("text", ['hi" status=done x="', '"', '""', 'say "yes" or ""no""', '"quoted"'])
def test_a_text_ends_where_its_quotes_end(text: str) -> None:
    """More quotes in a row than the text has, so no text can pose as a further field."""
    longest = max(map(len, re.findall('"+', text)))
    marks = '"' * (longest + 1)
    assert render({"items": [{"id": 1, "text": text}]}) == f"items:\n- id=1 text={marks}{text}{marks}"


def test_texts_inside_an_item_have_lines_of_their_own() -> None:
    portal = {"peer": "gemini", "open": [], "unread": [{"id": "a2a-1", "message": "one thing"}, {"id": "a2a-2"}]}
    assert render({"portals": [portal]}).splitlines() == [
        "portals:",
        "- peer=gemini open=[]",
        "  unread:",
        '  - id=a2a-1 message="one thing"',
        "  - id=a2a-2",
    ]


def test_short_records_inside_an_item_stay_on_its_line() -> None:
    message = {"seq": 1, "mentions": [{"token": "@claude", "agents": ["claude"]}]}
    assert render({"messages": [message]}) == "messages:\n- seq=1 mentions=[(token=@claude agents=[claude])]"


CONTROLS = ["\x1b", "\b", "\x00", "\x7f", "\x9b", "\x85", "\u202e", "\u2066", "\u200f", "\u2028", "\r", "\n"]


@pytest.mark.parametrize("char", CONTROLS)
def test_no_text_steers_the_terminal_it_is_shown_on(char: str) -> None:
    text = render({"items": [{"id": 1, "text": f"a{char}b"}], "n": 1, "said": f"c{char}d"})
    assert len(text.splitlines()) == 3
    assert char not in "".join(text.splitlines())


@pytest.mark.parametrize("char", CONTROLS)
def test_no_refusal_steers_the_terminal_it_is_shown_on(char: str) -> None:
    outcome = failure(StartError(message=f"a{char}b"))
    assert char not in outcome.text
    assert outcome.text.startswith("start_failed: a\\")


def test_joined_emoji_and_tabs_are_left_alone() -> None:
    text = "family \U0001f468\u200d\U0001f469\u200d\U0001f467\tok"
    assert text in render({"message": text})


async def test_system_messages_hold_no_control_characters(masc: MascApp) -> None:
    await masc.call("masc_join", "claude")

    class Speaking:
        @hookimpl
        async def masc_in_commit(self, ctx: Context) -> None:
            ctx.system_message("one\x1b[2K\u202etwo\nthree")

    async with masc_app(masc.path / "other", extra=[("guard:speaking", Speaking())]) as app:
        await app.call("masc_join", "claude")
        messages = (await app.call("masc_messages", limit=1))["messages"]
    assert messages[0]["content"] == "one[2Ktwo three"


def test_texts_that_differ_are_shown_differently() -> None:
    texts = [
        "a\nb",
        r"a\nb",
        "a\\\nb",
        r"a\\nb",
        "a\\\\\nb",
        "a\rb",
        r"a\rb",
        "a\u2028b",
        r"a\u2028b",
        r"C:\dir",
        r"C:\new",
    ]
    assert len({render({"text": text}) for text in texts}) == len(texts)
    assert render({"text": r"C:\dir"}) == r'text="C:\dir"'
