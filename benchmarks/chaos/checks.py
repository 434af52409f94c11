"""What must be true of every history, whatever broke meanwhile."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attrs import frozen

from . import claims
from .ballots import check_votes
from .fences import check_locks
from .history import Final, Operation
from .order import out_of_order
from .register import Undecided, linearizable

__all__ = ["RULES", "Violation", "check"]


@frozen
class Violation:
    """A rule that a history breaks, and how."""

    rule: str
    text: str


def check(operations: Sequence[Operation], final: Final, clock_set: Sequence[float] = ()) -> list[Violation]:
    """Every violation of every rule. ``clock_set``: when the wall clock was set."""
    found = []
    for rule, function in RULES.items():
        found += [Violation(rule, text) for text in function(operations, final)]
    found += [Violation(rule, text) for rule, text in check_locks(operations, clock_set)]
    return found + [Violation(rule, text) for rule, text in check_votes(operations, final)]


def defects(operations: Sequence[Operation], final: Final) -> Iterator[str]:
    """A call ends, and not with a defect of the server."""
    for o in operations:
        if o.code == "internal_error" or o.result.get("lost") == "hung":
            yield f"{o.process} {o.tool} {o.arguments}: {o.result}"


def gapless(operations: Sequence[Operation], final: Final) -> Iterator[str]:
    """Messages are numbered from 1 without a gap, and no two have the same text of a client's."""
    numbers = [message["seq"] for message in final.messages]
    if numbers != list(range(1, len(numbers) + 1)):
        wrong = next(i for i, n in enumerate(numbers, 1) if n != i)
        yield f"after message {wrong - 1} comes {numbers[wrong - 1]}, of {len(numbers)}"


def acknowledged(operations: Sequence[Operation], final: Final) -> Iterator[str]:
    """What was acknowledged is there, as it was written; what was refused is not; nothing is there that nobody wrote."""
    yield from _messages_kept(operations, final)
    yield from _tasks_kept(operations, final)
    tasks = {task["id"]: task for task in final.tasks}
    for o in operations:
        if o.tool == "masc_done" and o.outcome == "ok":
            found = tasks.get(o.arguments["task_id"], {})
            shown = tuple(found.get(name) for name in ("status", "assignee", "notes"))
            if shown != ("done", o.process, o.arguments["notes"]):
                yield f"{o.process} finished {o.arguments['task_id']} as {o.arguments['notes']!r}, and it is {shown}"


def _messages_kept(operations: Sequence[Operation], final: Final) -> Iterator[str]:
    said = [o for o in operations if o.tool == "masc_broadcast"]
    kept = {m["seq"]: m for m in final.messages}
    for o in said:
        if o.outcome == "ok":
            message = kept.get(o.result["seq"], {})
            if (message.get("content"), message.get("from")) != (o.arguments["message"], o.process):
                yield f"message {o.result['seq']} of {o.process} is {message or 'missing'}"
    contents = [m["content"] for m in final.messages if m["type"] == "broadcast"]
    yield from _once("message", [(o, o.arguments["message"]) for o in said], contents)


def _tasks_kept(operations: Sequence[Operation], final: Final) -> Iterator[str]:
    added = [o for o in operations if o.tool == "masc_add_task"]
    titles = {task["id"]: task["title"] for task in final.tasks}
    for o in added:
        if o.outcome == "ok" and titles.get(o.result["task"]["id"]) != o.arguments["title"]:
            yield f"{o.result['task']['id']} {o.arguments['title']!r} is {titles.get(o.result['task']['id'], 'missing')!r}"
    yield from _once("task", [(o, o.arguments["title"]) for o in added], list(titles.values()))
    if twice := [id for id, n in Counter(task["id"] for task in final.tasks).items() if n > 1]:
        yield f"on the board twice: {twice}"
    told = Counter(m["content"].split(" ")[0] for m in final.messages if " added by " in m["content"])
    yield from (f"{id} was announced {told[id]} times" for id in titles if told[id] != 1)


