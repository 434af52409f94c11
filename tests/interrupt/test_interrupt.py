"""Asking, deciding, waiting and running out of time, as interrupt.md accepts them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from dialog_support import decide, refused_to

from masc_core.agents import PRESENCE_SECONDS
from masc_core.frozen import evolve
from masc_core.kernel import Kernel
from masc_core.plugins import Registry
from masc_core.records import EVENTS
from masc_core.rooms import Base
from masc_core.settings import Settings
from masc_core.store.collections import LogView
from masc_core.store.driver import Committed, Put
from masc_core.store.transaction import Transaction
from masc_core.sweep import due_once
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app
from masc_plugin_interrupt.settings import InterruptSettings

MINUTES = 60
ASK: dict[str, Any] = {"task_id": "task-001", "step": 3, "action": "drop the table", "message": "There is no backup."}


async def ask(masc: MascApp, agent: str = "claude", **changed: Any) -> dict[str, Any]:
    """Raise an interrupt."""
    return await masc.call("masc_interrupt", agent, **{**ASK, **changed})


async def asking(masc: MascApp, look: MascApp | None = None, **changed: Any) -> asyncio.Task[dict[str, Any]]:
    """A call that waits for a decision on an interrupt, which is open when this returns."""
    await masc.call("masc_join", "claude")
    waiting = asyncio.create_task(ask(masc, **{"wait_seconds": 300, **changed}))
    while not (await (look or masc).call("masc_pending_interrupts"))["count"]:
        await asyncio.sleep(0)  # a store in memory answers without giving others their turn
        assert not waiting.done()
    return waiting


async def events(masc: MascApp, *types: str) -> list[dict[str, Any]]:
    """What the room's event log says of interrupts and checkpoints."""
    log = await LogView(EVENTS, Transaction(masc.kernel.start_room.driver)).read(0, 1000)
    wanted = types or ("interrupt_raised", "interrupt_resolved", "checkpoint_branched", "checkpoint_reverted")
    return [{"type": e.type, "subject": e.subject, "actor": e.actor, **e.data} for e in log if e.type in wanted]


async def system_messages(masc: MascApp) -> list[dict[str, Any]]:
    """The room's system messages, oldest first."""
    found = (await masc.call("masc_messages", limit=100))["messages"]
    return [m for m in reversed(found) if m["type"] == "system" and "joined" not in m["content"]]


async def due(masc: MascApp) -> None:
    """What the timer of a serving process does every two seconds."""
    await due_once(masc.kernel, masc.kernel.start_room)


async def test_an_interrupt_waits_for_somebody(masc: MascApp) -> None:
    asked = await ask(masc, total_steps=5, state={"n": 1})
    assert asked["checkpoint_id"] == "cp-task-001-3-1"
    assert (asked["status"], asked["decision"], asked["timed_out"]) == ("interrupted", "pending", False)
    assert asked["how_to_decide"] == "masc checkpoint approve cp-task-001-3-1 (or reject)"
    assert asked["joined"] is True
    listed = await masc.call("masc_pending_interrupts")
    assert listed["count"] == 1
    assert listed["interrupts"][0] == {
        "checkpoint_id": "cp-task-001-3-1",
        "task_id": "task-001",
        "step": 3,
        "total_steps": 5,
        "action": ASK["action"],
        "message": ASK["message"],
        "agent": "claude",
        "age_seconds": 0,
        "status": "interrupted",
        "expires_at": asked["expires_at"],
    }
    assert (await masc.call("masc_status"))["interrupts_open"] == 1
    (raised,) = await events(masc)
    assert (raised["type"], raised["subject"], raised["actor"]) == ("interrupt_raised", "cp-task-001-3-1", "claude")
    assert "drop the table" in (await system_messages(masc))[0]["content"]


async def test_comment_and_edited_state_travel_back(masc: MascApp) -> None:
    await ask(masc, state={"n": 1})
    edited = {"n": 2, "deep": [{"null": None, "float": 1.0, "text": "ü\n"}], "big": 2**53}
    done = await decide(masc, "masc_approve", "gemini", task_id="task-001", comment="ok", edited_state=edited)
    assert done == {
        "checkpoint_id": "cp-task-001-3-1",
        "status": "completed",
        "requester": "claude",
        "others_open": [],
    }
    answer = await ask(masc)
    assert (answer["decision"], answer["status"], answer["comment"]) == ("approved", "completed", "ok")
    assert answer["edited_state"] == edited
    (_, resolved) = await events(masc)
    assert (resolved["type"], resolved["actor"], resolved["decision"]) == ("interrupt_resolved", "gemini", "approved")
    assert "ok" not in resolved.values()
    assert (await system_messages(masc))[-1]["to"] == "claude"
    assert (await masc.call("masc_status"))["interrupts_open"] == 0


async def test_a_rejection_travels_back_with_its_reason(masc: MascApp) -> None:
    await ask(masc)
    done = await decide(masc, "masc_reject", "gemini", task_id="task-001", reason="backup first")
    assert (done["status"], done["requester"]) == ("rejected", "claude")
    answer = await ask(masc)
    assert (answer["decision"], answer["status"], answer["reject_reason"]) == ("rejected", "rejected", "backup first")
    assert "comment" not in answer


