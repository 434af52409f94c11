"""Whether a history of one object is linearizable.

The search is that of J. M. Wing and C. Gong, "Testing and Verifying Concurrent Objects", Journal of Parallel and
Distributed Computing 17 (1993), with the memory of configurations that G. Lowe, "Testing for linearizability",
Concurrency and Computation: Practice and Experience 29 (2017), adds to it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from .history import Operation

__all__ = ["Undecided", "linearizable"]

S = TypeVar("S", bound=Hashable)


class Undecided(Exception):
    """The search was given up: too many ways to order the operations."""


def linearizable(
    operations: Sequence[Operation], start: S, step: Callable[[S, Operation], S | None], most: int = 200_000
) -> bool:
    """Whether some order of the operations explains every answer.

    In that order each operation takes effect at one moment between its invocation and its return, beginning at ``start``.
    ``step`` gives the state after an operation, ``None`` where its answer (or, for an unknown outcome, its effect) is
    impossible in that state. An operation of unknown outcome takes effect at any time after its invocation or never.
    Raises :class:`Undecided` after ``most`` configurations.
    """
    ordered = sorted(operations, key=lambda o: o.invoked)
    required = sum(1 << i for i, o in enumerate(ordered) if o.outcome != "unknown")
    seen = {(0, start)}
    stack = [(0, start)]
    while stack:
        done, state = stack.pop()
        if done & required == required:
            return True
        for i in _next(ordered, done):
            after = step(state, ordered[i])
            if after is not None and (reached := (done | 1 << i, after)) not in seen:
                seen.add(reached)
                stack.append(reached)
        if len(seen) > most:
            raise Undecided
    return False


def _next(ordered: Sequence[Operation], done: int) -> list[int]:
    """The operations that may come next: invoked before any other that is left returned. The likeliest comes last."""
    left = [i for i in range(len(ordered)) if not done >> i & 1]
    first_return = min(ordered[i].returned for i in left)
    return sorted((i for i in left if ordered[i].invoked <= first_return), key=lambda i: -ordered[i].returned)
