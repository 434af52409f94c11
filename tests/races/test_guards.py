"""What a unit of work promises of what it read, and the order in which a guard must be read."""

from __future__ import annotations

import pytest

from masc_core.store.driver import Conflict, Document, Key, Put, Scan
from masc_core.store.memory import MemoryDriver
from masc_core.store.transaction import Transaction, transact
from masc_core.testing import ManualClock

GUARD, MINE, THEIRS = Key("guards", "g"), Key("things", "mine"), Key("things", "theirs")


async def test_a_guard_read_before_the_scan_makes_it_hold_at_the_commit() -> None:
    async with MemoryDriver(ManualClock()) as driver:
        await driver.commit([], [Put(GUARD, b"0")])
        tx = Transaction(driver)
        await tx.get([GUARD])
        assert await tx.scan(Scan("things")) == []
        await driver.commit([], [Put(GUARD, b"1"), Put(THEIRS, b"x")])
        await tx.get([MINE])
        tx.put(MINE, b"y")
        with pytest.raises(Conflict):
            await tx.commit()


async def test_what_a_lost_attempt_was_told_is_no_answer_to_a_peek_of_the_next() -> None:
    """It is older than the guard that the next attempt reads."""
    seen: list[Document | None] = []
    async with MemoryDriver(ManualClock()) as driver:
        await driver.commit([], [Put(GUARD, b"0"), Put(THEIRS, b"old")])

        async def others(body: bytes) -> None:
            await driver.commit([], [Put(GUARD, body), Put(THEIRS, body)])

        async def run(tx: Transaction) -> None:
            attempt = len(seen)
            if attempt == 1:
                await others(b"between")  # after the conflict, before this attempt reads its guard
            await tx.get([GUARD])
            seen.append((await tx.peek([THEIRS]))[0])
            if attempt == 0:
                await tx.get([THEIRS, GUARD])
                await others(b"first")
            await tx.get([MINE])
            tx.put(MINE, b"y")

        await transact(driver, run)
    assert [document.body for document in seen if document][:2] == [b"old", b"between"]
    assert seen[-1] is not None and seen[-1].body == b"between"


async def test_what_was_told_saves_a_get_its_read() -> None:
    async with MemoryDriver(ManualClock()) as driver:
        tx = Transaction(driver, {MINE: None})
        await driver.commit([], [Put(MINE, b"x")])
        assert await tx.get([MINE]) == [None]
        tx.put(MINE, b"y")
        with pytest.raises(Conflict):
            await tx.commit()