async def test_a_rejection_without_a_reason_is_one(masc: MascApp) -> None:
    await ask(masc)
    await decide(masc, "masc_reject", "gemini", task_id="task-001")
    assert ((await ask(masc))["decision"]) == "rejected"


@pytest.mark.parametrize("tool", ["masc_approve", "masc_reject"])
async def test_nobody_decides_on_its_own_interrupt(masc: MascApp, tool: str) -> None:
    """Acceptance 1."""
    await ask(masc)
    for name in ("claude", "CLAUDE"):
        error = await masc.error(tool, name, task_id="task-001")
        assert "role" not in error["message"]
        assert (error["code"], error["details"]["reason"]) == ("forbidden", "self_approval")
        assert error["details"]["required_role"] == "admin"
        assert set(error["details"]) == {"agent", "action", "required_role", "role", "reason"}
    assert (await ask(masc))["decision"] == "pending"


@pytest.mark.parametrize("binding", ["process:host:1:2.00", "session:abc@host:1:2.00"])
async def test_another_name_on_the_asking_client_is_still_the_requester(masc: MascApp, binding: str) -> None:
    asking = masc.client(bindings=(binding,))
    await masc.outcome("masc_interrupt", asking, agent_name="claude", **ASK)
    await masc.outcome("masc_leave", asking, agent_name="claude")
    refused = await masc.outcome("masc_approve", asking, agent_name="gemini", task_id="task-001")
    assert refused.error is not None
    assert refused.error.details["reason"] == "self_approval"
    other = masc.client(bindings=("process:host:2:2.00",))
    assert (await masc.outcome("masc_approve", other, agent_name="gemini", task_id="task-001")).error is None


async def test_a_client_the_requester_has_since_joined_with_is_the_requester(masc: MascApp) -> None:
    await ask(masc)
    later = masc.client(bindings=("process:host:9:2.00",))
    await masc.call("masc_leave", "claude")
    await masc.outcome("masc_join", later, agent_name="claude")
    refused = await masc.outcome("masc_approve", later, agent_name="gemini", task_id="task-001")
    assert refused.error is not None
    assert refused.error.code == "forbidden"


@pytest.mark.parametrize("named", [False, True])
async def test_a_client_that_repeats_the_question_is_the_requester(masc: MascApp, named: bool) -> None:
    asked = await ask(masc)
    again = masc.client(bindings=("process:host:9:2.00",))
    earlier = {"checkpoint_id": asked["checkpoint_id"]} if named else {}
    await masc.outcome("masc_interrupt", again, agent_name="claude", **ASK, **earlier)
    refused = await masc.outcome("masc_approve", again, agent_name="gemini", task_id="task-001")
    assert refused.error is not None
    assert refused.error.code == "forbidden"


async def test_repeating_from_many_clients_does_not_wash_the_first_one_off(masc: MascApp) -> None:
    first = masc.client(bindings=("process:host:1:2.00",))
    await masc.outcome("masc_interrupt", first, agent_name="claude", **ASK)
    await masc.call("masc_leave", "claude")
    for number in range(30):
        other = masc.client(bindings=(f"session:{number}@host:1:2.00",))
        await masc.outcome("masc_interrupt", other, agent_name="claude", **ASK)
    refused = await masc.outcome("masc_approve", first, agent_name="gemini", task_id="task-001")
    assert refused.error is not None
    assert refused.error.code == "forbidden"


async def test_bindings_are_never_shown(masc: MascApp) -> None:
    client = masc.client(bindings=("process:secret:1:2.00",))
    shown = [await masc.outcome("masc_interrupt", client, agent_name="claude", **ASK)]
    shown.append(await masc.outcome("masc_pending_interrupts", client, include_resolved=True))
    gemini = masc.client("gemini", bindings=("agent:gemini",))
    shown.append(await masc.outcome("masc_approve", gemini, task_id="task-001"))
    shown.append(await masc.outcome("masc_branch", agent_name="x", task_id="task-001", source_step=3, branch_name="b"))
    assert not any("secret" in repr(outcome.structured) + outcome.text for outcome in shown)
    assert not any("session_id" in repr(outcome.structured) for outcome in shown)


@pytest.mark.parametrize("tool", ["masc_approve", "masc_reject"])
@pytest.mark.parametrize("bindings", [(), ("agent:claude", "session:a@host:1:2.00")])
async def test_a_client_nobody_recognises_decides_nothing_under_any_name(
    masc: MascApp, tool: str, bindings: tuple[str, ...]
) -> None:
    """A stateless client without a name in its URL cannot be told from the one that asked."""
    asked = (
        await masc.outcome("masc_interrupt", masc.client(bindings=bindings), agent_name="claude", **ASK)
    ).structured
    await masc.call("masc_join", "zed")
    for name in ("zed", "stranger"):
        error = await masc.error(tool, name, task_id="task-001")
        assert (error["code"], error["details"]["reason"]) == ("forbidden", "unknown_client")
        command = f"masc checkpoint {tool.removeprefix('masc_')} {asked['checkpoint_id']}"
        assert "?agent=NAME" in error["message"] and command in error["message"]
    assert (await ask(masc))["decision"] == "pending"


async def test_an_unnamed_caller_decides_nothing(masc: MascApp) -> None:
    await ask(masc)
    assert (await masc.error("masc_approve", task_id="task-001"))["code"] == "agent_name_required"


