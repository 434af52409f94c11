"""Snapshots: the whole room from one state, and a whole room put in the place of another."""

from __future__ import annotations

import asyncio

import pytest

from masc_core.frozen import evolve
from masc_core.store.driver import Acquire, Append, Delete, Driver, Key, Remove, Scan
from masc_core.store.snapshot import Snapshot, StoredDocument
from masc_core.testing._contract_base import ContractBase, OpenDriver, key, put, within
from masc_core.testing.clock import ManualClock

__all__ = ["SnapshotContract"]

_STRANGE = ("ordinary", "NUL\0 and \1", "Grüße 🙂", "\x1f\x20\x7f", "a{b}:c*?", "%00\\")
_OWN = frozenset({"encryption", "encryption_progress", "encryption_usage"})
"""What a wrapper may keep beside the room's own records."""


class _Broken(Exception):
    pass


async def _furnish(driver: Driver) -> None:
    """One of everything, and what only a whole room shows: deleted records, removed entries, expired leases."""
    for strange in _STRANGE:
        index = ((strange, strange, strange), (strange, "other", "second"), ("plain", strange))
        await driver.commit(
            [],
            [put(strange, b"\0\xff", *index, collection=strange), Append(strange, b"\xfe", put("", b"", *index).index)],
        )
    await driver.commit([], [put("b"), put("gone"), put("gone"), put("many", b"x" * 70_000)])
    await driver.commit([], [put("b", b"2"), Delete(key("gone"))])
    await driver.commit([], [Append("log", b"%d" % n, put("", b"", ("by", "v", "g")).index) for n in range(1, 8)])
    await driver.commit([], [Remove("log", (1, 3, 7)), Append("emptied", b"1")])
    await driver.commit([], [Remove("emptied", (1,)), Acquire("held", "Grüße", 1000), Acquire("over", "me", 1)])


async def _seen(driver: Driver) -> list[object]:
    """What callers can see of it."""
    found: list[object] = [await driver.contents(), await driver.heads(["log", "emptied", "ordinary"])]
    for strange in _STRANGE:
        found += [await driver.scan(Scan(strange)), await driver.scan(Scan(strange, strange))]
        found += [await driver.scan_log(Scan(strange, strange)), await driver.count(strange, strange)]
    found += [await driver.scan(Scan("things")), await driver.read_log("log"), await driver.count("log", "by")]
    return [*found, await driver.count_log("log", "by", "v"), await driver.leases(["held", "over"])]


class SnapshotContract(ContractBase):
    async def test_a_snapshot_has_everything_and_is_the_same_for_everybody(
        self, open_driver: OpenDriver, driver: Driver, clock: ManualClock
    ) -> None:
        await _furnish(driver)
        await clock.advance(2)
        found = await driver.dump()
        assert found == await (await open_driver()).dump()
        documents = {d.key: d for d in found.documents if d.key.collection not in _OWN}
        assert documents[key("gone")] == StoredDocument(key("gone"), 2, None)
        assert (documents[key("b")].version, found.fence) == (2, 2)
        assert [lease.name for lease in found.leases] == ["held"]
        assert [e.seq for e in found.entries if e.log == "log"] == [2, 4, 5, 6]
        assert (found.lasts["log"], found.lasts["emptied"]) == (7, 1)
        assert list(documents) == sorted(documents)
        assert [(e.log, e.seq) for e in found.entries] == sorted((e.log, e.seq) for e in found.entries)

    async def test_what_is_exchanged_is_as_if_it_had_been_written(
        self, open_driver: OpenDriver, driver: Driver, clock: ManualClock
    ) -> None:
        await _furnish(driver)
        await clock.advance(2)
        other = await open_driver()
        before, seen = await driver.dump(), await _seen(driver)
        await other.commit([], [put("b", b"3"), put("new", b"", ("by", "v", "g")), Append("log", b"8")])
        await other.commit([], [Append("further", b"1"), Acquire("third", "me", 5), put("gone")])
        await driver.exchange(lambda _: before)
        assert await other.dump() == await driver.dump() == before
        assert await _seen(driver) == await _seen(other) == seen
        done = await other.commit([], [Append("log", b"8"), Append("emptied", b"2"), Acquire("third", "me", 5)])
        assert (done.appended, done.leases[0].fence) == ((8, 2), 3)
        await driver.commit([], [put("gone"), put("b", b"3", ("by", "v", "g"))])
        assert [d.version for d in await other.get([key("gone"), key("b")]) if d] == [3, 3]
        assert await other.count("things", "by") == {"g": 1}

    async def test_an_exchange_that_raises_changes_nothing(self, driver: Driver) -> None:
        await _furnish(driver)
        before = await driver.dump()

        def change(present: Snapshot) -> Snapshot:
            assert present == before
            raise _Broken

        with pytest.raises(_Broken):
            await driver.exchange(change)
        assert await driver.dump() == before
        await driver.commit([], [put("b", b"3")])

    async def test_exchanges_and_commits_of_others_follow_one_another(
        self, open_driver: OpenDriver, driver: Driver
    ) -> None:
        """What is committed is in what the exchange is given, or comes after it: nothing is lost between them."""
        other = await open_driver()
        await driver.commit([], [Append("log", b"0")])

        async def exchange() -> None:
            for n in range(5):
                await driver.exchange(
                    lambda now, n=n: evolve(  # type: ignore[misc]
                        now, documents=sorted([*now.documents, StoredDocument(Key("things", f"x{n}"), 1, None)])
                    )
                )

        async def append() -> None:
            for n in range(20):
                await other.commit([], [Append("log", b"%d" % n)])
                await asyncio.sleep(0)

        await within(asyncio.gather(exchange(), append()))
        assert (await driver.heads(["log"]))[0].last == 21
        assert len([d for d in (await other.dump()).documents if d.key.collection == "things"]) == 5

    async def test_a_snapshot_is_of_one_moment(self, open_driver: OpenDriver, driver: Driver) -> None:
        other = await open_driver()
        stop = asyncio.Event()

        async def write() -> None:
            while not stop.is_set():
                await other.commit([], [put("a"), Append("log", b""), put("z", collection="zoo")])
                await asyncio.sleep(0)

        writing = asyncio.create_task(write())
        try:
            seen: set[int] = set()
            while len(seen) < 5:
                found = await within(driver.dump())
                versions = {d.key.id: d.version for d in found.documents}
                numbers = {versions.get("a", 0), versions.get("z", 0), found.lasts.get("log", 0)}
                assert numbers | {len(found.entries)} == numbers == {max(numbers)}
                seen |= numbers
                await asyncio.sleep(0)
        finally:
            stop.set()
            await writing

    async def test_an_exchange_wakes_who_waits_for_a_log(self, open_driver: OpenDriver, driver: Driver) -> None:
        other = await open_driver()
        await driver.commit([], [Append("log", b"1"), Append("log", b"2")])
        full = await driver.dump()
        await driver.commit([], [Append("log", b"3")])
        await driver.exchange(lambda _: full)
        waiting = asyncio.create_task(other.watch({"log": 2}))
        await driver.commit([], [Append("log", b"3")])
        assert await within(waiting) == {"log": 3}

    async def test_rooms_are_apart_also_as_a_whole(self, open_driver: OpenDriver, driver: Driver) -> None:
        other = await open_driver("other")
        await _furnish(other)
        before = await other.dump()
        await driver.commit([], [put("a"), Append("log", b"1")])
        await driver.exchange(lambda now: evolve(now, entries=(), lasts={}))
        assert await other.dump() == before
        assert (await driver.contents()).logs == {}
