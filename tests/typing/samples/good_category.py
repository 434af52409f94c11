"""A category as most are written: nothing here may be complained about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from masc_core import (
    READ,
    READER,
    WORKER,
    WRITE,
    Bound,
    Collection,
    Context,
    IndexEntry,
    Log,
    Refused,
    Task,
    Title,
    between,
    error,
    evolve,
    field,
    frozen,
    hookimpl,
    index,
    tool,
)


@error
class NoteNotFound(Refused):
    code = "note_not_found"
    text = "no note {note_id}; note_list names them"
    note_id: str


@frozen
class Note:
    id: str
    title: str
    by: str
    tags: list[str] = field(factory=list)
    version: int = 0


@frozen
class Noted:
    note: Note


@frozen
class NoteSettings:
    most: int = field(default=100, validator=between(1, 1000))


def _indexes(note: Note) -> Iterator[IndexEntry]:
    yield index("by", note.by.lower())


NOTES = Collection("notes", Note, lambda note: note.id, _indexes, lambda key: NoteNotFound(note_id=key))
READINGS = Log("readings", Noted)


@tool(effect=WRITE, role=WORKER, examples=({"title": "Remember"},))
async def note_add(ctx: Context, title: Title, most: Annotated[int, Bound(minimum=1)] = 5) -> Noted:
    """Keep a note."""
    note = await ctx.collection(NOTES).add(Note(str(await ctx.next_number("note")), title, ctx.agent))
    return Noted(evolve(note, tags=[str(min(most, ctx.settings.of(NoteSettings).most))]))


@tool(effect=READ, role=READER, errors=(NoteNotFound,), transactional=False)
async def note_get(ctx: Context, note_id: str) -> Noted:
    """Show a note."""

    async def read(ctx: Context) -> Note:
        return await ctx.collection(NOTES).get(note_id)

    return Noted(await ctx.transact(read))


@hookimpl
def masc_tools(register: Callable[[Callable[..., Any]], None]) -> None:
    register(note_add)
    register(note_get)


@hookimpl
def masc_records(register: Callable[[Collection[Any] | Log[Any]], None]) -> None:
    register(NOTES)
    register(READINGS)


@hookimpl
def masc_settings(register: Callable[[str, type], None]) -> None:
    register("notes", NoteSettings)


@hookimpl
async def masc_task_ended(ctx: Context, task: Task) -> Mapping[str, Any] | None:
    ctx.log(READINGS).append(Noted(Note(task.id, task.title, ctx.actor)))
    return None