async def test_a_decision_elsewhere_wakes_the_wait(masc: MascApp, clock: ManualClock) -> None:
    """Acceptance 2, in one process; the command line has its own test."""
    waiting = await asking(masc, masc, wait_seconds=300)
    before = clock.monotonic()
    await decide(masc, "masc_approve", "gemini", task_id="task-001", comment="go", edited_state={"n": 2})
    async with asyncio.timeout(20):
        answer = await waiting
    assert (answer["decision"], answer["comment"], answer["edited_state"]) == ("approved", "go", {"n": 2})
    assert answer["timed_out"] is False
    assert clock.monotonic() - before < 1


async def test_a_wait_that_is_over_leaves_the_interrupt_open(masc: MascApp, clock: ManualClock) -> None:
    waiting = await asking(masc, masc, wait_seconds=20)
    while not waiting.done():
        await clock.advance(5)
    answer = await waiting
    assert (answer["status"], answer["decision"], answer["timed_out"]) == ("interrupted", "pending", True)
    assert (await masc.call("masc_pending_interrupts"))["count"] == 1


async def test_who_waits_is_alive_and_told_of_the_progress(masc: MascApp, clock: ManualClock) -> None:
    told: list[tuple[float, float | None, str | None]] = []
    arguments = {**ASK, "agent_name": "claude", "wait_seconds": 300, "on_timeout": "wait"}

    async def progress(elapsed: float, total: float | None, text: str | None) -> None:
        told.append((elapsed, total, text))

    await masc.call("masc_join", "claude")
    waiting = asyncio.create_task(masc.kernel.call("masc_interrupt", arguments, masc.client(), progress))
    while not (await masc.call("masc_pending_interrupts"))["count"]:
        await asyncio.sleep(0)  # a store in memory answers without giving others their turn
        assert not waiting.done()
    for _ in range(59):
        await clock.advance(5)
        await masc.call("masc_who")
    assert not any(a["is_zombie"] for a in (await masc.call("masc_agents"))["agents"])
    assert told[0][0] >= 15.0
    assert told[0][1:] == (300.0, "waiting for a decision")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_cancelled_wait_leaves_the_interrupt_as_it_is(masc: MascApp) -> None:
    waiting = await asking(masc, masc, wait_seconds=300)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await decide(masc, "masc_approve", "gemini", task_id="task-001")
    assert (await ask(masc))["decision"] == "approved"


async def test_a_stopping_server_ends_the_wait(masc: MascApp) -> None:
    waiting = await asking(masc, masc, wait_seconds=300)
    masc.kernel.stopping.set()
    async with asyncio.timeout(20):
        assert (await waiting)["timed_out"] is True


async def test_nobody_deciding_is_a_rejection(masc: MascApp, clock: ManualClock) -> None:
    """Acceptance 3: by the timer, written once with its event and a message to who asked."""
    await ask(masc)
    await clock.advance(30 * MINUTES - 1)
    await due(masc)
    assert (await masc.call("masc_pending_interrupts"))["count"] == 1
    await clock.advance(1)
    await due(masc)
    await due(masc)
    resolved = [e for e in await events(masc) if e["type"] == "interrupt_resolved"]
    assert [(e["actor"], e["decision"], e["timed_out"]) for e in resolved] == [("system", "rejected", True)]
    assert (await system_messages(masc))[-1]["to"] == "claude"
    answer = await ask(masc)
    assert (answer["status"], answer["reject_reason"]) == ("rejected", "timeout")


async def test_reading_writes_a_timeout_that_nobody_has_written(masc: MascApp, clock: ManualClock) -> None:
    await ask(masc)
    await ask(masc, "codex", on_timeout="wait")
    await clock.advance(30 * MINUTES)
    for task in ({}, {"task_id": "task-001"}):
        listed = await masc.call("masc_pending_interrupts", include_resolved=True, **task)
        assert [i["agent"] for i in listed["interrupts"]] == ["codex"]
        assert [(r["agent"], r["decision"], r["reject_reason"]) for r in listed["resolved"]] == [
            ("claude", "rejected", "timeout")
        ]
    assert (await masc.call("masc_status"))["interrupts_open"] == 1
    assert len(await events(masc, "interrupt_resolved")) == 1
    await due(masc)
    assert (await masc.call("masc_pending_interrupts", include_resolved=True)) == listed
    assert len(await events(masc, "interrupt_resolved")) == 1


@pytest.mark.parametrize("swept", [True, False])
@pytest.mark.parametrize("named", [True, False])
async def test_deciding_too_late_is_refused(masc: MascApp, clock: ManualClock, swept: bool, named: bool) -> None:
    asked = await ask(masc)
    await clock.advance(30 * MINUTES)
    if swept:
        await due(masc)
    given = {"checkpoint_id": asked["checkpoint_id"]} if named else {}
    error = await refused_to(masc, "masc_approve", "gemini", task_id="task-001", **given)
    assert error["code"] == "checkpoint_invalid_state"
    assert error["details"] == {
        "checkpoint_id": asked["checkpoint_id"],
        "status": "rejected",
        "action": "approve",
    }


