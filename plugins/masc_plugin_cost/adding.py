"""Adding an entry to the sums.

It is added to one page, that of its agent's newest costs. When that is full or of another stretch of time, it is rolled up:
what is on it goes to the pages of every level, as in a log-structured merge-tree.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from masc_core import Context
from masc_core.frozen import evolve
from masc_core.store.collections import View
from masc_plugin_cost.buckets import Cell, Part, part_of
from masc_plugin_cost.records import (
    BUCKETS,
    CURRENT,
    LEVELS,
    Bucket,
    CostEntry,
    bucket_key,
    current_key,
    index_of,
    place_of,
    place_of_slot,
)

__all__ = ["add"]

MOST_SLOTS = 40
"""Of the cells of one page: small enough that a page which no longer changes is remembered decoded."""


async def add(ctx: Context, entry: CostEntry) -> None:
    """Add an entry to the sums."""
    start, slot = place_of(entry.timestamp)
    view = ctx.collection(BUCKETS)
    (known,) = await view.peek([current_key(entry.agent)])
    page = known or Bucket(entry.agent, CURRENT, start)
    part = part_of(entry)
    whole = Part(part.agent, "", "", *part[3:])
    cells, totals = _with(page.cells, slot, part), _with(page.totals, slot, whole)
    if page.start != start or _too_many(cells):
        page = evolve(page, rolled=page.rolled + 1)
        await _roll_up(view, page)
        cells, totals = _with([], slot, part), _with([], slot, whole)
    view.put(evolve(page, start=start, cells=cells, totals=totals))


def _too_many(cells: Sequence[Cell]) -> bool:
    """For one page."""
    return sum([len(cell[2]) for cell in cells]) > MOST_SLOTS


async def _roll_up(view: View[Bucket], current: Bucket) -> None:
    """Add what is on an agent's current page to its pages of every level."""
    parts = list(_parts(current, current.cells))
    totals = list(_parts(current, current.totals))
    finest = index_of(current.start, 0)
    places = {level: place_of_slot(finest, level) for level in range(1, LEVELS + 1)}
    found = await view.peek([bucket_key(level, start, current.agent) for level, (start, _) in places.items()])
    for (level, (start, whole)), known in zip(places.items(), found, strict=True):
        page = known or Bucket(current.agent, level, start)
        for slot, part in parts:
            at = slot if level == 1 else whole
            cells = _with(page.cells, at, part)
            if _too_many(cells):
                await _seal(view, page)
                page, cells = evolve(page, page=page.page + 1), _with([], at, part)
            page = evolve(page, cells=cells)
        summed = page.totals
        for slot, part in totals:
            summed = _with(summed, slot if level == 1 else whole, part)
        view.put(evolve(page, totals=summed, rolled=current.rolled))


def _parts(page: Bucket, cells: Sequence[Cell]) -> Iterator[tuple[int, Part]]:
    """What some cells of a page have in each of their slots."""
    for model, task, slots, *columns in cells:
        before = [0] * len(columns)
        for slot, *until in zip(slots, *columns, strict=True):
            yield slot, Part(page.agent, model, task, *(u - b for u, b in zip(until, before, strict=True)))
            before = until


def _with(cells: list[Cell], slot: int, part: Part) -> list[Cell]:
    """The cells of a page with one part more."""
    for i, cell in enumerate(cells):
        if cell[0] == part.model and cell[1] == part.task:
            return [*cells[:i], _added(cell, slot, part), *cells[i + 1 :]]
    return [*cells, [part.model, part.task, [slot], *([figure] for figure in part[3:])]]


def _added(cell: Cell, slot: int, part: Part) -> Cell:
    """The cell with a part added in one slot, and so to all that follow (there are some after a clock was set back)."""
    model, task, slots, entries, inputs, outputs, micro = cell
    last = slots[-1]
    if slot < last:
        return _added_before(cell, slot, part)
    if slot == last:
        return [
            model, task, slots,
            [*entries[:-1], entries[-1] + part.entries],
            [*inputs[:-1], inputs[-1] + part.input_tokens],
            [*outputs[:-1], outputs[-1] + part.output_tokens],
            [*micro[:-1], micro[-1] + part.micro],
        ]  # fmt: skip
    return [
        model, task, [*slots, slot],
        [*entries, entries[-1] + part.entries],
        [*inputs, inputs[-1] + part.input_tokens],
        [*outputs, outputs[-1] + part.output_tokens],
        [*micro, micro[-1] + part.micro],
    ]  # fmt: skip


def _added_before(cell: Cell, slot: int, part: Part) -> Cell:
    """As :func:`_added`, where there is a later slot."""
    model, task, slots, *columns = cell
    at = bisect_left(slots, slot)
    if slots[at] != slot:
        slots = [*slots[:at], slot, *slots[at:]]
        columns = [[*column[:at], column[at - 1] if at else 0, *column[at:]] for column in columns]
    sums = [
        [*column[:at], *(before + figure for before in column[at:])]
        for column, figure in zip(columns, part[3:], strict=True)
    ]
    return [model, task, slots, *sums]


async def _seal(view: View[Bucket], bucket: Bucket) -> None:
    """Keep a full open page as a page of its own, found by its last slot."""
    last = max(cell[2][-1] for cell in bucket.cells)
    await view.add(evolve(bucket, last=last, page=bucket.page + 1, totals=[], version=0))
