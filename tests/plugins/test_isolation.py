"""What a broken plugin of somebody else's leaves alone: everything else."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from plugin_site import Site

from masc_core.errors import GuardBroken, StartError
from masc_core.modes import Modes
from masc_core.plugins import Registry, load
from masc_core.recognition import recognise
from masc_core.settings import PluginSettings, Settings, load_settings
from masc_core.store.driver import Key
from masc_core.testing.app import masc_app
from masc_core.wire._health import HealthPage

GOOD = """
    @tool(effect=READ, role=READER)
    async def good_tool(ctx: Context) -> Answer:
        \"\"\"Say that all is well.\"\"\"
        return Answer()

    @hookimpl
    def masc_tools(register: Any) -> None:
        register(good_tool)
"""
LATE = """
    SEEN = Collection("bad_seen", Answer, lambda a: a.text)

    @frozen
    class Section:
        size: int = 3

    @tool(effect=READ, role=READER)
    async def bad_tool(ctx: Context) -> Answer:
        \"\"\"Is never there.\"\"\"
        return Answer()

    @resource("bad://seen")
    async def bad_seen(ctx: Context) -> str:
        \"\"\"Is never read.\"\"\"
        return ""

    @prompt()
    async def bad_prompt(ctx: Context) -> str:
        \"\"\"Is never asked for.\"\"\"
        return ""

    @hookimpl
    def masc_tools(register: Any) -> None:
        register(bad_tool)

    @hookimpl
    def masc_resources(register: Any) -> None:
        register(bad_seen)

    @hookimpl
    def masc_prompts(register: Any) -> None:
        register(bad_prompt)

    @hookimpl
    def masc_settings(register: Any) -> None:
        register("bad", Section)

    @hookimpl
    def masc_modes(register: Any) -> None:
        register("badly", ["bad"], "bad tools")

    @hookimpl
    async def masc_status(ctx: Context) -> None:
        raise RuntimeError("asked all the same")

    @hookimpl
    def masc_records(register: Any) -> None:
        register(SEEN)
"""
TOOL = """
    @tool(effect=READ, role=READER)
    async def {name}(ctx: Context) -> Answer:
        \"\"\"Take a name.\"\"\"
        return Answer()

    @hookimpl
    def masc_tools(register: Any) -> None:
        register({name})