ACCESSES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("masc_approve", {}),
    ("masc_reject", {"checkpoint_id": "cp-task-001-3-1"}),
    ("masc_pending_interrupts", {}),
    ("masc_pending_interrupts", {"task_id": "task-001"}),
    ("masc_branch", {"source_step": 9, "branch_name": "b"}),
    ("masc_status", {}),
)


@pytest.mark.parametrize(("tool", "arguments"), ACCESSES)
async def test_what_timed_out_stays_so_when_the_clock_is_set_back(
    masc: MascApp, clock: ManualClock, tool: str, arguments: dict[str, Any]
) -> None:
    """Any access writes it, refused or not."""
    await ask(masc)
    clock.jump(30 * MINUTES)
    if tool not in {"masc_pending_interrupts", "masc_status"}:
        arguments = {"task_id": "task-001", **arguments}
    await decide(masc, tool, "gemini", **arguments)
    clock.jump(-30 * MINUTES)
    assert [(e["actor"], e["timed_out"]) for e in await events(masc, "interrupt_resolved")] == [("system", True)]
    error = await refused_to(masc, "masc_approve", "gemini", task_id="task-001")
    assert (error["code"], error["details"]["status"]) == ("checkpoint_invalid_state", "rejected")
    assert (await masc.call("masc_pending_interrupts"))["total"] == 0


async def test_deciding_when_the_time_is_over_escalates_and_decides(masc: MascApp, clock: ManualClock) -> None:
    await ask(masc, on_timeout="escalate")
    await clock.advance(30 * MINUTES)
    assert (await decide(masc, "masc_approve", "gemini", task_id="task-001"))["status"] == "completed"
    assert [e.get("escalated") for e in await events(masc, "interrupt_raised")] == [None, True]


async def test_asking_to_wait_has_no_limit(masc: MascApp, clock: ManualClock) -> None:
    assert "expires_at" not in await ask(masc, on_timeout="wait")
    await clock.advance(7 * 24 * 60 * MINUTES)
    await due(masc)
    assert (await masc.call("masc_pending_interrupts"))["count"] == 1
    assert "error" not in await decide(masc, "masc_approve", "gemini", task_id="task-001")


async def test_escalation_calls_everybody_and_goes_first_and_repeats(masc: MascApp, clock: ManualClock) -> None:
    await ask(masc, "codex", on_timeout="wait")
    first = await ask(masc, on_timeout="escalate")
    await masc.call("masc_join", "gemini")
    assert [i["agent"] for i in (await masc.call("masc_pending_interrupts"))["interrupts"]] == ["codex", "claude"]
    for round in (1, 2, 3):
        await clock.advance(30 * MINUTES)
        for name in ("gemini", "claude", "codex"):
            await masc.call("masc_heartbeat", name)
        unwritten = await masc.call("masc_pending_interrupts")
        await due(masc)
        await due(masc)
        listed = await masc.call("masc_pending_interrupts")
        assert listed == unwritten
        assert [(i["agent"], i.get("escalated")) for i in listed["interrupts"]] == [("claude", True), ("codex", None)]
        assert listed["interrupts"][0]["expires_at"] > first["expires_at"]
        calls = [m for m in await system_messages(masc) if "@all" in m["content"]]
        assert len(calls) == round
        (mention,) = calls[-1]["mentions"]
        assert (mention["kind"], sorted(mention["agents"])) == ("all", ["codex", "gemini"])
    assert len([e for e in await events(masc, "interrupt_raised") if e.get("escalated")]) == 3
    heard = await masc.call("masc_listen", "gemini", timeout=1)
    assert any(first["checkpoint_id"] in m["content"] for m in heard["messages"])
    assert "error" not in await decide(
        masc, "masc_approve", "gemini", task_id="task-001", checkpoint_id="cp-task-001-3-2"
    )


async def test_an_escalation_that_was_missed_for_long_is_made_once(masc: MascApp, clock: ManualClock) -> None:
    await ask(masc, on_timeout="escalate")
    await clock.advance(5 * 60 * MINUTES)
    await due(masc)
    assert len([e for e in await events(masc, "interrupt_raised") if e.get("escalated")]) == 1


async def test_a_decision_is_delivered_once(masc: MascApp) -> None:
    """Acceptance 4."""
    first = await ask(masc)
    again = await ask(masc)
    assert again["checkpoint_id"] == first["checkpoint_id"]
    await decide(masc, "masc_approve", "gemini", task_id="task-001")
    unheard = await masc.kernel.call("masc_interrupt", {**ASK, "agent_name": "claude"}, masc.client())
    assert unheard.structured["decision"] == "approved"
    told = await ask(masc)  # the answer before this one was never handed to the transport
    assert (told["decision"], told["checkpoint_id"]) == ("approved", first["checkpoint_id"])
    anew = await ask(masc)
    assert (anew["decision"], anew["checkpoint_id"]) == ("pending", "cp-task-001-3-2")


async def test_other_questions_are_other_interrupts(masc: MascApp) -> None:
    first = await ask(masc)
    changed: tuple[dict[str, Any], ...] = ({"task_id": "task-002"}, {"step": 4}, {"action": "other"})
    ids = {first["checkpoint_id"]}
    for other in changed:
        ids.add((await ask(masc, **other))["checkpoint_id"])
    ids.add((await ask(masc, "codex"))["checkpoint_id"])
    assert len(ids) == 5
    assert (await ask(masc, "CLAUDE", message="other", state={"n": 2}))["checkpoint_id"] == first["checkpoint_id"]


