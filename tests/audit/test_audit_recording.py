"""Which calls leave an entry, and what it says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from audit_support import LOADED, calls, fault, log, told

from masc_core import READ, WORKER, WRITE, Bound, Context, MascError, Refused, Title, error, hookimpl, tool
from masc_core.context import Caller
from masc_core.errors import AgentNotFound, Unauthorized
from masc_core.frozen import evolve, frozen
from masc_core.kernel import local_client
from masc_core.pause import pause_room
from masc_core.records import Event
from masc_core.settings import Settings, load_settings
from masc_core.store.driver import Key
from masc_core.sweep import sweep_once
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app
from masc_core.tools import ADMIN
from masc_plugin_audit.describe import DETAILS_LENGTH, described, described_events, fitting, plain_id
from masc_plugin_audit.records import KEY_ID, KEYS, AuditSettings


@error
class Limited(Refused):
    code = "rate_limited"
    text = "slow down in {category}"
    category: str


@frozen
class Odd:
    done: bool = True


@tool(effect=WRITE, role=WORKER)
async def masc_heartbeat_like(ctx: Context, title: Title) -> Odd:
    """Stand for a writing tool that meets a conflict, a defect or a refusal."""
    room = await ctx.tasks.find("task-001")
    if title == "conflict":
        Meddler.attempts += 1
        if Meddler.attempts == 1:
            await Meddler.meddle(ctx)
        assert room is not None
        ctx.tasks.put(evolve(room, priority=4))
    if title == "refuse":
        raise AgentNotFound(agent="x", candidates=[])
    if title == "break":
        raise RuntimeError("broken")
    return Odd()


@tool(effect=WRITE, role=WORKER, transactional=False)
async def masc_outside(ctx: Context, title: Title) -> Odd:
    """Stand for a tool with several changes."""

    async def change(work: Context) -> None:
        work.event("task_added", "task-077", title_length=len(title))

    await ctx.transact(change, concludes=title.startswith("concludes"))
    if title == "concludes twice":
        await ctx.transact(change, concludes=True)
    return Odd()


@tool(effect=READ, role=ADMIN)
async def masc_admin_read(ctx: Context) -> Odd:
    """Show what only admins may see."""
    return Odd()


class Tools:
    """What there is to call besides."""

    @hookimpl
    def masc_tools(self, register: Any) -> None:
        for function in (masc_heartbeat_like, masc_outside, masc_admin_read):
            register(function)


class Meddler:
    """Refuses, lets other callers in, meddles: whatever the test says."""

    attempts = 0

    def __init__(self) -> None:
        self.refusing: MascError | None = None
        self.caller: Caller | None = None

    @staticmethod
    async def meddle(ctx: Context) -> None:
        """Change the task that the present unit of work has read."""

        async def change(work: Context) -> None:
            task = await work.tasks.get("task-001")
            work.tasks.put(evolve(task, priority=1))

        await ctx.transact(change)

    @hookimpl
    async def masc_authenticate(self, ctx: Context) -> dict[str, Any] | None:
        if isinstance(self.refusing, Unauthorized):
            raise self.refusing
        return {"caller": self.caller} if self.caller is not None else None

    @hookimpl
    async def masc_before_call(self, ctx: Context) -> None:
        if self.refusing is not None:
            raise self.refusing


@pytest.fixture
def meddler() -> Meddler:
    Meddler.attempts = 0
    return Meddler()


@pytest.fixture(params=["memory", "sqlite"])
async def app(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock, meddler: Meddler
) -> AsyncIterator[MascApp]:
    extra = [("guard:meddler", meddler), ("meddler", Tools())]
    async with masc_app(tmp_path, backend=request.param, clock=clock, extra=extra) as app:
        await app.call("masc_add_task", "claude", title="Fix login")
        yield app


async def test_the_entry_says_who_did_what_to_what(app: MascApp) -> None:
    await app.call("masc_update_priority", "gemini", task_id="task-001", priority=1)
    entry = (await calls(app))[-1]
    assert {k: v for k, v in entry.items() if k not in {"seq", "prev", "hash"}} == {
        "at": "2023-11-14T22:13:20.000Z",
        "actor": "gemini",
        "role": "worker",
        "auth": "argument",
        "tool": "masc_update_priority",
        "outcome": "ok",
        "source": "test",
        "subject": "task-001",
        "details": {
            "arguments": {"task_id": "task-001", "priority": 1},
            "events": [
                {"type": "task_priority", "data": {"old": 3, "new": 1}},
            ],
        },
    }


async def test_the_first_entries_name_the_plugins_and_the_signing_key(app: MascApp) -> None:
    first, second = (await log(app))[:2]
    assert (first["seq"], first["prev"], first["tool"]) == (1, "0" * 64, LOADED)
    assert any(plugin.startswith("guard audit masc ") for plugin in first["details"]["plugins"])
    (stored,) = await app.kernel.start_room.driver.get([Key(KEYS.name, KEY_ID)])
    assert stored is not None and json.loads(stored.body)["public"] == second["details"]["signing_key"]
    assert json.loads(stored.body)["private"] not in json.dumps(await log(app))


async def test_a_read_leaves_no_entry(app: MascApp) -> None:
    before = await log(app)
    for name in ("masc_tasks", "masc_status", "masc_messages", "masc_agents"):
        await app.call(name)
    assert await log(app) == before


async def test_a_read_leaves_an_entry_where_the_settings_say_so(tmp_path: Path) -> None:
    settings = Settings(cluster="test", sections={AuditSettings: AuditSettings(reads=True)})
    async with masc_app(tmp_path, settings=settings) as app:
        await app.call("masc_init")
        await app.call("masc_tasks")
        assert await told(app) == [("masc_init", "ok"), ("masc_tasks", "ok")]


def test_the_section_of_the_settings_is_known(tmp_path: Path) -> None:
    (tmp_path / ".masc").mkdir()
    (tmp_path / ".masc" / "config.toml").write_text("[audit]\nreads = true\n")
    found = load_settings(tmp_path, {}, {"audit": AuditSettings})
    assert found.of(AuditSettings).reads


async def test_signs_of_life_leave_no_entry(app: MascApp) -> None:
    before = await log(app)
    await app.call("masc_heartbeat", "claude")
    await app.call("masc_portal_status", "claude")
    assert await log(app) == before


async def test_what_a_person_does_at_the_machine_is_recorded_even_where_it_reads(app: MascApp) -> None:
    person = local_client()
    await app.outcome("masc_admin_read", person)
    await pause_room(app.kernel, person, "lunch MARKER")
    await app.outcome("masc_tasks", person)
    entries = (await calls(app))[1:]
    assert [(e["tool"], e["auth"], e["source"]) for e in entries] == [
        ("masc_admin_read", "local", "local"),
        ("masc_pause", "local", "local"),
    ]
    assert entries[1]["actor"].startswith("human:")
    assert (
        entries[1]["details"]["events"]
        == [{"type": "room_paused", "subject": "default", "data": {"old": False, "new": True}}]
        or entries[1]["subject"] == "default"
    )
    assert "MARKER" not in json.dumps(entries)


async def test_an_admin_who_acts_for_an_agent_is_the_actor(app: MascApp, meddler: Meddler) -> None:
    meddler.caller = Caller("claude", ADMIN, "token", by="root-admin")
    await app.call("masc_update_priority", task_id="task-001", priority=2)
    entry = (await calls(app))[-1]
    assert (entry["actor"], entry["on_behalf_of"], entry["role"]) == ("root-admin", "claude", "admin")


@pytest.mark.parametrize("title", ["refuse", "break"])
async def test_a_failed_call_leaves_exactly_one_entry(app: MascApp, title: str) -> None:
    before = len(await log(app))
    code = (await app.error("masc_heartbeat_like", "claude", title=title))["code"]
    entries = await log(app)
    assert len(entries) == before + 1
    assert (entries[-1]["outcome"], entries[-1]["details"]) == (code, {"arguments": {"title": {"chars": len(title)}}})


async def test_a_unit_of_work_that_runs_again_leaves_one_entry(app: MascApp) -> None:
    before = len(await log(app))
    await app.call("masc_heartbeat_like", "claude", title="conflict")
    assert Meddler.attempts == 2
    assert len(await log(app)) == before + 1
    assert await fault(app) is None


@pytest.mark.parametrize(("title", "count"), [("later", 1), ("concludes", 1), ("concludes twice", 2)])
async def test_a_tool_outside_units_of_work_leaves_an_entry_with_each_change_it_is_for(
    app: MascApp, title: str, count: int
) -> None:
    before = len(await log(app))
    await app.call("masc_outside", "claude", title=title)
    assert [e["tool"] for e in (await log(app))[before:]] == ["masc_outside"] * count


async def test_invalid_arguments_are_recorded_without_what_they_were(app: MascApp) -> None:
    await app.error("masc_add_task", "claude", title="x", prioritee="MARKER")
    await app.error("masc_add_task", "claude", title=["MARKER"], priority="MARKER")
    await app.error("masc_claim", "claude", task_id={"MARKER": 10**40})
    await app.error("masc_update_priority", "claude", task_id="task-001", priority=10**40)
    entries = (await calls(app))[1:]
    assert [entry["outcome"] for entry in entries] == ["invalid_argument"] * 4
    assert "MARKER" not in json.dumps(entries)
    assert entries[0]["details"]["error"] == {"reason": "unknown"}
    assert entries[3]["details"]["error"] == {"field": "priority", "reason": "maximum"}


async def test_a_tool_that_the_mode_leaves_out_is_recorded_when_it_writes(app: MascApp) -> None:
    client = evolve(app.client(agent="gemini"), selection=app.kernel.modes.check("minimal", (), "process"))
    await app.outcome("masc_portal_open", client, target_agent="claude")
    await app.outcome("masc_worktree_list", client)
    entry = (await calls(app))[-1]
    assert (entry["tool"], entry["outcome"], entry["actor"]) == ("masc_portal_open", "tool_not_enabled", "gemini")
    assert len(await calls(app)) == 2


async def test_what_is_refused_before_its_room_is_found_counts_to_the_start_room(app: MascApp) -> None:
    await app.error("masc_set_room", path="/nowhere/MARKER")
    entry = (await calls(app))[-1]
    assert (entry["tool"], entry["outcome"]) == ("masc_set_room", "binding_required")


async def test_a_refused_first_call_leaves_no_log_behind(tmp_path: Path) -> None:
    async with masc_app(tmp_path, backend="sqlite") as app:
        await app.error("masc_claim", "claude", task_id="task-009")
        await app.kernel.start_room.connect(create=True)
        assert await log(app) == []


@pytest.mark.parametrize("name", ["masc_tasks", "masc_heartbeat", "masc_add_task"])
async def test_a_failed_authentication_is_recorded_whatever_was_called(
    app: MascApp, meddler: Meddler, name: str
) -> None:
    meddler.refusing = Unauthorized(reason="missing_token")
    agent = None if name == "masc_tasks" else "gemini"
    await app.call(name, agent)
    entry = (await calls(app))[-1]
    assert (entry["tool"], entry["outcome"], entry["actor"], entry["auth"]) == (
        name,
        "unauthorized",
        "anonymous",
        "none",
    )
    assert entry["details"]["error"] == {"reason": "missing_token"}
    assert entry["details"].get("claimed") == agent


async def test_only_the_first_rate_limit_of_a_key_and_window_is_recorded(
    app: MascApp, meddler: Meddler, clock: ManualClock
) -> None:
    meddler.refusing = Limited(category="broadcast")

    async def refusals() -> list[str]:
        for agent in ("claude", "claude", "gemini"):
            await app.call("masc_broadcast", agent, message="x")
        return [entry["actor"] for entry in (await calls(app))[1:]]

    assert await refusals() == ["claude", "gemini"]
    assert await refusals() == ["claude", "gemini"]
    meddler.refusing = Limited(category="general")
    assert await refusals() == ["claude", "gemini"] * 2
    await clock.advance(61)
    assert await refusals() == ["claude", "gemini"] * 3


async def test_timers_leave_an_entry_with_each_change(app: MascApp, clock: ManualClock) -> None:
    await app.call("masc_lock", "claude", file_path="src/a.py")
    before = len(await log(app))
    await sweep_once(app.kernel, app.kernel.start_room)
    assert len(await log(app)) == before  # nothing was due
    await clock.advance(3600)
    await sweep_once(app.kernel, app.kernel.start_room)
    entries = (await log(app))[before:]
    assert {entry["tool"] for entry in entries} == {"masc_timer"}
    assert {(e["actor"], e["auth"], e["outcome"]) for e in entries} == {("system", "local", "ok")}
    kinds = [event["type"] for entry in entries for event in entry["details"]["events"]]
    assert {"agent_zombie"} <= set(kinds)
    assert await fault(app) is None


async def test_a_reset_leaves_the_log_and_the_key(app: MascApp) -> None:
    before = await log(app)
    await app.call("masc_reset", confirm=True)
    entries = await log(app)
    assert entries[: len(before)] == before
    assert entries[-1]["tool"] == "masc_reset"
    assert entries[-1]["details"]["events"][0]["type"] == "room_reset"
    assert (await app.kernel.start_room.driver.get([Key(KEYS.name, KEY_ID)]))[0] is not None
    assert await fault(app) is None


async def test_gc_leaves_the_log(app: MascApp, clock: ManualClock) -> None:
    before = await log(app)
    await clock.advance(40 * 86_400)
    await app.call("masc_gc", days=1)
    entries = await log(app)
    assert entries[: len(before)] == before
    assert entries[-1]["tool"] == "masc_gc"


async def test_a_switched_mode_shows_old_and_new(app: MascApp) -> None:
    await app.outcome("masc_switch_mode", local_client(), mode="solo")
    entry = (await calls(app))[-1]
    data = entry["details"]["events"][0]["data"]
    assert (data["old"], data["new"]) == ("standard", "solo")


async def odd(
    ctx: Context,
    plain: str,
    wanted: Literal["a", "b"],
    code: Annotated[str, Bound(pattern="^[0-9]+$")],
    token: Annotated[str, Bound(pattern="^[0-9a-f]{64}$")],
    ident: Annotated[str, Bound(pattern="^[a-z0-9:-]+$")],
    ratio: float,
    names: list[str],
    idents: list[Annotated[str, Bound(pattern="^[a-z]+$")]],
    anything: dict[str, Any] | None = None,
    max_tokens: int | None = None,
) -> Odd:
    """A signature of every kind."""
    return Odd()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("plain", "some words", {"chars": 10}),
        ("wanted", "a", "a"),
        ("wanted", "zzz", {"chars": 3}),
        ("code", "123456", None),
        ("token", "0" * 64, None),
        ("ident", "cp-task-001-1", "cp-task-001-1"),
        ("ident", "a1" * 12, {"chars": 24}),
        ("ident", 5, {}),
        ("ratio", 0.25, 0.25),
        ("ratio", 1e300, "1e+300"),
        ("ratio", float("nan"), {}),
        ("names", ["a", "b"], {"items": 2}),
        ("idents", ["a", "b"], ["a", "b"]),
        ("idents", ["a"] * 21, {"items": 21}),
        ("idents", ["A b"], {"items": 1}),
        ("anything", {"a": 1, "b": 2}, {"fields": 2}),
        ("anything", None, None),
        ("max_tokens", 5000, 5000),
        ("nosuch", "x", None),
    ],
)
def test_arguments_are_told_by_their_declared_type(name: str, value: object, expected: object) -> None:
    told_of, _ = described(odd, {name: value})
    assert told_of.get(name) == expected


@pytest.mark.parametrize(
    "text",
    [
        "ghp_" + "a" * 36,
        "sk-ant-abcdef",
        "a1" * 10,
        "0f" * 16,
        "two words",
        "",
        "xoxb-1234567890",
        "a=b",
        "x\n",
        "é",
        "2026-11-21T23:37:21.315Z=",
        "2026-11-21T23:37:21.315Z/sk-ant",
        "2026-11-21T23:37:21.315Z\n",
    ],
)
def test_what_may_be_a_credential_is_no_id(text: str) -> None:
    assert not plain_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "task-001",
        "a2a-000001",
        "claude-2",
        "human:root",
        "vote-001",
        "work_items",
        "disk-1",
        "2026-11-21T23:37:21.315Z",
    ],
)
def test_ids_are_told(text: str) -> None:
    assert plain_id(text)


def test_what_an_event_repeats_of_a_text_is_not_told() -> None:
    event = Event(
        "vote_cast", "t", "claude", {"choice": "MARKER", "old": "todo", "caps": ["MARKER"], "n": 3}, "vote-001"
    )
    (said,) = described_events([event], "vote-001", ["MARKER", "something todo"])
    assert said == {
        "type": "vote_cast",
        "data": {"choice": {"chars": 6}, "old": "todo", "caps": {"items": 1}, "n": 3},
    }


@pytest.mark.parametrize(
    "details",
    [
        {"events": [{"type": "x" * 20, "data": {"n": "y" * 100}}] * 20},
        {"arguments": {f"name{n}": "x" * 100 for n in range(30)}},
        {"plugins": ["x" * 100] * 50},
        {f"k{n}": "x" * 90 for n in range(200)},
        {"arguments": {"a": ["x" * 60] * 20, "b": 1}, "events": [{"type": f"t{n}"} for n in range(200)]},
    ],
)
def test_details_never_exceed_their_limit(details: dict[str, Any]) -> None:
    assert len(json.dumps(fitting(details), separators=(",", ":"), ensure_ascii=False)) <= DETAILS_LENGTH
