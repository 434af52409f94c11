"""Capabilities, as discovery.md accepts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from masc_core.clock import timestamp
from masc_core.frozen import evolve
from masc_core.identity import Client
from masc_core.records import AGENTS, EVENTS, PRESENCE, Agent, AgentMeta, Event, Presence
from masc_core.store.collections import LogView, View
from masc_core.store.driver import Scan
from masc_core.store.transaction import Transaction
from masc_core.testing import ManualClock, MascApp


async def register(masc: MascApp, agent: str, *capabilities: str) -> dict[str, Any]:
    return await masc.call("masc_register_capabilities", agent, capabilities=list(capabilities))


async def found(masc: MascApp, capability: str) -> list[str]:
    result = await masc.call("masc_find_by_capability", capability=capability)
    assert result["count"] == len(result["agents"])
    return [agent["name"] for agent in result["agents"]]


async def registrations(masc: MascApp) -> list[Event]:
    every = await LogView(EVENTS, Transaction(masc.kernel.start_room.driver)).read(limit=1000)
    return [event for event in every if event.type == "capabilities_registered"]


async def test_free_agents_come_before_busy_ones(masc: MascApp) -> None:
    """Acceptance 1 of discovery.md."""
    await register(masc, "gemini", "python")
    await register(masc, "claude", "Python", "review")
    await masc.call("masc_add_task", "claude", title="t")
    await masc.call("masc_claim", "claude", task_id="task-001")
    result = await masc.call("masc_find_by_capability", capability=" PYTHON ")
    assert (result["capability"], result["count"]) == ("PYTHON", 2)
    gemini, claude = result["agents"]
    assert (gemini["name"], gemini["status"], "current_task" in gemini) == ("gemini", "active", False)
    assert (claude["name"], claude["status"], claude["current_task"]) == ("claude", "busy", "task-001")
    assert claude["capabilities"] == ["Python", "review"] and claude["last_seen"]


async def test_listening_comes_between_and_the_last_seen_first(masc: MascApp, clock: ManualClock) -> None:
    for name in ("busy", "early", "late", "Also", "listener"):
        await register(masc, name, "x")
    await masc.call("masc_add_task", "busy", title="t")
    await masc.call("masc_claim", "busy", task_id="task-001")
    await clock.advance(10)
    await masc.call("masc_heartbeat", "late")
    await clock.advance(10)
    await masc.call("masc_heartbeat", "busy")
    tx = Transaction(masc.kernel.start_room.driver)
    presence = await View(PRESENCE, tx).get("listener")
    View(PRESENCE, tx).put(evolve(presence, listening={"w": timestamp(clock.now() + 60)}))
    await tx.commit()
    assert await found(masc, "x") == ["late", "Also", "early", "listener", "busy"]


async def test_a_search_made_again_finds_agents_as_they_are_now(masc: MascApp) -> None:
    for name in ("claude", "gemini"):
        await register(masc, name, "x")
    first = (await masc.call("masc_find_by_capability", capability="x"))["agents"]
    assert (await masc.call("masc_find_by_capability", capability="x"))["agents"] == first
    await masc.call("masc_add_task", "gemini", title="t")
    await masc.call("masc_claim", "gemini", task_id="task-001")
    claude, gemini = (await masc.call("masc_find_by_capability", capability="x"))["agents"]
    assert (claude, gemini["status"], gemini["current_task"]) == (first[0], "busy", "task-001")
    await register(masc, "gemini", "y")
    assert await found(masc, "x") == ["claude"]


async def test_zombies_and_agents_that_left_are_not_listed(masc: MascApp, clock: ManualClock) -> None:
    """Acceptance 2 of discovery.md."""
    await register(masc, "claude", "x")
    await register(masc, "gemini", "x")
    await masc.call("masc_leave", "gemini")
    assert await found(masc, "x") == ["claude"]
    indexed = await View(AGENTS, Transaction(masc.kernel.start_room.driver)).scan("capability", "x")
    assert [agent.name for agent in indexed] == ["claude"]  # who left costs a search nothing
    await clock.advance(301)
    assert await found(masc, "x") == []
    await masc.call("masc_heartbeat", "claude")
    assert await found(masc, "x") == ["claude"]


async def test_blanks_and_duplicates_are_dropped_and_the_first_spelling_stays(masc: MascApp) -> None:
    """Acceptance 3 of discovery.md."""
    first = await register(masc, "claude", "a", "A", " a ")
    assert first == {"agent": "claude", "capabilities": ["a"], "changed": True, "joined": True}
    assert (await masc.call("masc_agents"))["agents"][0]["capabilities"] == ["a"]


async def test_an_empty_list_takes_everything_back(masc: MascApp) -> None:
    """Acceptance 4 of discovery.md."""
    await register(masc, "claude", "a", "b")
    assert (await register(masc, "claude"))["capabilities"] == []
    assert await found(masc, "a") == await found(masc, "b") == []


@pytest.mark.parametrize(
    "refused",
    [["c" * 65], ["ok", "c" * 65], [""], ["  "], ["a\nb"], ["\0"], [3], "python", None, ["c"] * 51, [None]],
)
async def test_a_refused_list_leaves_the_old_one(masc: MascApp, refused: object) -> None:
    """Acceptance 5 of discovery.md, and the other bounds."""
    await register(masc, "claude", "a")
    error = await masc.error("masc_register_capabilities", "claude", capabilities=refused)
    assert error["code"] == "invalid_argument"
    assert await found(masc, "a") == ["claude"]


async def test_the_whole_list_is_replaced_and_told_once(masc: MascApp) -> None:
    await register(masc, "claude", "a", "b")
    assert (await register(masc, "claude", "a", "b"))["changed"] is False
    assert (await register(masc, "claude", "b", "c"))["changed"] is True
    assert await found(masc, "A") == []
    assert await found(masc, "C") == ["claude"]
    assert [(e.subject, e.data) for e in await registrations(masc)] == [
        ("claude", {"capabilities": ["a", "b"], "previous": []}),
        ("claude", {"capabilities": ["b", "c"], "previous": ["a", "b"]}),
    ]


async def test_the_whole_string_counts(masc: MascApp) -> None:
    await register(masc, "claude", "python 3", "go")
    assert await found(masc, "python") == await found(masc, "python 33") == await found(masc, "g") == []
    assert await found(masc, "Python 3") == ["claude"]
    for capability in ("", "  ", "c" * 65, "a\nb", None):
        error = await masc.error("masc_find_by_capability", capability=capability)
        assert (error["code"], error["details"]["field"]) == ("invalid_argument", "capability")


async def test_capabilities_given_on_joining_are_found_too(masc: MascApp) -> None:
    await masc.call("masc_join", "claude", capabilities=["Rust", " rust"])
    assert await found(masc, "RUST") == ["claude"]
    assert (await register(masc, "claude", "Rust"))["changed"] is False


@pytest.mark.parametrize("letter", ["😀", "ß", "ΐ", "İ", "Σ"])
async def test_the_longest_capabilities_are_kept_and_told_apart(masc: MascApp, letter: str) -> None:
    """Folding ΐ makes it thrice as long, more than an index value takes; the end still counts."""
    mine, other = letter * 64, letter * 63 + "x"
    assert (await register(masc, "claude", mine, letter * 62 + "yz"))["changed"] is True
    await register(masc, "gemini", other)
    assert await found(masc, mine) == await found(masc, mine.casefold()[:64] if letter == "Σ" else mine) == ["claude"]
    assert await found(masc, other.upper() if letter == "Σ" else other) == ["gemini"]


async def test_case_is_ignored_as_unicode_folds_it(masc: MascApp) -> None:
    await register(masc, "claude", "Straße", "ΟΔΟΣ")
    assert await found(masc, "STRASSE") == await found(masc, "οδος") == ["claude"]


async def test_a_person_without_a_name_registers_nothing(masc: MascApp) -> None:
    await masc.call("masc_init")
    person = Client(transport="local", source="local", person="human:root")
    outcome = await masc.outcome("masc_register_capabilities", person, capabilities=["a"])
    assert outcome.structured["error"]["code"] == "agent_name_required"
    assert (await masc.error("masc_register_capabilities", capabilities=["a"]))["code"] == "agent_name_required"


async def stored_agents(masc: MascApp, count: int, busy: int = 0, capabilities: Sequence[str] = ("x",)) -> None:
    """Agents that can do x, the last ones seen first; the first ``busy`` have a task."""
    await masc.call("masc_init")
    for start in range(0, count, 200):
        tx = Transaction(masc.kernel.start_room.driver)
        agents, presences = View(AGENTS, tx), View(PRESENCE, tx)
        for i in range(start, min(count, start + 200)):
            name = f"agent-{i:04d}"
            at = timestamp(masc.clock.now() - 200 + i / 10)
            task = f"task-{i}" if i < busy else None
            await agents.add(Agent(name, name, "agent", at, AgentMeta("0" * 8), [*capabilities], current_task=task))
            await presences.add(Presence(name, at))
        await tx.commit()


async def test_of_hundreds_the_first_are_shown_and_the_rest_is_said(masc: MascApp) -> None:
    await stored_agents(masc, 130, busy=40)
    result = await masc.call("masc_find_by_capability", capability="x")
    names = [agent["name"] for agent in result["agents"]]
    assert names == [f"agent-{i:04d}" for i in [*range(129, 39, -1), *range(39, 29, -1)]]
    (warning,) = result["warnings"]
    assert (result["count"], warning["code"]) == (100, "more_agents")
    assert warning["message"] == "130 agents have the capability; here are the first 100"


async def test_a_search_asks_the_store_as_often_for_many_as_for_few(
    masc: MascApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    await masc.call("masc_init")
    driver, asked = masc.kernel.start_room.driver, list[Scan]()

    async def scan(wanted: Scan) -> Any:
        asked.append(wanted)
        return await original(wanted)

    original = driver.scan
    monkeypatch.setattr(driver, "scan", scan)
    await stored_agents(masc, 600)
    asked.clear()
    result = await masc.call("masc_find_by_capability", capability="x")
    assert len(asked) == 1 and asked[0].limit <= 501
    assert result["warnings"][0]["message"].startswith("at least 500 agents")


@pytest.mark.parametrize("other", [[], ["a"], ["z"]])
async def test_hundreds_who_are_gone_hide_nobody_who_is_here(
    masc: MascApp, clock: ManualClock, other: list[str]
) -> None:
    await masc.call("masc_init")
    await stored_agents(masc, 1_100, capabilities=[*other, "x"])
    await clock.advance(3_600)
    await masc.call("masc_register_capabilities", "zed", capabilities=["x"])
    result = await masc.call("masc_find_by_capability", capability="x")
    assert ([agent["name"] for agent in result["agents"]], "warnings" in result) == (["zed"], False)


async def test_the_status_found_is_the_one_the_board_gives(masc: MascApp) -> None:
    """Whoever has unfinished tasks has a current one, through every way to get and lose them."""
    await register(masc, "claude", "x")
    for i in range(3):
        await masc.call("masc_add_task", title=f"t{i}")
    for tool, arguments in (
        ("masc_claim", {"task_id": "task-001"}),
        ("masc_claim", {"task_id": "task-002"}),
        ("masc_done", {"task_id": "task-002"}),
        ("masc_transition", {"task_id": "task-001", "action": "release"}),
        ("masc_claim_next", {}),
        ("masc_leave", {"keep_tasks": True}),
        ("masc_join", {"capabilities": ["x"]}),
        ("masc_done", {"task_id": "task-001"}),
        ("masc_transition", {"task_id": "task-003", "action": "claim"}),
        ("masc_transition", {"task_id": "task-003", "action": "cancel"}),
    ):
        given: dict[str, Any] = dict(arguments)
        assert "error" not in await masc.call(tool, "claude", **given), tool
        told = {a["name"]: a["status"] for a in (await masc.call("masc_agents"))["agents"]}
        result = await masc.call("masc_find_by_capability", capability="x")
        assert {a["name"]: a["status"] for a in result["agents"]} == told, tool
