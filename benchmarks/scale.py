"""Whether calls stay flat as a room grows: in-process medians on SQLite at several sizes, as ratios to the smallest.

``python benchmarks/scale.py [--sizes 100,1000,10000,100000] [--calls 60] [--json]``. A room of size n has n tasks (a fifth
to do, the rest done), n messages, n events, and ten agents with a task each, all but one of which have read everything, and
n records of each other kind; see scale_categories.py.
The calls take turns over the rooms, so that what disturbs the machine disturbs all sizes alike. ``--busy-day`` has all
done tasks finished within the last 24 hours; otherwise they were finished a month ago.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click
from attrs import define, field
from common import json_option, percentile, show
from scale_categories import CATEGORY_STEPS, fill_categories

from masc_core.clock import plus, timestamp
from masc_core.frozen import evolve
from masc_core.identity import Client, local_client
from masc_core.kernel import Kernel
from masc_core.plugins import load
from masc_core.records import COUNTERS, EVENTS, MESSAGES, PRESENCE, TASKS, Counter, Event, Mention, Message, Task
from masc_core.rooms import Base
from masc_core.store.collections import LogView, View
from masc_core.store.transaction import Transaction, transact
from masc_core.testing.limits import lift_limits

AGENTS = 10
BEHIND = "agent-10"
"""Has read nothing, and a twentieth of the messages mentions it."""
SMALLEST = 100
CHUNK = 500
WARM_UP = 5
READ_US, WRITE_US, FLAT = 150, 400, 1.5
"""Budgets, and the ratio from which on a call does not count as flat."""


@define
class Room:
    """One size's room and what the steps of a turn hand on."""

    size: int
    kernel: Kernel
    task: str = ""
    noted: dict[str, Any] = field(factory=dict)
    clients: dict[str, Client] = field(factory=dict)
    times: dict[str, list[float]] = field(factory=dict)
    """Microseconds by call."""

    async def call(self, tool: str, agent: str = "agent-1", **arguments: Any) -> dict[str, Any]:
        """A call that must succeed."""
        if (client := self.clients.get(agent)) is None:
            client = self.clients[agent] = local_client(agent)
            client.selection = self.kernel.modes.check("full", (), "process")
        outcome = await self.kernel.call(tool, arguments, client)
        if outcome.error is not None:
            raise outcome.error
        return dict(outcome.structured)


Step = Callable[[Room], Awaitable[Any]]


async def add(room: Room) -> None:
    """Put a task on the board, which the next steps claim and finish."""
    room.task = (await room.call("masc_add_task", title="one more", priority=5))["task"]["id"]


async def claim_next(room: Room) -> None:
    """Take the most urgent task, which the next step gives back."""
    room.task = (await room.call("masc_claim_next", agent="agent-3"))["task"]["id"]