async def test_a_repeat_with_other_words_says_that_it_changed_nothing(masc: MascApp) -> None:
    asked = await ask(masc, state={"n": 1}, total_steps=5, on_timeout="wait")
    assert "warnings" not in asked
    repeats: tuple[dict[str, Any], ...] = ({}, {"state": {"n": 1}, "on_timeout": "wait"})
    for same in repeats:
        assert "warnings" not in await ask(masc, **same)
    changes: tuple[dict[str, Any], ...] = (
        {"message": "m"}, {"state": {"n": 2}}, {"total_steps": 6}, {"on_timeout": "reject"},
    )  # fmt: skip
    for changed in changes:
        (warning,) = (await ask(masc, **changed))["warnings"]
        assert warning["code"] == "repeat_unchanged"
        assert next(iter(changed)) in warning["message"] and asked["checkpoint_id"] in warning["message"]
    (listed,) = (await masc.call("masc_pending_interrupts"))["interrupts"]
    assert (listed["message"], listed["total_steps"]) == (ASK["message"], 5)


@pytest.mark.parametrize("changed", [{"task_id": "task-002"}, {"step": 4}, {"action": "other"}])
async def test_a_named_interrupt_of_another_step_is_not_reported(masc: MascApp, changed: dict[str, Any]) -> None:
    named = (await ask(masc))["checkpoint_id"]
    other = masc.client(bindings=("process:host:9:2.00",))
    arguments = {**ASK, **changed, "agent_name": "claude", "checkpoint_id": named}
    refused = (await masc.outcome("masc_interrupt", other, **arguments)).error
    assert refused is not None and refused.code == "invalid_argument"
    assert (refused.details["field"], refused.details["reason"]) == (next(iter(changed)), "foreign")
    done = await masc.outcome("masc_approve", other, agent_name="gemini", task_id="task-001")
    assert done.error is None  # a refused call changes nothing


@pytest.mark.parametrize("text", ["a\nb", "a\x1b[2Kb", "a\u2028b", "a\rb"])
async def test_an_action_is_one_line(masc: MascApp, text: str) -> None:
    error = await masc.error("masc_interrupt", "claude", **{**ASK, "action": text})
    assert (error["details"]["field"], error["details"]["reason"]) == ("action", "characters")
    assert (await ask(masc, action="  x "))["checkpoint_id"] == (await ask(masc, action="x"))["checkpoint_id"]


async def test_a_named_interrupt_is_reported_whatever_its_state(masc: MascApp) -> None:
    first = await ask(masc)
    await decide(masc, "masc_reject", "gemini", task_id="task-001", reason="no")
    for _ in range(3):
        told = await ask(masc, checkpoint_id=first["checkpoint_id"])
        assert (told["checkpoint_id"], told["reject_reason"]) == (first["checkpoint_id"], "no")
    assert (await masc.call("masc_pending_interrupts"))["count"] == 0


async def test_only_ones_own_interrupt_can_be_named(masc: MascApp) -> None:
    first = await ask(masc)
    for agent, named in (("codex", first["checkpoint_id"]), ("claude", "cp-task-001-3-9")):
        error = await masc.error("masc_interrupt", agent, **ASK, checkpoint_id=named)
        assert (error["code"], error["details"]) == ("checkpoint_not_found", {"checkpoint_id": named})
    assert (await masc.call("masc_pending_interrupts"))["count"] == 1


async def test_the_newest_open_one_is_decided_and_the_others_are_named(masc: MascApp) -> None:
    ids = [(await ask(masc, step=step))["checkpoint_id"] for step in (1, 2, 3)]
    done = await decide(masc, "masc_approve", "gemini", task_id="task-001")
    assert (done["checkpoint_id"], done["others_open"]) == (ids[2], [ids[1], ids[0]])
    done = await decide(masc, "masc_reject", "gemini", task_id="task-001", checkpoint_id=ids[0])
    assert done["others_open"] == [ids[1]]


async def test_what_is_not_there_cannot_be_decided(masc: MascApp) -> None:
    asked = await ask(masc)
    cases: tuple[dict[str, Any], ...] = (
        {"task_id": "task-002"},
        {"task_id": "task-002", "checkpoint_id": asked["checkpoint_id"]},
        {"task_id": "task-001", "checkpoint_id": "cp-task-001-3-77"},
    )
    for arguments in cases:
        error = await refused_to(masc, "masc_approve", "gemini", **arguments)
        assert (error["code"], error["details"]) == ("interrupt_not_found", arguments)
    assert (await masc.call("masc_pending_interrupts"))["count"] == 1


async def test_a_wait_ends_when_a_reset_takes_its_question_away(masc: MascApp) -> None:
    waiting = await asking(masc)
    await masc.call("masc_reset", confirm=True)
    async with asyncio.timeout(20):
        assert (await waiting)["error"]["code"] == "checkpoint_not_found"


