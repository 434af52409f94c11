"""What happens to units of work that lose a race."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from masc_core.errors import StorageBusy
from masc_core.store import transaction
from masc_core.store.driver import Key
from masc_core.store.line import ProcessLine
from masc_core.store.memory import MemoryDriver
from masc_core.store.transaction import Transaction, transact
from masc_core.testing import ManualClock

N = Key("counters", "n")
RACERS = 30


async def add_one(tx: Transaction) -> None:
    """Read, let everybody else read too, and write."""
    (found,) = await tx.get([N])
    await asyncio.sleep(0)
    tx.put(N, b"%d" % (int(found.body) + 1 if found else 1))


async def test_losers_of_one_process_try_again_one_after_another() -> None:
    runs: Counter[int] = Counter()

    async def racer(n: int, driver: MemoryDriver, line: ProcessLine) -> None:
        async def run(tx: Transaction) -> None:
            runs[n] += 1
            await add_one(tx)

        await transact(driver, run, line=line)

    async with MemoryDriver(ManualClock()) as driver:
        line = ProcessLine()
        await asyncio.gather(*(racer(n, driver, line) for n in range(RACERS)))
        (found,) = await driver.get([N])
    assert found is not None
    assert found.body == b"%d" % RACERS
    # The first may disturb the first in the line; after that nobody loses twice.
    assert runs.total() <= 2 * RACERS + 1


async def test_who_waits_too_long_in_the_line_is_told_that_the_store_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "RETRY_SECONDS", 0.05)
    async with MemoryDriver(ManualClock()) as driver:
        line = ProcessLine()
        async with line.turn(1):
            racers = [transact(driver, add_one, line=line) for _ in range(3)]
            results = await asyncio.gather(*racers, return_exceptions=True)
        assert [type(r) for r in results if r is not None] == [StorageBusy, StorageBusy]
        await transact(driver, add_one, line=line)
        assert (await driver.get([N]))[0] == (N, 2, b"2", "")
