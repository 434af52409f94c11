"""The claim of one task as a register: who holds it, or who finished it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from .history import Final, Operation

__all__ = ["START", "State", "by_task", "step"]

State = tuple[str, str | None]
"""The task's status and its assignee."""
START: State = ("todo", None)
READ = "read"
"""The tool of an operation that stands for one task seen in a list."""
OF_ONE_TASK = {"masc_claim": "claim", "masc_transition": None, "masc_done": "done"}


def step(state: State, operation: Operation) -> State | None:
    """The register after an operation; ``None`` where its answer is impossible in this state."""
    if operation.tool == READ:
        return state if state == _seen(operation) else None
    if operation.outcome == "fail":
        return state if _explains(state, operation) else None
    action = OF_ONE_TASK.get(operation.tool, "claim") or operation.arguments["action"]
    if operation.outcome == "ok" and not operation.result.get("changed", True):
        return state if state == _after(action, operation.process) else None
    before: dict[str, State] = {"claim": START}
    if state != before.get(action, ("claimed", operation.process)):
        return None
    return _after(action, operation.process)


def _after(action: str, agent: str) -> State:
    return {"claim": ("claimed", agent), "release": START, "done": ("done", agent)}[action]


def _seen(operation: Operation) -> State:
    return operation.result["status"], operation.result.get("assignee")


def _explains(state: State, operation: Operation) -> bool:
    """The refusal is right in this state."""
    status, holder = state
    details = operation.details
    if operation.code in {"task_already_claimed", "task_owned_by_other"}:
        return holder == details["assignee"] != operation.process and status == "claimed"
    if operation.code == "task_not_claimed":
        return status == "todo"
    if operation.code == "task_invalid_state":
        return status == details["status"] == "done"
    return True


def by_task(operations: Iterable[Operation], final: Final) -> dict[str, list[Operation]]:
    """The operations that concern each task, lists taken apart and the final state read last.

    A masc_claim_next of unknown outcome may have taken any task. It counts for those that somebody saw with its agent,
    which does nothing after it: had it taken another, the final state would show that.
    """
    found: dict[str, list[Operation]] = defaultdict(list)
    open_ended: list[Operation] = []
    last = 0.0
    for operation in operations:
        last = max(last, operation.invoked, *([operation.returned] if operation.outcome != "unknown" else []))
        if operation.tool in OF_ONE_TASK:
            found[operation.arguments["task_id"]].append(operation)
        elif operation.tool == "masc_claim_next" and operation.outcome == "unknown":
            open_ended.append(operation)
        elif operation.tool == "masc_claim_next" and operation.outcome == "ok" and "task" in operation.result:
            found[operation.result["task"]["id"]].append(operation)
        elif operation.tool == "masc_tasks" and operation.outcome == "ok":
            for task in operation.result["tasks"]:
                found[task["id"]].append(_read(task, operation.invoked, operation.returned))
    for task in final.tasks:
        found[task["id"]].append(_read(task, last + 1, last + 2))
    for concerned in found.values():
        holders = _holders(concerned)
        concerned += [operation for operation in open_ended if operation.process in holders]
    return found


def _read(task: dict[str, object], invoked: float, returned: float) -> Operation:
    return Operation("", READ, {}, invoked, returned, "ok", dict(task))


def _holders(concerned: Sequence[Operation]) -> set[object]:
    """Everybody seen as assignee."""
    return {o.result.get("assignee") for o in concerned} | {o.details.get("assignee") for o in concerned}
