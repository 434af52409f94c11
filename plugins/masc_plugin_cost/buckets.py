"""Sums over time: everything since a moment, from the pages of :mod:`.adding`.

Budgets ask for an agent's or the room's money alone and read the totals on open pages; reports by model and task read the
cells of all pages. A window reaches from a moment until now, so only its early end needs care: on each level the slots
behind the one in which the window begins count whole, and that slot is looked at on the level below, down to the entries of
8 seconds. What is stamped later than now (somebody set the clock back) counts too: money spent does not vanish.

Pages are read one query after the other. Current ones are read first, and one that was rolled up before the page that now
has its sums was read is left out: that page knows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from masc_core import Context
from masc_core.frozen import frozen
from masc_core.store.collections import index_value
from masc_core.store.driver import Key
from masc_plugin_cost.money import MICRO
from masc_plugin_cost.records import (
    BUCKETS,
    COSTS,
    LEVELS,
    OPEN,
    Bucket,
    CostEntry,
    bucket_key,
    current_key,
    finest_slot,
    index_of,
    place,
    place_of_slot,
    second_of,
)

__all__ = [
    "Cell",
    "Part",
    "Rolled",
    "Selection",
    "current_pages",
    "entries_of_slot",
    "keys_to_log",
    "logged_since",
    "money_since",
    "open_pages",
    "open_pages_from",
    "part_of",
    "parts_of",
]

MOST_KNOWN = 8
"""Windows of a room whose pages are known at once."""

Cell = list[Any]
"""``[model, task, slots, entries, input tokens, output tokens, micro-dollars]``; see :attr:`Bucket.cells`."""


class Part(NamedTuple):
    """Some of an agent's costs: one model, one task (empty: none)."""

    agent: str
    model: str
    task: str
    entries: int
    input_tokens: int
    output_tokens: int
    micro: int


def part_of(entry: CostEntry) -> Part:
    return Part(
        entry.agent, entry.model, entry.task_id or "", 1, entry.input_tokens, entry.output_tokens,
        round(entry.cost_usd * MICRO),
    )  # fmt: skip


class Window:
    """Since when, and the stretch and slot of each level in which that is."""

    def __init__(self, since: str, now: str) -> None:
        self.since = since
        second = second_of(since)
        self.begin = {level: place(second, level) for level in range(1, LEVELS + 1)}
        self.now = place(second_of(now), LEVELS)[0]

    def keys(self, agent: str) -> list[str]:
        """The agent's open pages that it may need, those of later than now left out."""
        start = self.begin[LEVELS][0]
        keys = [current_key(agent), *(bucket_key(LEVELS, stretch, agent) for stretch in range(start, self.now + 1))]
        return keys + [bucket_key(level, self.begin[level][0], agent) for level in range(1, LEVELS)]

    def first_slot(self, page: Bucket) -> int:
        """The first slot of a page that counts whole."""
        start, slot = self.begin[page.level or 1]
        if page.start == start:
            return slot + 1
        return 0 if page.start > start else OPEN

    def level_of(self, current: Bucket) -> int:
        """The level on which a current page counts once it is rolled up."""
        finest = index_of(current.start, 0)
        return next((n for n in range(LEVELS, 1, -1) if place_of_slot(finest, n) > self.begin[n]), 1)

    def cut(self, pages: Sequence[Bucket]) -> bool:
        """Whether one of these open pages has anything in the finest slot in which the window begins."""
        start, slot = self.begin[1]
        return any(
            slot in column[2] for page in pages if page.level <= 1 and page.start == start for column in page.totals
        )


def keys_to_log(agent: str, since: str, now: str) -> list[Key]:
    """What :func:`money_since` and, most often, :func:`add` will read of one agent."""
    return [Key(BUCKETS.name, key) for key in Window(since, now).keys(agent)]


