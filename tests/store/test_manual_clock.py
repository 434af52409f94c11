"""The clock of our tests."""

from __future__ import annotations

import asyncio

import pytest

from masc_core.testing import ManualClock


async def test_time_stands_still_until_it_is_advanced() -> None:
    clock = ManualClock(start=100.0)
    assert (clock.now(), clock.monotonic()) == (100.0, 0.0)
    await clock.advance(2.5)
    assert (clock.now(), clock.monotonic()) == (102.5, 2.5)


async def test_sleepers_wake_when_due_and_in_order() -> None:
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float, times: int = 1) -> None:
        for _ in range(times):
            await clock.sleep(seconds)
            woken.append((name, clock.monotonic()))

    tasks = [asyncio.create_task(sleeper(*args)) for args in (("late", 5), ("often", 2, 2), ("never", 9), ("now", 0))]
    await clock.advance(5)
    assert woken == [("now", 0), ("often", 2), ("often", 4), ("late", 5)]
    assert not tasks[2].done()
    tasks[2].cancel()
    await clock.advance(10)
    assert tasks[2].cancelled()


async def test_a_jump_moves_wall_time_only() -> None:
    clock = ManualClock(start=100.0)
    clock.jump(-30)
    assert (clock.now(), clock.monotonic()) == (70.0, 0.0)
    with pytest.raises(ValueError, match="jump"):
        await clock.advance(-1)
