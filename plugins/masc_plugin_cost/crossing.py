"""When a window that moves on no longer holds as much as a limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from masc_core import Context
from masc_core.clock import parse_time
from masc_plugin_cost.buckets import Rolled, current_pages, entries_of_slot, open_pages, open_pages_from
from masc_plugin_cost.money import MICRO
from masc_plugin_cost.records import LEVELS, Bucket, index_of, place, place_of_slot, second_of

__all__ = ["seconds_until_below"]


async def seconds_until_below(ctx: Context, agent: str | None, limit: int, window: int) -> int:
    """Whole seconds until what one agent (in lower case) or all logged within ``window`` seconds is below the limit.

    Requires that it is not now, so that the entry is there which makes it too much: added up from the newest on, level by
    level, down to the finest slot. Once that entry is out of the window, the rest is below the limit.
    """
    rest = limit
    since = second_of(ctx.after(-window))
    current = await current_pages(ctx, place(since, 1)[0], agent)
    pages = await open_pages_from(ctx, place(since, LEVELS)[0], agent)
    spent = _by_slot(pages) + _on_level(current, pages, LEVELS)
    for level in range(LEVELS, 0, -1):
        stretch, rest = _crossed(spent, rest)
        if level > 1:
            pages = await open_pages(ctx, level - 1, stretch, agent)
            spent = _by_slot(pages) + _on_level(current, pages, level - 1, stretch)
    crossing = None
    for entry in sorted(await entries_of_slot(ctx, stretch, agent), key=lambda e: e.timestamp, reverse=True):
        crossing = entry.timestamp
        rest -= round(entry.cost_usd * MICRO)
        if rest <= 0:
            break
    if crossing is None:  # a reset has taken everything away meanwhile
        return 1
    age = parse_time(ctx.now) - parse_time(crossing)
    return max(1, int((window - age) // 1) + 1)


def _by_slot(pages: Sequence[Bucket]) -> Counter[int]:
    """Micro-dollars of pages of one level by slot, counted from the epoch."""
    spent: Counter[int] = Counter()
    for page in pages:
        for column in page.totals:
            before = 0
            for slot, until in zip(column[2], column[6], strict=True):
                spent[index_of(page.start, slot)] += until - before
                before = until
    return spent


def _on_level(
    current: Sequence[Bucket], pages: Sequence[Bucket], level: int, stretch: int | None = None
) -> Counter[int]:
    """Micro-dollars of current pages by slot of a level, counted from the epoch: in one of its stretches or any. What is on
    the level's own pages by now is left out."""
    spent: Counter[int] = Counter()
    rolled = Rolled(pages)
    for finest, micro in _by_slot([page for page in current if not rolled.up(page, level)]).items():
        start, slot = place_of_slot(finest, level)
        if stretch in (None, start):
            spent[index_of(start, slot)] += micro
    return spent


def _crossed(spent: Mapping[int, int], rest: int) -> tuple[int, int]:
    """The slot, counted from the epoch, in which sums from the newest on reach ``rest``, and how much of it is missing when
    that slot begins to count."""
    slot = 0
    for slot in sorted(spent, reverse=True):
        if spent[slot] >= rest:
            break
        rest -= spent[slot]
    return slot, rest
