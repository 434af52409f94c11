"""Which tasks ended lately: a log counts them by the hour, an index by the hour keeps them in the order of the board.

Neither reads more when the board has seen more: a day has at most 25 hours, and only the oldest of them is looked through.
What ended after now, because the clock was set back since, counts as recent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta

from masc_core import Context
from masc_core.frozen import frozen
from masc_core.records import HOUR, Task, ended_at
from masc_core.store.collections import Log, index
from masc_core.store.driver import IndexEntry

__all__ = ["ENDINGS", "Ending", "counted_since", "ended_before", "ended_of", "ended_since", "newest_since"]

_PAGE = 50
_FEW = 20
"""Fewer endings than that are counted one by one."""


@frozen
class Ending:
    """One task was done or cancelled."""

    task_id: str
    at: str
    assignee: str = ""
    seq: int = 0


def _indexes(ending: Ending) -> Iterator[IndexEntry]:
    yield IndexEntry("at", ending.at, group=ending.at[:HOUR])
    if ending.assignee:
        yield index("by", ending.assignee.lower(), ending.at)


ENDINGS = Log("endings", Ending, _indexes)


async def counted_since(ctx: Context, since: str) -> dict[str, int]:
    """How many tasks ended at or after the timestamp ``since``, by the hour, ``2026-11-21T07``; empty hours are left out.

    By their times and not by their place in the log: a clock that was set back or on puts them out of order.
    """
    endings = ctx.log(ENDINGS)
    hour = since[:HOUR]
    # By the hour, because a store may remember what it was asked, and no two calls ask for the same millisecond.
    few = await endings.scan("at", low=hour, limit=_FEW)
    if len(few) < _FEW:
        return dict(Counter(ending.at[:HOUR] for ending in few if ending.at >= since))
    oldest = await endings.scan("at", low=since, high=_after(hour))
    counts = {hour: len(oldest)} if oldest else {}
    while first := await endings.scan("at", low=_after(hour), limit=1):
        hour = first[0].at[:HOUR]
        counts.update(await endings.count("at", hour))
    return counts


async def newest_since(ctx: Context, since: str, most: int) -> list[Task]:
    """The tasks that ended last, at or after ``since``, newest first."""
    endings = await ctx.log(ENDINGS).scan("at", low=since, limit=most, reverse=True)
    tasks = await ctx.tasks.peek([ending.task_id for ending in endings])
    return [task for task in tasks if task is not None]


async def ended_since(ctx: Context, since: str, most: int) -> tuple[list[Task], int]:
    """The first ``most`` tasks of each hour from ``since`` on, in the order of the board within the hour; and how many
    ended in all."""
    counts = await counted_since(ctx, since)
    found: list[Task] = []
    for hour in counts:
        if hour > since[:HOUR]:
            found += await ctx.tasks.scan("finished", hour, limit=most)
            continue
        taken = 0
        async for task in _of_hour(ctx, hour):
            if taken < most and ended_at(task) >= since:
                found.append(task)
                taken += 1
    return found, sum(counts.values())


async def ended_of(ctx: Context, name: str, since: str) -> list[Task]:
    """An agent's tasks that ended at or after ``since``."""
    endings = await ctx.log(ENDINGS).scan("by", name.lower(), low=since)
    return [task for task in await ctx.tasks.peek([ending.task_id for ending in endings]) if task is not None]


async def ended_before(ctx: Context, before: str, most: int) -> list[Task]:
    """Up to ``most`` tasks that ended before the timestamp ``before``."""
    found = await ctx.tasks.scan("finished", high=before[:HOUR], limit=most)
    if len(found) < most:
        found += [task async for task in _of_hour(ctx, before[:HOUR]) if ended_at(task) < before]
    return found[:most]


async def _of_hour(ctx: Context, hour: str) -> AsyncIterator[Task]:
    after: Task | None = None
    while page := await ctx.tasks.scan("finished", hour, after=after, limit=_PAGE):
        for task in page:
            yield task
        after = page[-1]


def _after(hour: str) -> str:
    """The hour after."""
    return (datetime.fromisoformat(f"{hour}:00") + timedelta(hours=1)).isoformat()[:HOUR]
