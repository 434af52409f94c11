"""The client's own dialog, over real transports with the official client, in both protocol eras."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import mcp_types as types
import orjson
import pytest
from dialog_support import ASK, BOUND, Connect, User, decide, facts, serving, stdio
from mcp.client.client import Client

from masc_core import identity
from masc_core.clock import SystemClock
from masc_core.dialog import Answer, Dialog
from masc_core.frozen import evolve
from masc_core.kernel import Kernel
from masc_core.records import DIALOG_KEYS, EVENTS
from masc_core.rooms import Base
from masc_core.settings import Settings
from masc_core.store.collections import LogView, View
from masc_core.store.transaction import Transaction
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app
from masc_plugin_interrupt.settings import InterruptSettings


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[MascApp]:
    """A room on SQLite with the machine's clock, in which one agent is another admin."""
    async with masc_app(tmp_path, backend="sqlite", clock=SystemClock()) as made:
        await made.call("masc_join", "gemini")
        yield made


@pytest.fixture(params=["http-auto", "http-legacy", "stdio-auto", "stdio-legacy"])
async def connect(request: pytest.FixtureRequest, app: MascApp) -> AsyncIterator[Connect]:
    """How to become the agent claude with a user behind it, over each transport in each era."""
    transport, mode = request.param.split("-")
    if transport == "stdio":
        yield lambda user: stdio(app.path, "claude", mode, user)
        return
    async with serving(app) as url:
        yield lambda user: Client(url, mode=mode, elicitation_callback=user)


async def opened(app: MascApp) -> list[dict[str, Any]]:
    """The open interrupts."""
    found: list[dict[str, Any]] = (await app.call("masc_pending_interrupts"))["interrupts"]
    return found


async def actors(app: MascApp) -> list[str]:
    """Who decided."""
    log = await LogView(EVENTS, Transaction(app.kernel.start_room.driver)).read(0, 1000)
    return [e.actor for e in log if e.type == "interrupt_resolved"]


@pytest.mark.parametrize(("decision", "status"), [("approve", "completed"), ("reject", "rejected")])
async def test_the_clients_user_decides(app: MascApp, connect: Connect, decision: str, status: str) -> None:
    user = User("accept", {"decision": decision, "comment": "seen"})
    async with asyncio.timeout(BOUND), connect(user) as client:
        answer = again = facts(await client.call_tool("masc_interrupt", ASK))
        while again["checkpoint_id"] == answer["checkpoint_id"]:  # until its delivery is noted
            again = facts(await client.call_tool("masc_interrupt", {**ASK, "wait_seconds": 0}))
    assert again["decision"] == "pending"
    assert answer["status"] == status
    assert answer["comment" if decision == "approve" else "reject_reason"] == "seen"
    assert await actors(app) == ["human:client:claude"]
    (form,) = user.asked
    assert ASK["action"] in form.message
    assert ASK["message"] in form.message
    assert set(form.requested_schema["properties"]) == {"decision", "comment"}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_first_call_of_a_room_can_ask(tmp_path: Path, mode: Any) -> None:
    """The room does not exist before the call that is sent to its user."""
    user = User("accept", {"decision": "approve"})
    async with (
        masc_app(tmp_path, backend="sqlite", clock=SystemClock()) as app,
        serving(app) as url,
        asyncio.timeout(BOUND),
        Client(url, mode=mode, elicitation_callback=user) as client,
    ):
        assert facts(await client.call_tool("masc_interrupt", ASK))["decision"] == "approved"


@pytest.mark.parametrize(("version", "asked"), [("2025-06-18", 1), ("2025-03-26", 0)])
async def test_forms_are_shown_by_every_version_that_has_them(
    app: MascApp, monkeypatch: pytest.MonkeyPatch, version: str, asked: int
) -> None:
    monkeypatch.setattr("mcp.client.session.LATEST_HANDSHAKE_VERSION", version)
    user = User("accept", {"decision": "approve"})
    async with serving(app) as url, asyncio.timeout(BOUND):
        async with Client(url, mode="legacy", elicitation_callback=user) as client:
            assert client.session.protocol_version == version
            answer = facts(await client.call_tool("masc_interrupt", {**ASK, "wait_seconds": 1}))
    assert (answer["decision"], len(user.asked)) == ("approved" if asked else "pending", asked)


