"""Joining, its naming rules, leaving, starting."""

from __future__ import annotations

import pytest
from support_core import DEAD, call, session, stdio

from masc_core.frozen import evolve
from masc_core.identity import process_binding
from masc_core.records import ROOM_ID, ROOMS
from masc_core.store.collections import View
from masc_core.store.transaction import Transaction, transact
from masc_core.testing import ManualClock, MascApp
from masc_plugin_core.nicknames import ADJECTIVES, ANIMALS


async def test_a_free_name_is_the_agents_name(masc: MascApp) -> None:
    """Rule (a)."""
    first = await masc.call("masc_join", "claude-opus")
    assert first["agent"] == "claude-opus"
    assert first["agent_type"] == "claude"
    assert not any(first[flag] for flag in ("renamed", "rejoined", "taken_over"))
    assert len(first["session_id"]) == 8
    assert len(first["guide"]) <= 300


async def test_an_inactive_name_is_free_and_keeps_its_spelling(masc: MascApp) -> None:
    await masc.call("masc_join", "Claude")
    await masc.call("masc_leave", "claude")
    again = await masc.call("masc_join", "claude")
    assert again["agent"] == "Claude"
    assert again["renamed"] is False


async def test_the_same_binding_joins_again_as_itself(masc: MascApp) -> None:
    """Rule (b)."""
    client = session(masc, "a")
    first = await call(masc, client, "masc_join", agent_name="claude", capabilities=["python"])
    again = await call(masc, client, "masc_join", agent_name="claude")
    assert again["rejoined"] is True
    assert again["session_id"] == first["session_id"]
    agent = (await masc.call("masc_agents"))["agents"][0]
    assert agent["capabilities"] == ["python"]


async def test_a_session_id_proves_who_joined(masc: MascApp) -> None:
    first = await masc.call("masc_join", "claude")
    again = await masc.call("masc_join", "claude", session_id=first["session_id"])
    assert (again["agent"], again["rejoined"]) == ("claude", True)
    wrong = await masc.call("masc_join", "claude", session_id="0" * 8)
    assert wrong["agent"] == "claude-2"


async def test_a_live_name_of_another_client_gives_the_lowest_free_number(masc: MascApp) -> None:
    """Rule (d)."""
    got = [(await call(masc, session(masc, c), "masc_join", agent_name="claude"))["agent"] for c in "abc"]
    assert got == ["claude", "claude-2", "claude-3"]
    await masc.call("masc_leave", "claude-2")
    assert (await call(masc, session(masc, "d"), "masc_join", agent_name="claude"))["agent"] == "claude-2"


async def test_names_differing_in_case_are_one_name(masc: MascApp) -> None:
    """Acceptance 7 of model.md."""
    await call(masc, session(masc, "a"), "masc_join", agent_name="claude")
    second = await call(masc, session(masc, "b"), "masc_join", agent_name="Claude")
    assert (second["agent"], second["renamed"]) == ("Claude-2", True)


async def test_a_renamed_client_acts_under_its_new_name(masc: MascApp) -> None:
    """Acceptance 6."""
    await masc.call("masc_add_task", title="T")
    await call(masc, session(masc, "a"), "masc_join", agent_name="claude")
    second = stdio(masc, process_binding())
    joined = await call(masc, second, "masc_join", agent_name="claude")
    assert (joined["agent"], joined["renamed"]) == ("claude-2", True)
    assert "claude-2" in joined["guide"]
    claimed = await call(masc, second, "masc_claim", agent_name="claude", task_id="task-001")
    assert claimed["task"]["assignee"] == "claude-2"


async def test_a_renamed_client_that_joins_again_keeps_its_new_name(masc: MascApp) -> None:
    await call(masc, session(masc, "a"), "masc_join", agent_name="claude")
    second = session(masc, "b")
    await call(masc, second, "masc_join", agent_name="claude")
    again = await call(masc, second, "masc_join", agent_name="claude")
    assert (again["agent"], again["renamed"], again["rejoined"]) == ("claude-2", True, True)


