"""Locks: fences grow, nobody holds what another holds, and what was seen expired is over."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from attrs import frozen

from .history import Operation
from .order import out_of_order

__all__ = ["check_locks"]

Found = tuple[str, str]
"""A rule, and how it is broken."""


def check_locks(operations: Sequence[Operation], clock_set: Sequence[float]) -> Iterator[Found]:
    """Every violation of a rule about locks."""
    taken = [o for o in operations if o.tool == "masc_lock" and o.outcome == "ok"]
    new = [o for o in taken if not o.result["renewed"]]
    yield from (("fences grow", text) for text in _fences(new))
    yield from (("a lock has one holder", text) for text in _holders(operations, taken, clock_set))
    yield from (("an expired lock stays dead", text) for text in _revived(operations, new))


def _fences(new: Sequence[Operation]) -> Iterator[str]:
    timed = [(o.invoked, o.returned, o.result["fence"]) for o in new]
    yield from (f"fence {n} came after a larger one" for n in out_of_order(timed, timed, strict=True))
    yield from (f"fence {n} was given {c} times" for n, c in Counter(n for *_, n in timed).items() if c > 1)


@frozen
class _Hold:
    agent: str
    fence: int
    begins: float
    ends: float


def _holders(operations: Sequence[Operation], taken: Sequence[Operation], clock_set: Sequence[float]) -> Iterator[str]:
    """A hold certainly lasts from the answer to the lock until the holder gives it up, its time is over or the clock is
    set; two of them on one path may not overlap. Nothing is certain of a lock during whose call the clock was set."""
    holds: dict[str, list[_Hold]] = defaultdict(list)
    given_up = defaultdict(list)
    for o in operations:
        if o.tool == "masc_unlock":
            given_up[o.process, o.arguments["file_path"]].append(o.invoked)
    for o in taken:
        path = o.arguments["file_path"]
        if any(o.invoked <= moment <= o.returned for moment in clock_set):
            continue
        ends = [o.invoked + o.arguments["ttl_seconds"], *given_up[o.process, path], *clock_set]
        end = min(moment for moment in ends if moment > o.returned)
        holds[path].append(_Hold(o.process, o.result["fence"], o.returned, end))
    for path, found in holds.items():
        for a in found:
            for b in found:
                if a.agent < b.agent and a.begins < b.ends and b.begins < a.ends:
                    yield f"{a.agent} (fence {a.fence}) and {b.agent} (fence {b.fence}) hold {path} at once"
                if a.agent == b.agent and a.fence != b.fence and a.begins < b.begins < a.ends:
                    yield f"{a.agent} renewed fence {a.fence} of {path} and got {b.fence}"


def _revived(operations: Sequence[Operation], new: Sequence[Operation]) -> Iterator[str]:
    """A lock that an answer showed as gone is not shown as there by a later call."""
    for lock in new:
        path, fence = lock.arguments["file_path"], lock.result["fence"]
        concerned = [o for o in operations if o.invoked > lock.returned and o.outcome != "unknown"]
        dead = [o.returned for o in concerned if _shows_gone(o, lock.process, path, fence)]
        if not dead:
            continue
        for o in concerned:
            if o.invoked > min(dead) and _shows_held(o, lock, path, fence):
                yield f"fence {fence} of {lock.process} on {path} lives again: {o.process} {o.tool} {o.result}"


def _shows_gone(o: Operation, holder: str, path: str, fence: int) -> bool:
    if o.outcome != "ok":
        return False
    if o.tool == "masc_status":
        locks = o.result["locks"]  # which in a busy room lists only some
        return locks["active"] == len(locks["files"]) and not any(
            found["file_path"] == path for found in locks["files"]
        )
    if o.arguments.get("file_path") != path:
        return False
    if o.tool == "masc_lock":
        return bool(o.result["fence"] > fence)
    return o.tool == "masc_unlock" and o.process == holder


def _shows_held(o: Operation, lock: Operation, path: str, fence: int) -> bool:
    if o.tool == "masc_status" and o.outcome == "ok":
        shown = {"file_path": path, "locked_by": lock.process, "expires_at": lock.result["expires_at"]}
        return any(shown.items() <= found.items() for found in o.result["locks"]["files"])
    if o.arguments.get("file_path") != path:
        return False
    if o.code == "file_locked":
        return bool(o.details["locked_by"] == lock.process and o.details["expires_at"] == lock.result["expires_at"])
    if o.tool == "masc_lock":
        return bool(o.outcome == "ok" and o.result["renewed"] and o.result["fence"] == fence)
    released = o.tool == "masc_unlock" and o.outcome == "ok" and o.result["released"]
    return bool(released and o.arguments.get("fence") == fence)