async def test_what_was_committed_before_the_question_is_not_written_with_it_again(
    masc: MascApp, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await masc.call("masc_join", "claude")
    driver = masc.kernel.start_room.driver
    commit, written = driver.commit, list[list[str]]()

    async def seen(checks: Any, writes: Any) -> Committed:
        written.append([w.key.collection for w in writes if isinstance(w, Put)])
        return await commit(checks, writes)

    monkeypatch.setattr(driver, "commit", seen)
    await clock.advance(PRESENCE_SECONDS + 1)
    await ask(masc)
    assert written == [["presence"], ["counters", "checkpoints"]]


@pytest.fixture
async def two(tmp_path: Path, clock: ManualClock, registry: Registry) -> Any:
    """Two kernels on one SQLite file."""
    async with masc_app(tmp_path, backend="sqlite", clock=clock, registry=registry) as first:
        settings = evolve(Settings(), storage=first.kernel.start_room.settings.storage)
        base = Base(tmp_path, may_create=True)
        async with Kernel(base, registry, clock=clock, settings_of=lambda _: settings) as kernel:
            yield first, MascApp(kernel, clock, tmp_path)


async def test_of_two_decisions_at_once_one_wins(two: tuple[MascApp, MascApp]) -> None:
    """Acceptance 7: the loser does not go on to the next interrupt of the task, which its caller did not mean."""
    here, there = two
    for round in range(5):
        older = await ask(here, step=2 * round + 1)
        newer = await ask(here, step=2 * round + 2)
        results = await asyncio.gather(
            decide(here, "masc_approve", "gemini", task_id="task-001"),
            decide(there, "masc_reject", "codex", task_id="task-001"),
        )
        won = [r for r in results if "error" not in r]
        lost = [r["error"] for r in results if "error" in r]
        if len(won) == 2:  # one was over before the other began
            continue
        assert [w["checkpoint_id"] for w in won] == [newer["checkpoint_id"]]
        assert [(e["code"], e["details"]["checkpoint_id"]) for e in lost] == [
            ("checkpoint_invalid_state", newer["checkpoint_id"])
        ]
        await decide(here, "masc_reject", "gemini", task_id="task-001", checkpoint_id=older["checkpoint_id"])


async def test_two_decisions_on_one_interrupt_leave_one_event(two: tuple[MascApp, MascApp]) -> None:
    here, there = two
    for step in range(1, 6):
        asked = await ask(here, step=step)
        named = {"task_id": "task-001", "checkpoint_id": asked["checkpoint_id"]}
        results = await asyncio.gather(
            decide(here, "masc_approve", "gemini", **named), decide(there, "masc_approve", "codex", **named)
        )
        codes = [r["error"]["code"] for r in results if "error" in r]
        assert codes == ["checkpoint_invalid_state"]
        assert len(await events(here, "interrupt_resolved")) == step


async def test_two_equal_questions_at_once_are_one(two: tuple[MascApp, MascApp]) -> None:
    here, there = two
    await here.call("masc_join", "claude")
    asked = await asyncio.gather(ask(here), ask(there), ask(here), ask(there))
    assert len({a["checkpoint_id"] for a in asked}) == 1


async def test_two_timers_at_once_write_one_rejection(two: tuple[MascApp, MascApp], clock: ManualClock) -> None:
    here, there = two
    for step in range(1, 30):
        await ask(here, step=step)
    await clock.advance(30 * MINUTES)
    await asyncio.gather(due(here), due(there), due(here))
    assert len(await events(here, "interrupt_resolved")) == 29


async def test_a_decision_in_another_process_wakes_the_wait(two: tuple[MascApp, MascApp]) -> None:
    here, there = two
    waiting = await asking(here, there, wait_seconds=300)
    await decide(there, "masc_approve", "gemini", task_id="task-001")
    async with asyncio.timeout(20):
        assert (await waiting)["decision"] == "approved"


async def test_a_rejected_step_can_be_tried_another_way(masc: MascApp) -> None:
    """Acceptance 8."""
    asked = await ask(masc, state={"rows": 3}, total_steps=4)
    branch = {"task_id": "task-001", "source_step": 3, "branch_name": " other way "}
    error = await masc.error("masc_branch", "claude", **branch)
    assert error["code"] == "checkpoint_invalid_state"
    assert error["details"]["status"] == "interrupted"
    await decide(masc, "masc_reject", "gemini", task_id="task-001", reason="no")
    made = await masc.call("masc_branch", "claude", **branch)
    checkpoint = made["checkpoint"]
    assert (made["source_id"], checkpoint["parent_checkpoint_id"]) == (asked["checkpoint_id"],) * 2
    assert (checkpoint["status"], checkpoint["step"], checkpoint["branch_name"]) == ("pending", 4, "other way")
    assert (checkpoint["state"], checkpoint["total_steps"]) == ({"rows": 3}, 4)
    told = await ask(masc, checkpoint_id=asked["checkpoint_id"])
    assert (told["status"], told["decision"], told["reject_reason"]) == ("branched", "rejected", "no")
    again = await masc.call("masc_branch", "claude", **branch)
    assert again["checkpoint"]["id"] != checkpoint["id"]
    follow = await masc.call("masc_branch", "claude", task_id="task-001", source_step=4, branch_name="further")
    assert follow["source_id"] == again["checkpoint"]["id"]
    assert len(await events(masc, "checkpoint_branched")) == 3


async def test_a_branch_goes_on_with_the_edited_state(masc: MascApp) -> None:
    await ask(masc, state={"n": 1})
    await decide(masc, "masc_approve", "gemini", task_id="task-001", edited_state={"n": 2})
    made = await masc.call("masc_branch", "claude", task_id="task-001", source_step=3, branch_name="b")
    assert made["checkpoint"]["state"] == {"n": 2}


async def test_a_step_without_a_checkpoint_cannot_be_branched(masc: MascApp) -> None:
    await ask(masc)
    error = await masc.error("masc_branch", "claude", task_id="task-001", source_step=2, branch_name="b")
    assert (error["code"], error["details"]) == ("checkpoint_not_found", {"task_id": "task-001", "step": 2})


async def test_there_is_no_step_after_the_last(masc: MascApp) -> None:
    await ask(masc, step=1_000_000)
    await decide(masc, "masc_approve", "gemini", task_id="task-001")
    branch = {"task_id": "task-001", "source_step": 1_000_000, "branch_name": "b"}
    error = await masc.error("masc_branch", "claude", **branch)
    assert (error["code"], error["details"]["field"]) == ("invalid_argument", "source_step")
    assert (await ask(masc, step=1_000_000))["status"] == "completed"
    await ask(masc, step=999_999)
    await decide(masc, "masc_approve", "gemini", task_id="task-001")
    assert "error" not in await masc.call("masc_branch", "claude", **{**branch, "source_step": 999_999})


async def test_a_timed_out_step_can_be_branched(masc: MascApp, clock: ManualClock) -> None:
    await ask(masc)
    await clock.advance(30 * MINUTES)
    assert "error" not in await masc.call("masc_branch", "claude", task_id="task-001", source_step=3, branch_name="b")
    assert len(await events(masc, "interrupt_resolved")) == 1


async def test_the_roles_are_declared_as_the_auth_guard_needs_them(masc: MascApp) -> None:
    """Acceptance 5, as far as there is no guard yet."""
    contracts = masc.kernel.registry.contracts
    roles = {
        name: contracts[name].tool.role.label for name in contracts if contracts[name].tool.category == "interrupt"
    }
    assert roles == {
        "masc_interrupt": "worker",
        "masc_approve": "admin",
        "masc_reject": "admin",
        "masc_pending_interrupts": "reader",
        "masc_branch": "worker",
    }


async def test_gc_archives_what_was_resolved_long_ago(masc: MascApp, clock: ManualClock) -> None:
    await ask(masc, state={"x": "y" * 90_000})
    await decide(masc, "masc_approve", "gemini", task_id="task-001")
    for step in range(10, 20):
        await ask(masc, step=step, state={"x": "y" * 90_000})
        await decide(masc, "masc_reject", "gemini", task_id="task-001")
    await ask(masc, "codex", on_timeout="wait")
    await clock.advance(8 * 24 * 60 * MINUTES)
    planned = await masc.call("masc_gc", dry_run=True)
    done = await masc.call("masc_gc")
    assert planned["archived"]["checkpoint"] == done["archived"]["checkpoint"] == 11
    listed = await masc.call("masc_pending_interrupts", include_resolved=True)
    assert (listed["count"], listed["resolved"]) == (1, [])


BAD: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"step": 0}, "step", "minimum"),
    ({"step": 1_000_001}, "step", "maximum"),
    ({"step": True}, "step", "type"),
    ({"step": 3.0}, "step", "type"),
    ({"total_steps": 2}, "total_steps", "minimum"),
    ({"action": ""}, "action", "blank"),
    ({"action": "x" * 201}, "action", "maxLength"),
    ({"action": " "}, "action", "blank"),
    ({"message": "x" * 5001}, "message", "maxLength"),
    ({"message": "a\0b"}, "message", "characters"),
    ({"state": []}, "state", "type"),
    ({"state": "{}"}, "state", "type"),
    ({"state": {"x": "y" * 102_400}}, "state", "maxLength"),
    ({"state": {"x": "ü" * 51_200}}, "state", "maxLength"),
    ({"state": {"x": 2**64}}, "state", "number"),
    ({"state": {"x": float("nan")}}, "state", "number"),
    ({"state": {"x": float("inf")}}, "state", "number"),
    ({"state": {"x": "\ud800"}}, "state.x", "characters"),
    ({"wait_seconds": 301}, "wait_seconds", "maximum"),
    ({"wait_seconds": -1}, "wait_seconds", "minimum"),
    ({"on_timeout": "approve"}, "on_timeout", "enum"),
    ({"checkpoint_id": "é" * 150}, "checkpoint_id", "pattern"),
    ({"statement": {}}, "statement", "unknown"),
)


