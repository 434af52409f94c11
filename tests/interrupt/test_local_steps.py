"""What people alone do with checkpoints, and the guards of others around interrupts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dialog_support import decide, refused_to

from masc_core import Context, MascError, hookimpl
from masc_core.commands import call_unlisted
from masc_core.context import Caller
from masc_core.dialog import Answer, Dialog
from masc_core.errors import Forbidden
from masc_core.kernel import local_client
from masc_core.records import EVENTS
from masc_core.store.collections import LogView
from masc_core.store.transaction import Transaction
from masc_core.sweep import due_once
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app
from masc_core.tools import ADMIN, WORKER
from masc_plugin_interrupt.local import (
    masc_checkpoint_pending,
    masc_checkpoint_resume,
    masc_checkpoint_revert,
    masc_checkpoint_save,
    masc_checkpoint_show,
)

ASK: dict[str, Any] = {"task_id": "t", "step": 3, "action": "drop the table", "message": "There is no backup."}


async def person(masc: MascApp, what: Callable[..., Any], **arguments: Any) -> dict[str, Any]:
    """A step of a person at the command line."""
    outcome = await call_unlisted(masc.kernel, what, arguments, local_client())
    return dict(outcome.structured)


async def test_steps_for_people_are_no_tools(masc: MascApp) -> None:
    assert not [name for name in masc.kernel.registry.contracts if "checkpoint" in name]


async def test_a_task_with_many_checkpoints_is_reverted_whole(masc: MascApp, clock: ManualClock) -> None:
    for step in range(1, 41):
        await person(masc, masc_checkpoint_save, task_id="t", step=step, action="a", state={"x": "y" * 50_000})
    late = (await masc.call("masc_interrupt", "claude", **{**ASK, "step": 50}))["checkpoint_id"]
    kept = (await masc.call("masc_interrupt", "claude", **{**ASK, "step": 51}, on_timeout="wait"))["checkpoint_id"]
    await person(masc, masc_checkpoint_save, task_id="other", step=30, action="a")
    await clock.advance(30 * 60)
    done = await person(masc, masc_checkpoint_revert, task_id="t", to_step=10)
    assert (done["count"], done["still_open"]) == (31, [kept])
    assert late in done["reverted"]
    log = await LogView(EVENTS, Transaction(masc.kernel.start_room.driver)).read(0, 1000)
    events = [e for e in log if e.type == "checkpoint_reverted"]
    assert sum(len(e.data["old"]) for e in events) == 31
    assert {e.subject for e in events} == {"t"}


async def test_saving_completes_whatever_was_in_progress(masc: MascApp) -> None:
    for number in range(1, 41):
        await person(masc, masc_checkpoint_save, task_id="t", step=1, action="a", state={"x": "y" * 50_000})
        await person(masc, masc_checkpoint_resume, checkpoint_id=f"cp-t-1-{number}")
    same = await person(masc, masc_checkpoint_save, task_id="t", step=1, action="a")
    assert same["completed"] == []
    saved = await person(masc, masc_checkpoint_save, task_id="t", step=2, action="b")
    assert saved["checkpoint"]["status"] == "pending"
    assert sorted(saved["completed"]) == sorted(f"cp-t-1-{n}" for n in range(1, 41))
    shown = [await person(masc, masc_checkpoint_show, checkpoint_id=f"cp-t-1-{n}") for n in (1, 40)]
    assert [s["checkpoint"]["status"] for s in shown] == ["completed", "completed"]


async def test_a_person_sees_all_that_is_open(masc: MascApp) -> None:
    for step in range(1, 231):
        await masc.call("masc_interrupt", "claude", **{**ASK, "step": step}, on_timeout=("wait", "reject")[step > 215])
    for task in ({}, {"task_id": "t"}):
        listed = await person(masc, masc_checkpoint_pending, **task)
        assert [i["step"] for i in listed["interrupts"]] == list(range(1, 231))
        assert (listed["count"], listed["total"]) == (230, 230)
        assert "warnings" not in listed


@pytest.mark.parametrize("what", [masc_checkpoint_show, masc_checkpoint_resume])
async def test_what_a_person_sees_timed_out_stays_so(
    masc: MascApp, clock: ManualClock, what: Callable[..., Any]
) -> None:
    asked = await masc.call("masc_interrupt", "claude", **ASK)
    clock.jump(30 * 60)
    seen = await person(masc, what, checkpoint_id=asked["checkpoint_id"])
    status = seen["checkpoint"]["status"] if "checkpoint" in seen else seen["error"]["details"]["status"]
    assert status == "rejected"
    clock.jump(-30 * 60)
    told = await masc.call("masc_interrupt", "claude", **ASK)
    assert (told["status"], told["reject_reason"]) == ("rejected", "timeout")


@pytest.mark.parametrize(("tool", "decision"), [("masc_approve", "approved"), ("masc_reject", "rejected")])
async def test_a_decision_that_was_reverted_is_still_delivered_once(masc: MascApp, tool: str, decision: str) -> None:
    """What the decider said is not lost; that the step was taken back is said with it."""
    first = await masc.call("masc_interrupt", "claude", **ASK)
    await decide(masc, tool, "gemini", task_id="t")
    await person(masc, masc_checkpoint_revert, task_id="t", to_step=2)
    told = await masc.call("masc_interrupt", "claude", **ASK)
    assert (told["checkpoint_id"], told["status"], told["decision"]) == (first["checkpoint_id"], "reverted", decision)
    assert [w["code"] for w in told["warnings"]] == ["reverted"]
    anew = await masc.call("masc_interrupt", "claude", **ASK)
    assert anew["checkpoint_id"] != first["checkpoint_id"]
    assert anew["decision"] == "pending"


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"step": 0}, "step"), ({"total_steps": 2}, "total_steps"), ({"action": ""}, "action"), ({"x": 1}, "x")],
)
async def test_a_persons_arguments_are_checked_like_an_agents(
    masc: MascApp, changed: dict[str, Any], field: str
) -> None:
    refused = await person(masc, masc_checkpoint_save, **{"task_id": "t", "step": 3, "action": "a", **changed})
    assert refused["error"]["details"]["field"] == field


class Roles:
    """Stands in for the auth guard: every caller by MCP has a worker's token."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @hookimpl
    async def masc_before_call(self, ctx: Context) -> None:
        call = ctx.call
        self.seen.append(call.tool.name)
        if call.client.transport != "local" and call.tool.role > WORKER:
            raise Forbidden(
                agent="x", action=call.tool.name, required_role=call.tool.role.label, role="worker", reason="role"
            )


