"""What stops the start, and a foreign plugin that uses nothing but the public names."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import field

import masc_core
from masc_core import READ, READER, WORKER, WRITE, Collection, Context, Refused, Title, error, hookimpl, index, tool
from masc_core.errors import StartError
from masc_core.frozen import frozen
from masc_core.plugins import Registry, load
from masc_core.testing.app import masc_app


@error
class NoteNotFound(Refused):
    code = "note_not_found"
    text = "no note {note_id}"
    note_id: str


@frozen
class Note:
    id: str
    title: str
    by: str
    version: int = 0


NOTES = Collection("notes", Note, lambda n: n.id, lambda n: [index("by", n.by)], lambda key: NoteNotFound(note_id=key))


@frozen
class Noted:
    note: Note


@frozen
class Notes:
    notes: list[Note] = field(factory=list)


@tool(effect=WRITE, role=WORKER)
async def notes_add(ctx: Context, title: Title) -> Noted:
    """Keep a note."""
    number = await ctx.next_number("note")
    note = await ctx.collection(NOTES).add(Note(f"note-{number}", title, ctx.agent))
    ctx.event("note_added", note.id)
    return Noted(note)


@tool(effect=READ, role=READER, errors=(NoteNotFound,))
async def notes_get(ctx: Context, note_id: str) -> Noted:
    """Show a note."""
    return Noted(await ctx.collection(NOTES).get(note_id))


@tool(effect=READ, role=READER)
async def notes_by(ctx: Context, author: str) -> Notes:
    """List somebody's notes."""
    return Notes(await ctx.collection(NOTES).scan("by", author))


class NotesPlugin:
    """A category of its own."""

    @hookimpl
    def masc_tools(self, register: Callable[[Any], None]) -> None:
        for function in (notes_add, notes_get, notes_by):
            register(function)

    @hookimpl
    def masc_records(self, register: Callable[[Any], None]) -> None:
        register(NOTES)


@pytest.mark.parametrize("backend", ["memory", "sqlite"])
async def test_a_foreign_plugin_has_tools_records_errors_and_a_place_in_mode_full(tmp_path: Path, backend: str) -> None:
    async with masc_app(tmp_path, backend=backend, extra=[("notes", NotesPlugin())]) as masc:
        added = await masc.call("notes_add", "claude", title=" Remember ")
        assert added == {"note": {"id": "note-1", "title": "Remember", "by": "claude", "version": 1}, "joined": True}
        assert (await masc.call("notes_get", note_id="note-1"))["note"] == added["note"]
        assert (await masc.error("notes_get", note_id="note-2"))["details"] == {"note_id": "note-2"}
        assert [n["id"] for n in (await masc.call("notes_by", author="claude"))["notes"]] == ["note-1"]
        listed = [t["name"] for t in await masc.kernel.list_tools(masc.client())]
        assert listed[-3:] == ["notes_add", "notes_get", "notes_by"]
        await masc.call("masc_reset", "claude", confirm=True)
        assert "notes" in str([r.name for r in masc.kernel.registry.records])


def with_tools(*functions: Any) -> SimpleNamespace:
    """A plugin that registers functions."""
    return SimpleNamespace(masc_tools=hookimpl(lambda register: [register(f) for f in functions] and None))


async def masc_claim(ctx: Context) -> Noted:
    """Takes a taken name."""
    raise NotImplementedError


async def undeclared(ctx: Context) -> Noted:
    """Declares nothing."""
    raise NotImplementedError


async def silent_tool(ctx: Context) -> Noted:
    raise NotImplementedError


def blocking_tool(ctx: Context) -> Noted:
    """Is no coroutine."""
    raise NotImplementedError


async def strange_tool(ctx: Context, value: complex) -> Noted:
    """Takes what JSON cannot say."""
    raise NotImplementedError


async def vague_tool(ctx: Context, value) -> Noted:  # type: ignore[no-untyped-def]
    """Does not say what it takes."""
    raise NotImplementedError


async def silent_result(ctx: Context):  # type: ignore[no-untyped-def]
    """Does not say what it gives."""
    raise NotImplementedError


async def lost_result(ctx: Context) -> Nowhere:  # type: ignore[name-defined]  # noqa: F821
    """Gives what nobody defines."""
    raise NotImplementedError


@frozen
class Strange:
    value: complex


async def strange_result(ctx: Context) -> Strange:
    """Gives what JSON cannot say."""
    raise NotImplementedError


