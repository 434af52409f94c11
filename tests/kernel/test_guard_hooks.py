"""When guards are asked, in which order, and what a refusal of theirs leaves behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from masc_core import WORKER, WRITE, Context, Log, Role, Title, hookimpl, tool
from masc_core.context import Caller
from masc_core.errors import AgentNotFound, MascError, StorageBusy
from masc_core.frozen import evolve, frozen
from masc_core.store.driver import Driver
from masc_core.sweep import sweep_once
from masc_core.testing.app import MascApp, masc_app


@frozen
class Line:
    text: str
    seq: int = 0


LINES = Log("lines", Line)


@frozen
class Noted:
    title: str


@tool(effect=WRITE, role=WORKER)
async def guarded_note(ctx: Context, title: Title) -> Noted:
    """Note a title."""
    ctx.log(LINES).append(Line(f"note {title}"))
    if title == "fail":
        raise AgentNotFound(agent=title, candidates=[])
    return Noted(title)


@tool(effect=WRITE, role=WORKER, transactional=False)
async def guarded_outside(ctx: Context, title: Title) -> Noted:
    """Note a title from outside a unit of work."""

    async def note(work: Context) -> None:
        if title != "concludes nothing":
            work.log(LINES).append(Line(f"note {title}"))

    await ctx.transact(note, concludes=title.startswith("concludes"))
    if title == "break":
        raise RuntimeError("broken")
    return Noted(title)


class Tools:
    """What there is to call."""

    @hookimpl
    def masc_tools(self, register: Any) -> None:
        register(guarded_note)
        register(guarded_outside)


class Guard:
    """Notes what it is asked, in its own memory and, in a commit, in the store."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refusing: MascError | None = None
        self.known_as: str | None = None
        self.noting_fails = False
        self.sweeping = False

    @hookimpl
    def masc_records(self, register: Any) -> None:
        register(LINES)

    @hookimpl
    async def masc_authenticate(self, ctx: Context) -> dict[str, Any] | None:
        self.asked.append("authenticate")
        return {"caller": Caller(self.known_as, Role.WORKER, "token")} if self.known_as else None

    @hookimpl
    async def masc_before_call(self, ctx: Context) -> None:
        self.asked.append(f"before {ctx.actor}")
        if self.refusing is not None:
            raise self.refusing

    @hookimpl
    async def masc_redact(self, ctx: Context, arguments: dict[str, Any]) -> dict[str, int] | None:
        title = arguments.get("title", "")
        self.asked.append(f"redact {title}")
        ctx.memory["guard"] = ctx.memory.get("guard", 0) + 1
        if "secret" in title:
            arguments["title"] = arguments["title"].replace("secret", "***")
            return {"word": 1}
        return None

    @hookimpl
    async def masc_in_commit(self, ctx: Context) -> None:
        self.asked.append("commit")
        ctx.log(LINES).append(Line(f"seen {ctx.call.tool.name}"))

    @hookimpl
    async def masc_sweep(self, ctx: Context) -> None:
        async def sweep(work: Context) -> None:
            if self.sweeping:
                work.log(LINES).append(Line("note swept"))

        await ctx.transact(sweep)

    @hookimpl
    async def masc_call_failed(self, ctx: Context, error: MascError) -> None:
        self.asked.append(f"failed {error.code}")
        if self.noting_fails:
            raise RuntimeError("no paper")

        async def note(work: Context) -> None:
            work.log(LINES).append(Line(f"failed {error.code}"))

        await ctx.transact(note)


@pytest.fixture
def guard() -> Guard:
    return Guard()


@pytest.fixture
async def app(tmp_path: Path, guard: Guard) -> AsyncIterator[MascApp]:
    async with masc_app(tmp_path, backend="sqlite", extra=[("guard:guarded", guard), ("guarded", Tools())]) as app:
        yield app


async def lines(app: MascApp) -> list[str]:
    entries = await app.kernel.start_room.driver.read_log("lines")
    return [entry.body.decode().split('"')[3] for entry in entries]


async def test_guards_are_asked_in_the_order_of_the_pipeline(app: MascApp, guard: Guard) -> None:
    await app.call("masc_init")
    guard.asked.clear()
    await app.call("guarded_note", "claude", title="x")
    assert guard.asked == ["authenticate", "before claude", "redact x", "commit"]
    assert await lines(app) == ["seen masc_init", "note x", "seen guarded_note"]


async def test_a_credential_names_the_caller(app: MascApp, guard: Guard) -> None:
    guard.known_as = "gemini"
    await app.call("guarded_note", title="x")
    assert "before gemini" in guard.asked


async def test_what_a_guard_replaces_never_reaches_the_handler(app: MascApp, guard: Guard) -> None:
    result = await app.call("guarded_note", "claude", title="my secret")
    assert result == {"title": "my ***", "redacted": {"word": 1}, "joined": True}
    assert await lines(app) == ["note my ***", "seen guarded_note"]


