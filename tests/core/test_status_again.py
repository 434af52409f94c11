"""masc_status of a room in which nothing has happened is not put together again, and is what it would be if it were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from masc_core.call import Outcome
from masc_core.convert import unstructure
from masc_core.frozen import evolve
from masc_core.identity import Client
from masc_core.remembered import memo_of
from masc_core.testing.app import MascApp
from masc_plugin_core import status as module
from masc_plugin_core.status import REMEMBERED

STEPS: tuple[tuple[str, str | None, dict[str, Any]], ...] = (
    ("masc_add_task", None, {"title": "one"}),
    ("masc_join", "bob", {}),
    ("masc_claim", "bob", {"task_id": "task-001"}),
    ("masc_broadcast", "bob", {"message": "hello @ann"}),
    ("masc_lock", "bob", {"file_path": "a.py"}),
    ("masc_portal_open", "bob", {"target_agent": "ann", "initial_message": "see?"}),
    ("masc_vote_create", "bob", {"topic": "which?", "options": ["a", "b"]}),
    ("masc_messages", "ann", {}),
    ("masc_done", "bob", {"task_id": "task-001"}),
    ("masc_unlock", "bob", {"file_path": "a.py"}),
    ("masc_leave", "bob", {}),
)


async def told(masc: MascApp, client: Client, **arguments: Any) -> tuple[dict[str, Any], str]:
    """Both forms of the answer; the first is the caller's to change."""
    outcome: Outcome = await masc.outcome("masc_status", client, **arguments)
    assert outcome.error is None
    return dict(outcome.structured), outcome.text


async def test_after_every_change_it_is_what_it_would_be_if_it_were_written_anew(masc: MascApp) -> None:
    client = evolve(masc.client(), agent="ann")
    await masc.call("masc_join", "ann")
    previous = await told(masc, client)
    for tool, agent, arguments in (*STEPS, ("clock", None, {})):
        if tool == "clock":
            await masc.clock.advance(100_000)
        else:
            assert "error" not in await masc.call(tool, agent, **arguments), tool
        several = [await told(masc, client) for _ in range(4)]
        masc.kernel.start_room.memory.clear()
        assert several == [await told(masc, client)] * 4, tool
        assert several[0] != previous or tool == "masc_messages", tool
        previous = several[0]


async def test_it_is_written_once_for_what_has_not_changed(masc: MascApp, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    fill: Callable[..., object] = module._filled

    def counted(*facts: object) -> object:
        made.append(facts)
        return fill(*facts)

    monkeypatch.setattr(module, "_filled", counted)
    await masc.call("masc_join", "ann")
    for _ in range(5):
        await masc.call("masc_status", "ann")
    assert len(made) == 1
    await masc.call("masc_add_task", title="one")
    await masc.call("masc_status", "ann")
    assert len(made) == 2


async def test_who_changes_an_answer_changes_nobody_elses(masc: MascApp) -> None:
    client = masc.client()
    await masc.call("masc_join", "ann")
    for _ in range(3):
        structured, _ = await told(masc, client)
    structured["agents"].clear()
    structured["messages"]["total"] = 99
    again, _ = await told(masc, client)
    assert again["agents"] and again["messages"]["total"] != 99


async def test_what_is_said_of_one_call_is_not_said_of_the_next(masc: MascApp) -> None:
    client = evolve(masc.client(), agent="ann")
    await masc.call("masc_join", "ann")
    plain = [await told(masc, client) for _ in range(4)]
    structured, text = await told(masc, client, agent_name="bob")
    assert structured.pop("warnings")[0]["code"] == "agent_name_ignored" and "agent_name_ignored" in text
    assert [(structured, plain[0][1])] * 5 == [*plain, await told(masc, client)]


async def test_who_asks_and_with_which_tools_makes_a_difference(masc: MascApp) -> None:
    for i in range(23):
        await masc.call("masc_join", f"agent-{i:02}")
    clients = [masc.client(), evolve(masc.client(), agent="agent-01")]
    clients += [
        evolve(client, selection=masc.kernel.modes.check(mode, categories, "url"))
        for client in clients
        for mode, categories in (("solo", ()), ("minimal", ()), (None, ["core", "comm"]), (None, ["core", "health"]))
    ]
    anew = []
    for client in clients:
        masc.kernel.start_room.memory.clear()
        anew.append(await told(masc, client))
    for _ in range(3):
        assert [await told(masc, client) for client in clients] == anew


async def test_as_many_are_remembered_as_may_be(masc: MascApp) -> None:
    await masc.call("masc_join", "ann")
    for i in range(REMEMBERED + 5):
        await masc.call("masc_status", f"agent-{i}")
    assert len(masc.kernel.start_room.remember(module._Shown)._last) == REMEMBERED


def test_only_what_is_asked_for_again_is_kept_in_every_form(masc_shown: module._Shown) -> None:
    status = module.Status(initialised=True, path="/", mode="full")
    assert masc_shown.status("ann", (1,), lambda: status) is status and memo_of(status) is None
    assert masc_shown.status("ann", (1,), lambda: module.Status(True, "/", "solo")) is status
    assert memo_of(status) is not None and unstructure(status)["mode"] == "full"
    other = module.Status(True, "/", "solo")
    assert masc_shown.status("ann", (2,), lambda: other) is other


@pytest.fixture
def masc_shown() -> module._Shown:
    """Nothing was shown yet."""
    return module._Shown()
