"""What a plugin breaks while the server runs: its own part of a call, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plugin_site import Site

from masc_core import Context, Role, hookimpl
from masc_core.plugins import load
from masc_core.settings import PluginSettings, Settings
from masc_core.testing.app import masc_app

HOOK = """
    @hookimpl
    async def masc_task_ended(ctx: Context, task: Any) -> Any:
        ctx.event("half_done")
        ctx.warn("half", "half done")
        {body}
"""
FAULTY = {
    "raise RuntimeError('broken')": "broken",
    "raise masc_core.error(type('No', (Refused,), {'code': 'no', 'text': 'no'}))()": "failed: No",
    "raise TimeoutError('mine')": "failed: TimeoutError('mine')",
    "raise asyncio.CancelledError": "cancelled itself",
    "sys.exit(1)": "SystemExit",
    "raise type('Panic', (BaseException,), {})": "Panic",
    "from masc_core.errors import StorageBusy; raise StorageBusy()": "StorageBusy",
    "from masc_core.store.driver import Conflict; raise Conflict({})": "Conflict",
    "return ['a']": "mapping or None, not list",
    "return {'locks_released': 'all'}": "locks_released",
    "return {'granted': True}": "granted",
    "await asyncio.Event().wait()": "took longer than 1 s",
    "time.sleep(1.05)": "took longer than 1 s",
}


@pytest.mark.parametrize("body", FAULTY)
async def test_a_hook_that_breaks_counts_as_one_that_gave_nothing(site: Site, tmp_path: Path, body: str) -> None:
    site.add("faulty", HOOK.format(body=body))
    registry = load()
    settings = Settings(cluster="t", plugins=PluginSettings(hook_seconds=1))
    async with masc_app(tmp_path, registry=registry, settings=settings) as app:
        await app.call("masc_start", "claude", task_title="x")
        done = await app.call("masc_done", "claude", task_id="task-001")
        assert done["changed"] is True
        assert "warnings" not in done
        log = await app.kernel.start_room.driver.read_log("events")
        assert not [e for e in log if b"half_done" in e.body]
    assert registry.faults is not None
    assert FAULTY[body] in registry.faults.last["faulty"]
    assert "masc_task_ended" in registry.faults.last["faulty"]
    assert registry.faults.count == {"faulty": 1}


async def test_a_hook_changes_no_record_that_it_is_given(site: Site, tmp_path: Path) -> None:
    site.add(
        "faulty",
        """
    @hookimpl
    async def masc_work_starts(ctx: Context, agent: str, task: Any) -> None:
        task.depends_on.clear()
        raise RuntimeError("broken")
    """,
    )
    async with masc_app(tmp_path, registry=load()) as app:
        for title, needs in (("first", []), ("second", ["task-001"])):
            await app.call("masc_add_task", "claude", title=title, depends_on=needs)
        assert (await app.error("masc_claim", "claude", task_id="task-002"))["code"] == "task_blocked"


async def test_a_hook_that_is_always_slow_is_not_waited_for_each_time(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("masc_core.isolation._STRIKES", 1)
    site.add("faulty", HOOK.format(body="await asyncio.Event().wait()"))
    registry = load()
    settings = Settings(cluster="t", plugins=PluginSettings(hook_seconds=1))
    async with masc_app(tmp_path, registry=registry, settings=settings) as app:
        for _ in range(5):
            task = (await app.call("masc_add_task", "claude", title="x"))["task"]["id"]
            await app.call("masc_claim", "claude", task_id=task)
            assert (await app.call("masc_done", "claude", task_id=task))["changed"] is True
    assert registry.faults is not None
    assert registry.faults.count == {"faulty": 1}


async def test_a_hook_s_good_answer_and_writes_count(site: Site, tmp_path: Path) -> None:
    site.add("fine", HOOK.format(body="return {'locks_released': ['a.py']}"))
    registry = load()
    async with masc_app(tmp_path, registry=registry) as app:
        await app.call("masc_start", "claude", task_title="x")
        done = await app.call("masc_done", "claude", task_id="task-001")
        assert done["locks_released"] == ["a.py"]
        log = await app.kernel.start_room.driver.read_log("events")
        assert [e for e in log if b"half_done" in e.body]
    assert registry.faults is not None
    assert not registry.faults.count


async def test_a_category_can_refuse_work_and_nothing_else(site: Site, tmp_path: Path) -> None:
    site.add("strict", """
    from masc_core import error
    @error
    class NotYet(Refused):
        code = "not_yet"
        text = "not yet"
    @hookimpl
    async def masc_work_starts(ctx: Context) -> None:
        raise NotYet()
    """)  # fmt: skip
    async with masc_app(tmp_path, registry=load()) as app:
        await app.call("masc_add_task", "claude", title="x")
        assert (await app.error("masc_claim", "claude", task_id="task-001"))["code"] == "not_yet"


class Noting:
    """A guard that notes who is said to call when the change is committed."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, Role]] = []

    @hookimpl
    async def masc_in_commit(self, ctx: Context) -> None:
        self.seen.append((ctx.caller.name, ctx.caller.auth, ctx.granted))


