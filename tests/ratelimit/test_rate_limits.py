"""The acceptance list of ratelimit.md, and what else its sentences promise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from masc_core.call import Outcome
from masc_core.context import Caller
from masc_core.dialog import Answer, Dialog
from masc_core.frozen import evolve
from masc_core.identity import Client
from masc_core.settings import Settings
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app
from masc_core.tools import Effect, Role
from masc_plugin_ratelimit import guard
from masc_plugin_ratelimit.limits import CATEGORIES, RateLimitSettings, limit_of
from masc_plugin_ratelimit.windows import Callers, Windows

Json = dict[str, Any]


@pytest.fixture(params=["memory", "sqlite"])
async def room(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock, registry: Any
) -> AsyncIterator[MascApp]:
    """A room with the limits that users get."""
    async with masc_app(tmp_path, backend=request.param, clock=clock, registry=registry, limited=True) as masc:
        await masc.kernel.call("masc_init", {}, local(masc))
        yield masc


def local(masc: MascApp) -> Client:
    """The person at the machine."""
    client = masc.client()
    client.transport, client.person = "local", "human:tester"
    return client


def at(masc: MascApp, source: str = "192.0.2.1", token: str | None = None, agent: str | None = None) -> Client:
    client = masc.client(agent, token=token)
    client.source = source
    return client


async def call(masc: MascApp, tool: str, client: Client, **arguments: Any) -> Json:
    return dict((await masc.outcome(tool, client, **arguments)).structured)


async def passes(masc: MascApp, tool: str, client: Client, at_most: int = 400, **arguments: Any) -> int:
    """How many calls of a tool pass in no time before one is rate limited."""
    for n in range(at_most):
        result = await call(masc, tool, client, **arguments)
        if result.get("error", {}).get("code") == "rate_limited":
            return n
    raise AssertionError(f"{at_most} calls of {tool} passed")


async def tokens(masc: MascApp) -> dict[str, str]:
    """Auth on; a token for each role."""
    enabled = await call(masc, "masc_auth_enable", local(masc), deliver="result")
    admin = masc.client(token=enabled["admin"]["token"])
    admin.transport = "local"
    made = {"admin": enabled["admin"]["token"]}
    for role in ("reader", "worker"):
        issued = await call(masc, "masc_auth_create_token", admin, agent_name=f"a-{role}", role=role, deliver="result")
        made[role] = issued["token"]
    return made


async def test_a_worker_broadcasts_15_times_and_5_more_and_then_waits(room: MascApp, clock: ManualClock) -> None:
    """Acceptance 1."""
    client = at(room, agent="claude")
    for _ in range(20):
        assert "error" not in await call(room, "masc_broadcast", client, message="m")
    error = (await call(room, "masc_broadcast", client, message="m"))["error"]
    assert error["code"] == "rate_limited" and error["retryable"]
    details = error["details"]
    assert (details["category"], details["limit"], details["current"]) == ("broadcast", 15, 15)
    assert 1 <= details["retry_after"] <= 60
    await clock.advance(details["retry_after"])
    assert "error" not in await call(room, "masc_broadcast", client, message="m")


async def test_the_wait_that_is_told_is_the_shortest_that_helps(room: MascApp, clock: ManualClock) -> None:
    client = at(room, agent="claude")
    await call(room, "masc_broadcast", client, message="first")
    await clock.advance(20.5)
    assert await passes(room, "masc_broadcast", client, message="m") == 19
    wait = (await call(room, "masc_broadcast", client, message="m"))["error"]["details"]["retry_after"]
    assert wait == 40
    await clock.advance(wait - 1)
    assert "error" in await call(room, "masc_broadcast", client, message="m")
    await clock.advance(1)
    assert "error" not in await call(room, "masc_broadcast", client, message="m")


BASES = {"general": 10, "broadcast": 15, "task_ops": 30, "file_lock": 20, "read": 120}


@pytest.mark.parametrize(("role", "factor"), [("reader", 0.5), ("worker", 1), ("admin", 2)])
async def test_each_category_and_role_has_its_limit(room: MascApp, role: str, factor: float) -> None:
    """Acceptance 2: as it is told, and as it holds."""
    client = at(room, token=(await tokens(room))[role])
    told = await call(room, "masc_rate_limit_status", client)
    assert (told["role"], told["multiplier"], told["burst_remaining"]) == (role, factor, 5)
    assert {c["category"]: c["limit"] for c in told["categories"]} == {
        name: int(base * factor) for name, base in BASES.items()
    }
    assert await passes(room, "masc_join", client) == int(10 * factor) + 5


def test_limits_are_rounded_down_and_never_nothing() -> None:
    assert limit_of(15, Role.READER, False) == 7
    assert limit_of(1, Role.READER, False) == 1
    assert limit_of(15, Role.READER, True) == 11, "the preference comes before the rounding"
    assert limit_of(30, Role.ADMIN, False) == 60
    assert limit_of(10, Role.READER, False) == 5


async def test_the_burst_is_shared_by_all_categories(room: MascApp) -> None:
    """Acceptance 3."""
    client = at(room, agent="claude")
    assert await passes(room, "masc_broadcast", client, message="m") == 20
    assert await passes(room, "masc_add_task", client, title="t") == 30
    status = await call(room, "masc_rate_limit_status", client)
    assert status["burst_remaining"] == 0


async def test_reading_does_not_use_up_joining(room: MascApp) -> None:
    """Acceptance 4."""
    client = at(room, agent="claude")
    for _ in range(120):
        assert "error" not in await call(room, "masc_status", client)
    assert "error" not in await call(room, "masc_join", client)


async def test_two_agents_on_one_connection_have_windows_of_their_own(room: MascApp) -> None:
    """Acceptance 5."""
    client = at(room)
    assert await passes(room, "masc_broadcast", client, agent_name="claude", message="m") == 20
    assert "error" not in await call(room, "masc_broadcast", client, agent_name="gemini", message="m")
    assert "error" in await call(room, "masc_broadcast", client, agent_name="CLAUDE", message="m")
    elsewhere = at(room, "192.0.2.2")
    assert "error" not in await call(room, "masc_broadcast", elsewhere, agent_name="claude", message="m")


async def test_who_names_nobody_is_counted_by_source(room: MascApp) -> None:
    assert await passes(room, "masc_get_config", at(room)) == 125
    assert "error" in await call(room, "masc_who", at(room))
    assert "error" not in await call(room, "masc_who", at(room, "192.0.2.2"))


async def test_limits_are_shown_to_everybody_and_changed_by_admins(room: MascApp) -> None:
    """Acceptance 6."""
    made = await tokens(room)
    worker, admin = at(room, token=made["worker"]), at(room, token=made["admin"])
    error = (await call(room, "masc_rate_limit_config", admin, reads_per_minute=0))["error"]
    assert error["code"] == "invalid_argument" and error["details"]["field"] == "reads_per_minute"
    refused = (await call(room, "masc_rate_limit_config", worker, per_minute=50))["error"]
    assert refused["code"] == "forbidden" and refused["details"]["required_role"] == "admin"
    shown = await call(room, "masc_rate_limit_config", worker)
    assert shown["per_minute"] == 10 and shown["changed"] == []
    assert set(shown["source"].values()) == {"default"}


async def test_a_change_counts_from_the_next_call_and_outlives_a_reset(room: MascApp) -> None:
    person, client = local(room), at(room, agent="claude")
    assert await passes(room, "masc_broadcast", client, message="m") == 20
    changed = await call(room, "masc_rate_limit_config", person, broadcast_per_minute=17, burst_allowed=5)
    assert changed["changed"] == ["broadcast_per_minute"] and changed["broadcast_per_minute"] == 17
    assert changed["source"]["broadcast_per_minute"] == changed["source"]["burst_allowed"] == "stored"
    assert await passes(room, "masc_broadcast", client, message="m") == 2
    again = await call(room, "masc_rate_limit_config", person, broadcast_per_minute=17)
    assert again["changed"] == []
    await call(room, "masc_reset", person, confirm=True)
    assert (await call(room, "masc_rate_limit_config", person))["broadcast_per_minute"] == 17
    events = await room.kernel.start_room.driver.read_log("events")
    assert not any(b"rate_limits_changed" in e.body for e in events), "events do not outlive it"


async def test_lowered_limits_tell_a_wait_that_helps(room: MascApp, clock: ManualClock) -> None:
    client = at(room, agent="claude")
    for _ in range(4):
        await call(room, "masc_broadcast", client, message="m")
        await clock.advance(10)
    await call(room, "masc_rate_limit_config", local(room), broadcast_per_minute=2, burst_allowed=0)
    wait = (await call(room, "masc_broadcast", client, message="m"))["error"]["details"]["retry_after"]
    await clock.advance(wait)
    assert "error" not in await call(room, "masc_broadcast", client, message="m")


async def test_without_a_burst_the_limit_is_the_limit(room: MascApp) -> None:
    await call(room, "masc_rate_limit_config", local(room), burst_allowed=0)
    assert await passes(room, "masc_broadcast", at(room, agent="claude"), message="m") == 15


async def test_calls_that_auth_refuses_are_not_counted(room: MascApp) -> None:
    made = await tokens(room)
    reader = at(room, token=made["reader"])
    for _ in range(40):
        refused = await call(room, "masc_add_task", reader, title="t")
        assert refused["error"]["code"] == "forbidden"
    used = {c["category"]: c["current"] for c in (await call(room, "masc_rate_limit_status", reader))["categories"]}
    assert used == {"general": 0, "broadcast": 0, "task_ops": 0, "file_lock": 0, "read": 1}


async def test_an_authenticated_agent_has_one_window_on_all_connections(room: MascApp) -> None:
    made = await tokens(room)
    assert await passes(room, "masc_broadcast", at(room, token=made["worker"]), message="m") == 20
    assert "error" in await call(room, "masc_broadcast", at(room, "192.0.2.2", made["worker"]), message="m")


async def test_an_admin_who_acts_for_others_uses_its_own_windows(room: MascApp) -> None:
    made = await tokens(room)
    admin = at(room, token=made["admin"])
    for n in range(35):
        assert "error" not in await call(room, "masc_broadcast", admin, agent_name=f"x{n}", message="m")
    assert (await call(room, "masc_broadcast", admin, agent_name="y", message="m"))["error"]["code"] == "rate_limited"


async def test_the_status_of_others_is_for_admins(room: MascApp) -> None:
    made = await tokens(room)
    worker, admin = at(room, token=made["worker"]), at(room, token=made["admin"])
    await call(room, "masc_add_task", worker, title="t")
    refused = await call(room, "masc_rate_limit_status", worker, agent_name="admin")
    assert refused["error"]["code"] == "forbidden"
    own = await call(room, "masc_rate_limit_status", worker, agent_name="A-WORKER")
    assert own["agent"] == "a-worker"
    seen = await call(room, "masc_rate_limit_status", admin, agent_name="a-worker")
    assert (seen["role"], seen["agent"]) == ("worker", "a-worker")
    assert {c["category"]: c["current"] for c in seen["categories"]}["task_ops"] == 1
    tasks = next(c for c in seen["categories"] if c["category"] == "task_ops")
    assert tasks["remaining"] == 29 and 1 <= tasks["reset_seconds"] <= 60
    anonymous = await call(room, "masc_rate_limit_status", at(room), agent_name="a-worker")
    assert anonymous["error"]["code"] == "forbidden"


async def test_with_auth_off_everybody_may_look_at_everybody(room: MascApp) -> None:
    await call(room, "masc_add_task", at(room, "192.0.2.7"), agent_name="claude", title="t")
    seen = await call(room, "masc_rate_limit_status", at(room), agent_name="claude")
    assert {c["category"]: c["current"] for c in seen["categories"]}["task_ops"] == 1
    await call(room, "masc_add_task", at(room), agent_name="codex-7", title="t")
    assert (await call(room, "masc_rate_limit_status", at(room), agent_name="codex"))["agent"] == "codex-7"
    error = (await call(room, "masc_rate_limit_status", at(room)))["error"]
    assert error["code"] == "agent_name_required"


async def test_local_commands_are_not_limited(room: MascApp) -> None:
    for _ in range(40):
        assert "error" not in await call(room, "masc_broadcast", local(room), message="m")


async def test_a_refused_argument_is_a_call_too(room: MascApp) -> None:
    client = at(room, agent="claude")
    assert await passes(room, "masc_add_task", client, title="") == 35


async def test_preferred_agents_get_half_as_many_again(tmp_path: Path, clock: ManualClock) -> None:
    section = RateLimitSettings(broadcast_per_minute=3, burst_allowed=0, priority_agents=["Claude"])
    chosen = evolve(Settings(), sections={RateLimitSettings: section})
    async with masc_app(tmp_path, clock=clock, settings=chosen, limited=True) as masc:
        assert await passes(masc, "masc_broadcast", at(masc, agent="claude"), message="m") == 4
        assert await passes(masc, "masc_broadcast", at(masc, agent="gemini"), message="m") == 3
        shown = await call(masc, "masc_rate_limit_config", local(masc))
        assert shown["source"]["broadcast_per_minute"] == "config" and shown["source"]["per_minute"] == "default"
        status = await call(masc, "masc_rate_limit_status", at(masc, agent="claude"))
        assert status["multiplier"] == 1.5


async def test_a_users_answer_to_a_form_is_not_lost_to_a_limit(tmp_path: Path, clock: ManualClock) -> None:
    """A wait counts once, also where its call comes back with the answer; but nothing else passes for one."""
    chosen = evolve(Settings(), sections={RateLimitSettings: RateLimitSettings(per_minute=2, burst_allowed=0)})
    async with masc_app(tmp_path, clock=clock, settings=chosen, limited=True) as masc:
        client = at(masc, agent="claude")
        asking = {"step": 1, "action": "deploy", "message": "Sure?", "wait_seconds": 20}
        answers = {"form": Answer("accept", {"decision": "approve"})}

        async def ask(task: str, dialog: Dialog, **changed: Any) -> Outcome:
            given = {**asking, "task_id": task, **changed}
            return await masc.kernel.call("masc_interrupt", given, client, dialog=dialog)

        states = []
        for task in ("a", "b"):
            asked = (await ask(task, Dialog())).input_required
            assert asked is not None
            states.append(asked.state)
        refused = [
            ("a", Dialog(state=states[0])),  # sent back without an answer
            ("a", Dialog(state=f"x{states[0]}", answers=answers)),
            ("c", Dialog(answers=answers)),
        ]
        for task, dialog in refused:
            assert (await ask(task, dialog)).structured["error"]["code"] == "rate_limited"
        deep: Any = 1
        for _ in range(2_000):
            deep = [deep]
        for changed in ({"wait_seconds": 0}, {"state": {"deep": deep}}):
            another = await ask("a", Dialog(state=states[0], answers=answers), **changed)
            assert another.structured["error"]["code"] == "rate_limited"
        for task, state in zip(("a", "b"), states, strict=True):
            assert (await ask(task, Dialog(state=state, answers=answers))).structured["decision"] == "approved"
        again = await ask("a", Dialog(state=states[0], answers=answers))
        assert again.structured["error"]["code"] == "rate_limited"


async def test_where_too_many_answers_are_remembered_further_ones_count(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is forgotten to make room: it could come again, and again."""
    monkeypatch.setattr(guard, "MOST_ANSWERED", 1)
    chosen = evolve(Settings(), sections={RateLimitSettings: RateLimitSettings(per_minute=2, burst_allowed=0)})
    answers = {"form": Answer("decline")}
    async with masc_app(tmp_path, clock=clock, settings=chosen, limited=True) as masc:
        client = at(masc, agent="claude")

        async def ask(task: str, dialog: Dialog) -> Outcome:
            given = {"step": 1, "action": "deploy", "message": "Sure?", "wait_seconds": 1, "task_id": task}
            asked = asyncio.create_task(masc.kernel.call("masc_interrupt", given, client, dialog=dialog))
            while not asked.done():
                await clock.advance(1)
            return await asked

        states = {task: (await ask(task, Dialog())).input_required for task in ("a", "b")}
        codes = []
        for task in ("a", "b", "a"):
            asked = states[task]
            assert asked is not None
            outcome = await ask(task, Dialog(state=asked.state, answers=answers))
            codes.append(outcome.error.code if outcome.error else "ok")
        assert codes == ["ok", "rate_limited", "rate_limited"]


