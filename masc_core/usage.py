"""Which categories are used, by whom: the ground for advice on modes.

Calls are counted in memory and added to the room's records once a minute and when a server stops, so counting costs a call
nothing that could be measured. What a crash loses is a minute's counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

from attrs import define, field

from masc_core.clock import timestamp
from masc_core.frozen import evolve
from masc_core.records import AGENTS, USES, Use
from masc_core.store.collections import View
from masc_core.store.transaction import Transaction, transact

if TYPE_CHECKING:
    from masc_core.call import Call, Outcome
    from masc_core.rooms import OpenRoom

__all__ = ["DAYS", "ROOM", "flush", "note", "used"]

DAYS = 30
"""How long a call counts."""
ROOM = "room"
_MOST = 512
"""Agents counted one by one between two writings; names can be made up."""


@define
class Counts:
    """Calls of this process that are not yet in the room's records, by agent in lower case and by category."""

    agents: dict[str, Counter[str]] = field(factory=dict)
    room: Counter[str] = field(factory=Counter)


def note(call: Call, outcome: Outcome) -> None:
    """Count a call that a client's model made and that was not refused."""
    if call.ctx is None or call.ctx.room is None or outcome.error is not None or call.client.transport == "local":
        return
    counts, category = call.ctx.remember(Counts), call.tool.category
    counts.room[category] += 1
    name = call.ctx.caller.name.lower()
    if (own := counts.agents.get(name)) is None and len(counts.agents) < _MOST:
        own = counts.agents[name] = Counter()
    if own is not None:
        own[category] += 1


async def flush(room: OpenRoom) -> None:
    """Add what was counted to the room's records; on failure it is kept for the next time."""
    counts = room.remember(Counts)
    taken, counts.room, counts.agents = Counts(counts.agents, counts.room), Counter(), {}
    if not taken.room:
        return
    try:
        await transact(room.driver, lambda tx: _add(tx, taken, timestamp(room.driver.clock.now())[:10]))
    except BaseException:
        counts.room.update(taken.room)
        for name, own in taken.agents.items():
            counts.agents.setdefault(name, Counter()).update(own)
        raise


async def _add(tx: Transaction, taken: Counts, today: str) -> None:
    uses, names = View(USES, tx), sorted(taken.agents)
    known = await View(AGENTS, tx).peek(names)
    added = {ROOM: taken.room} | {
        _id(name): taken.agents[name] for name, agent in zip(names, known, strict=True) if agent is not None
    }
    oldest = _oldest(today)
    for id, counted in added.items():
        use = await uses.find(id) or Use(id)
        days = {day: calls for day, calls in use.days.items() if day > oldest}
        days[today] = dict(Counter(days.get(today, {})) + counted)
        uses.put(evolve(use, days=days))


async def used(room: OpenRoom, tx: Transaction, agent: str | None = None) -> Mapping[str, int]:
    """Calls of the last 30 days by category: the room's, or one agent's."""
    today = timestamp(room.clock.now())[:10]
    (kept,) = await View(USES, tx).peek([ROOM if agent is None else _id(agent.lower())])
    waiting = room.remember(Counts)
    total = Counter(waiting.room if agent is None else waiting.agents.get(agent.lower(), ()))
    for day, calls in kept.days.items() if kept is not None else ():
        if day > _oldest(today):
            total.update(calls)
    return total


def _id(name: str) -> str:
    return f"agent:{name}"


def _oldest(today: str) -> str:
    """The last day that no longer counts."""
    return (date.fromisoformat(today) - timedelta(days=DAYS)).isoformat()
