"""The board: tasks, who has them, what they wait for."""

from __future__ import annotations

from collections import Counter
from typing import Any

from attrs import define
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from machine_support import AGENTS, Result, RoomMachine, code

__all__ = ["BoardMachine"]

MOST = 12
DAY = 86_400
UNKNOWN = 20
PLACES = st.integers(0, UNKNOWN)
"""Which of the tasks a rule is about, going round; the last is a task that does not exist."""
TITLES = st.sampled_from(["alpha", "beta", "gamma"])
ACTIONS = st.sampled_from(["claim", "start", "done", "cancel", "release"])
FINISHED = {"done", "cancelled"}
AFTER = {"claim": "claimed", "start": "in_progress", "done": "done", "cancel": "cancelled", "release": "todo"}


@define
class Task:
    """A task as it should be."""

    id: str
    title: str
    priority: int
    created_at: float
    depends_on: list[str]
    capabilities: list[str]
    reserved_for: str | None
    status: str = "todo"
    assignee: str | None = None
    claimed_at: float = 0.0
    cancelled_by: str | None = None
    ended_at: float = 0.0
    archived: bool = False
    version: int = 1

    @property
    def held(self) -> bool:
        return self.status in {"claimed", "in_progress"}


class BoardMachine(RoomMachine):
    """Adds, claims, starts, ends, gives back and prioritises tasks."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[str, Task] = {}
        self.currents: dict[str, set[str | None]] = {}
        self.collects = True

    @initialize()
    def open_room(self) -> None:
        super().open_room()
        self.add("ann", "alpha", 3, [], None, [])
        self.add("ann", "beta", 2, [0], None, [])
        self.add("bob", "gamma", 3, [], "bob", [])

    # --- what others ask of the board

    def held_by(self, agent: str) -> list[Task]:
        return [t for t in self.tasks.values() if t.held and (t.assignee or "").lower() == agent.lower()]

    def holds(self, agent: str) -> bool:
        return bool(self.held_by(agent))

    def current(self, agent: str) -> set[str | None]:
        return self.currents.get(agent.lower(), {None})

    def _claimed_last(self, agent: str) -> set[str | None]:
        held = self.held_by(agent)
        newest = max((t.claimed_at for t in held), default=0.0)
        return {t.id for t in held if t.claimed_at == newest} or {None}

    def entered(self, agent: str) -> None:
        super().entered(agent)
        self.currents[agent.lower()] = self._claimed_last(agent)

    def released(self, agent: str, keep: bool, reason: str) -> dict[str, set[str]]:
        gone = super().released(agent, keep, reason)
        for task in self.tasks.values():
            if task.status == "todo" and (task.reserved_for or "").lower() == agent.lower():
                task.reserved_for = None
                task.version += 1
        held = self.held_by(agent)
        if keep:
            return gone | {"tasks_kept": {t.id for t in held}}
        locks = set(gone.get("locks_released", set()))
        for task in held:
            task.status, task.assignee, task.version = "todo", None, task.version + 1
            locks |= self.task_ended(task.id)
        self.currents[agent.lower()] = {None}
        return gone | {"tasks_released": {t.id for t in held}, "locks_released": locks}

    def task_ended(self, task_id: str) -> set[str]:
        """The locks that go with a task."""
        return set()

    # --- rules

    @rule(
        agent=AGENTS,
        title=TITLES,
        priority=st.integers(1, 5),
        depends_on=st.lists(PLACES, max_size=2, unique=True),
        assignee=st.none() | st.none() | AGENTS,
        capabilities=st.sampled_from([[], [], ["python"]]),
    )
    def add(
        self,
        agent: str,
        title: str,
        priority: int,
        depends_on: list[int],
        assignee: str | None,
        capabilities: list[str],
    ) -> None:
        if len(self.tasks) == MOST:
            return
        wanted = [*dict.fromkeys(self._id(place) for place in depends_on)]
        added = self.ask(
            "masc_add_task",
            agent,
            title=title,
            priority=priority,
            depends_on=wanted,
            assignee=assignee,
            capabilities=capabilities,
        )
        if any(task_id not in self.tasks for task_id in wanted):
            assert code(added) == "task_not_found"
            return
        known = assignee is None or assignee.lower() in self.members or assignee == agent
        if not known:
            assert code(added) == "agent_not_found"
            return
        self.seen(agent)
        task = self._added(title, priority, wanted, capabilities, assignee)
        assert added["task"]["id"] == task.id

    def _added(
        self, title: str, priority: int, wanted: list[str], capabilities: list[str], assignee: str | None
    ) -> Task:
        task = Task(f"task-{len(self.tasks) + 1:03d}", title, priority, self.now, wanted, capabilities, assignee)
        self.tasks[task.id] = task
        return task

    @rule(agent=AGENTS, title=TITLES)
    def start(self, agent: str, title: str) -> None:
        if len(self.tasks) == MOST:
            return
        was_here = self.here(agent)
        started = self.ask("masc_start", agent, task_title=title)
        assert (started["agent"]["agent"], started["agent"]["rejoined"]) == (agent, was_here)
        if was_here:
            member = self.members[agent.lower()]
            member.last_seen, member.alive_until = self.now, 0.0
        else:
            self.entered(agent)
        held = {t.id for t in self.held_by(agent) if t.title == title}
        if held:
            assert started["task"]["id"] in held
            return
        task = self._added(title, 3, [], [], None)
        self._apply(agent, task, "claim")
        task.version = 1  # added and claimed in one change
        assert (started["task"]["id"], started["task"]["status"]) == (task.id, "claimed")

    @rule(days=st.integers(1, 2), dry_run=st.booleans())
    def collect(self, days: int, dry_run: bool) -> None:
        if not self.collects:
            return
        before = self.now - days * DAY
        silent = sorted(m.name for m in self.members.values() if self.zombie(m))
        done = self.ask("masc_gc", days=days, dry_run=dry_run)
        assert sorted(done["zombies"]) == silent
        if not dry_run:
            for name in silent:
                self.released(name, False, "zombie")
        old = [t for t in self.tasks.values() if t.status in FINISHED and not t.archived and t.ended_at < before]
        gone = [m for m in self.members.values() if m.left and m.left_at < before and not self.holds(m.name)]
        assert (set(done["tasks"]), done["archived"].get("agent", 0)) == ({t.id for t in old}, len(gone))
        if dry_run:
            return
        for task in old:
            task.archived = True
        for member in gone:
            del self.members[member.name.lower()]
            self.currents.pop(member.name.lower(), None)

    @rule(agent=st.none() | AGENTS, place=PLACES, action=ACTIONS, version=st.none() | st.none() | st.integers(1, 4))
    def transition(self, agent: str | None, place: int, action: str, version: int | None) -> None:
        task_id = self._id(place)
        agent = agent or self._holder(task_id)
        result = self.ask("masc_transition", agent, task_id=task_id, action=action, expected_version=version)
        self._moved(agent, task_id, action, version, result, joins=True)

    @rule(agent=AGENTS, place=PLACES, version=st.none() | st.none() | st.integers(1, 4))
    def claim(self, agent: str, place: int, version: int | None) -> None:
        task_id = self._id(place)
        result = self.ask("masc_claim", agent, task_id=task_id, expected_version=version)
        self._moved(agent, task_id, "claim", version, result, joins=True)

    @rule(agent=st.none() | AGENTS, place=PLACES)
    def done(self, agent: str | None, place: int) -> None:
        task_id = self._id(place)
        agent = agent or self._holder(task_id)
        result = self.ask("masc_done", agent, task_id=task_id)
        self._moved(agent, task_id, "done", None, result, joins=False)
        if code(result) is None:
            waiting = [t for t in self.tasks.values() if t.status == "todo" and task_id in t.depends_on]
            free = sorted(t.id for t in waiting if not self._unfinished(t))
            assert result["unblocked"] == (free if result["changed"] else [])

    @rule(agent=AGENTS, place=PLACES, action=st.sampled_from(["done", "cancel"]))
    def end_and_go_on(self, agent: str, place: int, action: str) -> None:
        ended = self._id(place)
        self.transition(None, place, action, None)
        for number, task in enumerate(self.tasks.values()):
            if ended in task.depends_on:
                self.claim(agent, number, None)
                return

    @rule(agent=AGENTS, capability=st.none() | st.none() | st.just("python"), excluded=st.lists(PLACES, max_size=2))
    def claim_next(self, agent: str, capability: str | None, excluded: list[int]) -> None:
        exclude = [self._id(place) for place in excluded]
        result = self.ask("masc_claim_next", agent, capability=capability, exclude_task_ids=exclude)
        self.seen(agent)
        skipped = dict.fromkeys(("blocked", "reserved", "capability", "excluded"), 0)
        chosen = None
        for task in sorted((t for t in self.tasks.values() if t.status == "todo"), key=self._urgency):
            if (why := self._unfit(agent, task, capability, exclude)) is None:
                chosen = task
                break
            skipped[why] += 1
        assert result["skipped"] == skipped
        assert result.get("task", {}).get("id") == (chosen.id if chosen else None)
        if chosen is not None:
            self._apply(agent, chosen, "claim")

    @rule(agent=AGENTS, place=PLACES, priority=st.integers(1, 5))
    def prioritise(self, agent: str, place: int, priority: int) -> None:
        task = self.tasks.get(self._id(place))
        result = self.ask("masc_update_priority", agent, task_id=self._id(place), priority=priority)
        if task is None or task.archived:
            assert code(result) == "task_not_found"
        elif task.status in FINISHED:
            assert code(result) == "task_invalid_state"
        else:
            self.seen(agent, joins=False)
            assert (result["old_priority"], result["changed"]) == (task.priority, task.priority != priority)
            task.version += task.priority != priority
            task.priority = priority

    # --- the rules of the board

    def _holder(self, task_id: str) -> str:
        """Who can do most with a task."""
        return (task_id in self.tasks and self.tasks[task_id].assignee) or "ann"

    def _id(self, place: int) -> str:
        return "task-999" if place == UNKNOWN or not self.tasks else [*self.tasks][place % len(self.tasks)]

    def _unfinished(self, task: Task) -> list[str]:
        return [d for d in task.depends_on if self.tasks[d].status not in FINISHED]

    def _urgency(self, task: Task) -> tuple[int, float, str]:
        days = int((self.now - task.created_at) // DAY)
        return max(1, task.priority - days), task.created_at, task.id

    def _unfit(self, agent: str, task: Task, capability: str | None, exclude: list[str]) -> str | None:
        if task.id in exclude:
            return "excluded"
        if task.reserved_for is not None and task.reserved_for != agent:
            return "reserved"
        if task.capabilities or capability is not None:
            return "capability"  # nobody here has any
        return "blocked" if self._unfinished(task) else None

    def _refusal(self, agent: str, task: Task | None, action: str, version: int | None) -> str | None:
        """The code a transition is refused with, ``same`` when it holds already."""
        if task is None or task.archived:
            return "task_not_found"
        if version is not None and version != task.version:
            return "version_conflict"
        mine = (task.assignee or "").lower() == agent.lower()
        holds = {
            "claim": task.held and mine,
            "start": task.status == "in_progress" and mine,
            "done": task.status == "done" and mine,
            "cancel": task.status == "cancelled" and task.cancelled_by == agent,
        }
        if holds.get(action):
            return "same"
        if task.status in FINISHED:
            return "task_invalid_state"
        if action == "claim":
            if task.status != "todo":
                return "task_already_claimed"
            if task.reserved_for not in {None, agent}:
                return "task_reserved"
            return "task_blocked" if self._unfinished(task) else None
        if task.status == "todo":
            return None if action == "cancel" else "task_not_claimed"
        return None if mine else "task_owned_by_other"

    def _moved(
        self, agent: str, task_id: str, action: str, version: int | None, result: Result, *, joins: bool
    ) -> None:
        task = self.tasks.get(task_id)
        refusal = self._refusal(agent, task, action, version)
        if refusal not in {None, "same"}:
            assert code(result) == refusal
            return
        assert task is not None and code(result) is None, result
        self.seen(agent, joins)
        assert result["changed"] == (refusal is None)
        locks = self._apply(agent, task, action) if refusal is None else set[str]()
        assert set(result.get("locks_released", locks)) == locks
        assert result["task"]["version"] == task.version

    def _apply(self, agent: str, task: Task, action: str) -> set[str]:
        """Move a task; the locks that go with it."""
        holder = task.assignee
        task.status, task.version, task.ended_at = AFTER[action], task.version + 1, self.now
        if action == "claim":
            task.assignee, task.claimed_at, task.reserved_for = agent, self.now, None
        if action in {"claim", "start"}:
            self.currents[agent.lower()] = {task.id}
            return set()
        if action == "cancel":
            task.cancelled_by = agent
            for other in self.tasks.values():
                other.version += other.status == "todo" and task.id in other.depends_on
        if action == "release":
            task.assignee = None
        if holder is not None and task.id in self.current(holder):
            # One of several that were claimed in the same moment may be another one.
            others = self.current(holder) - {task.id}
            self.currents[holder.lower()] = self._claimed_last(holder) | others
        return self.task_ended(task.id)

    @invariant()
    def the_board_is_as_in_the_model(self) -> None:
        if not hasattr(self, "masc"):
            return
        listed = self.ask("masc_tasks", status="all", limit=200)
        on_board = [t for t in self.tasks.values() if not t.archived]
        expected = sorted(on_board, key=lambda t: (t.priority, t.created_at, t.id))
        assert [_facts(t) for t in listed["tasks"]] == [
            (t.id, t.status, t.priority, t.assignee, t.reserved_for, t.depends_on, t.version) for t in expected
        ]
        assert (listed["total"], listed["more"]) == (len(expected), False)
        counts = self.ask("masc_status")["tasks_by_status"]
        assert Counter({s: n for s, n in counts.items() if n}) == Counter(t.status for t in expected)
        put_away = self.ask("masc_archive_view", limit=200)
        assert {t["id"] for t in put_away["tasks"]} == {t.id for t in self.tasks.values() if t.archived}


def _facts(task: dict[str, Any]) -> tuple[Any, ...]:
    return (
        task["id"],
        task["status"],
        task["priority"],
        task.get("assignee"),
        task.get("reserved_for"),
        task.get("depends_on", []),
        task["version"],
    )
