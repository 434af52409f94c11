"""What is kept: the entries as a log, sums of them in buckets of time, the limits that a person set.

Buckets make reports fast: a window of time is a handful of buckets, however many entries it has. Every agent has buckets
of its own, so that agents who log at the same moment do not wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from attrs import field

from masc_core.clock import parse_time
from masc_core.convert import PlainData
from masc_core.frozen import frozen
from masc_core.store.collections import Collection, Log, index, index_value
from masc_core.store.driver import IndexEntry
from masc_core.store.transaction import LogPosition

__all__ = [
    "BUCKETS",
    "COSTS",
    "CURRENT",
    "LEVELS",
    "LIMITS",
    "LIMITS_ID",
    "OPEN",
    "Bucket",
    "CostEntry",
    "CostFacts",
    "LoggedEntry",
    "StoredLimits",
    "bucket_key",
    "current_key",
    "finest_slot",
    "index_of",
    "place",
    "place_of",
    "place_of_slot",
    "second_of",
]

CURRENT = 0
LEVELS = 3
_BITS = 6
_FINEST_BITS = 3
OPEN = 1 << _BITS
"""Slots of a bucket, and what stands for the last slot of a page that is still written to: it sorts behind all of them."""


@frozen
class CostFacts:
    """What one piece of work cost."""

    agent: str
    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: float
    """Rounded to 6 decimals, which a float holds exactly up to the 1,000,000 dollars of an entry."""
    priced: bool
    """The cost was computed from the price table."""
    timestamp: str
    task_id: str | None = None


@frozen
class CostEntry(CostFacts):
    """One entry of the log."""

    seq: int = 0


@frozen(kw_only=True)
class LoggedEntry(CostFacts):
    """An entry in the unit of work that stores it."""

    seq: LogPosition


@frozen
class Bucket:
    """One agent's costs in a stretch of time; what does not fit one document goes to pages of their own.

    Level 1 stretches have 64 slots of 8 s; the slots of a higher level are the stretches of the one below: 9 minutes, 9 h.
    The level :data:`CURRENT` is one document for each agent, with the slots of level 1: what it logged last and is on no
    other level yet.
    """

    agent: str
    level: int
    start: int
    """Number of the stretch since the epoch."""
    last: int = OPEN
    """The last slot of a full page, or :data:`OPEN`."""
    page: int = 0
    """Number of a full page, from 1; on the open page, how many full ones there are."""
    cells: PlainData = field(factory=list)
    """``[model, task, slots, entries, input tokens, output tokens, micro-dollars]``, one for each model and task (empty:
    none): the slots in which something was logged, in order, and for each of them what there was until its end on this
    page."""
    totals: PlainData = field(factory=list)
    """On the open page: all of the stretch as one cell without model and task, once there is anything."""
    rolled: int = 0
    """How many of the agent's current pages had been rolled up when this page was written."""
    version: int = 0


@frozen
class StoredLimits:
    """Limits that a person set; they go before config.toml. Absent: config.toml holds."""

    agent_day: int | None = None
    """Micro-dollars; 0 means no limit."""
    room_day: int | None = None
    """Micro-dollars; 0 means no limit."""
    hard: bool | None = None
    version: int = 0


# One call asks for the same few moments and keys several times over.
@lru_cache(maxsize=64)
def second_of(timestamp: str) -> int:
    """The whole second since the epoch of a stored time."""
    return int(parse_time(timestamp))


def place(second: int, level: int) -> tuple[int, int]:
    """Stretch and slot of a second on a level, from 1."""
    return place_of_slot(second >> _FINEST_BITS, level)


def place_of_slot(number: int, level: int) -> tuple[int, int]:
    """Stretch and slot on a level, from 1, of a level 1 slot, counted from the epoch."""
    slot = number >> _BITS * (level - 1)
    return slot >> _BITS, slot & (OPEN - 1)


def place_of(timestamp: str) -> tuple[int, int]:
    """Level 1 stretch and slot of a stored time."""
    return place(second_of(timestamp), 1)


def index_of(stretch: int, slot: int) -> int:
    """A slot counted from the epoch: the number of its stretch on the level below."""
    return stretch << _BITS | slot


def finest_slot(number: int) -> str:
    """What the entries of a level 1 slot, counted from the epoch, are found by."""
    return str(number)


@lru_cache(maxsize=512)
def bucket_key(level: int, start: int, agent: str, last: int = OPEN, page: int = 0) -> str:
    """What a bucket is stored under. Time comes first: a report reads the buckets of all agents in one range."""
    return index_value((level, start, last, agent.lower(), page))


def current_key(agent: str) -> str:
    """What an agent's newest costs are stored under, of whatever stretch they are."""
    return bucket_key(CURRENT, 0, agent)


def _key(bucket: Bucket) -> str:
    if bucket.level == CURRENT:
        return current_key(bucket.agent)
    page = 0 if bucket.last == OPEN else bucket.page
    return bucket_key(bucket.level, bucket.start, bucket.agent, bucket.last, page)


def _bucket_indexes(bucket: Bucket) -> Iterator[IndexEntry]:
    if bucket.level == CURRENT:
        yield index("current", bucket.start)


def _entry_indexes(entry: CostEntry) -> Iterator[IndexEntry]:
    yield index("slot", finest_slot(index_of(*place_of(entry.timestamp))))


LIMITS_ID = "limits"
COSTS = Log("costs", CostEntry, _entry_indexes)
BUCKETS = Collection("cost_buckets", Bucket, _key, _bucket_indexes)
LIMITS = Collection("cost_limits", StoredLimits, lambda _: LIMITS_ID, survives_reset=True)