@pytest.mark.parametrize(("changed", "field", "reason"), BAD)
async def test_what_breaks_the_contract_changes_nothing(
    masc: MascApp, changed: dict[str, Any], field: str, reason: str
) -> None:
    error = await masc.error("masc_interrupt", "claude", **{**ASK, **changed})
    assert error["code"] == "invalid_argument"
    assert (error["details"]["field"], error["details"]["reason"]) == (field, reason)
    await masc.call("masc_join", "claude")
    assert (await masc.call("masc_pending_interrupts"))["count"] == 0


@pytest.mark.parametrize("depth", [70, 900])
@pytest.mark.parametrize("kind", [dict, list])
async def test_a_state_too_deep_to_walk_is_refused(masc: MascApp, kind: type, depth: int) -> None:
    inner: Any = kind()
    for _ in range(depth):
        inner = {"a": inner} if kind is dict else [inner]
    error = await masc.error("masc_interrupt", "claude", **ASK, state={"a": inner})
    assert (error["code"], error["details"]["field"], error["details"]["reason"]) == (
        "invalid_argument",
        "state",
        "depth",
    )


async def test_a_state_of_the_largest_size_comes_back_intact(masc: MascApp) -> None:
    state = {"x": "y" * (102_400 - 8)}
    await ask(masc, state=state)
    await decide(masc, "masc_approve", "gemini", task_id="task-001", edited_state=state)
    assert (await ask(masc))["edited_state"] == state