@pytest.mark.parametrize(("mode", "reason"), [("legacy", "self_approval"), ("auto", "unknown_client")])
async def test_a_client_cannot_approve_what_it_asked(app: MascApp, mode: Any, reason: str) -> None:
    """A handshake session is recognised under any name; stateless HTTP without a name in the URL never is."""
    async with serving(app) as served, asyncio.timeout(BOUND):
        url = served.removesuffix("&agent=claude")
        async with Client(url, mode=mode) as one, Client(url, mode=mode) as two:
            await one.call_tool("masc_interrupt", {**ASK, "wait_seconds": 0, "agent_name": "claude"})
            same = await one.call_tool("masc_approve", {"task_id": "task-001", "agent_name": "somebody"})
            assert facts(same)["error"]["details"]["reason"] == reason
            other = await two.call_tool("masc_approve", {"task_id": "task-001", "agent_name": "somebody"})
            assert other.is_error is (mode == "auto")
        async with Client(f"{url}&agent=gemini", mode=mode) as named:
            await named.call_tool("masc_interrupt", {**ASK, "wait_seconds": 0, "step": 4})
        async with Client(f"{url}&agent=zed", mode=mode) as named:
            done = await named.call_tool("masc_approve", {"task_id": "task-001", "checkpoint_id": "cp-task-001-4-2"})
            assert not done.is_error


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_user_who_declines_decides_nothing(app: MascApp, connect: Connect, action: str) -> None:
    """Acceptance 6."""
    user = User(action)
    async with asyncio.timeout(BOUND), connect(user) as client:
        answer = facts(await client.call_tool("masc_interrupt", {**ASK, "wait_seconds": 1}))
    assert (answer["decision"], answer["timed_out"]) == ("pending", True)
    assert len(await opened(app)) == 1
    assert len(user.asked) == 1
    assert await actors(app) == []


async def test_after_declining_the_call_goes_on_waiting(app: MascApp, connect: Connect) -> None:
    user = User("decline")
    async with asyncio.timeout(BOUND), connect(user) as client:
        waiting = asyncio.create_task(client.call_tool("masc_interrupt", ASK))
        await user.looking.wait()
        await decide(app, "masc_approve", "gemini", task_id="task-001", comment="from elsewhere")
        answer = facts(await waiting)
    assert (answer["decision"], answer["comment"]) == ("approved", "from elsewhere")
    assert await actors(app) == ["gemini"]


@pytest.mark.parametrize("transport", ["http", "stdio"])
async def test_a_decision_from_elsewhere_takes_the_form_away(app: MascApp, transport: str) -> None:
    """The handshake era shows the form while the call waits: whoever is first decides."""
    user = User(None)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(BOUND))
        if transport == "http":
            url = await stack.enter_async_context(serving(app))
            client = await stack.enter_async_context(Client(url, mode="legacy", elicitation_callback=user))
        else:
            client = await stack.enter_async_context(stdio(app.path, "claude", "legacy", user))
        waiting = asyncio.create_task(client.call_tool("masc_interrupt", ASK))
        await user.looking.wait()
        await decide(app, "masc_reject", "gemini", task_id="task-001", reason="no")
        answer = facts(await waiting)
        assert (answer["decision"], answer["reject_reason"]) == ("rejected", "no")
        await user.taken_away.wait()
        again = facts(await client.call_tool("masc_pending_interrupts", {}))
        assert again["count"] == 0


FORMS: tuple[dict[str, Any], ...] = (
    {},
    {"decision": "maybe"},
    {"decision": "APPROVE"},
    {"decision": "approve", "comment": "x" * 2001},
    {"decision": "approve", "comment": 3},
    {"decision": "approve", "comment": "a\0b"},
    {"decision": ["approve"]},
)


@pytest.mark.parametrize("content", FORMS)
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_form_that_says_nothing_usable_decides_nothing(app: MascApp, mode: Any, content: Any) -> None:
    async with serving(app) as url:
        async with asyncio.timeout(BOUND):
            async with Client(url, mode=mode, elicitation_callback=User("accept", content)) as client:
                answer = facts(await client.call_tool("masc_interrupt", {**ASK, "wait_seconds": 1}))
    assert answer["decision"] == "pending"
    assert answer["warnings"][0]["code"] == "form_unusable"
    assert len(await opened(app)) == 1


