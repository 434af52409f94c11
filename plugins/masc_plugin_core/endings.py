"""Which tasks ended lately: a log counts them, an index by the hour keeps them in the order of the board.

Neither reads more when the board has seen more: a day has at most 25 hours, and only the oldest of them is looked through.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta

from masc_core import Context
from masc_core.frozen import frozen
from masc_core.records import HOUR, Task, ended_at
from masc_core.store.collections import Log, index
from masc_core.store.driver import IndexEntry

__all__ = ["ENDINGS", "Ending", "ended_before", "ended_since", "first_since", "newest_since"]

_PAGE = 50


@frozen
class Ending:
    """One task was done or cancelled."""

    task_id: str
    at: str
    assignee: str = ""
    seq: int = 0


def _indexes(ending: Ending) -> Iterator[IndexEntry]:
    yield index("at", ending.at)
    if ending.assignee:
        yield index("by", ending.assignee.lower(), ending.at)


ENDINGS = Log("endings", Ending, _indexes)


async def first_since(ctx: Context, since: str) -> tuple[Ending | None, int]:
    """The first ending at or after the timestamp ``since``, and how many there are."""
    endings = ctx.log(ENDINGS)
    first = await endings.scan("at", low=since, limit=1)
    if not first:
        return None, 0
    return first[0], (await endings.ends())[1] - first[0].seq + 1


async def newest_since(ctx: Context, since: str, most: int) -> list[Task]:
    """The tasks that ended last, at or after ``since``, newest first."""
    endings = await ctx.log(ENDINGS).read(limit=most, reverse=True)
    tasks = await ctx.tasks.peek([ending.task_id for ending in endings if ending.at >= since])
    return [task for task in tasks if task is not None]


async def ended_since(ctx: Context, since: str, most: int) -> tuple[list[Task], int]:
    """The first ``most`` tasks of each hour from ``since`` on, in the order of the board within the hour; and how many
    ended in all."""
    first, total = await first_since(ctx, since)
    found: list[Task] = []
    for hour in _hours(first.at[:HOUR], ctx.now[:HOUR]) if first else ():
        if hour > since[:HOUR]:
            found += await ctx.tasks.scan("finished", hour, limit=most)
            continue
        taken = 0
        async for task in _of_hour(ctx, hour):
            if taken < most and ended_at(task) >= since:
                found.append(task)
                taken += 1
    return found, total


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


def _hours(first: str, last: str) -> list[str]:
    moment, end = datetime.fromisoformat(f"{first}:00"), datetime.fromisoformat(f"{last}:00")
    hours: list[str] = []
    while moment <= end:
        hours.append(moment.isoformat()[:HOUR])
        moment += timedelta(hours=1)
    return hours
