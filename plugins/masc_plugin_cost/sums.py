"""What was logged, added up by agent, by model and by task; followed from report to report.

Between two reports of a room most pages stay the very same objects (see :mod:`masc_core.remembered`), so a report takes out
those that have changed or left the window and adds those that came.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from masc_core import Context
from masc_core.frozen import frozen
from masc_core.remembered import Rows, share
from masc_plugin_cost.buckets import Part, Selection, parts_of
from masc_plugin_cost.money import usd
from masc_plugin_cost.records import Bucket

__all__ = ["Share", "Sums", "sums_of"]

MOST_FOLLOWED: Final = 8
"""Reports of a room, by what they are about, that are followed at once."""
MOST_SHARED: Final = 256
"""Lines of a report that are remembered as they were shown; more would push out what other calls remember."""
_TASK_KEYS = {"": "-", "-": '"-"'}
"""How a report names no task, and a task whose id is what stands for none."""


@frozen
class Share:
    """What one agent, model or task cost."""

    key: str
    entries: int
    input_tokens: int
    output_tokens: int
    cost_usd: float


class _Column:
    """Sums by one key: ``[entries, input tokens, output tokens, micro-dollars]``."""

    def __init__(self) -> None:
        self.sums: dict[str, list[int]] = {}
        self._shares: dict[str, tuple[list[int], Share]] = {}
        self._rows: list[Share] = []
        self._changed = True

    def add(self, key: str, sign: int, part: Part) -> None:
        """Add a part; take it out with ``sign`` -1."""
        self._changed = True
        found = self.sums.get(key)
        if found is None:
            found = self.sums[key] = [0, 0, 0, 0]
        found[0] += sign * part[3]
        found[1] += sign * part[4]
        found[2] += sign * part[5]
        found[3] += sign * part[6]
        if not found[0]:
            del self.sums[key]

    def shares(self) -> list[Share]:
        """The dearest first, of equal ones by key; not to be changed."""
        if self._changed:
            self._order()
        return self._rows

    def _order(self) -> None:
        few = len(self.sums) <= MOST_SHARED
        before, self._shares = self._shares, {}
        for key, sums in sorted(self.sums.items(), key=lambda item: (-item[1][3], item[0])):
            known = before.get(key)
            if known is None or known[0] != sums:
                entries, inputs, outputs, micro = sums
                made = Share(key, entries, inputs, outputs, usd(micro))
                known = sums.copy(), share(made) if few else made
            self._shares[key] = known
        rows = Rows(made for _, made in self._shares.values())
        self._rows = share(rows) if few else rows
        self._changed = False


class Sums:
    """Of one selection after the other, for one task or (``None``) any."""

    def __init__(self, task: str | None) -> None:
        self._task = task
        self._pages: dict[tuple[int, int], Bucket] = {}
        self._followed: list[Bucket] | None = None
        self._edge: tuple[Part, ...] = ()
        self._names: dict[str, str] = {}
        self.by_agent, self.by_model, self.by_task = _Column(), _Column(), _Column()

    def follow(self, selection: Selection) -> None:
        """Be the sums of this selection."""
        if selection.pages is not self._followed:
            self._follow(selection)
        self._count(-1, self._edge)
        self._edge = tuple(part for part in selection.edge if self._task in (None, part.task))
        self._count(1, self._edge)

    def _follow(self, selection: Selection) -> None:
        pages = {(id(page), slot): page for page, slot in zip(selection.pages, selection.slots, strict=True)}
        # The pages of the one before are still held here, so no other object can have the identity of one of them.
        for place in self._pages.keys() - pages.keys():
            self._count(-1, parts_of(self._pages[place], place[1], self._task))
        for place in pages.keys() - self._pages.keys():
            self._count(1, parts_of(pages[place], place[1], self._task))
        self._pages, self._followed = pages, selection.pages

    def totals(self) -> tuple[int, int, int, int]:
        """Entries, input tokens, output tokens and micro-dollars."""
        entries, inputs, outputs, micro = map(sum, zip((0, 0, 0, 0), *self.by_agent.sums.values(), strict=True))
        return entries, inputs, outputs, micro

    def _name(self, agent: str) -> str:
        """One spelling for each agent: one that was forgotten and joined again may have another than before."""
        known = self._names.get(agent.lower())
        if known is None or known not in self.by_agent.sums:
            known = self._names[agent.lower()] = agent
        return known

    def _count(self, sign: int, parts: Iterable[Part]) -> None:
        for part in parts:
            self.by_agent.add(self._name(part.agent), sign, part)
            self.by_model.add(part.model, sign, part)
            self.by_task.add(_TASK_KEYS.get(part.task, part.task), sign, part)


class _Followed(dict[Any, Sums]):
    """The sums of a room's reports, by what they are about; those asked for lately come last."""


def sums_of(ctx: Context, about: tuple[str, str | None], task: str | None, selection: Selection) -> Sums:
    """The sums of a selection for one task or any. ``about`` says what selections are like each other: period and agent."""
    followed = ctx.remember(_Followed)
    sums = followed.pop((about, task), None) or Sums(task)
    sums.follow(selection)
    followed[about, task] = sums
    if len(followed) > MOST_FOLLOWED:
        del followed[next(iter(followed))]
    return sums
