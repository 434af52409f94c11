"""The clock of our tests, and times as they are stored."""

from __future__ import annotations

import asyncio

import pytest

from masc_core.clock import plus, soon_after, timestamp
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


@pytest.mark.parametrize("text", ["2026-11-22T03:45:10.000Z", "2026-11-22T03:45:19.999Z", "2026-12-31T23:59:59.999Z"])
def test_what_is_soon_after_is_within_ten_seconds(text: str) -> None:
    bound = soon_after(text)
    assert text < bound <= plus(text, 10.001)
    assert all(soon_after(plus(text, n / 10)) >= bound for n in range(200))


def test_for_ten_seconds_the_bound_is_the_same() -> None:
    assert len({soon_after(timestamp(1_000_000_000 + n / 100)) for n in range(1000)}) == 1
