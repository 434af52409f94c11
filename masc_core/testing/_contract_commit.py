"""Documents: checks, versions, atomicity, limits, rooms, cancellation."""

from __future__ import annotations

import asyncio

import pytest

from masc_core.errors import StorageUnavailable
from masc_core.store.driver import (
    MAX_BODY,
    MAX_INDEX,
    MAX_KEY,
    Absent,
    Acquire,
    Append,
    Check,
    Committed,
    Conflict,
    Delete,
    Document,
    Driver,
    Held,
    IndexEntry,
    Key,
    Put,
    Reached,
    Remove,
    Rewrite,
    RewriteEntry,
    Scan,
    Version,
    Write,
)
from masc_core.testing._contract_base import ContractBase, MakeDriver, OpenDriver, key, put, within
from masc_core.testing.clock import ManualClock

__all__ = ["CommitContract"]

HOSTILE = ["", "'", '"; DROP TABLE documents; --', "a\nb", "\0", "%_*?[", "🦊é中", "a:b}{c", "x" * MAX_KEY, "é" * 256]

TOO_MUCH: list[Write] = [
    put("x" * (MAX_KEY + 1)),
    put("é" * (MAX_KEY // 2) + "x"),
    put("x", collection="c" * (MAX_KEY + 1)),
    put("\ud800"),
    Put(key("x"), bytes(MAX_BODY + 1)),
    put("x", b"", ("by", "v" * (MAX_INDEX + 1))),
    put("x", b"", ("by", "v", "g" * (MAX_INDEX + 1))),
    Delete(key("x" * (MAX_KEY + 1))),
    Rewrite(key("x" * (MAX_KEY + 1)), b""),
    Rewrite(key("x"), bytes(MAX_BODY + 1)),
    RewriteEntry("l" * (MAX_KEY + 1), 1, b""),
    RewriteEntry("log", 1, bytes(MAX_BODY + 1)),
    Append("l" * (MAX_KEY + 1), b""),
    Append("log", bytes(MAX_BODY + 1)),
    Remove("l" * (MAX_KEY + 1), (1,)),
    Acquire("n" * (MAX_KEY + 1), "me", 10),
    Acquire("name", "me", 0.5),
    Acquire("name", "me", 86_401),
    Acquire("name", "me", float("nan")),
]


class CommitContract(ContractBase):
    async def test_get_answers_in_the_order_of_the_keys(self, driver: Driver) -> None:
        await driver.commit([], [put("a", b"1"), put("b", b"2")])
        found = await driver.get([key("b"), key("none"), key("a"), key("b")])
        assert found == [Document(key("b"), 1, b"2"), None, Document(key("a"), 1, b"1"), Document(key("b"), 1, b"2")]
        assert await driver.get([]) == []

    async def test_an_empty_commit_and_a_commit_of_checks_only_change_nothing(self, driver: Driver) -> None:
        assert await driver.commit([], []) == Committed()
        assert await driver.commit([Absent(key("a"))], []) == Committed()
        with pytest.raises(Conflict):
            await driver.commit([Version(key("a"), 1)], [])

    async def test_a_commit_that_wants_a_later_time_than_the_clock_shows_is_a_conflict(
        self, driver: Driver, clock: ManualClock
    ) -> None:
        changes: list[list[Write]] = [[put("a")], [put("a"), Acquire("lock", "me", 10)]]
        for writes in changes:
            with pytest.raises(Conflict) as caught:
                await driver.commit([Absent(key("a")), Reached(clock.now() + 0.5)], writes)
            assert (caught.value.current, caught.value.leases) == ({}, {})
        assert await driver.get([key("a")]) == [None]
        assert await driver.leases(["lock"]) == [None]
        await driver.commit([Reached(clock.now())], [put("a"), Acquire("lock", "me", 10)])
        with pytest.raises(Conflict) as caught:
            await driver.commit([Reached(clock.now()), Absent(key("a"))], [put("a")])
        assert [*caught.value.current] == [key("a")]

    async def test_versions_count_every_write_also_over_deletion(self, driver: Driver) -> None:
        for version in (1, 2):
            await driver.commit([], [put("a")])
            assert await driver.get([key("a")]) == [Document(key("a"), version, b"body")]
        await driver.commit([Version(key("a"), 2)], [Delete(key("a"))])
        assert await driver.get([key("a")]) == [None]
        await driver.commit([Absent(key("a"))], [put("a")])
        await driver.commit([], [Delete(key("a")), put("a"), put("a")])
        assert await driver.get([key("a")]) == [Document(key("a"), 5, b"body")]

    async def test_a_rewritten_document_keeps_version_and_index(self, driver: Driver) -> None:
        await driver.commit([], [put("a", b"1", ("by", "x", "g"))])
        await driver.commit([Version(key("a"), 1)], [Rewrite(key("a"), b"2"), Rewrite(key("none"), b"2")])
        assert await driver.scan(Scan("things", "by")) == [Document(key("a"), 1, b"2", "x")]
        assert await driver.count("things", "by") == {"g": 1}
        assert await driver.get([key("none")]) == [None]
        with pytest.raises(Conflict):
            await driver.commit([Version(key("a"), 2)], [Rewrite(key("a"), b"3")])
        await driver.commit([Version(key("a"), 1)], [put("a", b"4", ("by", "y", "h"))])
        assert await driver.scan(Scan("things", "by")) == [Document(key("a"), 2, b"4", "y")]
        assert await driver.count("things", "by") == {"h": 1}

    async def test_deleting_what_is_absent_does_nothing(self, driver: Driver) -> None:
        await driver.commit([], [Delete(key("a")), put("b"), Delete(key("b")), Delete(key("b"))])
        await driver.commit([], [put("a"), put("b")])
        assert await driver.get([key("a"), key("b")]) == [
            Document(key("a"), 1, b"body"),
            Document(key("b"), 2, b"body"),
        ]

    @pytest.mark.parametrize(
        "check", [Version(key("a"), 1), Version(key("a"), 3), Absent(key("a")), Version(key("b"), 1), Held("lease", 7)]
    )
    async def test_a_failed_check_leaves_everything_as_it_was(self, driver: Driver, check: Check) -> None:
        await driver.commit([], [put("a", b"1", ("by", "x", "g"))])
        await driver.commit([], [put("a", b"2", ("by", "x", "g")), Append("log", b"1")])
        writes: list[Write] = [
            *(put("a"), put("c", b"", ("by", "y", "g")), Append("log", b"2"), Remove("log", (1,))),
            *(Acquire("lease", "me", 10), Delete(key("a"))),
        ]
        with pytest.raises(Conflict):
            await driver.commit([Version(key("a"), 2), check], writes)
        assert await driver.scan(Scan("things")) == [Document(key("a"), 2, b"2", "a")]
        assert await driver.count("things", "by") == {"g": 1}
        assert [e.body for e in await driver.read_log("log")] == [b"1"]
        assert await driver.leases(["lease"]) == [None]
        assert (await driver.commit([], [Append("log", b"2")])).appended == (2,)

    async def test_a_conflict_carries_what_is_stored_for_each_failed_check(self, driver: Driver) -> None:
        await driver.commit([], [put("a", b"now"), put("b")])
        with pytest.raises(Conflict) as caught:
            await driver.commit([Version(key("a"), 9), Version(key("b"), 1), Version(key("c"), 1)], [put("d")])
        assert caught.value.current == {key("a"): Document(key("a"), 1, b"now"), key("c"): None}
        assert caught.value.leases == {}
        with pytest.raises(Conflict) as caught:
            await driver.commit([Absent(key("a"))], [])
        assert caught.value.current == {key("a"): Document(key("a"), 1, b"now")}

    async def test_of_two_clients_that_check_one_version_exactly_one_commits(self, open_driver: OpenDriver) -> None:
        clients = [await open_driver(), await open_driver()]
        await clients[0].commit([], [put(str(n)) for n in range(50)])
        won: list[list[int]] = [[], []]

        async def claim(me: int) -> None:
            for n in range(50):
                try:
                    await clients[me].commit([Version(key(str(n)), 1)], [put(str(n), str(me).encode())])
                except Conflict as conflict:
                    current = conflict.current[key(str(n))]
                    assert current is not None
                    assert (current.version, current.body) == (2, str(1 - me).encode())
                else:
                    won[me].append(n)
                await asyncio.sleep(0)

        await within(asyncio.gather(claim(0), claim(1)))
        assert sorted(won[0] + won[1]) == list(range(50))
        for me in (0, 1):
            found = await clients[1 - me].get([key(str(n)) for n in won[me]])
            assert all(d is not None and d.body == str(me).encode() for d in found)

    async def test_concurrent_commits_of_one_client_are_each_atomic(self, driver: Driver) -> None:
        async def increment() -> None:
            while True:
                (document,) = await driver.get([key("n")])
                check: Check = Version(key("n"), document.version) if document else Absent(key("n"))
                try:
                    await driver.commit([check], [put("n", b"x" * (len(document.body) + 1 if document else 1))])
                    return
                except Conflict:
                    await asyncio.sleep(0)

        await within(asyncio.gather(*(increment() for _ in range(20))))
        assert await driver.get([key("n")]) == [Document(key("n"), 20, b"x" * 20)]

    async def test_a_change_is_seen_by_every_client_once_acknowledged(self, open_driver: OpenDriver) -> None:
        one, two = await open_driver(), await open_driver()
        for n in range(1, 20):
            await one.commit([], [put("a", str(n).encode())])
            assert await two.get([key("a")]) == await one.get([key("a")]) == [Document(key("a"), n, str(n).encode())]

    async def test_what_is_stored_is_a_copy(self, driver: Driver) -> None:
        body = bytearray(b"before")
        await driver.commit([], [Put(key("a"), body), Append("log", body)])  # type: ignore[arg-type]
        body[:] = b"after!"
        (document,) = await driver.get([key("a")])
        (entry,) = await driver.read_log("log")
        assert document is not None
        assert document.body == entry.body == b"before"
        assert type(document.body) is type(entry.body) is bytes

    @pytest.mark.parametrize("write", TOO_MUCH)
    async def test_what_is_over_a_limit_is_a_value_error_and_changes_nothing(
        self, driver: Driver, write: Write
    ) -> None:
        with pytest.raises(ValueError):  # noqa: PT011
            await driver.commit([], [put("a"), Append("log", b""), write])
        assert await driver.get([key("a")]) == [None]
        assert await driver.read_log("log") == []

    async def test_a_mebibyte_fits(self, driver: Driver) -> None:
        body = bytes(range(256)) * (MAX_BODY // 256)
        await driver.commit([], [put("a", body, ("by", "v" * MAX_INDEX)), Append("log", body)])
        assert await driver.get([key("a")]) == [Document(key("a"), 1, body)]
        assert (await driver.read_log("log"))[0].body == body

    async def test_500_writes_of_4_mb_fit_in_one_commit(self, driver: Driver) -> None:
        body = bytes(8000)
        writes: list[Write] = [put(f"{n:03}", body, ("by", f"{n:03}", "g")) for n in range(250)]
        await within(driver.commit([], writes + [Append("log", body, (IndexEntry("by", "v"),)) for _ in range(250)]))
        assert len(await driver.scan(Scan("things", "by"))) == 250
        assert await driver.count("things", "by") == {"g": 250}
        assert (await driver.heads(["log"]))[0].last == 250

    @pytest.mark.parametrize("name", HOSTILE)
    async def test_any_text_within_the_limits_is_a_name(self, driver: Driver, name: str) -> None:
        value = name[:100]
        entry = IndexEntry(value, value, value)
        writes: list[Write] = [
            Put(Key(name, name), b"1", (entry,)),
            Append(name, b"2", (entry,)),
            Acquire(name, name, 10),
        ]
        (lease,) = (await driver.commit([Absent(Key(name, name))], writes)).leases
        await driver.commit([Version(Key(name, name), 1), Held(name, lease.fence)], [put("other", collection=name)])
        assert await driver.get([Key(name, name)]) == [Document(Key(name, name), 1, b"1")]
        assert {d.key for d in await driver.scan(Scan(name))} == {Key(name, name), Key(name, "other")}
        assert await driver.leases([name]) == [lease]
        assert [e.body for e in await driver.read_log(name)] == [b"2"]
        if value:
            assert await driver.scan(Scan(name, value, low=value)) == [Document(Key(name, name), 1, b"1", value)]
            assert len(await driver.scan_log(Scan(name, value))) == 1

    async def test_rooms_are_apart(self, open_driver: OpenDriver) -> None:
        one, other = await open_driver(room="one"), await open_driver(room="other")
        entry = IndexEntry("by", "v", "g")
        writes: list[Write] = [Put(key("a"), b"", (entry,)), Append("log", b"", (entry,)), Acquire("lease", "me", 10)]
        await one.commit([], writes)
        assert await other.get([key("a")]) == [None]
        assert await other.scan(Scan("things")) == await other.scan(Scan("things", "by")) == []
        assert await other.count("things", "by") == await other.count("log", "by") == {}
        assert await other.read_log("log") == []
        assert await other.scan_log(Scan("log", "by")) == []
        assert (await other.heads(["log"]))[0].last == 0
        assert await other.leases(["lease"]) == [None]
        committed = await other.commit([Absent(key("a"))], writes)
        assert committed.appended == (1,)
        assert committed.leases[0].fence >= 1
        await other.commit([], [Delete(key("a")), Remove("log", (1,))])
        assert await one.get([key("a")]) == [Document(key("a"), 1, b"")]
        assert len(await one.read_log("log")) == 1

    async def test_a_cancelled_commit_has_happened_entirely_or_not_at_all(self, open_driver: OpenDriver) -> None:
        one, two = await open_driver(), await open_driver()
        for turns in range(12):
            name = f"{turns}"
            task = asyncio.create_task(one.commit([], [put(name, bytes(200_000)), Append(name, b"")]))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await within(asyncio.wait([task]))
            (document,), (head,) = await two.get([key(name)]), await two.heads([name])
            assert (document is not None) == (head.last == 1)
            assert task.cancelled() or document is not None
            # Neither a lock nor a transaction is left behind, in this client or for the other.
            await within(two.commit([], [put("after")]))
            await within(one.commit([], [put("after")]))

    async def test_data_outlives_the_client(self, open_driver: OpenDriver, make_driver: MakeDriver) -> None:
        keeper = await open_driver()
        async with make_driver(ManualClock(), "default") as first:
            await first.commit([], [put("a"), Append("log", b"1")])
        assert await keeper.get([key("a")]) == [Document(key("a"), 1, b"body")]

    async def test_a_closed_driver_refuses(self, make_driver: MakeDriver, clock: ManualClock) -> None:
        async with make_driver(clock, "default") as driver:
            await driver.commit([], [put("a")])
        with pytest.raises(StorageUnavailable):
            await driver.get([key("a")])
        with pytest.raises(StorageUnavailable):
            await driver.commit([], [put("a")])
