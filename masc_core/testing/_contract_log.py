"""Logs: numbers without gaps, removal, paging, index."""

from __future__ import annotations

import asyncio

import pytest

from masc_core.errors import RecordUnreadable
from masc_core.store.driver import (
    MAX_BODY,
    Append,
    Conflict,
    Contents,
    Delete,
    Document,
    Driver,
    Head,
    IndexEntry,
    LogEntry,
    Remove,
    RewriteEntry,
    Scan,
    Version,
)
from masc_core.testing._contract_base import ContractBase, OpenDriver, key, put

__all__ = ["LogContract"]


def _append(value: str, group: str = "", log: str = "log") -> Append:
    return Append(log, value.encode(), (IndexEntry("by", value, group),))


class LogContract(ContractBase):
    async def test_numbers_start_at_one_and_are_given_out_in_order(self, driver: Driver) -> None:
        committed = await driver.commit([], [Append("a", b"1"), Append("b", b"1"), put("x"), Append("a", b"2")])
        assert committed.appended == (1, 1, 2)
        assert (await driver.commit([], [Append("a", b"3")])).appended == (3,)
        assert await driver.read_log("a") == [LogEntry(1, b"1"), LogEntry(2, b"2"), LogEntry(3, b"3")]
        assert await driver.heads(["b", "none", "a"]) == [Head(1, 1), Head(0, 0), Head(1, 3)]

    async def test_a_refused_commit_uses_no_number(self, driver: Driver) -> None:
        with pytest.raises(Conflict):
            await driver.commit([Version(key("none"), 1)], [Append("log", b"")])
        assert await driver.heads(["log"]) == [Head(0, 0)]
        assert (await driver.commit([], [Append("log", b"")])).appended == (1,)

    async def test_a_log_is_read_in_pages_from_either_end(self, driver: Driver) -> None:
        await driver.commit([], [Append("log", str(n).encode()) for n in range(1, 8)])

        async def seqs(after: int, limit: int, reverse: bool = False) -> list[int]:
            return [e.seq for e in await driver.read_log("log", after, limit, reverse)]

        assert await seqs(0, 3) == [1, 2, 3]
        assert await seqs(3, 3) == [4, 5, 6]
        assert await seqs(6, 3) == [7]
        assert await seqs(7, 3) == await seqs(10**30, 3) == await seqs(0, 0) == await seqs(0, -1) == []
        assert await seqs(0, 3, True) == [7, 6, 5]
        assert await seqs(5, 3, True) == [4, 3, 2]
        assert await seqs(2, 3, True) == [1]
        assert await seqs(1, 3, True) == []

    async def test_removed_entries_are_gone_and_their_numbers_stay_used(self, driver: Driver) -> None:
        await driver.commit([], [_append(str(n), "g") for n in range(1, 6)])
        await driver.commit([], [Remove("log", (1, 3, 3, 99, 0, -1, 10**30)), Remove("none", (1,))])
        assert [e.seq for e in await driver.read_log("log")] == [2, 4, 5]
        assert await driver.heads(["log"]) == [Head(2, 5)]
        await driver.commit([], [Remove("log", (5,)), Remove("log", [2, 4])])
        assert await driver.heads(["log"]) == [Head(0, 5)]
        assert await driver.scan_log(Scan("log", "by")) == []
        assert await driver.count("log", "by") == {}
        assert (await driver.commit([], [Append("log", b"")])).appended == (6,)
        assert await driver.heads(["log"]) == [Head(6, 6)]

    async def test_entries_of_a_value_are_counted_from_a_number_on(self, driver: Driver) -> None:
        await driver.commit([], [_append(value) for value in "abaca"])
        assert [await driver.count_log("log", "by", "a", after) for after in (0, 1, 2, 3, 5, 10**15)] == [
            3,
            2,
            2,
            1,
            0,
            0,
        ]
        assert [await driver.count_log("log", "by", value) for value in ("b", "d", "")] == [1, 0, 0]
        assert await driver.count_log("log", "other", "a") == await driver.count_log("none", "by", "a") == 0
        await driver.commit([], [Remove("log", (3,))])
        assert await driver.count_log("log", "by", "a") == 2

    async def test_a_body_can_be_made_from_the_entrys_number_and_the_one_before(self, driver: Driver) -> None:
        def chained(seq: int, previous: bytes | None) -> bytes:
            return b"%d<%s" % (seq, b"-" if previous is None else previous)

        await driver.commit([], [Append("log", chained), Append("other", b"x"), Append("log", chained)])
        await driver.commit([], [Append("log", chained, (IndexEntry("by", "v"),))])
        bodies = [b"1<-", b"2<1<-", b"3<2<1<-"]
        assert [e.body for e in await driver.read_log("log")] == bodies
        assert [entry.body for _, entry in await driver.scan_log(Scan("log", "by"))] == bodies[2:]
        await driver.commit([], [Remove("log", (3,)), Append("log", chained)])
        assert (await driver.read_log("log", 2))[0].body == b"4<-"

    async def test_a_body_that_cannot_be_made_leaves_nothing(self, driver: Driver) -> None:
        def broken(seq: int, previous: bytes | None) -> bytes:
            raise ValueError("no body")

        for bad in (broken, lambda seq, previous: b"x" * (MAX_BODY + 1)):
            with pytest.raises(ValueError, match="body"):
                await driver.commit([], [put("a"), Append("log", b"1"), Append("log", bad), put("b")])
        assert await driver.scan(Scan("things")) == []
        assert await driver.heads(["log"]) == [Head(0, 0)]

    async def test_made_bodies_of_racing_drivers_form_one_chain(self, open_driver: OpenDriver) -> None:
        drivers = [await open_driver(), await open_driver()]

        def chained(seq: int, previous: bytes | None) -> bytes:
            return str(int(previous or b"0") + seq).encode()

        await asyncio.gather(*(d.commit([], [Append("log", chained)]) for d in drivers * 10))
        entries = await drivers[0].read_log("log")
        assert [int(e.body) for e in entries] == [n * (n + 1) // 2 for n in range(1, 21)]

    async def test_a_rewritten_entry_keeps_number_and_index_and_wakes_nobody(self, driver: Driver) -> None:
        await driver.commit([], [_append("a", "g"), _append("b", "g")])
        waiting = asyncio.ensure_future(driver.watch({"log": 2}))
        rewrites = [RewriteEntry("log", 1, b"A"), *(RewriteEntry("log", n, b"-") for n in (3, 0, -1, 10**30))]
        assert (await driver.commit([], [*rewrites, RewriteEntry("none", 1, b"-")])).appended == ()
        assert await driver.read_log("log") == [LogEntry(1, b"A"), LogEntry(2, b"b")]
        assert await driver.scan_log(Scan("log", "by")) == [("a", LogEntry(1, b"A")), ("b", LogEntry(2, b"b"))]
        assert await driver.count("log", "by") == {"g": 2}
        assert await driver.heads(["log", "none"]) == [Head(1, 2), Head(0, 0)]
        assert not waiting.done()
        waiting.cancel()
        await driver.commit([], [_append("c"), RewriteEntry("log", 3, b"C")])
        assert (await driver.read_log("log", 2)) == [LogEntry(3, b"C")]

    async def test_a_body_is_made_from_the_entry_before_as_it_was_rewritten(self, driver: Driver) -> None:
        await driver.commit([], [_append("a")])
        late = Append("log", lambda seq, previous: (previous or b"none") + b"+")
        await driver.commit([], [RewriteEntry("log", 1, b"A"), late])
        await driver.commit([], [RewriteEntry("log", 2, b"B")])
        await driver.commit([], [late, RewriteEntry("log", 3, b"C"), RewriteEntry("log", 4, b"-"), late])
        assert [e.body for e in await driver.read_log("log")] == [b"A", b"B", b"C", b"C+"]
        await driver.commit([], [Remove("log", (4,)), RewriteEntry("log", 4, b"-"), late])
        assert [e.body for e in await driver.read_log("log", 3)] == [b"none+"]

    async def test_a_body_that_cannot_be_made_of_the_old_form_is_made_of_the_new(self, open_driver: OpenDriver) -> None:
        def chained(seq: int, previous: bytes | None) -> bytes:
            if previous == b"old":
                raise RecordUnreadable(collection="log", key=str(seq - 1), reason="plaintext_refused")
            return (previous or b"none") + b"+"

        one, two = await open_driver(), await open_driver()
        for other in (one, two):
            await one.commit([], [Append("log", lambda _seq, _previous: b"old")])
            last = (await one.heads(["log"]))[0].last
            await other.commit([], [RewriteEntry("log", last, b"new")])
            await one.commit([], [Append("log", chained)])
            assert (await one.read_log("log", last))[0].body == b"new+"

    async def test_a_refused_commit_rewrites_nothing(self, driver: Driver) -> None:
        await driver.commit([], [_append("a")])
        with pytest.raises(Conflict):
            await driver.commit([Version(key("none"), 1)], [RewriteEntry("log", 1, b"A")])
        with pytest.raises(ValueError, match="body"):
            await driver.commit([], [RewriteEntry("log", 1, bytes(MAX_BODY + 1))])
        assert await driver.read_log("log") == [LogEntry(1, b"a")]

    async def test_contents_count_what_is_kept_in_this_room(self, open_driver: OpenDriver) -> None:
        one, other = await open_driver(), await open_driver(room="other")
        assert await one.contents() == Contents({}, {})
        await one.commit(
            [], [put("a"), put("b"), put("c", collection="more"), _append("x"), _append("y", log="second")]
        )
        await one.commit([], [Delete(key("a")), Remove("second", (1,)), _append("z")])
        await other.commit([], [put("a")])
        assert await one.contents() == Contents({"things": 1, "more": 1}, {"log": 2})
        assert await other.contents() == Contents({"things": 1}, {})

    async def test_scrubbing_loses_nothing(self, driver: Driver) -> None:
        await driver.commit([], [put("a", bytes(50_000)), put("b", b"kept", ("by", "v", "g")), _append("x")])
        await driver.commit([], [Delete(key("a"))])
        await driver.scrub()
        assert await driver.scan(Scan("things", "by")) == [Document(key("b"), 1, b"kept", "v")]
        await driver.commit([], [put("a"), _append("y")])
        assert await driver.get([key("a")]) == [Document(key("a"), 2, b"body")]
        assert [e.body for e in await driver.read_log("log")] == [b"x", b"y"]

    async def test_an_entry_appended_in_the_same_commit_can_be_removed(self, driver: Driver) -> None:
        assert (await driver.commit([], [_append("a"), Remove("log", (1,))])).appended == (1,)
        assert await driver.heads(["log"]) == [Head(0, 1)]

    async def test_a_tailing_reader_never_meets_a_gap(self, open_driver: OpenDriver) -> None:
        writers, reader = [await open_driver() for _ in range(3)], await open_driver()
        total = 60

        async def write(writer: Driver, n: int) -> None:
            for i in range(total // len(writers)):
                # Commits of different size and length, some refused, so that they would overtake each other.
                body = bytes(150_000 if i % 5 == n else 10)
                if i % 3 == 0:
                    with pytest.raises(Conflict):
                        await writer.commit([Version(key("none"), 1)], [Append("log", body)])
                await writer.commit([], [put(f"{n}", body), Append("log", body)])
                await asyncio.sleep(0)

        async def tail() -> None:
            seen = 0
            while seen < total:
                await reader.watch({"log": seen})
                for entry in await reader.read_log("log", seen):
                    assert entry.seq == seen + 1
                    seen = entry.seq

        await asyncio.wait_for(asyncio.gather(tail(), *(write(w, n) for n, w in enumerate(writers))), 20)

    async def test_an_index_of_a_log_orders_ties_by_number(self, driver: Driver) -> None:
        await driver.commit([], [_append("b" if n % 2 else "a") for n in range(1, 13)])
        found = await driver.scan_log(Scan("log", "by"))
        assert [(value, e.seq) for value, e in found] == [("a", n) for n in range(2, 13, 2)] + [
            ("b", n) for n in range(1, 13, 2)
        ]
        assert found[0] == ("a", LogEntry(2, b"a"))
        assert await driver.scan_log(Scan("log", "by", reverse=True)) == found[::-1]
        assert await driver.scan_log(Scan("log", "by", "b", "c")) == found[6:]
        assert await driver.scan_log(Scan("log", "by", high="b", limit=2)) == found[:2]

    @pytest.mark.parametrize("reverse", [False, True])
    async def test_pages_of_a_log_index_join_without_gap(self, driver: Driver, reverse: bool) -> None:
        await driver.commit([], [_append("b" if n % 3 else "a") for n in range(1, 13)])
        found: list[tuple[str, LogEntry]] = []
        after: tuple[str, str] | None = None
        while page := await driver.scan_log(Scan("log", "by", after=after, limit=5, reverse=reverse)):
            found += page
            after = (page[-1][0], str(page[-1][1].seq))
        assert found == await driver.scan_log(Scan("log", "by", reverse=reverse))
        assert len(found) == 12

    async def test_a_scan_of_a_log_needs_an_index(self, driver: Driver) -> None:
        with pytest.raises(ValueError, match="index"):
            await driver.scan_log(Scan("log"))

    async def test_tallies_of_a_log_count_entries(self, driver: Driver) -> None:
        await driver.commit([], [_append("x", "g"), _append("y", "g"), _append("z", "h"), _append("z")])
        assert await driver.count("log", "by") == {"g": 2, "h": 1}
        await driver.commit([], [Remove("log", (1, 1, 3))])
        assert await driver.count("log", "by") == {"g": 1}