async def effectless(ctx: Context) -> Noted:
    """Has no effect."""
    raise NotImplementedError


async def Shouting(ctx: Context) -> Noted:
    """Has a malformed name."""
    raise NotImplementedError


declare: Any = tool


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (tool(effect=READ, role=READER)(masc_claim), ["masc_claim", "notes", "core"]),
        (undeclared, ["undeclared", "notes", "effect"]),
        (declare(effect=None, role=READER)(effectless), ["effectless", "notes", "effect"]),
        (tool(effect=READ, role=READER)(silent_tool), ["silent_tool", "notes", "description"]),
        (declare(effect=READ, role=READER)(blocking_tool), ["blocking_tool", "notes", "async"]),
        (tool(effect=READ, role=READER)(strange_tool), ["strange_tool", "notes", "complex"]),
        (declare(effect=READ, role=READER)(vague_tool), ["vague_tool", "notes", "value"]),
        (declare(effect=READ, role=READER)(silent_result), ["silent_result", "notes", "return"]),
        (tool(effect=READ, role=READER)(lost_result), ["lost_result", "notes", "Nowhere"]),
        (tool(effect=READ, role=READER)(Shouting), ["Shouting", "notes", "malformed"]),
    ],
)
def test_a_faulty_tool_stops_the_start_and_is_named_with_its_plugin(function: Any, words: list[str]) -> None:
    """Acceptance 6 of model.md."""
    with pytest.raises(StartError) as refused:
        load(extra=[("notes", with_tools(function))], strict=True)
    assert all(word in str(refused.value) for word in words)


def test_a_result_that_has_no_schema_names_tool_and_plugin_when_the_schema_is_wanted() -> None:
    registry = load(extra=[("notes", with_tools(tool(effect=READ, role=READER)(strange_result)))])
    with pytest.raises(StartError, match=r"notes.*strange_result.*complex"):
        registry.contracts["strange_result"].output  # noqa: B018


def test_a_plugin_knows_the_distribution_that_brought_it() -> None:
    registry = load(extra=[("notes", NotesPlugin())])
    assert {p.name: p.distribution for p in registry.plugins}.items() >= {"core": "masc", "notes": "-"}.items()
    assert {p.name: p.version for p in registry.plugins}["core"] == masc_core.__version__


@pytest.mark.parametrize("category", ["Notes", "n", "1notes", "no-tes", "n" * 33])
def test_a_malformed_category_stops_the_start(category: str) -> None:
    with pytest.raises(StartError, match=category):
        load(extra=[(category, NotesPlugin())])


def test_a_category_that_two_others_claim_stops_the_start() -> None:
    with pytest.raises(StartError, match="category notes"):
        load(extra=[("notes", NotesPlugin()), ("notes", NotesPlugin())])


def test_an_unknown_hook_stops_the_start_and_names_plugin_and_hook() -> None:
    class Odd:
        @hookimpl
        def masc_nosuch(self) -> None: ...

    with pytest.raises(StartError) as refused:
        load(extra=[("odd", Odd())])
    assert "odd" in str(refused.value)
    assert "masc_nosuch" in str(refused.value)


def test_a_hook_that_cannot_be_awaited_stops_the_start() -> None:
    class Odd:
        @hookimpl
        def masc_status(self) -> None: ...

    with pytest.raises(StartError, match=r"odd.*masc_status"):
        load(extra=[("odd", Odd())])


def test_what_is_not_enabled_is_not_imported() -> None:
    script = (
        "import sys\nfrom masc_core.plugins import load\nr = load(['health'])\n"
        "print(r.categories, 'masc_plugin_comm' in sys.modules, 'masc_plugin_health' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "('core', 'health') False True"


def test_enabling_what_is_not_installed_names_it() -> None:
    with pytest.raises(StartError, match="nosuch"):
        load(["nosuch"])


async def test_a_refusing_hook_leaves_no_other_unawaited(tmp_path: Path) -> None:
    class Refusing:
        @hookimpl
        async def masc_work_starts(self) -> None:
            raise NoteNotFound(note_id="x")

    async with masc_app(tmp_path, extra=[("one", Refusing()), ("two", Refusing())]) as masc:
        assert (await masc.error("masc_claim_next", "claude"))["code"] == "note_not_found"


def test_categories_come_in_list_order(registry: Registry) -> None:
    order = "core comm portal worktree health discovery voting interrupt cost auth ratelimit encryption".split()
    assert list(registry.categories) == [c for c in order if c in registry.categories]