async def test_no_form_without_a_wait_or_a_client_that_shows_forms(app: MascApp, connect: Connect) -> None:
    user = User("accept", {"decision": "approve"})
    async with asyncio.timeout(BOUND):
        async with connect(user) as client:
            asked = facts(await client.call_tool("masc_interrupt", {**ASK, "wait_seconds": 0}))
            assert asked["decision"] == "pending"
        async with connect(None) as client:
            asked = facts(await client.call_tool("masc_interrupt", {**ASK, "wait_seconds": 1}))
            assert asked["decision"] == "pending"
    assert user.asked == []


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_room_can_forbid_forms(tmp_path: Path, mode: Any) -> None:
    settings = Settings(sections={InterruptSettings: InterruptSettings(elicitation=False)})
    user = User("accept", {"decision": "approve"})
    async with (
        masc_app(tmp_path, backend="sqlite", clock=SystemClock(), settings=settings) as app,
        serving(app) as url,
        asyncio.timeout(BOUND),
        Client(url, mode=mode, elicitation_callback=user) as client,
    ):
        answer = facts(await client.call_tool("masc_interrupt", {**ASK, "wait_seconds": 1}))
    assert (answer["decision"], user.asked) == ("pending", [])


async def test_edited_state_reaches_the_client_as_it_was_given(app: MascApp, connect: Connect) -> None:
    edited = {"null": None, "nested": {"x": None, "l": [None, 1.0, -0.0]}, "big": 2**63, "text": "ü\u2028\n", "e": {}}
    async with asyncio.timeout(BOUND), connect(None) as client:
        await client.call_tool("masc_interrupt", {**ASK, "wait_seconds": 0, "state": edited})
        await decide(app, "masc_approve", "gemini", task_id="task-001", edited_state=edited)
        answer = facts(await client.call_tool("masc_interrupt", ASK))
    assert answer["edited_state"] == edited


# --- the signed state of the stateless era, in process: what a client could do to it


class Rounds:
    """A stateless client by hand: one call that is sent to its user, and calls that come back."""

    def __init__(self, masc: MascApp, *bindings: str) -> None:
        self.masc = masc
        self.bindings = bindings

    def client(self) -> identity.Client:
        return self.masc.client(bindings=self.bindings)

    async def first(self, agent: str = "claude", tool: str = "masc_interrupt", **changed: Any) -> str:
        arguments = {**ASK, **changed, "agent_name": agent}
        outcome = await self.masc.kernel.call(tool, arguments, self.client(), dialog=Dialog())
        assert outcome.input_required is not None
        assert outcome.delivered == ()
        return outcome.input_required.state

    async def back(self, state: str, agent: str = "claude", masc: MascApp | None = None, **changed: Any) -> Any:
        answers = {"form": Answer("accept", {"decision": "approve"})}
        arguments = {**ASK, **changed, "agent_name": agent}
        kernel = (masc or self.masc).kernel
        outcome = await kernel.call(
            "masc_interrupt", arguments, self.client(), dialog=Dialog(state=state, answers=answers)
        )
        assert outcome.input_required is None
        for delivered in outcome.delivered:
            await delivered()
        return outcome.structured


@pytest.fixture
def rounds(masc: MascApp) -> Rounds:
    return Rounds(masc)


async def reason_of(refused: dict[str, Any], masc: MascApp) -> str:
    """Why a state was refused; the interrupt is still open and the only one."""
    error = refused["error"]
    assert (error["code"], error["details"]["field"]) == ("invalid_argument", "requestState")
    assert len(await opened(masc)) == 1
    assert await actors(masc) == []
    return str(error["details"]["reason"])


async def test_what_comes_back_with_its_state_decides(masc: MascApp, rounds: Rounds) -> None:
    state = await rounds.first()
    assert (await rounds.back(state))["decision"] == "approved"
    assert await actors(masc) == ["human:client:claude"]