"""
BROKEN = {
    "import raises": ("import no_such_module", "no_such_module"),
    "import exits": ("sys.exit(3)", "SystemExit"),
    "registration raises": (LATE + "        raise RuntimeError('half way')\n", "half way"),
    "registration exits": (LATE + "        sys.exit('enough')\n", "enough"),
    "a record that is none": (LATE + "        register(Answer)\n", "Collection or a Log"),
    "a section that is none": (
        "@hookimpl\n    def masc_settings(register: Any) -> None:\n        register('bad', int)",
        "attrs",
    ),
    "a section without defaults": (
        "@frozen\n    class S:\n        a: int\n    @hookimpl\n    def masc_settings(register):\n        register('bad', S)",
        "required positional",
    ),
    "a mode of letters": (
        "@hookimpl\n    def masc_modes(register: Any) -> None:\n        register('bad', 'core', '')",
        "list of category names",
    ),
    "a tool of core": (LATE.replace("bad_tool", "masc_claim"), "tool masc_claim, which is plugin core's"),
    "a tool of the kernel": (TOOL.format(name="masc_call_write"), "tool masc_call_write, which is the kernel's"),
    "a section of the kernel": (LATE.replace('"bad", Section', '"storage", Section'), "settings section storage"),
    "a section of a guard": (LATE.replace('"bad", Section', '"auth", Section'), "settings section auth"),
    "a collection of the kernel": (LATE.replace('"bad_seen", Answer', '"tasks", Answer'), "record collection tasks"),
    "a collection of comm": (LATE.replace('"bad_seen", Answer', '"locks", Answer'), "record collection locks"),
    "a mode of masc": (LATE.replace('"badly"', '"standard"'), "mode standard, which is the kernel's"),
    "the name of no mode": (LATE.replace('"badly"', '"inherit"'), "mode inherit"),
    "a start error of its own": (
        LATE + "        from masc_core.errors import StartError\n        raise StartError(message='not today')\n",
        "not today",
    ),
    "an odd exception": (LATE + "        raise type('Panic', (BaseException,), {})('aaah')\n", "aaah"),
    "a text that is none": (
        LATE.replace("Is never there.", "Half of one: \\ud83d"),
        "bad_tool that JSON cannot hold",
    ),
    "a schema that is none": (
        LATE.replace("bad_tool(ctx: Context)", "bad_tool(ctx: Context, a: Odd = 'a')").replace(
            "    @frozen\n",
            "    from typing import Annotated\n    from masc_core import Bound\n"
            "    Odd = Annotated[str, Bound(enum={'a', 'b'})]\n\n    @frozen\n",
            1,
        ),
        "JSON",
    ),
    "a resource of no type": (LATE.replace('"bad://seen")', '"bad://seen", mime_type=5)'), "mime_type"),
    "a guard's hook": (
        LATE + "\n    @hookimpl\n    async def masc_before_call(ctx: Context) -> None: ...\n",
        "masc_before_call, which is for guards",
    ),
}


def ensure_nothing_is_left(registry: Registry, name: str) -> None:
    """Of a plugin that was left out."""
    assert not [c for c in registry.contracts.values() if c.tool.plugin == name]
    assert not {"bad", "badly", "bad://seen", "bad_prompt", "bad_seen"} & {
        *registry.categories, *registry.modes, *registry.resources, *registry.prompts, *registry.sections,
        *(r.name for r in registry.records),
    }  # fmt: skip
    assert not registry.manager.has_plugin(name)
    assert all(i.plugin_name != name for i in registry.manager.hook.masc_status.get_hookimpls())


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_plugin_is_left_out_as_a_whole_and_named(
    site: Site, how: str, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    source, words = BROKEN[how]
    site.add("bad", source)
    site.add("good", GOOD)
    found = load()
    (bad,) = found.problems
    assert (bad.name, bad.distribution, bad.version, bad.guard) == ("bad", "dist-bad", "1.2", False)
    assert words in (bad.problem or "")
    assert f"plugin bad {bad.problem}" in caplog.text
    ensure_nothing_is_left(found, "bad")
    assert [*found.contracts] == [*registry.contracts, "good_tool"]
    assert found.contracts["masc_claim"].tool.plugin == "core"


def test_an_entry_point_that_leads_nowhere_is_left_out(site: Site) -> None:
    site.add("bad", GOOD, target="bad:nothing")
    assert "nothing" in (load().problems[0].problem or "")


def test_a_category_of_masc_stays_its_own_though_another_comes_first_by_name(site: Site) -> None:
    site.module("aaa", GOOD)
    site.points("aaa", "[masc.plugins]\ncore = aaa\nlean = aaa\n")
    found = load()
    assert [(p.name, p.module) for p in found.problems] == [("core", "aaa"), ("lean", "aaa")]
    assert "masc_claim" in found.contracts
    assert "good_tool" not in found.contracts


def test_masc_s_own_module_under_another_distribution_s_name_is_no_second_one(site: Site, registry: Registry) -> None:
    site.points("copy", "[masc.plugins]\ncomm = masc_plugin_comm\nchat = masc_plugin_comm\n")
    found = load()
    assert {p.name for p in found.problems} == {"comm", "chat"}
    assert [*found.contracts] == [*registry.contracts]


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (TOOL.format(name="notes_add"), "tool notes_add"),
        (
            "NOTES = Collection('notes', Answer, str)\n    @hookimpl\n    def masc_records(register): register(NOTES)",
            "record collection notes",
        ),
        ("@hookimpl\n    def masc_modes(register): register('mine', [], '')", "mode mine"),
    ],
)  # fmt: skip
def test_a_name_that_two_others_claim_stops_the_start_and_names_both(site: Site, source: str, kind: str) -> None:
    site.add("one", source)
    site.add("two", source)
    with pytest.raises(StartError) as refused:
        load()
    assert f"{kind} of plugin two is taken by plugin one" in str(refused.value)


def test_strict_loading_stops_at_what_would_be_left_out(site: Site) -> None:
    site.add("bad", "raise RuntimeError('no')")
    with pytest.raises(StartError, match="plugin bad: cannot be imported"):
        load(strict=True)


def test_a_slow_import_is_measured_and_named(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("slow", GOOD)
    monkeypatch.setattr("masc_core._loading._SLOW_MS", 0.0)
    found = load()
    (slow,) = [p for p in found.plugins if p.name == "slow"]
    assert (slow.problem, slow.load_ms > 0) == (None, True)
    assert "plugin slow took" in caplog.text
    assert "plugin core took" not in caplog.text


def test_the_settings_of_a_plugin_that_was_left_out_stop_nothing(site: Site, tmp_path: Path) -> None:
    site.add("bad", "raise RuntimeError('no')")
    (tmp_path / ".masc").mkdir()
    (tmp_path / ".masc" / "config.toml").write_text("[bad]\nsize = 3\n[locks]\nttl_seconds = 90\n")
    found = load()
    settings = load_settings(tmp_path, sections=found.sections, tolerant=bool(found.problems))
    assert settings.locks.ttl_seconds == 90
    with pytest.raises(StartError, match="unknown section"):
        load_settings(tmp_path)


def test_a_mode_is_offered_and_has_core(site: Site) -> None:
    site.add(
        "good", GOOD + "    @hookimpl\n    def masc_modes(register):\n        register('tidy', ['good', 'gone'], 'x')\n"
    )
    modes = Modes(load())
    active = modes.resolve(modes.check("tidy", (), "url"))
    assert active.categories == ("core", "good")
    assert active.missing == ("gone",)


async def test_a_broken_guard_lets_nothing_through_and_says_whose_it_is(
    site: Site, tmp_path: Path, registry: Registry
) -> None:
    async with masc_app(tmp_path, backend="sqlite", registry=registry) as before:
        await before.call("masc_init")
    site.add("watch", "raise RuntimeError('no')", group="masc.guards")
    async with masc_app(tmp_path, backend="sqlite", registry=load()) as app:
        for tool, arguments in (("masc_status", {}), ("masc_add_task", {"title": "x"}), ("masc_get_config", {})):
            error = await app.error(tool, "claude", **arguments)
            assert (error["code"], error["details"]) == ("guard_broken", {"guard": "watch"})
        assert "masc_claim" in [t["name"] for t in await app.kernel.list_tools(app.client())]
        with pytest.raises(GuardBroken):  # nor does anything reach the store beside a call
            await app.kernel.start_room.connect(create=False)
    async with masc_app(tmp_path, backend="sqlite", registry=registry) as after:
        assert await after.kernel.start_room.driver.get([Key("tasks", "task-001")]) == [None]


async def test_a_broken_guard_keeps_a_new_room_from_being_made(site: Site, tmp_path: Path) -> None:
    site.add("watch", "raise RuntimeError('no')", group="masc.guards")
    (tmp_path / "room").mkdir()
    async with masc_app(tmp_path / "room", backend="sqlite", registry=load()) as app:
        assert (await app.error("masc_init"))["code"] == "guard_broken"
        assert (await app.error("masc_set_room", path=str(tmp_path)))["code"] == "guard_broken"
    assert list((tmp_path / "room").iterdir()) == []


GUARD = """
    @hookimpl
    {kind} {hook}(ctx: Context) -> Any:
        {body}