async def test_a_renamed_endpoint_is_known_by_its_record_alone(masc: MascApp) -> None:
    """What the server remembers is gone after a restart; the record's bindings are not."""
    await masc.call("masc_add_task", title="T")
    await call(masc, session(masc, "a"), "masc_join", agent_name="claude")
    endpoint = masc.client(agent="claude", bindings=("agent:claude",))
    assert (await call(masc, endpoint, "masc_join"))["agent"] == "claude-2"
    masc.kernel.bindings.names.clear()
    claimed = await call(masc, endpoint, "masc_claim", task_id="task-001")
    assert claimed["task"]["assignee"] == "claude-2"


async def test_a_new_process_takes_up_the_work_of_an_ended_one(masc: MascApp) -> None:
    """Acceptance 7."""
    await masc.call("masc_add_task", title="T")
    await call(masc, stdio(masc, DEAD), "masc_join", agent_name="claude")
    await call(masc, stdio(masc, DEAD), "masc_claim", task_id="task-001")
    again = await call(masc, stdio(masc, process_binding()), "masc_join", agent_name="claude")
    assert again["rejoined"] is True
    assert (await masc.call("masc_tasks"))["tasks"][0]["assignee"] == "claude"


async def test_a_closed_session_gives_its_name_to_the_next(masc: MascApp) -> None:
    first = session(masc, "a")
    await call(masc, first, "masc_join", agent_name="claude")
    masc.kernel.bindings.close_session(first.bindings[0])
    assert (await call(masc, session(masc, "b"), "masc_join", agent_name="claude"))["rejoined"] is True


async def test_a_zombie_is_cleaned_up_and_taken_over(masc: MascApp, clock: ManualClock) -> None:
    """Rule (c)."""
    await masc.call("masc_add_task", title="T")
    first = await call(masc, session(masc, "a"), "masc_join", agent_name="claude")
    await call(masc, session(masc, "a"), "masc_claim", agent_name="claude", task_id="task-001")
    await clock.advance(301)
    taken = await call(masc, session(masc, "b"), "masc_join", agent_name="claude")
    assert (taken["agent"], taken["taken_over"], taken["rejoined"]) == ("claude", True, False)
    assert taken["session_id"] != first["session_id"]
    assert (await masc.call("masc_tasks"))["tasks"][0]["status"] == "todo"


@pytest.mark.parametrize("tool", ["masc_start", "masc_init"])
async def test_a_zombies_name_is_taken_over_by_whoever_begins_under_it(
    masc: MascApp, clock: ManualClock, tool: str
) -> None:
    """The name is decided before presence is refreshed."""
    await call(masc, session(masc, "a"), "masc_join", agent_name="claude")
    await clock.advance(301)
    taken = (await call(masc, session(masc, "b"), tool, agent_name="claude"))["agent"]
    assert (taken["agent"], taken["taken_over"]) == ("claude", True)


async def test_a_zombie_whose_process_ended_is_taken_over_too(masc: MascApp, clock: ManualClock) -> None:
    await call(masc, stdio(masc, DEAD), "masc_join", agent_name="claude")
    await clock.advance(301)
    taken = await call(masc, stdio(masc, process_binding()), "masc_join", agent_name="claude")
    assert (taken["taken_over"], taken["rejoined"]) == (True, False)


async def test_long_names_are_shortened_before_the_number(masc: MascApp) -> None:
    await call(masc, session(masc, "a"), "masc_join", agent_name="x" * 64)
    second = await call(masc, session(masc, "b"), "masc_join", agent_name="x" * 64)
    assert second["agent"] == "x" * 62 + "-2"


async def test_nicknames_are_new_fit_and_come_back_to_their_client(masc: MascApp) -> None:
    assert len(set(ADJECTIVES)) >= 30 <= len(set(ANIMALS))
    for name in ("claude", "x" * 64):
        client = session(masc, f"s-{name[:3]}")
        first = await call(masc, client, "masc_join", agent_name=name, nickname=True)
        assert len(first["agent"]) <= 64
        assert first["agent"].split("-")[-1] in ANIMALS
        again = await call(masc, client, "masc_join", agent_name=name, nickname=True)
        assert (again["agent"], again["rejoined"]) == (first["agent"], True)
        other = await call(masc, session(masc, f"t-{name[:3]}"), "masc_join", agent_name=name, nickname=True)
        assert other["agent"] != first["agent"]


