"""Short histories, written by hand."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.chaos.checks import check
from benchmarks.chaos.history import Final, Operation, Outcome

TOLD = {"type": "broadcast", "timestamp": "2026-01-01T00:00:00.000Z"}


def op(
    agent: str, tool: str, begins: float, ends: float = math.inf, /, *, outcome: Outcome | None = None, **given: Any
) -> Operation:
    """A call of ``masc_<tool>``: ``result`` is its answer, ``error`` its refusal as (code, details), the rest arguments.

    One that never ends has an unknown outcome.
    """
    result = given.pop("result", {})
    error = given.pop("error", None)
    if error is not None:
        result = {"error": {"code": error[0], "details": error[1]}}
    if outcome is None:
        outcome = "unknown" if math.isinf(ends) else "fail" if error else "ok"
    return Operation(agent, f"masc_{tool}", given, begins, ends, outcome, result)


def claim(agent: str, begins: float, ends: float = math.inf, task: str = "task-001") -> Operation:
    """A claim, successful or of unknown outcome."""
    return op(agent, "claim", begins, ends, task_id=task, result={"task": task_record(task, agent), "changed": True})


def refused(agent: str, holder: str, begins: float, ends: float) -> Operation:
    """A claim that somebody else's stands against."""
    error = ("task_already_claimed", {"task_id": "task-001", "assignee": holder})
    return op(agent, "claim", begins, ends, task_id="task-001", error=error)


def release(agent: str, begins: float, ends: float = math.inf, version: int = 3) -> Operation:
    """A claim given back."""
    result = {"task": task_record("task-001", None, version), "changed": True}
    return op(agent, "transition", begins, ends, task_id="task-001", action="release", result=result)


def seen(holder: str | None, begins: float, ends: float, version: int = 2) -> Operation:
    """A list of tasks that shows the one claimed, or not."""
    return op("eve", "tasks", begins, ends, result={"tasks": [task_record("task-001", holder, version)]})


def task_record(id: str, holder: str | None, version: int = 2, **given: Any) -> dict[str, Any]:
    status = {"status": "todo"} if holder is None else {"status": "claimed", "assignee": holder}
    return {"id": id, "title": f"do {id}", "version": version, **status, **given}


def said(agent: str, seq: int, begins: float, ends: float = math.inf) -> Operation:
    """A message, acknowledged under a number."""
    return op(agent, "broadcast", begins, ends, message=f"text {seq} of {agent}", result={"seq": seq})


def message(seq: int, agent: str = "ann", content: str | None = None) -> dict[str, Any]:
    return {**TOLD, "seq": seq, "from": agent, "content": content or f"text {seq} of {agent}"}


def system(seq: int, content: str) -> dict[str, Any]:
    return {"seq": seq, "from": "system", "type": "system", "content": content}


def lock(
    agent: str, fence: int, begins: float, ends: float = math.inf, renewed: bool = False, **given: Any
) -> Operation:
    """A lock on a.py for a minute."""
    result = {"fence": fence, "renewed": renewed, "expires_at": f"until-{fence}"}
    return op(agent, "lock", begins, ends, file_path="a.py", ttl_seconds=60, result=result, **given)


def unlock(agent: str, fence: int, begins: float, ends: float = math.inf, released: bool = True) -> Operation:
    return op(agent, "unlock", begins, ends, file_path="a.py", fence=fence, result={"released": released})


def vote_record(version: int, votes: dict[str, str], status: str = "pending", **given: Any) -> dict[str, Any]:
    return {
        "id": "vote-001", "options": ["yes", "no"], "required_votes": 2, "version": version, "votes": votes,
        "status": status, **given,
    }  # fmt: skip


def cast(agent: str, choice: str, vote: dict[str, Any], begins: float, ends: float = math.inf) -> Operation:
    """A ballot, and the vote as it left it."""
    votes = vote["votes"].values()
    tally = {option: sum(v == option for v in votes) for option in vote["options"]}
    result = {"vote": vote, "voters": len(votes), "tally": tally}
    return op(agent, "vote_cast", begins, ends, vote_id="vote-001", choice=choice, result=result)


def broken(operations: list[Operation], final: Final | None = None, clock_set: tuple[float, ...] = ()) -> set[str]:
    """The rules that a history breaks."""
    return {violation.rule for violation in check(operations, final or Final(), clock_set)}
