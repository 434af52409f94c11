"""Numbers that may not go back in the course of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["out_of_order"]

Timed = tuple[float, float, int]
"""When an operation was invoked, when it returned, and the number it told."""


def out_of_order(earlier: Iterable[Timed], later: Sequence[Timed], strict: bool) -> list[int]:
    """The numbers of ``later`` that an operation had exceeded (``strict``: or reached) which returned before theirs began."""
    returned = sorted((end, number) for _, end, number in earlier)
    highest, at, wrong = -1, 0, []
    for invoked, _, number in sorted(later):
        while at < len(returned) and returned[at][0] < invoked:
            highest = max(highest, returned[at][1])
            at += 1
        if number < highest or (strict and number == highest):
            wrong.append(number)
    return wrong
