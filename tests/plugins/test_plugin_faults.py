"""What a plugin breaks while the server runs: its own part of a call, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plugin_site import Site

from masc_core import Context, Role, hookimpl
from masc_core.identity import local_client
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
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise GeneratorExit": "GeneratorExit",
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
        ("raise asyncio.CancelledError", "internal_error", "CancelledError"),
        ("raise KeyboardInterrupt", "internal_error", "KeyboardInterrupt"),
        ("raise GeneratorExit", "internal_error", "GeneratorExit"),
        ("sys.exit(1)", "internal_error", "SystemExit"),
        ("return {'text': 'x'}", "internal_error", "must give Answer, not dict"),
        ("return Answer(text=3)", "internal_error", "is not of type 'string'"),
        ("return Answer(text=object())", "internal_error", "object"),
        ("await asyncio.Event().wait()", "tool_timed_out", "took longer than 1 s"),
        ("raise TimeoutError", "internal_error", "TimeoutError"),
    ],
)
async def test_a_handler_that_breaks_fails_its_call_and_commits_nothing(
    site: Site, tmp_path: Path, body: str, code: str, fault: str
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
    assert fault in faults["bad"]


async def test_the_tests_of_a_plugin_see_its_hooks_break(tmp_path: Path) -> None:
    class Broken:
        @hookimpl
        async def masc_task_ended(self) -> None:
            raise RuntimeError("broken")

    async with masc_app(tmp_path, registry=load(extra=[("broken", Broken())], strict=True)) as app:
        await app.call("masc_start", "claude", task_title="x")
        assert (await app.error("masc_done", "claude", task_id="task-001"))["code"] == "internal_error"


LATER = """
    async def broken() -> None:
        raise RuntimeError("too late")

    @frozen
    class Long:
        text: str = "fine"

        def masc_text(self, structured: Any) -> Any:
            structured.clear()
            {text}

    @tool(effect=WRITE, role=WORKER)
    async def late_write(ctx: Context) -> Long:
        \"\"\"Write.\"\"\"
        ctx.event("written")
        {handler}
        return Long()

    @hookimpl
    def masc_tools(register: Any) -> None:
        register(late_write)

    @hookimpl
    async def masc_work_starts(ctx: Context) -> None:
        {hook}
"""


@pytest.mark.parametrize(
    ("handler", "hook", "text", "code", "fault"),
    [
        ("ctx.committed.append(broken)", "pass", "return 'x'", "internal_error", "after a commit"),
        ("ctx.delivered.append(broken)", "pass", "return 'x'", None, "after an answer"),
        ("pass", "ctx.committed.append(broken)", "return 'x'", None, "after a commit"),
        ("pass", "pass", "raise RuntimeError('too late')", None, "masc_text of tool late_write"),
        ("pass", "pass", "return 3", None, "must give str, not int"),
    ],
)
async def test_what_breaks_after_the_change_is_noted_by_the_plugin_s_name(
    site: Site, tmp_path: Path, handler: str, hook: str, text: str, code: str | None, fault: str
) -> None:
    site.add("late", LATER.format(handler=handler, hook=hook, text=text))
    registry = load()
    async with masc_app(tmp_path, registry=registry) as app:
        await app.call("masc_start", "claude", task_title="x")
        outcome = await app.kernel.call("late_write", {}, app.client("claude"))
        for delivered in outcome.delivered:
            await delivered()
        assert (outcome.error.code if outcome.error else None) == code
        assert code is not None or outcome.structured["text"] == "fine"
        log = await app.kernel.start_room.driver.read_log("events")
        assert [e for e in log if b"written" in e.body]
    assert registry.faults is not None
    assert fault in registry.faults.last["late"]


async def test_a_resource_and_a_prompt_that_break_are_noted_as_what_they_are(site: Site, tmp_path: Path) -> None:
    site.add("bad", """
    @resource("bad://seen")
    async def bad_seen(ctx: Context) -> str:
        \"\"\"Break.\"\"\"
        raise RuntimeError("unread")

    @prompt()
    async def bad_plan(ctx: Context) -> str:
        \"\"\"Break too.\"\"\"
        return 3

    @hookimpl
    def masc_resources(register: Any) -> None:
        register(bad_seen)

    @hookimpl
    def masc_prompts(register: Any) -> None:
        register(bad_plan)
    """)  # fmt: skip
    registry = load()
    async with masc_app(tmp_path, registry=registry) as app:
        await app.call("masc_init")
        assert registry.faults is not None
        for made, words in (
            (registry.resources["bad://seen"], "resource bad_seen failed: RuntimeError('unread')"),
            (registry.prompts["bad_plan"], "prompt bad_plan failed: TypeError("),
        ):
            assert (await app.kernel.run(made.contract, {}, app.client())).error is not None
            assert words in registry.faults.last["bad"]


async def test_records_that_a_plugin_reads_are_its_own(site: Site, tmp_path: Path) -> None:
    site.add("grabby", """
    @tool(effect=READ, role=READER)
    async def grabby_look(ctx: Context) -> Answer:
        \"\"\"Look, with greasy fingers.\"\"\"
        (await ctx.tasks.get("task-001")).files.append("b.py")
        ctx.room.mode_categories.append("portal")
        return Answer()

    @hookimpl
    def masc_tools(register: Any) -> None:
        register(grabby_look)

    @hookimpl
    async def masc_status(ctx: Context) -> None:
        async def look(ctx: Context) -> None:
            (await ctx.tasks.get("task-001")).files.append("b.py")
        await ctx.transact(look)
        ctx.room.mode_categories.append("voting")
        ctx.warnings.clear()
    """)  # fmt: skip
    registry = load()
    async with masc_app(tmp_path, registry=registry) as app:
        await app.call("masc_add_task", "claude", title="x", files=["a.py"])
        client = app.client()
        client.selection = None
        await app.outcome("masc_switch_mode", client, mode="custom", categories=["comm"])
        for _ in range(2):
            assert (await app.kernel.call("masc_status", {}, client)).error is None
            assert (await app.kernel.call("grabby_look", {}, local_client())).error is None
        assert registry.faults is not None
        assert not registry.faults.count, registry.faults.last
        (task,) = (await app.call("masc_tasks", "claude"))["tasks"]
        assert task["files"] == ["a.py"]
        config = (await app.outcome("masc_get_config", client)).structured
        assert config["enabled_categories"] == ["core", "comm"]


async def test_a_hook_takes_back_nothing_that_others_noted(site: Site, tmp_path: Path) -> None:
    site.add("grabby", """
    @hookimpl
    async def masc_task_ended(ctx: Context) -> None:
        ctx.events.clear()
        ctx.warn("mine", "is new")
    """)  # fmt: skip
    seen: list[str] = []

    class Reading:
        @hookimpl
        async def masc_in_commit(self, ctx: Context) -> None:
            seen.extend(event.type for event in ctx.events)

    async with masc_app(tmp_path, registry=load(extra=[("guard:reading", Reading())])) as app:
        await app.call("masc_start", "claude", task_title="x")
        seen.clear()
        done = await app.call("masc_done", "claude", task_id="task-001")
    assert "task_done" in seen
    assert [w["code"] for w in done["warnings"]] == ["mine"]
