"""The category's part of masc_gc: old messages and events to the archive, expired locks away."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from masc_core.context import Context
from masc_core.convert import unstructure
from masc_core.records import ARCHIVE, EVENTS, UNFINISHED, Archived, Event, Message, named_in
from masc_core.store.collections import LogView
from masc_plugin_comm.lock_rules import drop_expired, expired_locks

__all__ = ["archive_old"]

MOST_RECORDS = 400
"""In one unit of work, leaving room for what other categories archive in it."""
MOST_CHARACTERS = 600_000
"""Of message texts in one unit of work: a store takes 4 MB at once, and a character may take up to six bytes."""
_BATCH = 500
_EVERYTHING = 10**9
_TASK_ID = re.compile(r"task-\d+")

E = TypeVar("E", Message, Event)


async def archive_old(ctx: Context, before: str, dry_run: bool) -> Mapping[str, Any]:
    """Take away what ended before ``before``, as much as one unit of work holds; with ``dry_run`` only count all of it."""
    room = _EVERYTHING if dry_run else MOST_RECORDS
    locks = len(await expired_locks(ctx, room)) if dry_run else await drop_expired(ctx, room)
    unfinished = await _unfinished_ids(ctx)
    messages = await _old(
        ctx.messages,
        lambda m: m.timestamp < before,
        lambda m: unfinished.isdisjoint(_TASK_ID.findall(m.content)),
        room - locks,
    )
    messages = messages if dry_run else _within_size(messages)
    events = await _old(ctx.log(EVENTS), lambda e: e.at < before, lambda _: True, room - locks - len(messages))
    unread = await _unread(ctx, messages)
    if not dry_run:
        await _archive(ctx, "message", messages)
        await _archive(ctx, "event", events)
        if messages:
            ctx.messages.remove([m.seq for m in messages])
        if events:
            ctx.log(EVENTS).remove([e.seq for e in events])
    return {"locks_removed": locks, "message": len(messages), "event": len(events), "unread": unread}


async def _unread(ctx: Context, messages: Sequence[Message]) -> dict[str, int]:
    """How many of the messages name an agent that is here and has not read them, by agent."""
    named = {message.seq: named_in(message) for message in messages}
    names = sorted(set().union(*named.values()))
    agents = await ctx.agents.peek(names)
    presences = await ctx.presence.peek(names)
    found = {}
    for name, agent, presence in zip(names, agents, presences, strict=True):
        if agent is None or agent.left_at:
            continue
        read = presence.read_seq if presence is not None else 0
        if count := sum(seq > read and name in those for seq, those in named.items()):
            found[agent.name] = count
    return found


async def _unfinished_ids(ctx: Context) -> set[str]:
    return {task.id for status in UNFINISHED for task in await ctx.tasks.scan("status", status)}


async def _old(log: LogView[E], old: Callable[[E], bool], may_go: Callable[[E], bool], limit: int) -> list[E]:
    """The first ``limit`` old entries that may go; reading stops at the first entry that is not old."""
    found: list[E] = []
    position = 0
    while len(found) < limit:
        batch = await log.read(position, _BATCH)
        past = [entry for entry in batch if old(entry)]
        found += [entry for entry in past if may_go(entry)]
        if len(past) < _BATCH:
            break
        position = batch[-1].seq
    return found[:limit]


def _within_size(messages: Sequence[Message]) -> list[Message]:
    """As many of the first messages as have a bearable size together, at least one."""
    total, fitting = 0, list[Message]()
    for message in messages:
        total += len(message.content)
        if fitting and total > MOST_CHARACTERS:
            break
        fitting.append(message)
    return fitting


async def _archive(ctx: Context, kind: str, entries: Sequence[Message] | Sequence[Event]) -> None:
    archive = ctx.collection(ARCHIVE)
    records = [Archived(kind=kind, id=str(entry.seq), archived_at=ctx.now, record=_plain(entry)) for entry in entries]
    # Looked up together: they must be known to be missing before they are written.
    await archive.peek([f"{kind}:{record.id}" for record in records])
    for record in records:
        archive.put(record)


def _plain(entry: Message | Event) -> dict[str, Any]:
    plain: dict[str, Any] = unstructure(entry)
    return plain