"""
FAULTY_GUARDS = {
    "raises in authenticate": ("masc_authenticate", "raise KeyError('mine')", "KeyError('mine')"),
    "raises before the call": ("masc_before_call", "raise KeyError('mine')", "KeyError('mine')"),
    "cancels itself": ("masc_before_call", "raise asyncio.CancelledError", "CancelledError"),
    "exits": ("masc_before_call", "sys.exit(3)", "SystemExit"),
    "interrupts": ("masc_before_call", "raise KeyboardInterrupt", "KeyboardInterrupt"),
    "ends like a generator": ("masc_before_call", "raise GeneratorExit", "GeneratorExit"),
    "says no by an answer": ("masc_before_call", "return False", "not bool"),
    "a caller of its own": ("masc_authenticate", "return {'caller': 'root'}", "must be Caller"),
    "is slow": ("masc_before_call", "await asyncio.Event().wait()", "took longer than 1 s"),
    "raises in the commit": ("masc_in_commit", "raise KeyError('mine')", "KeyError('mine')"),
    "raises where work starts": ("masc_work_starts", "raise KeyError('mine')", "KeyError('mine')"),
}


@pytest.mark.parametrize("how", FAULTY_GUARDS)
async def test_a_guard_s_hook_that_breaks_refuses_its_call_by_its_name(
    site: Site, tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    hook, body, words = FAULTY_GUARDS[how]
    site.add("watch", GUARD.format(kind="async def", hook=hook, body=body), group="masc.guards")
    settings = Settings(cluster="t", plugins=PluginSettings(hook_seconds=1))
    async with masc_app(tmp_path, registry=load(), settings=settings) as app:
        error = await app.error("masc_start", "claude", task_title="x")
        assert (error["code"], error["details"]) == ("guard_broken", {"guard": "watch"})
        status, body_of = await HealthPage(app.kernel).read()
        assert (status, body_of["status"], body_of["plugins"]) == (200, "degraded", {"faulty": ["guard watch"]})
    assert f"guard watch: hook {hook} " in caplog.text
    assert words in caplog.text


STORE_GUARD = """
    class Lame:
        def __init__(self, driver: Any) -> None:
            self.inner = driver
        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)
        async def __aenter__(self) -> Any:
            ENTER
        async def __aexit__(self, *error: Any) -> None:
            raise KeyError("left")

    @hookimpl
    async def masc_store(driver: Any, room: Any) -> Any:
        BODY
