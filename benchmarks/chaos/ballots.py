"""Votes: a ballot counts once, and what is decided stays decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from .history import Final, Operation
from .order import out_of_order

__all__ = ["check_votes"]

Found = tuple[str, str]
SAME = ("status", "winner", "resolved_at", "votes")
"""What the versions of a vote are compared by."""


def check_votes(operations: Sequence[Operation], final: Final) -> Iterator[Found]:
    """Every violation of a rule about votes."""
    seen = _seen(operations)
    for vote in final.votes:
        yield from (("a ballot counts once", text) for text in _ballots(vote, operations))
        told = sum(m["content"].startswith(f"{vote['id']} {vote['status']}") for m in final.messages)
        if told != (vote["status"] != "pending"):
            yield (
                "a resolved vote never changes",
                f"the end of {vote['id']} ({vote['status']}) was announced {told} times",
            )
        yield from (("a resolved vote never changes", text) for text in _changed(vote, seen.pop(vote["id"], [])))
    yield from (("acknowledged writes are kept", f"{id} is missing") for id in seen)


Sight = tuple[Operation, dict[str, Any]]


def _seen(operations: Sequence[Operation]) -> dict[str, list[Sight]]:
    """What was seen of each vote."""
    seen: dict[str, list[Sight]] = defaultdict(list)
    for o in operations:
        if o.outcome == "ok" and "vote" in o.result:
            seen[o.result["vote"]["id"]].append((o, o.result["vote"]))
    return seen


def _ballots(vote: dict[str, Any], operations: Sequence[Operation]) -> Iterator[str]:
    """Each agent's ballot is its last acknowledged one or one of unknown outcome, and nobody else's is counted."""
    casts = defaultdict(list)
    for o in operations:
        if o.tool == "masc_vote_cast" and o.arguments["vote_id"] == vote["id"]:
            casts[o.process].append(o)
    yield from (f"{vote['id']} has a ballot of {agent}, who cast none" for agent in vote["votes"] if agent not in casts)
    for agent, cast in casts.items():
        sure = [o.arguments["choice"] for o in cast if o.outcome == "ok"]
        allowed = {*sure[-1:], *(o.arguments["choice"] for o in cast if o.outcome == "unknown")}
        if (counted := vote["votes"].get(agent)) not in (allowed if sure else {*allowed, None}):
            yield f"{vote['id']} counts {counted} for {agent}, who cast {sure} for certain of {sorted(allowed)}"
        for o in cast:
            if o.outcome == "ok" and not o.result["voters"] == sum(o.result["tally"].values()) == len(
                o.result["vote"]["votes"]
            ):
                yield f"{vote['id']} showed {agent} {o.result['voters']} voters with {o.result['tally']}"
    if vote["status"] == "approved":
        tally = [sum(c == option for c in vote["votes"].values()) for option in vote["options"]]
        if len(vote["votes"]) < vote["required_votes"] or tally.count(max(tally)) > 1:
            yield f"{vote['id']} was approved with {tally} of {vote['required_votes']}"


def _changed(vote: dict[str, Any], seen: Sequence[Sight]) -> Iterator[str]:
    versions: dict[int, dict[str, Any]] = {}
    for shown in [*(shown for _, shown in seen), vote]:
        facts = {name: shown.get(name) for name in SAME}
        if versions.setdefault(shown["version"], facts) != facts:
            yield f"{vote['id']} v{shown['version']} is {facts} and {versions[shown['version']]}"
    ended = [version for version, facts in versions.items() if facts["status"] != "pending"]
    if len(ended) > 1 or (ended and max(versions) > ended[0]):
        yield f"{vote['id']} changed after its end: {versions}"
    timed = [(o.invoked, o.returned, shown["version"]) for o, shown in seen]
    yield from (f"{vote['id']} v{v} was seen after a later version" for v in out_of_order(timed, timed, strict=False))