def test_every_tool_has_the_category_of_the_table(registry: Any) -> None:
    task_ops = "start add_task claim claim_next transition done update_priority".split()
    named = {
        **{f"masc_{name}": "task_ops" for name in task_ops},
        **dict.fromkeys(["masc_lock", "masc_unlock"], "file_lock"),
        "masc_broadcast": "broadcast",
        **dict.fromkeys(["masc_heartbeat", "masc_listen", "masc_portal_status"], "read"),
        "masc_generate_key": "general",
    }
    for name, contract in registry.contracts.items():
        if name in {"masc_call_read", "masc_call_write"}:
            continue
        default = "read" if contract.tool.effect is Effect.READ else "general"
        assert contract.tool.limit == named.get(name, default), name
        assert contract.tool.limit in CATEGORIES


def test_windows_keep_no_more_than_what_counts() -> None:
    windows = Windows()
    for second in range(1000):
        windows.charge("read", 5, 2, float(second))
    assert len(windows.categories["read"]) <= 5 and len(windows.burst) <= 2


def test_callers_are_forgotten_before_they_fill_the_memory() -> None:
    callers = Callers()
    for n in range(10_050):
        callers.of((f"agent{n}", "x")).charge("read", 5, 2, 0.0)
    assert not callers.seen(("agent0", "x")).categories and callers.seen(("agent10049", "x")).categories
    assert list(callers.sources("agent10049")) == ["x"] and not list(callers.sources("agent0"))