"""
FAULTY_DRIVERS = {
    "no driver": ("return {'driver': object()}", "pass", "object has no __aenter__"),
    "raises": ("raise KeyError('mine')", "pass", "KeyError('mine')"),
    "cannot be entered": ("return {'driver': Lame(driver)}", "raise KeyError('mine')", "KeyError('mine')"),
    "enters nothing": ("return {'driver': Lame(driver)}", "return None", "NoneType has no __aenter__"),
}


@pytest.mark.parametrize("how", FAULTY_DRIVERS)
async def test_a_guard_s_driver_that_breaks_shuts_the_room_by_the_guard_s_name_and_not_the_server(
    site: Site, tmp_path: Path, registry: Registry, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with masc_app(tmp_path, backend="sqlite", registry=registry) as before:
        await before.call("masc_init")
    body, enter, words = FAULTY_DRIVERS[how]
    site.add("watch", STORE_GUARD.replace("BODY", body).replace("ENTER", enter), group="masc.guards")
    async with masc_app(tmp_path, backend="sqlite", registry=load()) as app:
        error = await app.error("masc_add_task", "claude", title="x")
        assert (error["code"], error["details"]) == ("guard_broken", {"guard": "watch"})
        status, shown = await HealthPage(app.kernel).read()
        assert (status, shown["plugins"]) == (503, {"faulty": ["guard watch"]})
    assert words in caplog.text


async def test_a_guard_s_driver_that_cannot_be_left_is_noted_and_ends_nothing(site: Site, tmp_path: Path) -> None:
    source = STORE_GUARD.replace("BODY", "return {'driver': Lame(driver)}").replace("ENTER", "return self")
    site.add("watch", source, group="masc.guards")
    registry = load()
    async with masc_app(tmp_path, registry=registry) as app:
        await app.call("masc_init")
    assert registry.faults is not None
    assert registry.faults.last == {"guard watch": "the driver of hook masc_store cannot be left: KeyError('left')"}


async def test_a_guard_s_refusal_is_its_own_and_no_fault(site: Site, tmp_path: Path) -> None:
    body = "raise masc_core.error(type('No', (Refused,), {'code': 'not_now', 'text': 'no'}))()"
    site.add("watch", GUARD.format(kind="async def", hook="masc_before_call", body=body), group="masc.guards")
    registry = load()
    async with masc_app(tmp_path, registry=registry) as app:
        assert (await app.error("masc_init"))["code"] == "not_now"
    assert registry.faults is not None
    assert not registry.faults.count


async def test_a_guard_that_breaks_over_a_token_refuses_the_call(site: Site, tmp_path: Path) -> None:
    for hook in ("masc_token_reads", "masc_recognise"):
        kind = "async def" if hook == "masc_recognise" else "def"
        source = GUARD.format(kind=kind, hook=hook, body="return 'all'").replace("ctx: Context", "room: Any")
        site.add(f"watch_{hook}", source, group="masc.guards")
    registry = load()
    async with masc_app(tmp_path, registry=registry) as app:
        await app.call("masc_init")
        outcome = await app.kernel.call("masc_status", {}, app.client("claude", token="5" * 64))
        assert outcome.error is not None
        assert outcome.error.as_dict()["details"] == {"guard": "watch_masc_token_reads"}
        with pytest.raises(GuardBroken, match="watch_masc_recognise"):
            await recognise(app.kernel, app.client("claude", token="5" * 64))


@pytest.mark.parametrize(("name", "words"), [("core", "masc_tools, which is for categories"), ("Wa-tch", "none for a")])
def test_a_guard_adds_no_tools_to_a_category_and_has_a_name_like_one(
    site: Site, registry: Registry, name: str, words: str
) -> None:
    site.module("watch", GOOD if name == "core" else "pass")
    site.points("watch", f"[masc.guards]\n{name} = watch\n")
    found = load()
    assert [(p.label, words in (p.problem or "")) for p in found.problems] == [(f"guard {name}", True)]
    assert found.broken_guard == name
    assert [*found.contracts] == [*registry.contracts]


@pytest.mark.parametrize("name", ["masc_plugin_core", "masc_plugin_comm.listen", "masc_plugin_audit"])
def test_who_points_into_masc_s_modules_does_not_pass_for_masc(site: Site, registry: Registry, name: str) -> None:
    site.points("copy", f"[masc.plugins]\ncore = {name}\nzzz = {name}\n[masc.commands]\naudit = {name}\n")
    found = load()
    assert {(p.name, p.distribution) for p in found.problems} >= {("core", "copy")}
    assert not [c for c in found.contracts.values() if c.tool.category == "zzz"]
    assert [*found.contracts] == [*registry.contracts]
    assert {p.name for p in load(()).plugins if p.distribution == "copy"} == set()


def test_an_import_that_raises_as_if_somebody_interrupted_is_left_out(site: Site) -> None:
    site.add("bad", "raise KeyboardInterrupt")
    site.add("worse", "@hookimpl\n    def masc_tools(register: Any) -> None:\n        raise KeyboardInterrupt")
    assert {p.name: p.problem for p in load().problems} == {
        "bad": "cannot be imported (bad): KeyboardInterrupt()",
        "worse": "cannot be registered: KeyboardInterrupt()",
    }


def test_whoever_interrupts_an_import_ends_the_program(site: Site) -> None:
    before = signal.getsignal(signal.SIGINT)
    site.add("slow", "import signal\n    signal.raise_signal(signal.SIGINT)")
    with pytest.raises(KeyboardInterrupt):
        load()
    assert signal.getsignal(signal.SIGINT) is before


def test_what_a_plugin_says_of_its_fault_steers_no_terminal(site: Site) -> None:
    site.add("bad", """
    class Odd(Exception):
        def __repr__(self):
            raise ValueError
    raise Odd
    """)  # fmt: skip
    site.add("worse", """
    from masc_core.errors import StartError
    @hookimpl
    def masc_tools(register: Any) -> None:
        raise StartError(message="\\x1b[2J\\ud83d")
    """)  # fmt: skip
    told = " ".join(p.problem or "" for p in load().problems)
    assert "Odd, which cannot be shown" in told
    assert told.isascii() and told.isprintable(), ascii(told)


def test_what_is_imported_is_told_before_where_hooks_are_traced(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add("bad", "print('I print')\n    raise RuntimeError")
    monkeypatch.setenv("MASC_TRACE_PLUGINS", "1")
    load()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert 0 < shown.err.index("import bad bad [load]") < shown.err.index("I print")


def test_a_tool_of_another_s_is_answered_before_common_clients_give_up() -> None:
    assert PluginSettings().tool_seconds < 60
