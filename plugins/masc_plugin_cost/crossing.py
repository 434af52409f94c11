"""When a window that moves on no longer holds as much as a limit."""

from __future__ import annotations

from collections import Counter

from masc_core import Context
from masc_core.clock import parse_time
from masc_plugin_cost.buckets import entries_of_slot, open_pages, open_pages_from
from masc_plugin_cost.money import MICRO
from masc_plugin_cost.records import LEVELS, Bucket, index_of, place, second_of

__all__ = ["seconds_until_below"]


async def seconds_until_below(ctx: Context, agent: str | None, limit: int, window: int) -> int:
    """Whole seconds until what one agent (in lower case) or all logged within ``window`` seconds is below the limit.

    Requires that it is not now, so that the entry is there which makes it too much: added up from the newest on, level by
    level, down to the finest slot. Once that entry is out of the window, the rest is below the limit.
    """
    rest = limit
    pages = await open_pages_from(ctx, place(second_of(ctx.after(-window)), LEVELS)[0], agent)
    for level in range(LEVELS, 0, -1):
        stretch, rest = _crossed(pages, rest)
        if level > 1:
            pages = await open_pages(ctx, level - 1, stretch, agent)
    for entry in sorted(await entries_of_slot(ctx, stretch, agent), key=lambda e: e.timestamp, reverse=True):
        crossing = entry.timestamp
        rest -= round(entry.cost_usd * MICRO)
        if rest <= 0:
            break
    age = parse_time(ctx.now) - parse_time(crossing)
    return max(1, int((window - age) // 1) + 1)


def _crossed(pages: list[Bucket], rest: int) -> tuple[int, int]:
    """The slot, counted from the epoch, in which sums from the newest on reach ``rest``, and how much of it is missing when
    that slot begins to count."""
    spent: Counter[int] = Counter()
    for page in pages:
        for column in page.totals:
            before = 0
            for slot, until in zip(column[2], column[6], strict=True):
                spent[index_of(page.start, slot)] += until - before
                before = until
    slot = 0
    for slot in sorted(spent, reverse=True):
        if spent[slot] >= rest:
            break
        rest -= spent[slot]
    return slot, rest