async def test_a_changed_state_is_refused(masc: MascApp, rounds: Rounds) -> None:
    state = await rounds.first()
    payload, signature = state.split(".")
    parts = orjson.loads(base64.urlsafe_b64decode(payload))
    later = base64.urlsafe_b64encode(orjson.dumps([*parts[:-1], "9999-01-01T00:00:00.000Z"])).decode()
    guessed = hmac.new(b"", base64.urlsafe_b64decode(payload), hashlib.sha256).hexdigest()
    changed = [
        "", ".", payload, f"{payload}.", f".{signature}", f"{later}.{signature}", f"{payload}.{guessed}", state + "0",
        state[:-1], f"{payload}.{signature.upper()}", "é.é", "x" * 5000, f"{payload}\n.{signature}", f"{state}.{state}",
    ]  # fmt: skip
    for wrong in changed:
        if wrong != state:
            assert await reason_of(await rounds.back(wrong), masc) == "tampered", wrong


async def test_a_state_of_another_agent_is_refused(masc: MascApp, rounds: Rounds) -> None:
    state = await rounds.first()
    assert await reason_of(await rounds.back(state, "codex"), masc) == "foreign"


async def test_a_state_about_another_checkpoint_is_refused(masc: MascApp, rounds: Rounds) -> None:
    state = await rounds.first()
    assert await reason_of(await rounds.back(state, checkpoint_id="cp-task-001-3-9"), masc) == "foreign"
    for changed in ({"task_id": "task-002"}, {"step": 4}, {"action": "delete everything"}):
        assert await reason_of(await rounds.back(state, **changed), masc) == "foreign"


async def test_an_old_state_is_refused(masc: MascApp, rounds: Rounds, clock: ManualClock) -> None:
    state = await rounds.first(on_timeout="wait")
    await clock.advance(86_400)
    assert await reason_of(await rounds.back(state, on_timeout="wait"), masc) == "expired"


async def test_a_state_of_another_room_is_refused(
    tmp_path: Path, masc: MascApp, rounds: Rounds, clock: ManualClock
) -> None:
    await rounds.first()
    async with masc_app(tmp_path / "other", clock=clock, registry=masc.kernel.registry) as other:
        state = await Rounds(other).first()
        assert await reason_of(await rounds.back(state), masc) == "tampered"
        # Even a room that has a copy of the key, such as a copied directory, is another room.
        keys = View(DIALOG_KEYS, Transaction(masc.kernel.start_room.driver))
        key = await keys.get("form")
        copy = Transaction(other.kernel.start_room.driver)
        await View(DIALOG_KEYS, copy).get("form")
        View(DIALOG_KEYS, copy).put(key)
        await copy.commit()
        copied = await Rounds(other).first(step=4)
        assert await reason_of(await rounds.back(copied), masc) == "foreign"


async def test_a_state_is_used_for_one_decision(masc: MascApp, rounds: Rounds) -> None:
    state = await rounds.first()
    await decide(rounds.masc, "masc_reject", "gemini", task_id="task-001", reason="faster")
    answer = await rounds.back(state)
    assert (answer["decision"], answer["reject_reason"]) == ("rejected", "faster")
    assert await actors(masc) == ["gemini"]


async def test_an_answer_to_an_old_question_does_not_answer_a_new_one(masc: MascApp, rounds: Rounds) -> None:
    state = await rounds.first()
    assert (await rounds.back(state))["decision"] == "approved"
    changes: tuple[dict[str, Any], ...] = ({}, {"message": "and now something far more dangerous"})
    for changed in changes:
        error = (await rounds.back(state, **changed))["error"]
        assert (error["details"]["field"], error["details"]["reason"]) == ("requestState", "used")
    assert await opened(masc) == []
    assert await rounds.first() != state
    error = (await rounds.back(state))["error"]
    assert error["details"]["reason"] == "used"
    assert len(await opened(masc)) == 1


async def raised_by(masc: MascApp, *bindings: str) -> None:
    """An interrupt of claude, raised by a client with these bindings."""
    client = masc.client(bindings=bindings)
    await masc.outcome("masc_interrupt", client, agent_name="claude", **{**ASK, "wait_seconds": 0})


ONE, OTHER = ("process:host:1:2.00", "process:host:2:2.00")


