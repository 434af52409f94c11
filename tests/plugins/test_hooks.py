"""Each hook: its arguments, and in which order plugins are asked. A hook that is not in the table fails."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pluggy
import pytest
from attrs import frozen

from masc_core import hookimpl
from masc_core.checks import run_checks
from masc_core.cli.serve import _ensure_guarded
from masc_core.contracts import contract_of
from masc_core.doctor.examination import masc_examine
from masc_core.errors import InvalidToken, StartError
from masc_core.first_party import CATEGORY_ORDER, GUARD_ORDER
from masc_core.hook_answers import answer_schema
from masc_core.hookspecs import (
    GUARD_HOOKS,
    LONG_HOOKS,
    PLAIN_HOOKS,
    REFUSING_HOOKS,
    HookDeprecation,
    MascHooks,
    deprecated,
    hookspec,
)
from masc_core.identity import local_client
from masc_core.plugins import load
from masc_core.recognition import note_stranger
from masc_core.settings import Settings
from masc_core.sweep import due_once, sweep_once, tell_once
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app
from masc_core.tools import declaration

HOOKS = tuple(name for name in vars(MascHooks) if name.startswith("masc_"))
TOKEN = "5" * 64


async def nothing(app: MascApp) -> None:
    """The hook is called when plugins are loaded, or a room is opened."""


async def add_task(app: MascApp) -> None:
    await app.call("masc_add_task", "claude", title=f"use {TOKEN}")


async def with_token(app: MascApp) -> None:
    await app.kernel.call("masc_add_task", {"title": "x"}, app.client("claude", token=TOKEN))


async def stranger(app: MascApp) -> None:
    await note_stranger(app.kernel, app.client(token=TOKEN), "tools/list", InvalidToken())


async def claim(app: MascApp) -> None:
    await app.call("masc_add_task", "claude", title="x")
    await app.call("masc_claim", "claude", task_id="task-001")


async def done(app: MascApp) -> None:
    await claim(app)
    await app.call("masc_done", "claude", task_id="task-001")


async def refused(app: MascApp) -> None:
    await app.error("masc_done", "claude", task_id="task-009")


async def join(app: MascApp) -> None:
    await app.call("masc_join", "gemini")


async def leave(app: MascApp) -> None:
    await app.call("masc_leave", "claude")


async def status(app: MascApp) -> None:
    await app.kernel.call("masc_status", {}, app.client("claude"))


async def standing(app: MascApp) -> None:
    await app.kernel.call("masc_rate_limit_status", {"agent_name": "claude"}, local_client())


async def collect(app: MascApp) -> None:
    await app.call("masc_gc", dry_run=True)


async def listen(app: MascApp) -> None:
    waiting = asyncio.create_task(app.call("masc_listen", "claude", timeout=60))
    assert isinstance(app.clock, ManualClock)
    while not waiting.done():
        await app.clock.advance(1)


async def escalate(app: MascApp) -> None:
    asked = {"task_id": "task-001", "step": 1, "action": "drop it", "message": "now", "on_timeout": "escalate"}
    await app.call("masc_interrupt", "claude", **asked)
    assert isinstance(app.clock, ManualClock)
    await app.clock.advance(30 * 60)
    await due_once(app.kernel, app.kernel.start_room)


async def due(app: MascApp) -> None:
    await due_once(app.kernel, app.kernel.start_room)


async def sweep(app: MascApp) -> None:
    await sweep_once(app.kernel, app.kernel.start_room)


async def tell(app: MascApp) -> None:
    await tell_once(app.kernel, app.kernel.start_room)  # they come to know where the log ends
    await app.call("masc_add_task", "claude", title="x")
    await tell_once(app.kernel, app.kernel.start_room)


async def bind(app: MascApp) -> None:
    with pytest.raises(StartError):
        await _ensure_guarded(app.kernel, "0.0.0.0")


async def examine(app: MascApp) -> None:
    await app.kernel.run(contract_of(declaration(masc_examine, "test")), {}, local_client())


async def check(app: MascApp) -> None:
    await run_checks(app.kernel)


@frozen
class Pin:
    """What a hook is called with, by argument: the name of its class or the value itself."""

    arguments: dict[str, Any]
    fire: Callable[[MascApp], Awaitable[None]] = nothing
    reverse: bool = False


REGISTER = {"register": "method"}
PINS = {
    "masc_tools": Pin(REGISTER),
    "masc_records": Pin(REGISTER),
    "masc_settings": Pin(REGISTER),
    "masc_modes": Pin(REGISTER),
    "masc_resources": Pin(REGISTER),
    "masc_prompts": Pin(REGISTER),
    "masc_routes": Pin(REGISTER),
    "masc_first_reads": Pin(REGISTER),
    "masc_token_reads": Pin({"room": "OpenRoom", "token": TOKEN}, with_token),
    "masc_recognise": Pin(
        {"room": "OpenRoom", "reading": "Transaction", "client": "Client", "alone": False}, with_token
    ),
    "masc_stranger": Pin(
        {"room": "OpenRoom", "client": "Client", "asked": "tools/list", "error": "InvalidToken"}, stranger
    ),
    "masc_authenticate": Pin({"ctx": "Context"}, add_task),
    "masc_before_call": Pin({"ctx": "Context"}, add_task),
    "masc_redact": Pin({"ctx": "Context", "arguments": "dict"}, add_task),
    "masc_known_secrets": Pin({"ctx": "Context", "words": "list"}, add_task),
    "masc_in_commit": Pin({"ctx": "Context"}, add_task),
    "masc_call_failed": Pin({"ctx": "Context", "error": "TaskNotFound"}, refused),
    "masc_store": Pin({"driver": "MemoryDriver", "room": "OpenRoom"}, reverse=True),
    "masc_name_protected": Pin({"ctx": "Context", "name": "gemini"}, join),
    "masc_joined": Pin({"ctx": "Context", "agent": "gemini", "deliver": None}, join),
    "masc_agent_role": Pin({"ctx": "Context", "agent": "claude"}, standing),
    "masc_waited": Pin({"ctx": "Context"}, listen),
    "masc_open_bind": Pin({"room": "OpenRoom", "tx": "Transaction", "host": "0.0.0.0"}, bind),
    "masc_work_starts": Pin({"ctx": "Context", "agent": "claude", "task": "Task"}, claim),
    "masc_status": Pin({"ctx": "Context"}, status),
    "masc_admins": Pin({"ctx": "Context"}, escalate),
    "masc_unread": Pin({"ctx": "Context", "agent": "claude"}, status),
    "masc_agent_released": Pin({"ctx": "Context", "agent": "Agent", "keep_tasks": False, "reason": "leave"}, leave),
    "masc_task_ended": Pin({"ctx": "Context", "task": "Task"}, done),
    "masc_gc": Pin({"ctx": "Context", "before": "str", "dry_run": True}, collect),
    "masc_sweep": Pin({"ctx": "Context"}, sweep),
    "masc_due": Pin({"ctx": "Context"}, due),
    "masc_doctor": Pin({"ctx": "Context", "fix": False}, examine),
    "masc_health": Pin({"ctx": "Context"}, check),
    "masc_events": Pin({"ctx": "Context", "events": "tuple"}, tell),
}


def test_every_hook_is_pinned() -> None:
    assert PINS.keys() == set(HOOKS)


def implementing(hook: str, note: Callable[[dict[str, Any]], None]) -> Any:
    """A plugin with one hook that notes all of its arguments."""
    names = [*inspect.signature(getattr(MascHooks, hook)).parameters][1:]
    given: dict[str, Any] = {"note": note}
    kept = ", ".join(f"{name!r}: {name}" for name in names)
    begin = "def" if hook in PLAIN_HOOKS else "async def"
    result = "[]" if hook in PLAIN_HOOKS else "None"
    source = f"{begin} {hook}({', '.join(names)}):\n    note({{{kept}}})\n    return {result}"
    exec(compile(source, f"<{hook}>", "exec"), given)
    return type("Plugin", (), {hook: staticmethod(hookimpl(given[hook]))})()


@pytest.mark.parametrize("hook", PINS)
async def test_a_hook_has_its_arguments_and_plugins_are_asked_by_order(hook: str, tmp_path: Path) -> None:
    pin = PINS[hook]
    asked: list[tuple[str, dict[str, Any]]] = []

    def noting(plugin: str) -> Callable[[dict[str, Any]], None]:
        return lambda arguments: asked.append((plugin, arguments))

    kind = "guard:" if hook in GUARD_HOOKS else ""
    extra = [(f"{kind}{name}", implementing(hook, noting(name))) for name in ("first", "second")]
    registry = load(extra=extra, strict=True)
    async with masc_app(tmp_path, registry=registry, settings=Settings(cluster="t")) as app:
        registered = [*asked] if hook in PLAIN_HOOKS and pin.fire is nothing else []
        await app.call("masc_join", "claude")
        if pin.fire is not nothing:
            asked.clear()
        await pin.fire(app)
    asked = registered or asked
    assert [plugin for plugin, _ in asked[:2]] == (["second", "first"] if pin.reverse else ["first", "second"])
    _, arguments = asked[-1 if hook == "masc_events" else 0]
    assert list(arguments) == list(pin.arguments)
    for name, wanted in pin.arguments.items():
        assert wanted in (arguments[name], type(arguments[name]).__name__), name


def test_masc_s_own_plugins_come_first_and_guards_before_categories() -> None:
    names = [(p.guard, p.name) for p in load(extra=[("aaa", object()), ("guard:bbb", object())]).plugins]
    own = [*((True, name) for name in GUARD_ORDER), *((False, name) for name in CATEGORY_ORDER)]
    assert names == [*own, (False, "aaa"), (True, "bbb")]


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_documented_with_when_who_and_since(hook: str) -> None:
    text = " ".join((inspect.getdoc(getattr(MascHooks, hook)) or "").split())
    assert text.endswith("New in 0.1.")
    assert ("Called " if hook in PLAIN_HOOKS else "Awaited ") in text
    assert (" by " in text) or hook in {"masc_sweep", "masc_due", "masc_events", "masc_health"}, text
    assert ("For guards" in text) == (hook in GUARD_HOOKS)


def test_the_kinds_of_hooks_name_hooks_that_there_are() -> None:
    assert {*GUARD_HOOKS, *PLAIN_HOOKS, *REFUSING_HOOKS, *LONG_HOOKS} <= set(HOOKS)


@pytest.mark.parametrize("hook", sorted(set(HOOKS) - GUARD_HOOKS - PLAIN_HOOKS))
def test_what_a_hook_gives_has_a_schema(hook: str) -> None:
    assert answer_schema(hook)["type"] == "object"


def test_a_deprecated_argument_warns_whoever_takes_it() -> None:
    class Specs:
        @hookspec(warn_on_impl_args=deprecated("masc_later", "old", "0.2", "take new"))
        def masc_later(self, new: str, old: str) -> None: ...

    class Takes:
        @hookimpl
        def masc_later(self, old: str) -> None: ...

    class Leaves:
        @hookimpl
        def masc_later(self, new: str) -> None: ...

    manager = pluggy.PluginManager("masc")
    manager.add_hookspecs(Specs)
    manager.register(Leaves())
    with pytest.warns(HookDeprecation, match=r"argument old of hook masc_later .* since 0\.2 .* take new") as shown:
        manager.register(Takes())
    assert shown[0].filename == __file__