async def test_a_hook_does_not_change_who_calls_or_what_they_may_do(site: Site, tmp_path: Path) -> None:
    source = """
    from masc_core import Caller, Role
    @hookimpl
    async def masc_task_ended(ctx: Context, task: Any) -> None:
        ctx.caller = Caller("root", Role.ADMIN, "token")
        ctx.granted = Role.READER
    """
    site.add("grabby", source)
    noting = Noting()
    async with masc_app(tmp_path, registry=load(extra=[("guard:noting", noting)])) as app:
        await app.call("masc_start", "claude", task_title="x")
        await app.call("masc_done", "claude", task_id="task-001")
    assert noting.seen[-1] == ("claude", "argument", Role.ADMIN)


HANDLER = """
    @tool(effect=WRITE, role=WORKER)
    async def bad_write(ctx: Context) -> Answer:
        \"\"\"Write and break.\"\"\"
        ctx.event("half_done")
        {body}

    @hookimpl
    def masc_tools(register: Any) -> None:
        register(bad_write)
"""


@pytest.mark.parametrize(
    ("body", "code", "fault"),
    [
        ("raise RuntimeError('broken')", "internal_error", "broken"),
        ("raise asyncio.CancelledError", "internal_error", None),
        ("sys.exit(1)", "internal_error", "SystemExit"),
        ("return {'text': 'x'}", "internal_error", "must give Answer, not dict"),
        ("return Answer(text=3)", "internal_error", "is not of type 'string'"),
        ("return Answer(text=object())", "internal_error", "object"),
        ("await asyncio.Event().wait()", "tool_timed_out", "took longer than 1 s"),
        ("raise TimeoutError", "internal_error", "TimeoutError"),
    ],
)
async def test_a_handler_that_breaks_fails_its_call_and_commits_nothing(
    site: Site, tmp_path: Path, body: str, code: str, fault: str | None
) -> None:
    site.add("bad", HANDLER.format(body=body))
    registry = load()
    settings = Settings(cluster="t", plugins=PluginSettings(tool_seconds=1))
    async with masc_app(tmp_path, registry=registry, settings=settings) as app:
        await app.call("masc_join", "claude")
        assert (await app.error("bad_write", "claude"))["code"] == code
        log = await app.kernel.start_room.driver.read_log("events")
        assert not [e for e in log if b"half_done" in e.body]
        assert (await app.call("masc_status"))["initialised"] is True
    faults: dict[str, Any] = registry.faults.last if registry.faults else {}
    assert fault is None or fault in faults["bad"]


async def test_the_tests_of_a_plugin_see_its_hooks_break(tmp_path: Path) -> None:
    class Broken:
        @hookimpl
        async def masc_task_ended(self) -> None:
            raise RuntimeError("broken")

    async with masc_app(tmp_path, registry=load(extra=[("broken", Broken())], strict=True)) as app:
        await app.call("masc_start", "claude", task_title="x")
        assert (await app.error("masc_done", "claude", task_id="task-001"))["code"] == "internal_error"