async def test_null_counts_as_absent(masc: MascApp) -> None:
    asked = await ask(masc, state=None, total_steps=None, checkpoint_id=None, wait_seconds=None, on_timeout=None)
    assert asked["decision"] == "pending"


async def test_the_longest_ids_still_fit_what_tells_the_human(masc: MascApp) -> None:
    asked = await ask(masc, task_id="t" * 128, step=1_000_000)
    assert len(asked["how_to_decide"]) <= 200
    assert asked["checkpoint_id"] in asked["how_to_decide"]


async def test_more_than_are_shown_are_announced(masc: MascApp) -> None:
    for step in range(1, 54):
        await ask(masc, step=step)
    for task in ({}, {"task_id": "task-001"}):
        listed = await masc.call("masc_pending_interrupts", **task)
        assert (listed["count"], listed["total"]) == (20, 53)
        assert [i["step"] for i in listed["interrupts"]] == list(range(1, 21))
        assert listed["warnings"][0]["code"] == "more_open"
    for step in range(1, 34):
        await decide(masc, "masc_reject", "gemini", task_id="task-001", checkpoint_id=f"cp-task-001-{step}-{step}")
    for task in ({}, {"task_id": "task-001"}):
        listed = await masc.call("masc_pending_interrupts", **task)
        assert (listed["count"], listed["total"]) == (20, 20)
        assert "warnings" not in listed


async def test_an_escalated_one_is_listed_however_many_came_before_it(masc: MascApp, clock: ManualClock) -> None:
    for step in range(1, 31):
        await ask(masc, step=step, on_timeout="wait")
    late = await ask(masc, step=31, on_timeout="escalate")
    await clock.advance(30 * MINUTES)
    for task in ({}, {"task_id": "task-001"}):
        listed = await masc.call("masc_pending_interrupts", **task)
        assert listed["interrupts"][0]["checkpoint_id"] == late["checkpoint_id"]
        assert [i["step"] for i in listed["interrupts"][1:]] == list(range(1, 20))
        assert (listed["count"], listed["total"]) == (20, 31)


async def test_whoever_meets_a_timeout_counts_it_as_over(masc: MascApp, clock: ManualClock) -> None:
    await ask(masc)
    await ask(masc, "gemini", on_timeout="wait")
    await clock.advance(30 * MINUTES)
    listed = await masc.call("masc_pending_interrupts")
    assert (listed["total"], listed["count"], listed["interrupts"][0]["agent"]) == (1, 1, "gemini")
    await ask(masc, step=4)
    await clock.advance(30 * MINUTES)
    assert (await masc.call("masc_status"))["interrupts_open"] == 1


async def test_the_newest_resolved_ones_are_added_when_asked_for(masc: MascApp, clock: ManualClock) -> None:
    for step in range(1, 23):
        await ask(masc, step=step)
        await decide(masc, "masc_reject", "gemini", task_id="task-001")
        await clock.advance(1)
    listed = await masc.call("masc_pending_interrupts", include_resolved=True)
    assert [r["step"] for r in listed["resolved"]] == list(range(22, 2, -1))
    assert "resolved" not in await masc.call("masc_pending_interrupts")
    assert (await masc.call("masc_pending_interrupts", task_id="other", include_resolved=True))["resolved"] == []


async def test_the_timeout_is_a_setting(tmp_path: Path, clock: ManualClock) -> None:
    sections: Mapping[type, Any] = {InterruptSettings: InterruptSettings(timeout_minutes=1)}
    async with masc_app(tmp_path, clock=clock, settings=Settings(sections=sections)) as masc:
        await ask(masc)
        await clock.advance(60)
        assert (await ask(masc))["reject_reason"] == "timeout"


async def test_time_runs_out_during_a_wait(tmp_path: Path, clock: ManualClock) -> None:
    """Even in a process that runs no timer, such as a local command."""
    sections: Mapping[type, Any] = {InterruptSettings: InterruptSettings(timeout_minutes=1)}
    async with masc_app(tmp_path, clock=clock, settings=Settings(sections=sections)) as masc:
        waiting = await asking(masc)
        await clock.advance(75)
        async with asyncio.timeout(20):
            answer = await waiting
        assert (answer["decision"], answer["reject_reason"], answer["timed_out"]) == ("rejected", "timeout", False)


@pytest.mark.parametrize("minutes", [0, 10_081])
def test_the_timeout_has_bounds(minutes: int) -> None:
    with pytest.raises(ValueError, match="timeout_minutes must be 1 to 10080"):
        InterruptSettings(timeout_minutes=minutes)