STEPS: dict[str, Step] = {
    "masc_status": lambda room: room.call("masc_status"),
    "masc_tasks": lambda room: room.call("masc_tasks", limit=20),
    "masc_tasks all": lambda room: room.call("masc_tasks", status="all", limit=20),
    "masc_tasks of one": lambda room: room.call("masc_tasks", assignee="agent-2", limit=20),
    "masc_tasks of one, all": lambda room: room.call("masc_tasks", assignee="agent-2", status="all", limit=20),
    "masc_messages": lambda room: room.call("masc_messages"),
    "masc_messages since": lambda room: room.call("masc_messages", since_seq=room.size // 2),
    "masc_messages mentions": lambda room: room.call("masc_messages", mentions_me=True),
    "masc_messages system off": lambda room: room.call("masc_messages", include_system=False),
    "masc_status, all unread": lambda room: room.call("masc_status", agent=BEHIND),
    "masc_heartbeat, all unread (w)": lambda room: room.call("masc_heartbeat", agent=BEHIND),
    "masc_who": lambda room: room.call("masc_who"),
    "masc_agents": lambda room: room.call("masc_agents"),
    "masc_archive_view": lambda room: room.call("masc_archive_view"),
    "masc_get_config": lambda room: room.call("masc_get_config"),
    "masc_add_task (w)": add,
    "masc_update_priority (w)": lambda room: room.call("masc_update_priority", task_id=room.task, priority=4),
    "masc_claim (w)": lambda room: room.call("masc_claim", task_id=room.task),
    "masc_transition start (w)": lambda room: room.call("masc_transition", task_id=room.task, action="start"),
    "masc_done (w)": lambda room: room.call("masc_done", task_id=room.task),
    "masc_claim_next (w)": claim_next,
    "masc_transition release (w)": lambda room: room.call(
        "masc_transition", agent="agent-3", task_id=room.task, action="release"
    ),
    "masc_broadcast (w)": lambda room: room.call("masc_broadcast", message="@agent-4 look"),
    "masc_lock (w)": lambda room: room.call("masc_lock", file_path="src/a.py"),
    "masc_unlock (w)": lambda room: room.call("masc_unlock", file_path="src/a.py"),
    "masc_heartbeat (w)": lambda room: room.call("masc_heartbeat"),
    **CATEGORY_STEPS,
}


async def fill(room: Room, busy_day: bool) -> None:
    """Bring the room to its size, some hundred records a unit of work."""
    now = timestamp(time.time())
    await fill_board(room, now, busy_day)
    await fill_categories(room, now)


async def fill_board(room: Room, now: str, busy_day: bool = False) -> None:
    """The tasks, messages and events."""
    for i in range(AGENTS):
        await room.call("masc_join", agent=f"agent-{i + 1}")
    then = plus(now, -3_600 if busy_day else -30 * 86_400)
    for start in range(1, room.size + 1, CHUNK):
        numbers = range(start, min(start + CHUNK, room.size + 1))

        async def some(tx: Transaction, numbers: range = numbers) -> None:
            counters, tasks = View(COUNTERS, tx), View(TASKS, tx)
            messages, events = LogView(MESSAGES, tx), LogView(EVENTS, tx)
            await counters.find("task")
            counters.put(Counter("task", numbers[-1]))
            for n in numbers:
                await tasks.add(task(n, now, then))
                events.append(Event("task_added", then, "agent-1", {"priority": 3}, f"task-{n:03d}"))
                messages.append(message(n, then))

        await transact(room.kernel.start_room.driver, some)

    async def read_all(tx: Transaction) -> None:
        presence, (_, last) = View(PRESENCE, tx), await LogView(MESSAGES, tx).ends()
        for i in range(AGENTS - 1):
            if (found := await presence.find(f"agent-{i + 1}")) is not None:
                presence.put(evolve(found, read_seq=last))

    await transact(room.kernel.start_room.driver, read_all)
    for i in range(AGENTS):
        await room.call("masc_claim_next", agent=f"agent-{i + 1}")


def task(n: int, now: str, then: str) -> Task:
    """Every fifth is to do."""
    todo = n % 5 == 0
    made = Task(f"task-{n:03d}", f"piece {n}", "what there is to do", 1 + n % 5, "todo", "agent-1", then, then)
    if todo:
        return made
    who = f"agent-{1 + n % AGENTS}"
    return Task(
        made.id, made.title, made.description, made.priority, "done", "agent-1", then, then,
        assignee=who, claimed_at=then, started_at=then, completed_at=then,
    )  # fmt: skip


def message(n: int, then: str) -> Message:
    """Every twentieth mentions agent-1 and who is behind; every second is the system's."""
    mentions = [Mention(name, "agent", [name]) for name in ("agent-1", BEHIND)] if n % 20 == 0 else []
    if n % 2:
        return Message("system", "system", f"task-{n:03d} added by agent-1 p3: piece {n}", then)
    return Message(f"agent-{1 + n % AGENTS}", "broadcast", f"message {n}", then, mentions)


async def measure(scratch: Path, sizes: list[int], calls: int, busy_day: bool) -> list[dict[str, Any]]:
    """A row for each call."""
    async with contextlib.AsyncExitStack() as stack:
        rooms = []
        for size in sizes:
            project = scratch / str(size)
            project.mkdir()
            lift_limits(project)
            room = Room(size, await stack.enter_async_context(Kernel(Base(project, True), load())))
            await fill(room, busy_day)
            rooms.append(room)
        for i in range(calls + WARM_UP):
            for name, step in STEPS.items():
                for room in rooms:
                    begun = time.perf_counter()
                    await step(room)
                    if i >= WARM_UP:
                        room.times.setdefault(name, []).append((time.perf_counter() - begun) * 1e6)
    return [row(name, rooms) for name in STEPS]


def row(name: str, rooms: list[Room]) -> dict[str, Any]:
    """Medians by size, and whether the largest is like the smallest and within the budget."""
    medians = [percentile(room.times[name], 50) for room in rooms]
    found: dict[str, Any] = {"call": name}
    found |= {f"{room.size}_us": round(median) for room, median in zip(rooms, medians, strict=True)}
    found |= {
        f"x{room.size}": round(median / medians[0], 2) for room, median in list(zip(rooms, medians, strict=True))[1:]
    }
    found["flat"] = "yes" if max(medians) < FLAT * medians[0] else "NO"
    found["budget"] = "kept" if max(medians) <= (WRITE_US if name.endswith("(w)") else READ_US) else "over"
    return found


@click.command(help=__doc__)
@click.option("--sizes", default="100,1000,10000,100000", show_default=True, help="Records of each kind, a room each.")
@click.option(
    "--calls", default=60, show_default=True, type=click.IntRange(1, 10_000), help="Measured calls of each kind."
)
@click.option("--busy-day", is_flag=True, help="All done tasks were finished within the last 24 hours.")
@json_option
def main(sizes: str, calls: int, busy_day: bool, as_json: bool) -> None:
    """Measure and print."""
    wanted = [int(size) for size in sizes.split(",")]
    if min(wanted) < SMALLEST:
        raise click.BadParameter(f"a room needs {SMALLEST} tasks, so that there is one to claim", param_hint="--sizes")
    with tempfile.TemporaryDirectory() as scratch:
        rows = asyncio.run(measure(Path(scratch), wanted, calls, busy_day))
    show(rows, as_json)
    if not as_json:
        click.echo(
            f"budget: reads {READ_US} us, durable writes (w) {WRITE_US} us; flat: under {FLAT} times the smallest"
        )


if __name__ == "__main__":
    main()
