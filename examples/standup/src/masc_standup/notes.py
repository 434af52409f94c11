"""The notes, and the tools that write and show them."""

from __future__ import annotations

from typing import Annotated

from masc_core import (
    READ,
    READER,
    WORKER,
    WRITE,
    Bound,
    Collection,
    Context,
    Message,
    between,
    field,
    frozen,
    index,
    tool,
)

__all__ = ["NOTES", "Note", "StandupSettings", "forget", "standup_note", "standup_today"]

MOST_FORGOTTEN = 500
"""Notes that one unit of work removes."""


@frozen
class StandupSettings:
    """``[standup]``"""

    hours: int = field(default=24, validator=between(1, 720))
    """Older notes are not shown."""


@frozen
class Note:
    """What one agent said."""

    id: str
    agent: str
    at: str
    text: str
    blocked_by: str | None = None


NOTES = Collection("standup_notes", Note, lambda note: note.id, lambda note: [index("at", note.at)])


@frozen
class Noted:
    """Result of standup_note."""

    note: Note


@frozen
class Today:
    """Result of standup_today."""

    notes: list[Note]
    silent: list[str]
    """Agents of the room that have said nothing."""


Hours = Annotated[int, Bound(minimum=1, maximum=720)]


@tool(
    effect=WRITE,
    role=WORKER,
    examples=({"text": "the login page is done", "blocked_by": "no test account"},),
    keywords="daily scrum report progress yesterday blocker stuck",
)
async def standup_note(ctx: Context, text: Message, blocked_by: Message | None = None) -> Noted:
    """Tell the team what you did and what is in your way."""
    number = await ctx.next_number("standup_note")
    note = Note(f"note-{number}", ctx.agent, ctx.now, text, blocked_by)
    return Noted(await ctx.collection(NOTES).add(note))


@tool(effect=READ, role=READER, examples=({}, {"hours": 8}), keywords="daily scrum who did what blockers")
async def standup_today(ctx: Context, hours: Hours | None = None) -> Today:
    """Show the last note of each agent, the newest first."""
    since = ctx.after(-3600 * (hours or ctx.settings.of(StandupSettings).hours))
    last: dict[str, Note] = {}
    for note in await ctx.collection(NOTES).scan("at", low=since, reverse=True):
        last.setdefault(note.agent, note)
    present = [agent.name for agent in await ctx.agents.scan("state", "present")]
    return Today(list(last.values()), [name for name in present if name not in last])


async def forget(ctx: Context, before: str, dry_run: bool) -> int:
    """Remove notes older than a timestamp; how many there were."""
    limit = 100_000 if dry_run else MOST_FORGOTTEN
    old = await ctx.collection(NOTES).scan("at", high=before, limit=limit)
    if not dry_run:
        for note in old:
            ctx.collection(NOTES).delete(note)
    return len(old)
