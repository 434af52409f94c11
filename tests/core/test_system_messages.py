"""Which events the whole room is told of, and whom a message of the system concerns."""

from __future__ import annotations

import asyncio
from typing import Any

from support_core import admin, call

from masc_core.pause import pause_room
from masc_core.records import EVENTS, MESSAGES, Message
from masc_core.store.collections import LogView
from masc_core.store.transaction import Transaction
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp

TOLD = {
    "agent_join",
    "agent_leave",
    "agent_zombie",
    "task_added",
    "task_claimed",
    "task_done",
    "task_cancelled",
    "task_released",
    "vote_created",
    "vote_resolved",
    "interrupt_raised",
    "interrupt_resolved",
    "room_paused",
}
"""Events with a message of the system."""
BOUND = 5.0
ASK: dict[str, Any] = {"task_id": "task-001", "action": "drop the table", "message": "There is no backup."}


async def messages(masc: MascApp) -> list[Message]:
    """The room's system messages, oldest first."""
    log = LogView(MESSAGES, Transaction(masc.kernel.start_room.driver))
    return [m for m in await log.read(limit=1000) if m.type == "system"]


async def to(masc: MascApp, agent: str) -> list[str]:
    """What the system wrote to an agent in particular."""
    return [m.content for m in await messages(masc) if m.to == agent]


async def test_every_event_the_room_should_hear_of_comes_with_a_message(masc: MascApp, clock: ManualClock) -> None:
    async def step(tool: str, agent: str | None = None, **arguments: Any) -> None:
        clock.jump(1)  # what one call writes has a time of its own
        assert "error" not in await masc.call(tool, agent, **arguments)

    for agent in ("a", "b", "c"):
        await step("masc_join", agent)
    for title in ("A", "B", "C", "D"):
        await step("masc_add_task", "a", title=title)
    await step("masc_claim", "a", task_id="task-001")
    await step("masc_transition", "a", task_id="task-001", action="release")
    await step("masc_claim_next", "a")
    await step("masc_transition", "a", task_id="task-001", action="start")
    await step("masc_done", "a", task_id="task-001")
    await step("masc_transition", "a", task_id="task-002", action="claim")
    await step("masc_transition", "a", task_id="task-002", action="cancel")
    await step("masc_start", "b", task_title="E")
    await step("masc_leave", "b")
    await step("masc_vote_create", "a", topic="T", options=["x", "y"], required_votes=1)
    await step("masc_vote_cast", "a", vote_id="vote-001", choice="x")
    await step("masc_interrupt", "a", **ASK, step=1)
    clock.jump(1)
    decider = masc.client("c", bindings=("agent:c",))
    assert "error" not in (await masc.outcome("masc_approve", decider, task_id="task-001")).structured
    clock.jump(1)
    await pause_room(masc.kernel, admin(), "lunch")
    clock.jump(400)
    await step("masc_cleanup_zombies")

    events = await LogView(EVENTS, Transaction(masc.kernel.start_room.driver)).read(limit=1000)
    told = [(e.at, e.type) for e in events if e.type in TOLD]
    assert {kind for _, kind in told} == TOLD
    said = [m.timestamp for m in await messages(masc)]
    for at in {at for at, _ in told}:
        assert said.count(at) >= len([t for t, _ in told if t == at]), [kind for t, kind in told if t == at]


async def test_a_claim_names_who_works_on_what_now(masc: MascApp) -> None:
    await masc.call("masc_add_task", "a", title="Fix login")
    await masc.call("masc_claim", "a", task_id="task-001")
    assert (await messages(masc))[-1].content == "task-001 claimed by a: Fix login"
    count = len(await messages(masc))
    await masc.call("masc_claim", "a", task_id="task-001")  # holds already
    await masc.call("masc_transition", "a", task_id="task-001", action="start")
    assert len(await messages(masc)) == count


async def test_a_silent_agent_hears_what_the_clean_up_took(masc: MascApp, clock: ManualClock) -> None:
    await masc.call("masc_add_task", "z", title="T")
    await masc.call("masc_claim", "z", task_id="task-001")
    clock.jump(400)
    await masc.call("masc_cleanup_zombies")
    assert (await masc.call("masc_join", "z"))["rejoined"] is False
    async with asyncio.timeout(BOUND):
        heard = (await masc.call("masc_listen", "z"))["messages"]
    assert [m["content"].partition(",")[0] for m in heard] == [
        "task-001 todo again",
        "z was silent and is taken for gone; released task-001",
    ]


async def test_who_joins_under_a_zombies_name_hears_of_it_and_the_task_says_why(
    masc: MascApp, clock: ManualClock
) -> None:
    await masc.call("masc_add_task", "z", title="T")
    claimed = (await masc.call("masc_claim", "z", task_id="task-001"))["task"]
    clock.jump(400)
    assert (await masc.call("masc_join", "z"))["taken_over"] is True
    text = f"agent z silent since {claimed['claimed_at']}"
    assert [m for m in await to(masc, "z") if m.startswith("task-001")] == [f"task-001 todo again, {text}: T"]
    task = (await masc.call("masc_claim", "z", task_id="task-001"))["task"]
    assert task["log"][-1]["text"] == text


async def test_who_leaves_is_not_written_to(masc: MascApp) -> None:
    await masc.call("masc_add_task", "z", title="T")
    await masc.call("masc_claim", "z", task_id="task-001")
    await masc.call("masc_leave", "z")
    assert await to(masc, "z") == []


async def test_an_agent_hears_that_another_ended_what_it_held_or_was_to_have(masc: MascApp) -> None:
    await masc.call("masc_join", "z")
    for title, assignee in (("held", None), ("kept", "z")):
        await masc.call("masc_add_task", "a", title=title, **({"assignee": assignee} if assignee else {}))
    await masc.call("masc_claim", "z", task_id="task-001")
    await call(masc, admin(), "masc_transition", task_id="task-001", action="release")
    await masc.call("masc_transition", "a", task_id="task-002", action="cancel")
    released, cancelled = (await to(masc, "z"))[1:]
    assert released.startswith("task-001 todo by human:")
    assert cancelled == "task-002 cancelled by a: kept"
