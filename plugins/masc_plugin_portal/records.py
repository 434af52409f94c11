"""Portals and portal tasks, and how they are found.

A portal keeps the numbers of what waits for each of its two agents. They change in the same change as the tasks, so that
nobody has to look at tasks in order to count them, and so that everything done in one portal happens one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from masc_core.frozen import evolve, frozen
from masc_core.store.collections import Collection, index
from masc_core.store.driver import IndexEntry

__all__ = [
    "PORTALS",
    "PORTAL_TASKS",
    "SENT",
    "ClosedReason",
    "Portal",
    "PortalTask",
    "PortalTaskStatus",
    "Waiting",
    "number_of",
    "portal_key",
]

ClosedReason = Literal["close", "leave", "zombie"]
PortalTaskStatus = Literal["pending", "running", "completed", "failed", "canceled"]
SENT = "a2a"
"""The series of numbers of portal tasks."""
OPEN_STATUSES: tuple[PortalTaskStatus, ...] = ("pending", "running")


@frozen
class Waiting:
    """How much waits for one of the two agents."""

    pending: int = 0
    """Tasks sent to it that it has not seen."""
    running: int = 0
    """Tasks sent to it that it has seen and not ended."""
    results: int = 0
    """Tasks it sent that ended, answered or canceled, which it was not shown."""


@frozen
class PortalTask:
    """A request that one agent sent to the other."""

    id: str
    from_: str
    to: str
    message: str
    status: PortalTaskStatus
    created_at: str
    updated_at: str
    """The last change of status."""
    reply_to: str | None = None
    result: str | None = None
    seen_at: str | None = None
    result_seen_at: str | None = None
    version: int = 0

    @property
    def unshown(self) -> bool:
        """It has ended, answered or canceled, and its sender was not shown so."""
        return self.status not in OPEN_STATUSES and self.result_seen_at is None


@frozen
class Portal:
    """The line between two agents; the same record when it is opened again."""

    agents: list[str]
    """Two names as they were first written, sorted ignoring case."""
    opened_by: str
    opened_at: str
    status: Literal["open", "closed"]
    waiting: list[Waiting]
    """For each of ``agents``, in that order."""
    closed_by: str | None = None
    closed_at: str | None = None
    closed_reason: ClosedReason | None = None
    task_count: int = 0
    """Tasks sent so far, in both directions."""
    version: int = 0

    @property
    def open(self) -> bool:
        """Tasks can be sent and answered."""
        return self.status == "open"

    def peer_of(self, name: str) -> str:
        """The other agent."""
        return self.agents[1 - self._place(name)]

    def waiting_for(self, name: str) -> Waiting:
        """What waits for one of the two."""
        return self.waiting[self._place(name)]

    def counting(self, before: PortalTask | None, after: PortalTask | None) -> Portal:
        """The portal after one of its tasks changed; ``None`` stands for a task that is not there."""
        waiting = list(self.waiting)
        for task, step in ((before, -1), (after, 1)):
            if task is not None and (counted := _counted(task)) is not None:
                name, kind = counted
                place = self._place(name)
                waiting[place] = evolve(waiting[place], **{kind: getattr(waiting[place], kind) + step})
        return evolve(self, waiting=waiting)

    def _place(self, name: str) -> int:
        return 0 if self.agents[0].lower() == name.lower() else 1


def _counted(task: PortalTask) -> tuple[str, str] | None:
    """For whom a task waits, and as what."""
    if task.status in OPEN_STATUSES:
        return task.to, task.status
    return (task.from_, "results") if task.unshown else None


def portal_key(one: str, other: str) -> str:
    """The key of a pair's portal; no agent's name holds a ``/``."""
    return "/".join(sorted((one.lower(), other.lower())))


def number_of(task_id: str) -> int:
    """The number in a portal task's id, by which tasks are in the order of their sending."""
    return int(task_id.removeprefix("a2a-"))


def _portal_indexes(portal: Portal) -> Iterator[IndexEntry]:
    since = portal.closed_at or portal.opened_at
    for agent, waiting in zip(portal.agents, portal.waiting, strict=True):
        yield index("agent", agent.lower(), portal.status, since)
        if waiting.pending or waiting.results:
            yield index("waiting", agent.lower(), portal.status, since)
    if portal.closed_at:
        yield index("closed", portal.closed_at)


def _task_indexes(task: PortalTask) -> Iterator[IndexEntry]:
    sender, receiver, number = task.from_.lower(), task.to.lower(), number_of(task.id)
    yield index("pair", portal_key(sender, receiver), number)
    if task.status in OPEN_STATUSES:
        yield index("inbox", receiver, sender, task.status, number)
    elif task.unshown:
        yield index("results", sender, receiver, task.updated_at, number)
    else:
        yield index("ended", task.updated_at, number)


PORTALS = Collection("portals", Portal, lambda p: portal_key(*p.agents), _portal_indexes)
PORTAL_TASKS = Collection("portal_tasks", PortalTask, lambda t: t.id, _task_indexes)