@pytest.mark.parametrize("era", ["during the call", "stateless"])
@pytest.mark.parametrize(
    ("raised", "calling", "shown"),
    [
        ((ONE,), (ONE,), True),
        ((ONE, "agent:claude"), ("agent:claude",), True),
        ((ONE,), (OTHER,), False),
        ((ONE,), (), False),
        ((), (ONE,), False),
        ((), (), False),
    ],
)
async def test_only_the_client_that_asked_may_show_the_form(
    masc: MascApp, clock: ManualClock, era: str, raised: tuple[str, ...], calling: tuple[str, ...], shown: bool
) -> None:
    """The others wait; that they have repeated the question before makes no difference."""
    await raised_by(masc, *raised)
    asked = 0

    async def ask(message: str, schema: Any) -> Answer:
        nonlocal asked
        asked += 1
        return Answer("accept", {"decision": "approve"})

    arguments = {**ASK, "agent_name": "claude", "wait_seconds": 1}
    for _ in range(2):
        dialog = Dialog(ask) if era == "during the call" else Dialog()
        call = asyncio.create_task(
            masc.kernel.call("masc_interrupt", arguments, masc.client(bindings=calling), dialog=dialog)
        )
        while not call.done():
            await clock.advance(0.5)
        outcome = await call
        if shown:
            break
        assert outcome.input_required is None
        assert (outcome.structured["decision"], outcome.structured["timed_out"]) == ("pending", True)
    assert (asked == 1 or outcome.input_required is not None) is shown


@pytest.mark.parametrize(("asking", "answering"), [((ONE,), ()), ((ONE,), (OTHER,)), ((), (ONE,))])
async def test_an_answer_by_another_client_decides_nothing(
    masc: MascApp, clock: ManualClock, asking: tuple[str, ...], answering: tuple[str, ...]
) -> None:
    state = await Rounds(masc, *asking).first(wait_seconds=1)
    call = asyncio.create_task(Rounds(masc, *answering).back(state, wait_seconds=1))
    while not call.done():
        await clock.advance(0.5)
    answer = await call
    assert answer["decision"] == "pending"
    assert "form_ignored" in {w["code"] for w in answer["warnings"]}
    assert (await Rounds(masc, *asking).back(state))["decision"] == "approved"


async def test_the_answer_after_a_form_says_that_the_call_joined(masc: MascApp) -> None:
    rounds = Rounds(masc, ONE)
    state = await rounds.first()
    again = await masc.kernel.call(
        "masc_interrupt", {**ASK, "agent_name": "claude"}, rounds.client(), dialog=Dialog(state=state)
    )
    assert again.input_required is not None
    assert (await rounds.back(again.input_required.state))["joined"] is True
    assert "joined" not in await rounds.back(await rounds.first(step=4), step=4)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_name_joined_with_a_form_is_remembered(app: MascApp, mode: Any) -> None:
    """The process need not repeat it, whether its user was asked during the call or after it."""
    user = User("accept", {"decision": "approve"})
    async with asyncio.timeout(BOUND), stdio(app.path, None, mode, user) as client:
        asked = facts(await client.call_tool("masc_interrupt", {**ASK, "agent_name": "dora"}))
        assert (asked["decision"], asked["joined"]) == ("approved", True)
        again = facts(await client.call_tool("masc_interrupt", {**ASK, "step": 4, "wait_seconds": 0}))
    assert "error" not in again
    assert [i["agent"] for i in await opened(app)] == ["dora"]


async def test_a_question_cannot_be_mistaken_for_what_masc_says(masc: MascApp) -> None:
    shown: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def ask(message: str, schema: Any) -> Answer:
        shown.set_result(message)
        return Answer("decline")

    forged = (
        "harmless\n\nAlready checked by your admin.\r\u2028Approve.\x1b[2K\x9b1A\u202egnp.exe\u2066\u200f\x0b\x85end"
    )
    arguments = {**ASK, "agent_name": "claude", "action": "list\u202efiles", "message": forged}
    arguments |= {"state": {"n": 1}, "total_steps": 5}
    call = asyncio.create_task(masc.kernel.call("masc_interrupt", arguments, masc.client(), dialog=Dialog(ask)))
    async with asyncio.timeout(BOUND):
        text = await shown
    call.cancel()
    assert not set("\x1b\x9b\u202e\u2066\u200f\u2028\r\x0b\x85") & set(text)
    said = [line for line in text.split("\n") if line and not line.startswith("> ") and line != ">"]
    assert said == [
        "claude asks before step 3 of 5 of task-001. What it wants to do:",
        "What it says of it:",
        "Its state: masc checkpoint show cp-task-001-3-1",
    ]
    assert "> Already checked by your admin.\n" in text
    assert "> list files\n" in text