async def test_a_worker_asks_and_does_not_decide(tmp_path: Path) -> None:
    """Acceptance 5; the commands of people pass the same guards."""
    roles = Roles()
    async with masc_app(tmp_path, extra=[("guard:roles", roles)]) as masc:
        assert "error" not in await masc.call("masc_interrupt", "claude", **ASK)
        for tool in ("masc_approve", "masc_reject"):
            assert (await masc.error(tool, "gemini", task_id="t"))["code"] == "forbidden"
        assert "error" not in await person(masc, masc_checkpoint_save, task_id="t", step=4, action="a")
        decided = await masc.kernel.call("masc_approve", {"task_id": "t"}, local_client())
        assert decided.structured["status"] == "completed"
    assert "masc_checkpoint_save" in roles.seen


class Tokens:
    """Stands in for the auth guard: whoever calls over the network has an admin's token."""

    @hookimpl
    async def masc_authenticate(self, ctx: Context) -> dict[str, Any]:
        return {"caller": Caller(ctx.call.arguments.get("agent_name", "boss"), ADMIN, "token")}


async def test_a_token_tells_a_decider_from_who_asked(tmp_path: Path) -> None:
    async with masc_app(tmp_path, extra=[("guard:tokens", Tokens())]) as masc:
        await masc.call("masc_interrupt", "claude", **ASK)
        assert (await masc.error("masc_approve", "claude", task_id="t"))["details"]["reason"] == "self_approval"
        assert (await masc.call("masc_approve", "boss", task_id="t"))["status"] == "completed"