async def money_since(ctx: Context, since: str, agent: str | None = None) -> dict[str, int]:
    """Micro-dollars logged since a moment by agent, by lower-case name: of one agent or of all."""
    window = Window(since, ctx.now)
    pages = await _open_pages(ctx, window, agent)
    spent: dict[str, int] = {}
    for page in pages:
        name = page.agent.lower()
        for column in page.totals:
            spent[name] = spent.get(name, 0) + _behind(column[6], column[2], window.first_slot(page))
    for part in await _edge(ctx, window, pages, agent):
        spent[part.agent.lower()] = spent.get(part.agent.lower(), 0) + part.micro
    return spent


def _behind(sums: Sequence[int], slots: Sequence[int], slot: int) -> int:
    """What was added in slots from ``slot`` on."""
    at = bisect_left(slots, slot)
    return sums[-1] - (sums[at - 1] if at else 0)


@frozen
class Selection:
    """What counts of the pages of a window: each with its first slot that does, and the parts of the slot that is cut."""

    pages: list[Bucket]
    slots: tuple[int, ...]
    edge: tuple[Part, ...] = ()


async def logged_since(ctx: Context, since: str | None, agent: str | None = None) -> Selection:
    """Everything logged since a moment (``None``: ever), of one agent (in lower case) or all."""
    if since is None:
        current = _of(agent, await current_pages(ctx, 0, None))
        pages = _of(agent, await ctx.collection(BUCKETS).scan("", LEVELS))
        rolled = Rolled(pages)
        pages += [page for page in current if not rolled.up(page, LEVELS)]
        return Selection(pages, (0,) * len(pages))
    window = Window(since, ctx.now)
    pages, slots = await _selected(ctx, window, agent)
    return Selection(pages, slots, tuple(await _edge(ctx, window, pages, agent)))


class _Known(dict[Any, tuple[Any, list[CostEntry], list[Bucket], tuple[int, ...]]]):
    """The pages of windows and their first slots, with the room's record (a reset changes it) and the newest entry then."""


async def _selected(ctx: Context, window: Window, agent: str | None) -> tuple[list[Bucket], tuple[int, ...]]:
    """The pages of a window and their first slots. Pages change with a new entry alone, so that for the 8 seconds in which a
    window begins in the same slot they need not be read again as long as there is none."""
    asked = (*window.begin.values(), window.now, agent)
    newest = await ctx.log(COSTS).read(limit=1, reverse=True)
    known = ctx.remember(_Known)
    if asked not in known or known[asked][:2] != (ctx.room, newest):
        pages = _of(agent, await _pages_from(ctx, window))
        known[asked] = ctx.room, newest, pages, tuple(map(window.first_slot, pages))
    _, _, pages, slots = known[asked]
    if len(known) > MOST_KNOWN:
        del known[next(iter(known))]
    return pages, slots


async def _pages_from(ctx: Context, window: Window) -> list[Bucket]:
    """The open and the full pages that a window needs: of the top level all from its begin on, what is stamped later than now
    among them, of the others those of that stretch, and current ones."""
    view = ctx.collection(BUCKETS)
    current = await current_pages(ctx, window.begin[1][0], None)
    pages = await view.scan("", LEVELS, low=index_value(window.begin[LEVELS]))
    for level in range(1, LEVELS):
        start, slot = window.begin[level]
        pages += await view.scan("", level, start, low=slot)
    return pages + _not_counted(window, current, pages)


def _not_counted(window: Window, current: Sequence[Bucket], pages: Sequence[Bucket]) -> list[Bucket]:
    """The current pages that are not among the sums of these pages, which were read after them."""
    rolled = Rolled(pages)
    return [page for page in current if not rolled.up(page, window.level_of(page))]


class Rolled:
    """Which current pages are on open pages that were read later."""

    def __init__(self, pages: Iterable[Bucket]) -> None:
        self._counts = {(p.level, p.start, p.agent.lower()): p.rolled for p in pages if p.rolled and p.last == OPEN}

    def up(self, current: Bucket, level: int) -> bool:
        """What was on a current page is on one of this level by now."""
        start, _ = place_of_slot(index_of(current.start, 0), level)
        return self._counts.get((level, start, current.agent.lower()), 0) > current.rolled