async def test_coming_back_without_an_answer_asks_again(masc: MascApp, rounds: Rounds) -> None:
    state = await rounds.first()
    again = await masc.kernel.call(
        "masc_interrupt", {**ASK, "agent_name": "claude"}, masc.client(), dialog=Dialog(state=state)
    )
    assert again.input_required is not None
    assert len(await opened(masc)) == 1


async def test_another_server_of_the_room_takes_the_answer(tmp_path: Path, clock: ManualClock) -> None:
    async with masc_app(tmp_path, backend="sqlite", clock=clock) as here:
        state = await Rounds(here).first()
        settings = evolve(Settings(), storage=here.kernel.start_room.settings.storage)
        base = Base(tmp_path, may_create=True)
        async with Kernel(base, here.kernel.registry, clock=clock, settings_of=lambda _: settings) as kernel:
            answer = await Rounds(here).back(state, masc=MascApp(kernel, clock, tmp_path))
        assert answer["decision"] == "approved"


async def test_a_form_left_open_when_the_call_is_cancelled_is_taken_away(masc: MascApp) -> None:
    shown, gone = asyncio.Event(), asyncio.Event()

    async def ask(message: str, schema: Any) -> Answer:
        shown.set()
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()
        raise AssertionError

    arguments = {**ASK, "agent_name": "claude"}
    call = asyncio.create_task(masc.kernel.call("masc_interrupt", arguments, masc.client(), dialog=Dialog(ask)))
    async with asyncio.timeout(BOUND):
        await shown.wait()
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call
        await gone.wait()
    assert len(await opened(masc)) == 1


async def test_a_user_who_answers_after_somebody_else_decides_nothing(masc: MascApp) -> None:
    async def ask(message: str, schema: Any) -> Answer:
        assert "error" not in await decide(masc, "masc_reject", "gemini", task_id="task-001", reason="faster")
        return Answer("accept", {"decision": "approve"})

    arguments = {**ASK, "agent_name": "claude"}
    outcome = await masc.kernel.call("masc_interrupt", arguments, masc.client(), dialog=Dialog(ask))
    assert (outcome.structured["decision"], outcome.structured["reject_reason"]) == ("rejected", "faster")
    assert await actors(masc) == ["gemini"]


async def test_a_wait_that_is_over_takes_the_form_away(masc: MascApp, clock: ManualClock) -> None:
    shown, gone = asyncio.Event(), asyncio.Event()

    async def ask(message: str, schema: Any) -> Answer:
        shown.set()
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()
        raise AssertionError

    arguments = {**ASK, "agent_name": "claude", "wait_seconds": 10}
    call = asyncio.create_task(masc.kernel.call("masc_interrupt", arguments, masc.client(), dialog=Dialog(ask)))
    async with asyncio.timeout(BOUND):
        await shown.wait()
        while not call.done():
            await clock.advance(5)
        await gone.wait()
    assert (await call).structured["timed_out"] is True


async def test_a_client_of_another_kind_of_elicitation_is_not_asked(app: MascApp) -> None:
    """Only forms are used; a client that declared URLs alone waits as if it had declared nothing."""
    from masc_core.wire._dialog import _shows_forms

    def declared(**elicitation: Any) -> types.ClientCapabilities:
        return types.ClientCapabilities.model_validate({"elicitation": elicitation})

    assert _shows_forms(declared())
    assert _shows_forms(declared(form={}))
    assert _shows_forms(declared(form={}, url={}))
    assert not _shows_forms(declared(url={}))
    assert not _shows_forms(types.ClientCapabilities())
    assert not _shows_forms(None)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_form_comes_through_the_invoker_of_lean_mode(app: MascApp, mode: Any) -> None:
    user = User("accept", {"decision": "approve"})
    async with (
        serving(app) as url,
        asyncio.timeout(BOUND),
        Client(url.replace("mode=full", "mode=lean"), mode=mode, elicitation_callback=user) as client,
    ):
        asked = {"name": "masc_interrupt", "arguments": ASK}
        answer = facts(await client.call_tool("masc_call_write", asked))
    assert answer["status"] == "completed"
    assert len(user.asked) == 1
