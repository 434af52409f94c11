"""What happens to units of work that lose a race."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from masc_core.errors import StorageBusy
from masc_core.store import transaction
from masc_core.store.driver import Conflict, Document, Key, Put
from masc_core.store.line import ProcessLine
from masc_core.store.memory import MemoryDriver
from masc_core.store.transaction import Transaction, transact
from masc_core.testing import ManualClock

N = Key("counters", "n")
RACERS = 30
SINGLY = 20


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


async def race(driver: MemoryDriver, line: ProcessLine, kind: str) -> int:
    """How many attempts it took so many to add one each."""
    runs = 0

    async def run(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        await add_one(tx)

    await asyncio.gather(*(transact(driver, run, line=line, kind=kind) for _ in range(RACERS)))
    return runs


async def test_where_some_have_lost_the_others_of_their_kind_wait_before_they_begin() -> None:
    async with MemoryDriver(ManualClock()) as driver:
        line = ProcessLine()
        assert await race(driver, line, "count") > RACERS
        assert await race(driver, line, "count") == RACERS
        assert await driver.get([N]) == [(N, 2 * RACERS, b"%d" % (2 * RACERS), "")]


async def test_other_kinds_do_not_wait() -> None:
    async with MemoryDriver(ManualClock()) as driver, asyncio.timeout(5):
        line = ProcessLine()
        async with line.turn(1, "slow"):
            await transact(driver, add_one, line=line, kind="quick")
            await transact(driver, add_one, line=line)


async def test_a_kind_that_comes_singly_takes_no_turns_any_more() -> None:
    async with MemoryDriver(ManualClock()) as driver:
        line = ProcessLine()
        await race(driver, line, "count")
        for _ in range(SINGLY):
            assert line.known("count")
            await transact(driver, add_one, line=line, kind="count")
        assert not line.known("count")


async def test_what_was_read_before_a_wait_is_read_again_after_it() -> None:
    async with MemoryDriver(ManualClock()) as driver:
        line, runs = ProcessLine(), 0

        async def run(tx: Transaction) -> None:
            nonlocal runs
            runs += 1
            await add_one(tx)

        first = Transaction(driver)
        await first.get([N])
        async with line.turn(1, "count"):
            waiting = asyncio.ensure_future(transact(driver, run, first, line, "count"))
            await asyncio.sleep(0)
            await transact(driver, add_one)
        await waiting
        assert (await driver.get([N]))[0] == (N, 2, b"2", "")
    assert runs == 1


async def test_a_line_that_is_too_long_refuses_and_one_that_is_held_up_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "RETRY_SECONDS", 0.05)
    async with MemoryDriver(ManualClock()) as driver, asyncio.timeout(5):
        line = ProcessLine()
        async with AsyncExitStack() as before:
            await before.enter_async_context(line.turn(1, "count"))
            # Nobody's turn ends: what holds it up may have nothing to do with this.
            await transact(driver, add_one, line=line, kind="count")
            entering = asyncio.ensure_future(before.enter_async_context(line.turn(1, "count")))
            waiting = asyncio.ensure_future(transact(driver, add_one, line=line, kind="count"))
            await asyncio.sleep(0)
            await before.pop_all().aclose()
            await entering
            with pytest.raises(StorageBusy):
                await waiting
        assert (await driver.get([N]))[0] == (N, 1, b"1", "")


@pytest.mark.parametrize("line", [None, ProcessLine()], ids=["no line", "in a line"])
@pytest.mark.parametrize("there", [False, True])
async def test_a_document_is_created_without_a_look_and_one_that_is_there_is_seen_after_a_conflict(
    there: bool, line: ProcessLine | None
) -> None:
    asked: list[Key] = []
    seen: list[int] = []

    async def run(tx: Transaction) -> None:
        tx.create(N)
        seen.append(tx.put(N, b"new"))

    class Watched(MemoryDriver):
        async def get(self, keys: Sequence[Key]) -> list[Document | None]:
            asked.extend(keys)
            return await super().get(keys)

    async with Watched(ManualClock()) as driver:
        if there:
            await driver.commit([], [Put(N, b"old"), Put(N, b"older")])
        await transact(driver, run, line=line)
        assert asked == ([N] if there and line is not None else [])
        assert seen == ([1, 3] if there else [1])
        assert await driver.get([N]) == [Document(N, seen[-1], b"new")]


async def test_what_was_taken_for_absent_is_looked_for_once_that_is_taken_back() -> None:
    async with MemoryDriver(ManualClock()) as driver:
        await driver.commit([], [Put(N, b"there")])
        tx = Transaction(driver)
        restore = tx.savepoint()
        tx.create(N)
        tx.put(N, b"never")
        restore()
        assert await tx.get([N]) == [Document(N, 1, b"there")]


async def test_one_document_is_found_with_what_was_written_since() -> None:
    async with MemoryDriver(ManualClock()) as driver:
        await driver.commit([], [Put(N, b"there")])
        tx = Transaction(driver)
        assert await tx.find(N) == Document(N, 1, b"there")
        restore = tx.savepoint()
        tx.put(N, b"changed")
        assert await tx.find(N) == Document(N, 2, b"changed")
        restore()
        assert await tx.find(N) == Document(N, 1, b"there")
        tx.delete(N)
        assert await tx.find(N) is None


async def test_what_was_only_peeked_at_is_guarded_once_it_is_found() -> None:
    async with MemoryDriver(ManualClock()) as driver:
        tx, other = Transaction(driver), Key("counters", "other")
        await tx.peek([N, other])
        assert await tx.find(N) is None
        tx.put(other, b"depends on n")
        await driver.commit([], [Put(N, b"meanwhile")])
        with pytest.raises(Conflict):
            await tx.commit()


async def test_what_is_lacking_is_known_from_an_earlier_look_alone() -> None:
    async with MemoryDriver(ManualClock()) as driver:
        tx = Transaction(driver)
        assert not tx.lacks(N)
        await tx.peek([N])
        assert tx.lacks(N)
        restore = tx.savepoint()
        tx.put(N, b"mine")
        assert not tx.lacks(N)
        restore()
        assert tx.lacks(N)
        await driver.commit([], [Put(N, b"meanwhile")])
        later = Transaction(driver)
        await later.peek([N])
        assert not later.lacks(N)
