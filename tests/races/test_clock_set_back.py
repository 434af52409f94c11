"""The clock is set back in the middle of a call, which began when it was an hour ahead: no lock of somebody else's ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from race_support import Gaps

from masc_core.plugins import Registry
from masc_core.testing import ManualClock
from masc_core.testing.app import masc_app

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("masc_lock", {"file_path": "src/a.py"}),
    ("masc_lock", {"file_path": "src/"}),
    ("masc_status", {}),
    ("masc_gc", {}),
]


async def _met_in(gap: int, tool: str, arguments: dict[str, Any], registry: Registry) -> bool:
    """One run with a lock taken in that gap of the call; whether the call has such a gap."""
    clock = ManualClock()
    async with masc_app(Path("/nonexistent"), clock=clock, registry=registry) as masc:
        for agent in ("claude", "gemini"):
            await masc.call("masc_join", agent, agent_name=agent)
        clock.jump(3600)
        taken: list[dict[str, Any]] = []

        async def meanwhile() -> None:
            clock.jump(-3600)
            taken.append(await masc.call("masc_lock", "claude", file_path="src/a.py", ttl_seconds=60))

        gaps = Gaps(gap, meanwhile)
        gaps.over(masc.kernel.start_room.driver)
        answer = await gaps.watch(masc.call(tool, "gemini", **arguments))
        if taken and "error" not in taken[0]:
            if tool == "masc_lock":
                assert answer["error"]["code"] == "file_locked", f"gap {gap}"
            if tool == "masc_status":
                assert answer["locks"]["active"] == len(answer["locks"]["files"]) == 1, f"gap {gap}"
            again = await masc.call("masc_lock", "claude", file_path="src/a.py", ttl_seconds=60)
            assert (again["fence"], again["renewed"]) == (taken[0]["fence"], True), f"gap {gap} of {tool}"
        return bool(taken)


@pytest.mark.parametrize(("tool", "arguments"), CALLS, ids=["path", "subtree", "status", "gc"])
async def test_a_lock_taken_meanwhile_keeps_its_holder(
    tool: str, arguments: dict[str, Any], registry: Registry
) -> None:
    gap = 0
    while await _met_in(gap, tool, arguments, registry):
        gap += 1
    assert gap >= 2