class Faster:
    """Decides the task's newest interrupt right before gemini's own decision on it is committed."""

    def __init__(self) -> None:
        self.masc: MascApp | None = None

    @hookimpl
    async def masc_in_commit(self, ctx: Context) -> None:
        if ctx.call.tool.name == "masc_approve" and ctx.actor == "gemini" and self.masc is not None:
            masc, self.masc = self.masc, None
            assert "error" not in await decide(masc, "masc_reject", "codex", task_id="t")


async def test_who_loses_a_race_does_not_approve_the_next_interrupt(tmp_path: Path) -> None:
    """The caller meant the newest one that was open when it called, not whatever is the newest after that."""
    faster = Faster()
    async with masc_app(tmp_path, extra=[("guard:faster", faster)]) as masc:
        older = await masc.call("masc_interrupt", "claude", **ASK)
        newer = await masc.call("masc_interrupt", "claude", **{**ASK, "step": 4})
        faster.masc = masc
        error = await refused_to(masc, "masc_approve", "gemini", task_id="t")
        assert (error["code"], error["details"]["checkpoint_id"]) == (
            "checkpoint_invalid_state",
            newer["checkpoint_id"],
        )
        left = (await masc.call("masc_pending_interrupts"))["interrupts"]
        assert [i["checkpoint_id"] for i in left] == [older["checkpoint_id"]]


class Admins:
    """Stands in for the auth guard: one agent is an admin."""

    @hookimpl
    async def masc_admins(self, ctx: Context) -> dict[str, Any]:
        return {"admins": ["GEMINI", "gone"]}


async def test_an_escalation_calls_the_admins_where_there_are_roles(tmp_path: Path, clock: ManualClock) -> None:
    async with masc_app(tmp_path, clock=clock, extra=[("guard:admins", Admins())]) as masc:
        await masc.call("masc_interrupt", "claude", **ASK, on_timeout="escalate")
        await clock.advance(30 * 60)
        for name in ("gemini", "codex"):
            await masc.call("masc_join", name)
        await due_once(masc.kernel, masc.kernel.start_room)
        found = (await masc.call("masc_messages", limit=100))["messages"]
        (called,) = [m for m in found if "still waits" in m["content"]]
    assert [m["agents"] for m in called["mentions"]] == [["gemini"]]
    assert "@gemini" in called["content"]
    assert "@all" not in called["content"]


class Redacts:
    """Stands in for the redaction guard."""

    @hookimpl
    async def masc_redact(self, ctx: Context, arguments: dict[str, Any]) -> None:
        for name, value in arguments.items():
            if isinstance(value, str):
                arguments[name] = value.replace("hunter2x", "[REDACTED]")


async def test_what_a_user_writes_in_a_form_is_redacted(tmp_path: Path) -> None:
    async def ask(message: str, schema: Any) -> Answer:
        assert "hunter2x" not in message
        return Answer("accept", {"decision": "approve", "comment": "use hunter2x"})

    async with masc_app(tmp_path, extra=[("guard:redacts", Redacts())]) as masc:
        arguments = {**ASK, "agent_name": "claude", "message": "hunter2x?", "wait_seconds": 10}
        outcome = await masc.kernel.call("masc_interrupt", arguments, masc.client(), dialog=Dialog(ask))
    assert outcome.structured["comment"] == "use [REDACTED]"


async def test_a_dialog_that_breaks_leaves_the_interrupt_open(masc: MascApp) -> None:
    async def ask(message: str, schema: Any) -> Answer:
        raise MascError

    arguments = {**ASK, "agent_name": "claude", "wait_seconds": 10}
    outcome = await masc.kernel.call("masc_interrupt", arguments, masc.client(), dialog=Dialog(ask))
    assert outcome.error is not None
    assert (await masc.call("masc_pending_interrupts"))["count"] == 1
