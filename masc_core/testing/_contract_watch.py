"""Waiting for a log to grow."""

from __future__ import annotations

import asyncio

import pytest

from masc_core.store.driver import Append, Driver, Remove
from masc_core.testing._contract_base import ContractBase, MakeDriver, OpenDriver, put, within
from masc_core.testing.clock import ManualClock

__all__ = ["WatchContract"]

_TURNS = 20


async def _watching(driver: Driver, after: dict[str, int]) -> asyncio.Task[dict[str, int]]:
    """A watch that has found nothing yet."""
    task = asyncio.create_task(driver.watch(after))
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    assert not task.done()
    return task


class WatchContract(ContractBase):
    async def test_what_has_grown_already_is_told_at_once(self, driver: Driver) -> None:
        await driver.commit([], [Append("a", b""), Append("a", b"")])
        assert await within(driver.watch({"a": 1, "b": 0})) == {"a": 2, "b": 0}

    async def test_growth_through_this_driver_wakes(self, driver: Driver) -> None:
        task = await _watching(driver, {"a": 0, "b": 0})
        await driver.commit([], [put("x"), Append("b", b"")])
        assert await within(task) == {"a": 0, "b": 1}

    async def test_growth_through_another_driver_wakes(self, open_driver: OpenDriver) -> None:
        one, two = await open_driver(), await open_driver()
        for n in range(3):
            task = await _watching(one, {"a": n})
            await two.commit([], [Append("a", b"")])
            assert await within(task) == {"a": n + 1}

    async def test_every_waiter_wakes_and_only_for_its_logs(self, open_driver: OpenDriver) -> None:
        one, two = await open_driver(), await open_driver()
        for writer in (one, two):
            seen = {log: head.last for log, head in zip("ab", await one.heads(["a", "b"]), strict=True)}
            many = [await _watching(one, {"a": seen["a"]}) for _ in range(5)]
            other = await _watching(one, {"b": seen["b"]})
            further = await _watching(one, {"a": seen["a"] + 1})
            await writer.commit([], [put("x"), Append("a", b"")])
            assert await within(asyncio.gather(*many)) == [{"a": seen["a"] + 1}] * 5
            assert not other.done()
            assert not further.done()
            await writer.commit([], [Append("b", b""), Append("a", b"")])
            assert await within(other) == {"b": seen["b"] + 1}
            assert await within(further) == {"a": seen["a"] + 2}

    async def test_other_rooms_and_removals_do_not_wake(self, open_driver: OpenDriver) -> None:
        one, other = await open_driver(), await open_driver(room="other")
        await one.commit([], [Append("a", b"")])
        task = await _watching(one, {"a": 1})
        await other.commit([], [Append("a", b""), Append("a", b"")])
        await one.commit([], [Remove("a", (1,)), Append("b", b"")])
        await one.heads(["a"])
        assert not task.done()
        await one.commit([], [Append("a", b"")])
        assert await within(task) == {"a": 2}

    async def test_a_cancelled_watch_is_over_and_others_go_on(self, driver: Driver) -> None:
        first, second = await _watching(driver, {"a": 0}), await _watching(driver, {"a": 0})
        first.cancel()
        await within(asyncio.wait([first]))
        assert first.cancelled()
        await driver.commit([], [Append("a", b"")])
        assert await within(second) == {"a": 1}

    async def test_closing_ends_the_waiters(self, make_driver: MakeDriver, clock: ManualClock) -> None:
        async with make_driver(clock, "default") as driver:
            task = await _watching(driver, {"a": 0})
        with pytest.raises(asyncio.CancelledError):
            await within(task)