async def test_a_refusal_changes_nothing_and_is_noted(app: MascApp, guard: Guard) -> None:
    await app.call("masc_init")
    guard.asked.clear()
    guard.refusing = StorageBusy()
    error = await app.error("guarded_note", "claude", title="x")
    assert error["code"] == "storage_busy"
    assert guard.asked == ["authenticate", "before claude", "failed storage_busy"]
    assert await lines(app) == ["seen masc_init", "failed storage_busy"]


async def test_a_failed_call_leaves_only_the_note_of_its_failure(app: MascApp, guard: Guard) -> None:
    await app.call("guarded_note", "claude", title="x")
    await app.error("guarded_note", "claude", title="fail")
    assert await lines(app) == ["note x", "seen guarded_note", "failed agent_not_found"]


async def test_a_failure_that_cannot_be_noted_is_still_answered(app: MascApp, guard: Guard) -> None:
    await app.call("guarded_note", "claude", title="x")
    guard.noting_fails = True
    assert (await app.error("guarded_note", "claude", title="fail"))["code"] == "agent_not_found"


@pytest.mark.parametrize("title", ["concludes", "later"])
async def test_guards_see_a_call_outside_units_of_work_once(app: MascApp, guard: Guard, title: str) -> None:
    await app.call("guarded_outside", "claude", title=title)
    assert guard.asked.count("commit") == 1
    assert await lines(app) == [f"note {title}", "seen guarded_outside"]


async def test_a_conclusion_that_writes_nothing_is_none(app: MascApp, guard: Guard) -> None:
    await app.call("guarded_outside", "claude", title="concludes nothing")
    assert guard.asked.count("commit") == 1
    assert await lines(app) == ["seen guarded_outside"]


async def test_guards_are_told_of_a_tool_that_the_mode_leaves_out(app: MascApp, guard: Guard) -> None:
    await app.call("masc_init")
    client = evolve(app.client(), selection=app.kernel.modes.check("minimal", (), "process"))
    outcome = await app.outcome("guarded_note", client, title="x")
    assert outcome.error is not None and outcome.error.code == "tool_not_enabled"
    assert await lines(app) == ["seen masc_init", "failed tool_not_enabled"]


async def test_guards_are_told_of_what_is_refused_before_its_room_is_found(app: MascApp) -> None:
    await app.call("masc_init")
    assert (await app.error("masc_set_room", path="/nowhere"))["code"] == "binding_required"
    assert await lines(app) == ["seen masc_init", "failed binding_required"]


async def test_without_a_room_guards_are_told_nothing(app: MascApp, guard: Guard) -> None:
    client = evolve(app.client(), selection=app.kernel.modes.check("minimal", (), "process"))
    await app.outcome("guarded_note", client, title="x")
    assert guard.asked == []


async def test_guards_see_what_timers_write(app: MascApp, guard: Guard) -> None:
    await app.call("masc_init")
    await sweep_once(app.kernel, app.kernel.start_room)
    assert await lines(app) == ["seen masc_init"]
    guard.sweeping = True
    await sweep_once(app.kernel, app.kernel.start_room)
    assert await lines(app) == ["seen masc_init", "note swept", "seen masc_timer"]


async def test_what_a_plugin_remembers_stays_with_the_room(app: MascApp, guard: Guard) -> None:
    await app.call("guarded_note", "claude", title="x")
    await app.call("guarded_note", "claude", title="y")
    assert app.kernel.start_room.memory["guard"] == 2


async def test_tracing_shows_the_hooks_and_changes_nothing(
    tmp_path: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MASC_TRACE_PLUGINS", "1")
    async with masc_app(tmp_path, extra=[("guard:guarded", guard), ("guarded", Tools())]) as app:
        await app.call("masc_init")
        await app.call("guarded_note", "claude", title="x")
    assert guard.asked[-3:] == ["before claude", "redact x", "commit"]
    assert "masc_in_commit" in capsys.readouterr().err


async def test_a_defect_is_noted_under_its_code(app: MascApp, guard: Guard) -> None:
    error = await app.error("guarded_outside", "claude", title="break")
    assert (error["code"], guard.asked[-1]) == ("internal_error", "failed internal_error")


class Wrapping:
    """Puts a driver round the room's that counts what is asked of it."""

    def __init__(self) -> None:
        self.rooms: list[Path] = []

    @hookimpl
    async def masc_store(self, driver: Driver, room: Any) -> dict[str, Any]:
        self.rooms.append(room.base.path)
        return {"driver": driver}


async def test_a_driver_is_wrapped_once_for_each_room(tmp_path: Path) -> None:
    wrapping = Wrapping()
    async with masc_app(tmp_path, extra=[("guard:wrapping", wrapping)]) as app:
        await app.call("masc_join", "claude")
        assert wrapping.rooms == [tmp_path] * 2  # the store that the first call was tried in, and the room's
        await app.call("masc_join", "gemini")
        assert wrapping.rooms == [tmp_path] * 2