async def test_a_nickname_without_a_name_is_an_agents(masc: MascApp) -> None:
    client = stdio(masc, process_binding())
    first = await call(masc, client, "masc_join", nickname=True)
    assert first["agent"].startswith("agent-")
    again = await call(masc, client, "masc_join", nickname=True)
    assert again["agent"] == first["agent"]


async def test_joining_needs_a_name_or_a_nickname(masc: MascApp) -> None:
    assert (await masc.error("masc_join"))["code"] == "agent_name_required"


async def test_a_process_is_known_by_its_last_join(masc: MascApp) -> None:
    await masc.call("masc_add_task", title="T")
    client = stdio(masc, process_binding())
    assert (await call(masc, client, "masc_claim", task_id="task-001"))["error"]["code"] == "agent_name_required"
    await call(masc, client, "masc_join", agent_name="claude")
    assert (await call(masc, client, "masc_claim", task_id="task-001"))["task"]["assignee"] == "claude"


async def test_leaving_gives_back_tasks_locks_and_reservations(masc: MascApp) -> None:
    """Acceptance 8, as far as there are portals."""
    await masc.call("masc_join", "claude")
    for title, assignee in (("mine", None), ("kept", "claude")):
        await masc.call("masc_add_task", title=title, assignee=assignee)
    await masc.call("masc_claim", "claude", task_id="task-001")
    await masc.call("masc_lock", "claude", file_path="src/a.py")
    left = await masc.call("masc_leave", "claude")
    assert left["tasks_released"] == ["task-001"]
    assert left["locks_released"] == ["src/a.py"]
    tasks = (await masc.call("masc_tasks"))["tasks"]
    assert [t["status"] for t in tasks] == ["todo", "todo"]
    assert not any("reserved_for" in t for t in tasks)
    assert (await masc.call("masc_status"))["locks"]["active"] == 0
    again = await masc.call("masc_leave", "claude")
    assert again["warnings"][0]["code"] == "not_joined"
    assert again["tasks_released"] == []


async def test_kept_tasks_are_there_when_the_agent_comes_back(masc: MascApp) -> None:
    await masc.call("masc_add_task", title="T")
    await masc.call("masc_claim", "claude", task_id="task-001")
    left = await masc.call("masc_leave", "claude", keep_tasks=True)
    assert left["tasks_kept"] == ["task-001"]
    await masc.call("masc_join", "claude")
    agent = (await masc.call("masc_status"))["agents"][0]
    assert (agent["status"], agent["current_task"]) == ("busy", "task-001")


async def test_start_joins_adds_claims_and_finds_its_task_again(masc: MascApp) -> None:
    client = session(masc, "a")
    first = await call(masc, client, "masc_start", agent_name="claude", task_title="Fix login")
    assert (first["agent"]["agent"], first["task"]["assignee"]) == ("claude", "claude")
    again = await call(masc, client, "masc_start", agent_name="claude", task_title="Fix login")
    assert again["task"]["id"] == first["task"]["id"]


async def test_auto_join_is_said_and_done_only_where_declared(masc: MascApp) -> None:
    await masc.call("masc_add_task", title="T")
    assert (await masc.error("masc_done", "claude", task_id="task-001"))["code"] == "task_not_claimed"
    assert (await masc.call("masc_status"))["agents_total"] == 0
    assert (await masc.call("masc_claim", "claude", task_id="task-001"))["joined"] is True
    assert (await masc.call("masc_status"))["agents_total"] == 1


async def test_a_room_that_moved_still_knows_its_clients(masc: MascApp) -> None:
    """The path in the room's record is where it was created."""

    await call(masc, session(masc, "a"), "masc_join", agent_name="claude")

    async def move(tx: Transaction) -> None:
        rooms = View(ROOMS, tx)
        rooms.put(evolve(await rooms.get(ROOM_ID), path="/elsewhere"))

    await transact(masc.kernel.start_room.driver, move)
    await masc.call("masc_add_task", title="T")
    second = session(masc, "b")
    assert (await call(masc, second, "masc_join", agent_name="claude"))["agent"] == "claude-2"
    claimed = await call(masc, second, "masc_claim", agent_name="claude", task_id="task-001")
    assert claimed["task"]["assignee"] == "claude-2"