def _once(kind: str, asked: Iterable[tuple[Operation, str]], found: Sequence[str]) -> Iterator[str]:
    """Each text is found once if it was acknowledged, never if it was refused, and else at most once."""
    counted = Counter(found)
    least = {"ok": 1, "fail": 0, "unknown": 0}
    most = {"ok": 1, "fail": 0, "unknown": 1}
    for o, text in asked:
        n = counted.pop(text, 0)
        if not least[o.outcome] <= n <= most[o.outcome]:
            yield f"{kind} {text[:80]!r} of {o.process} with outcome {o.outcome} is there {n} times"
    yield from (f"{kind} {text[:80]!r} was written by nobody" for text in counted)


def ordered(operations: Sequence[Operation], final: Final) -> Iterator[str]:
    """Numbers of messages grow with time, and who sees n sees all before it, whichever process is asked."""
    said = [(o.invoked, o.returned, o.result["seq"]) for o in operations if _good(o, "masc_broadcast")]
    yield from (f"message {n} is older than its number" for n in out_of_order(said, said, strict=True))
    pages = [o for o in operations if _good(o, "masc_messages")]
    ends = [(o.invoked, o.returned, o.result["last_seq"]) for o in pages]
    for n in out_of_order(said + ends, ends, strict=False):
        yield f"a reader was told that message {n} is the last after a later one was acknowledged or seen"
    for o in pages:
        since = o.arguments["since_seq"]
        numbers = [m["seq"] for m in o.result["messages"]]
        if since and numbers != list(range(since + 1, since + 1 + len(numbers))):
            yield f"{o.process} read {numbers} after {since}"


def versions(operations: Sequence[Operation], final: Final) -> Iterator[str]:
    """A version of a task says one thing to everybody, and nobody sees an older one later."""
    seen: dict[str, list[tuple[float, float, int]]] = defaultdict(list)
    said: dict[tuple[str, int], set[tuple[Any, ...]]] = defaultdict(set)
    for o in operations:
        if o.outcome == "ok" and o.tool != "masc_status":
            for task in [*([o.result["task"]] if "task" in o.result else []), *o.result.get("tasks", [])]:
                seen[task["id"]].append((o.invoked, o.returned, task["version"]))
                said[task["id"], task["version"]].add((task["status"], task.get("assignee"), task.get("notes")))
    for task in final.tasks:
        said[task["id"], task["version"]].add((task["status"], task.get("assignee"), task.get("notes")))
    for (id, version), states in said.items():
        if len(states) > 1:
            yield f"{id} v{version} is {sorted(map(str, states))}"
    for id, observed in seen.items():
        yield from (f"{id} v{v} was seen after a later version" for v in out_of_order(observed, observed, strict=False))


def claimed_once(operations: Sequence[Operation], final: Final) -> Iterator[str]:
    """A task that nobody gave back is claimed by one agent."""
    takers: dict[str, set[str]] = defaultdict(set)
    given_back = {o.arguments["task_id"] for o in operations if o.arguments.get("action") == "release"}
    for o in operations:
        if o.tool in {"masc_claim", "masc_claim_next"} and o.outcome == "ok" and "task" in o.result:
            takers[o.result["task"]["id"]].add(o.process)
    for id, agents in takers.items():
        if len(agents) > 1 and id not in given_back:
            yield f"{id} was claimed by {sorted(agents)}"


def claim_register(operations: Sequence[Operation], final: Final) -> Iterator[str]:
    """Claims, releases, endings and looks at each task are linearizable."""
    for id, concerned in claims.by_task(operations, final).items():
        try:
            if not linearizable(concerned, claims.START, claims.step):
                yield f"no order explains what happened to {id}: {_told(concerned)}"
        except Undecided:
            yield f"too many orders to decide what happened to {id}"


def _told(concerned: Sequence[Operation]) -> str:
    def one(o: Operation) -> str:
        about = o.arguments.get("action") or o.code or o.result.get("assignee", "")
        return f"{o.process or 'seen'} {o.tool} {about} {o.outcome} [{o.invoked:.4f}, {o.returned:.4f}]"

    return "; ".join(one(o) for o in sorted(concerned, key=lambda o: o.invoked))


def _good(o: Operation, tool: str) -> bool:
    return o.tool == tool and o.outcome == "ok"


RULES = {
    "no defect, no hanging call": defects,
    "gapless sequence": gapless,
    "acknowledged writes are kept": acknowledged,
    "order of messages": ordered,
    "versions": versions,
    "claimed once": claimed_once,
    "linearizable claims": claim_register,
}
