"""What scale.py measures of portals, votes, interrupts, capabilities and costs, and the records it measures them on.

A room of size n has n portal tasks between two agents, n votes, n checkpoints and n cost entries of ten agents, five models
and a hundred tasks over a month; all but a few of them are over. A hundred of the entries are of the last day, so that reports
of it are equally long.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

from masc_core.clock import plus
from masc_core.context import Context
from masc_core.identity import Client
from masc_core.kernel import Kernel
from masc_core.records import COUNTERS, Counter
from masc_core.store.collections import Collection, LogView, View
from masc_core.store.transaction import Transaction, transact
from masc_plugin_cost.adding import add
from masc_plugin_cost.records import COSTS, CostEntry
from masc_plugin_interrupt.records import CHECKPOINTS, Checkpoint
from masc_plugin_portal.records import PORTAL_TASKS, PORTALS, PortalTask, portal_key
from masc_plugin_voting.records import VOTES, Vote

__all__ = ["AGENTS", "CATEGORY_STEPS", "MONTH", "Measured", "fill_categories"]

AGENTS, MODELS, TASKS = 10, 5, 100
DAY = 86_400
MONTH = 30 * DAY
OF_LAST_DAY = 100
CHUNK = 500
OPEN_EVERY = 50
"""One vote in so many is pending, up to :data:`MOST_OPEN`."""
MOST_OPEN = 20


class Measured(Protocol):
    """One size's room; see scale.py."""

    size: int
    kernel: Kernel
    noted: dict[str, Any]
    """What steps hand on to later ones."""

    async def call(self, tool: str, agent: str = "agent-1", **arguments: Any) -> dict[str, Any]:
        """A call that must succeed."""


Step = Callable[[Any], Awaitable[Any]]


async def send(room: Measured) -> None:
    """A request, which the next steps see and answer."""
    room.noted["portal_task"] = (await room.call("masc_portal_send", to="agent-2", message="please"))["portal_task"][
        "id"
    ]


async def answer(room: Measured) -> None:
    """The answer to it."""
    await room.call(
        "masc_portal_send", "agent-2", reply_to=room.noted["portal_task"], result_status="completed", message="done"
    )


async def propose(room: Measured) -> None:
    """A vote that ends with the second of the next ballots."""
    created = await room.call("masc_vote_create", topic="Which?", options=["A", "B"], deadline_seconds=600)
    room.noted["vote"] = created["vote"]["id"]


async def register(room: Measured) -> None:
    """A list that differs from the one before."""
    room.noted["turn"] = room.noted.get("turn", 0) + 1
    await room.call(
        "masc_register_capabilities", agent="agent-6", capabilities=["python", f"skill {room.noted['turn']}"]
    )


async def ask(room: Measured) -> None:
    """A question that the next step decides."""
    room.noted["step"] = room.noted.get("step", 0) + 1
    await elsewhere(room, "masc_interrupt", "agent-7", step=room.noted["step"], action="deploy", message="Sure?")


async def elsewhere(room: Measured, tool: str, agent: str, **arguments: Any) -> None:
    """A call by a client of its own: nobody decides what its own client asked."""
    if (client := room.noted.get(f"client of {agent}")) is None:
        selection = room.kernel.modes.check("full", (), "process")
        client = room.noted[f"client of {agent}"] = Client("http", agent, agent, (f"agent:{agent}",), selection)
    outcome = await room.kernel.call(tool, {"task_id": "asked", **arguments}, client)
    if outcome.error is not None:
        raise outcome.error


CATEGORY_STEPS: dict[str, Step] = {
    "masc_portal_open (w)": lambda room: room.call("masc_portal_open", "agent-4", target_agent="agent-5"),
    "masc_portal_close (w)": lambda room: room.call("masc_portal_close", "agent-4", to="agent-5"),
    "masc_portal_send (w)": send,
    "masc_portal_status peek": lambda room: room.call("masc_portal_status", "agent-2", peek=True),
    "masc_portal_status, new (w)": lambda room: room.call("masc_portal_status", "agent-2"),
    "masc_portal_send result (w)": answer,
    "masc_portal_status, result (w)": lambda room: room.call("masc_portal_status"),
    "masc_vote_create (w)": propose,
    "masc_vote_cast (w)": lambda room: room.call("masc_vote_cast", vote_id=room.noted["vote"], choice="a"),
    "masc_vote_cast, last (w)": lambda room: room.call(
        "masc_vote_cast", "agent-2", vote_id=room.noted["vote"], choice="A"
    ),
    "masc_vote_status": lambda room: room.call("masc_vote_status", vote_id=room.noted["vote"]),
    "masc_votes": lambda room: room.call("masc_votes"),
    "masc_register_capabilities (w)": register,
    "masc_find_by_capability": lambda room: room.call("masc_find_by_capability", capability="python"),
    "masc_interrupt (w)": ask,
    "masc_pending_interrupts": lambda room: room.call("masc_pending_interrupts"),
    "masc_approve (w)": lambda room: elsewhere(room, "masc_approve", "agent-8"),
    "masc_interrupt, decided (w)": lambda room: elsewhere(
        room, "masc_interrupt", "agent-7", step=room.noted["step"], action="deploy", message="Sure?"
    ),
    "masc_branch (w)": lambda room: elsewhere(
        room, "masc_branch", "agent-7", source_step=room.noted["step"], branch_name=f"way {room.noted['step']}"
    ),
    "masc_interrupt, again (w)": ask,
    "masc_reject (w)": lambda room: elsewhere(room, "masc_reject", "agent-8", reason="not now"),
    "masc_cost_log (w)": lambda room: room.call(
        "masc_cost_log", cost_usd=0.01, model="model-1", task_id="task-001", input_tokens=10
    ),
    "masc_cost_report": lambda room: room.call("masc_cost_report"),
    "masc_cost_report hourly": lambda room: room.call("masc_cost_report", period="hourly"),
    "masc_cost_report of one task": lambda room: room.call("masc_cost_report", task_id="task-007"),
}


