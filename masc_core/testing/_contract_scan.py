"""Ranges, pages, order and tallies of documents."""

from __future__ import annotations

import pytest

from masc_core.store.driver import Delete, Document, Driver, Scan
from masc_core.testing._contract_base import ContractBase, ids, key, put

__all__ = ["ScanContract"]

ROWS = [("k1", "b"), ("k2", "a"), ("k3", "b"), ("k4", "c"), ("k5", "b"), ("k6", "é"), ("k7", ""), ("k8", "🦊")]
BY_VALUE = ["k7", "k2", "k1", "k3", "k5", "k4", "k6", "k8"]


class ScanContract(ContractBase):
    @pytest.fixture
    async def filled(self, driver: Driver) -> Driver:
        """A collection of eight, with three ties, and another collection with the same keys."""
        await driver.commit([], [put(id, id.encode(), ("by", value), ("other", "x")) for id, value in ROWS])
        await driver.commit([], [put(id, b"", ("by", "b"), collection="elsewhere") for id, _ in ROWS])
        return driver

    async def test_a_scan_in_key_order_carries_the_key_as_its_value(self, filled: Driver) -> None:
        assert await filled.scan(Scan("things", low="k2", high="k4")) == [
            Document(key("k2"), 1, b"k2", "k2"),
            Document(key("k3"), 1, b"k3", "k3"),
        ]
        assert ids(await filled.scan(Scan("things", reverse=True, limit=2))) == ["k8", "k7"]
        assert await filled.scan(Scan("nothing")) == []

    async def test_an_index_orders_by_utf8_bytes_and_ties_by_key(self, filled: Driver) -> None:
        found = await filled.scan(Scan("things", "by"))
        assert ids(found) == BY_VALUE
        assert [d.value for d in found] == ["", "a", "b", "b", "b", "c", "é", "🦊"]
        assert [d.body for d in found] == [id.encode() for id in BY_VALUE]
        assert ids(await filled.scan(Scan("things", "by", reverse=True))) == BY_VALUE[::-1]
        assert await filled.scan(Scan("things", "nothing")) == []

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize(
        ("low", "high", "expected"),
        [
            ("b", "c", ["k1", "k3", "k5"]),
            ("b", None, ["k1", "k3", "k5", "k4", "k6", "k8"]),
            ("", "b", ["k7", "k2"]),
            ("bb", "bz", []),
            ("c", "b", []),
            ("é", "🦊", ["k6"]),
        ],
    )
    async def test_low_is_inclusive_and_high_exclusive(
        self, filled: Driver, low: str, high: str | None, expected: list[str], reverse: bool
    ) -> None:
        found = ids(await filled.scan(Scan("things", "by", low, high, reverse=reverse)))
        assert found == (expected[::-1] if reverse else expected)

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("index", ["", "by"])
    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    async def test_pages_join_without_gap_or_overlap(
        self, filled: Driver, index: str, limit: int, reverse: bool
    ) -> None:
        found: list[Document] = []
        after: tuple[str, str] | None = None
        while page := await filled.scan(Scan("things", index, after=after, limit=limit, reverse=reverse)):
            assert len(page) <= limit
            found += page
            after = (page[-1].value, page[-1].key.id)
        whole = await filled.scan(Scan("things", index, reverse=reverse))
        assert found == whole
        assert len(found) == len(ROWS)

    @pytest.mark.parametrize(
        ("after", "reverse", "expected"),
        [
            (("a", "k2"), False, ["k1", "k3", "k5"]),
            (("b", "k3"), False, ["k5"]),
            (("b", "k2"), False, ["k3", "k5"]),
            (("z", "k1"), False, []),
            (("c", "k4"), True, ["k5", "k3", "k1"]),
            (("b", "k3"), True, ["k1"]),
            (("a", "k2"), True, []),
        ],
    )
    async def test_after_and_bounds_hold_together(
        self, filled: Driver, after: tuple[str, str], reverse: bool, expected: list[str]
    ) -> None:
        assert ids(await filled.scan(Scan("things", "by", "b", "c", after, reverse=reverse))) == expected

    async def test_a_limit_of_nothing_gives_nothing(self, filled: Driver) -> None:
        assert await filled.scan(Scan("things", limit=0)) == await filled.scan(Scan("things", "by", limit=-1)) == []

    async def test_index_entries_are_replaced_with_the_document(self, driver: Driver) -> None:
        await driver.commit([], [put("a", b"", ("by", "1"), ("by", "2"), ("also", "x"))])
        assert [d.value for d in await driver.scan(Scan("things", "by"))] == ["1", "2"]
        await driver.commit([], [put("a", b"", ("by", "2"), ("by", "3"), ("by", "3"))])
        assert [(d.value, d.version) for d in await driver.scan(Scan("things", "by"))] == [("2", 2), ("3", 2)]
        assert await driver.scan(Scan("things", "also")) == []
        await driver.commit([], [Delete(key("a"))])
        assert await driver.scan(Scan("things", "by")) == await driver.scan(Scan("things")) == []
        await driver.commit([], [put("a", b"", ("by", "4")), put("a", b"", ("by", "5"))])
        assert [(d.value, d.version) for d in await driver.scan(Scan("things", "by"))] == [("5", 4)]

    async def test_tallies_follow_replacing_and_deleting(self, driver: Driver) -> None:
        await driver.commit([], [put(str(n), b"", ("state", f"s{n}", "open"), ("kind", "x")) for n in range(5)])
        assert await driver.count("things", "state") == {"open": 5}
        assert await driver.count("things", "kind") == await driver.count("nothing", "state") == {}
        assert await driver.count("things", "state", "open") == {"open": 5}
        assert await driver.count("things", "state", "done") == {}
        await driver.commit([], [put("0", b"", ("state", "s", "done")), put("1", b"", ("state", "s"))])
        assert await driver.count("things", "state") == {"open": 3, "done": 1}
        await driver.commit([], [Delete(key("2")), Delete(key("2")), Delete(key("0"))])
        assert await driver.count("things", "state") == {"open": 2}
        await driver.commit([], [put("2", b"", ("state", "v", "open")), put("2", b"", ("state", "w", "open"))])
        assert await driver.count("things", "state") == {"open": 3}

    async def test_a_tally_counts_records_not_values(self, driver: Driver) -> None:
        await driver.commit([], [put("a", b"", ("tag", "1", "g"), ("tag", "2", "g"), ("tag", "2", "h"))])
        assert await driver.count("things", "tag") == {"g": 1, "h": 1}
        await driver.commit([], [put("a", b"", ("tag", "2", "g"))])
        assert await driver.count("things", "tag") == {"g": 1}