async def test_counting_a_call_takes_a_few_microseconds(room: MascApp) -> None:
    """A bound far above the 20 µs it may cost, in the time of this process: others may be busy."""
    windows, begun = Windows(), time.process_time()
    for n in range(10_000):
        windows.charge("read", 100_000, 5, float(n) / 1000)
    assert (time.process_time() - begun) / 10_000 < 100e-6
    assert Caller().role is Role.WORKER


async def test_whoever_renews_invented_tokens_keeps_nobody_from_renewing_a_real_one(room: MascApp) -> None:
    made = await call(room, "masc_auth_enable", local(room), deliver="result")
    invented: Json = {"agent_name": "admin", "token": "0" * 64}
    assert await passes(room, "masc_auth_refresh", at(room), **invented) >= 10
    real = {"agent_name": "admin", "deliver": "result"}
    renewed = await call(room, "masc_auth_refresh", at(room), token=made["admin"]["token"], **real)
    assert "token" in renewed
    # The owner's renewals are counted, wherever they come from; an admin's limit is 20 and 5.
    for n in range(24):
        own = at(room, f"198.51.100.{n}", token=renewed["token"])
        renewed = await call(room, "masc_auth_refresh", own, **real)
    elsewhere = at(room, "203.0.113.1", token=renewed["token"])
    assert (await call(room, "masc_auth_refresh", elsewhere, agent_name="admin"))["error"]["code"] == "rate_limited"