async def fill_categories(room: Measured, now: str) -> None:
    """Bring the categories' records to the room's size, some hundred a unit of work."""
    await room.call("masc_portal_open", target_agent="agent-2")
    for i in range(AGENTS):
        await room.call("masc_register_capabilities", f"agent-{i + 1}", capabilities=["python"])
    for start in range(1, room.size + 1, CHUNK):
        numbers = range(start, min(start + CHUNK, room.size + 1))

        async def some(tx: Transaction, numbers: range = numbers) -> None:
            await _number(tx, numbers[-1])
            for n in numbers:
                then = plus(now, (n / room.size - 1) * MONTH)
                await View(PORTAL_TASKS, tx).add(_portal_task(n, then))
                await View(VOTES, tx).add(_vote(n, then))
                await View(CHECKPOINTS, tx).add(_checkpoint(n, then))

        await transact(room.kernel.start_room.driver, some)
        await transact(room.kernel.start_room.driver, lambda tx, numbers=numbers: _costs(tx, numbers, room.size, now))
    await transact(room.kernel.start_room.driver, lambda tx: _count_portal_tasks(tx, room.size))


async def _number(tx: Transaction, last: int) -> None:
    counters = View(COUNTERS, tx)
    for name in ("a2a", "vote", "checkpoint"):
        await counters.find(name)
        counters.put(Counter(name, last))


async def _count_portal_tasks(tx: Transaction, size: int) -> None:
    portals = View(PORTALS, tx)
    portal = await portals.find(portal_key("agent-1", "agent-2"))
    assert portal is not None
    portals.put(type(portal)(**{**vars(portal), "task_count": size}))


def _portal_task(n: int, then: str) -> PortalTask:
    sender, receiver = ("agent-1", "agent-2")[:: 1 if n % 2 else -1]
    return PortalTask(
        f"a2a-{n:06d}", sender, receiver, f"please do {n}", "completed", then, then,
        result="done", seen_at=then, result_seen_at=then,
    )  # fmt: skip


def _vote(n: int, then: str) -> Vote:
    vote = Vote(f"vote-{n:03d}", "agent-3", f"question {n}", ["A", "B"], 2, then)
    if n % OPEN_EVERY == 0 and n <= OPEN_EVERY * MOST_OPEN:
        return vote
    ballots = {"agent-1": "A", "agent-2": "A"}
    return Vote(
        vote.id, vote.proposer, vote.topic, vote.options, 2, then, "approved", ballots, winner="A", resolved_at=then
    )


def _checkpoint(n: int, then: str) -> Checkpoint:
    return Checkpoint(
        f"cp-old-{n}-{n}", "old", n, "deploy", "agent-9", "completed", then,
        interrupt_message="Sure?", resolved_at=then, resolved_by="agent-8", delivered_at=then,
    )  # fmt: skip


class _Desk:
    """As much of a context as the sums of costs need."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def collection(self, declared: Collection[Any]) -> View[Any]:
        """The documents of a declared collection."""
        return View(declared, self._tx)


async def _costs(tx: Transaction, numbers: range, size: int, now: str) -> None:
    for n in numbers:
        entry = CostEntry(
            f"agent-{1 + n % AGENTS}", f"model-{1 + n // AGENTS % MODELS}", 1000, 100, 0.01, False,
            plus(now, -_age(size - n, size)), f"task-{n // 7 % TASKS:03d}",
        )  # fmt: skip
        await add(cast(Context, _Desk(tx)), entry)
        LogView(COSTS, tx).append(entry)


def _age(place: int, size: int) -> float:
    """Seconds since an entry was logged, by its place among them, the newest being 1."""
    if place <= OF_LAST_DAY:
        return place / OF_LAST_DAY * DAY
    return DAY + (place - OF_LAST_DAY) / (size - OF_LAST_DAY) * (MONTH - DAY)