def _of(agent: str | None, pages: list[Bucket]) -> list[Bucket]:
    """Those of one agent (in lower case), or all."""
    return pages if agent is None else [page for page in pages if page.agent.lower() == agent]


async def current_pages(ctx: Context, start: int, agent: str | None) -> list[Bucket]:
    """The current page of one agent, or those of all that are of a level 1 stretch from ``start`` on."""
    view = ctx.collection(BUCKETS)
    if agent is None:
        return await view.scan("current", low=start)
    return [page for page in await view.peek([current_key(agent)]) if page is not None]


async def open_pages(ctx: Context, level: int, start: int, agent: str | None) -> list[Bucket]:
    """The open pages of a stretch, of one agent or of all."""
    view = ctx.collection(BUCKETS)
    if agent is None:
        return await view.scan("", level, start, low=OPEN)
    return [page for page in await view.peek([bucket_key(level, start, agent)]) if page is not None]


async def _open_pages(ctx: Context, window: Window, agent: str | None) -> list[Bucket]:
    """The open pages that a window needs: of the top level all from its begin on, of the others those of that stretch, and
    current ones."""
    if agent is not None:  # all in one go
        keys = window.keys(agent)
        known, *rest = await ctx.collection(BUCKETS).peek(keys)
        current = [] if known is None else [known]
        found = [page for page in rest if page is not None] + await _later_pages(ctx, window.now, agent)
    else:
        current = await current_pages(ctx, window.begin[1][0], None)
        found = await open_pages_from(ctx, window.begin[LEVELS][0], None)
        for level in range(1, LEVELS):
            found += await open_pages(ctx, level, window.begin[level][0], None)
    return found + _not_counted(window, current, found)


async def open_pages_from(ctx: Context, start: int, agent: str | None) -> list[Bucket]:
    """The open pages of the top level from a stretch on, of one agent or of all."""
    now = place(second_of(ctx.now), LEVELS)[0]
    found = [page for stretch in range(start, now + 1) for page in await open_pages(ctx, LEVELS, stretch, agent)]
    return found + await _later_pages(ctx, now, agent)


async def _later_pages(ctx: Context, now: int, agent: str | None) -> list[Bucket]:
    """The open pages of the top level that are stamped later than now: logged before somebody set the clock back."""
    later = await ctx.collection(BUCKETS).scan("", LEVELS, low=now + 1)
    return [page for page in _of(agent, later) if page.last == OPEN]


async def _edge(ctx: Context, window: Window, opened: Sequence[Bucket], agent: str | None) -> list[Part]:
    """What the finest slot in which the window begins has within it."""
    if not window.cut(opened):
        return []
    return [
        part_of(entry)
        for entry in await entries_of_slot(ctx, index_of(*window.begin[1]), agent)
        if entry.timestamp >= window.since
    ]


async def entries_of_slot(ctx: Context, slot: int, agent: str | None) -> list[CostEntry]:
    """The entries of a finest slot, counted from the epoch, of one agent or of all."""
    entries = await ctx.log(COSTS).scan("slot", finest_slot(slot))
    return [entry for entry in entries if agent in (None, entry.agent.lower())]


def parts_of(page: Bucket, slot: int, wanted: str | None) -> Iterator[Part]:
    """What a page holds in slots from ``slot`` on, for one task or (``None``) any."""
    for model, task, slots, entries, inputs, outputs, micro in page.cells:
        if wanted is not None and task != wanted:
            continue
        if slots[0] >= slot:
            yield Part(page.agent, model, task, entries[-1], inputs[-1], outputs[-1], micro[-1])
        elif slots[-1] >= slot:
            at = bisect_left(slots, slot) - 1
            yield Part(
                page.agent, model, task, entries[-1] - entries[at], inputs[-1] - inputs[at],
                outputs[-1] - outputs[at], micro[-1] - micro[at],
            )  # fmt: skip
