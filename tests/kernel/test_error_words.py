"""How refusals read: lists in words, every expectation a sentence with the argument's name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from masc_core.errors import AgentNotFound, MascError, error, in_words
from masc_core.identity import Client
from masc_core.plugins import load
from masc_core.testing.app import MascApp

CONTRACTS = load().contracts
"""Loading them imports every plugin, and with it every error."""


def tree(root: type[MascError]) -> Iterator[type[MascError]]:
    """An error class and all below it."""
    yield root
    for below in root.__subclasses__():
        yield from tree(below)


@pytest.mark.parametrize("kind", sorted({k for k in tree(MascError) if k.__module__.startswith("masc_")}, key=str))
@pytest.mark.parametrize(("items", "words"), [(["x-1", "x-2"], "x-1, x-2"), ([], "none")])
def test_an_error_gives_its_lists_in_words(kind: type[MascError], items: list[str], words: str) -> None:
    types = {name: str(t) for cls in reversed(kind.__mro__) for name, t in getattr(cls, "__annotations__", {}).items()}
    lists = {name for name in kind._fields if types[name].startswith("list")}
    text = str(kind(**{name: items if name in lists else 7 for name in kind._fields}))
    assert "[" not in text
    assert words in text or not lists


def test_a_list_in_words_keeps_its_items_apart() -> None:
    assert in_words(["yes", "no, never", 3]) == 'yes, "no, never", 3'
    assert in_words(()) == "none"


def test_the_details_of_an_error_stay_a_list() -> None:
    refused = AgentNotFound(agent="x", candidates=["a", "b"])
    assert refused.details["candidates"] == ["a", "b"]
    assert str(refused) == "no agent 'x' in this room; near names: a, b"


def test_other_peoples_errors_are_worded_likewise() -> None:
    @error
    class Full(MascError):
        text = "no room beside {guests}"
        guests: list[str]

    assert str(Full(guests=["a", "b"])) == "no room beside a, b"


@pytest.mark.parametrize(
    ("tool", "argument", "value", "said"),
    [
        ("masc_tasks", "status", "x", "must be one of recent, open, all, todo, claimed, in_progress, done, cancelled"),
        ("masc_broadcast", "message", "\0", "must be text without NUL characters"),
        ("masc_broadcast", "message", "\ud800", "must be text without unpaired surrogates"),
        ("masc_broadcast", "message", " \n", "must be more than blanks"),
        ("masc_add_task", "title", "a\nb", "must be one line without control characters"),
        ("masc_find_tools", "category", "x", "must be one of core, "),
        ("masc_switch_mode", "categories", ["x"], "must be among core, "),
    ],
)
async def test_what_is_expected_reads_on_from_the_arguments_name(
    masc: MascApp, tool: str, argument: str, value: object, said: str
) -> None:
    await masc.call("masc_join", "claude")
    person = Client("local", "local", person="human:root")  # whom no mode binds
    arguments = {argument: value, **({"mode": "custom"} if tool == "masc_switch_mode" else {})}
    message = str((await masc.outcome(tool, person, **arguments)).error)
    assert message.startswith(f"argument {argument}: {said}")


async def test_a_blocked_and_an_ended_task_say_what_is_possible(masc: MascApp) -> None:
    for depends_on in ([], [], ["task-001", "task-002"]):
        await masc.call("masc_add_task", title="T", depends_on=depends_on)
    blocked = await masc.error("masc_claim", "claude", task_id="task-003")
    assert blocked["message"] == "task-003 waits on task-001, task-002; claim one of those first"
    await masc.call("masc_transition", "claude", task_id="task-001", action="cancel")
    ended = await masc.error("masc_update_priority", task_id="task-001", priority=1)
    assert ended["message"] == "task-001 is cancelled, so action prioritise is impossible; possible: none"
