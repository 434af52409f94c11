"""``masc`` in a process whose minutes are short: two looks at its clock are seven seconds apart.

Ten failed authentications a minute are all that a client has, and a table has more.
"""

from __future__ import annotations

from itertools import count

from masc_core.cli import main
from masc_core.clock import SystemClock


def hurry() -> None:
    """Let time pass between calls and not between the lines of one."""
    ticks = count(0.0, 7.0)
    SystemClock.monotonic = lambda self: next(ticks)  # type: ignore[method-assign]


if __name__ == "__main__":
    hurry()
    main(prog_name="masc")
