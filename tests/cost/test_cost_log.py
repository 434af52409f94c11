"""Logging and reporting, as cost.md accepts them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson
import pytest
from cost_support import codes, limit, reported, room
from hypothesis import given
from hypothesis import strategies as st

from masc_core.convert import structure
from masc_core.plugins import Registry
from masc_core.records import EVENTS
from masc_core.store.collections import LogView
from masc_core.store.driver import Committed, Document, Put, Scan
from masc_core.store.transaction import Transaction
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app
from masc_plugin_cost.adding import MOST_SLOTS
from masc_plugin_cost.money import priced, usd
from masc_plugin_cost.records import BUCKETS, Bucket
from masc_plugin_cost.settings import CostSettings

PRICES = CostSettings(prices={"large": {"input_per_million": 3, "output_per_million": 15}})


async def test_a_tenth_and_two_tenths_are_three_tenths(masc: MascApp) -> None:
    """Acceptance 1."""
    for cost in (0.1, 0.2):
        await masc.call("masc_cost_log", "claude", cost_usd=cost)
    outcome = await masc.outcome("masc_cost_report")
    assert b'"total_cost_usd":0.3,' in orjson.dumps(outcome.structured)
    assert "total_cost_usd=0.3 " in outcome.text


async def test_an_entry_of_3601_s_is_daily_and_no_longer_hourly(masc: MascApp, clock: ManualClock) -> None:
    """Acceptance 2, with the edges of every window."""
    await masc.call("masc_cost_log", "claude", cost_usd=1)
    passed = 0
    for period, seconds, longer in (("hourly", 3600, "daily"), ("daily", 86_400, "weekly"), ("weekly", 604_800, "monthly"),
                                    ("monthly", 2_592_000, "all")):  # fmt: skip
        for age, counted in ((seconds - 1, 1), (seconds, 1), (seconds + 1, 0)):
            clock.jump(age - passed)
            passed = age
            assert (await masc.call("masc_cost_report", period=period))["total_entries"] == counted
        assert (await masc.call("masc_cost_report", period=longer))["total_entries"] == 1


async def test_tokens_of_a_known_model_have_a_price(tmp_path: Path, clock: ManualClock, registry: Registry) -> None:
    """Acceptance 3."""
    async with room(tmp_path, clock, registry, PRICES) as masc:
        logged = await masc.call("masc_cost_log", "claude", model="large", input_tokens=1000, output_tokens=100)
        assert (logged["entry"]["cost_usd"], logged["entry"]["priced"]) == (0.0045, True)
        given = await masc.call("masc_cost_log", "claude", model="large", input_tokens=1000, cost_usd=0.5)
        assert (given["entry"]["cost_usd"], given["entry"]["priced"]) == (0.5, False)
        dear = await masc.error("masc_cost_log", "claude", model="large", output_tokens=10**12)
        assert (dear["code"], dear["details"]["field"]) == ("invalid_argument", "input_tokens")


async def test_no_cost_and_no_price_is_refused(masc: MascApp) -> None:
    """Acceptance 4."""
    for arguments in ({}, {"model": "large"}, {"cost_usd": None}):
        error = await masc.error("masc_cost_log", "claude", **arguments)
        assert (error["code"], error["details"]["field"], error["details"]["reason"]) == (
            "invalid_argument", "cost_usd", "no_price",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("cost_usd", v) for v in (-1, -0.000001, 1_000_000.000001, 10**400, float("nan"), float("inf"), float("-inf"),
                                    True, "1", [1])),
        *(("model", v) for v in ("", " ", "x" * 129, "a\nb", "\0", "\ud800", 3)),
        *((t, v) for t in ("input_tokens", "output_tokens") for v in (-1, 10**12 + 1, 1.0, True)),
        *(("task_id", v) for v in ("", "a b", "x" * 129, "ä")),
    ],
)  # fmt: skip
async def test_odd_values_are_refused_and_store_nothing(masc: MascApp, field: str, value: object) -> None:
    await masc.call("masc_init")
    error = await masc.error("masc_cost_log", "claude", **{"cost_usd": 1, field: value})
    assert error["code"] == ("invalid_task_id" if field == "task_id" else "invalid_argument")
    assert json.dumps(error)
    assert (await masc.call("masc_cost_report", period="all"))["total_entries"] == 0


@pytest.mark.parametrize(
    ("value", "stored"),
    [(0, 0.0), (1_000_000, 1e6), (0.0000005, 0.0), (0.0000015, 0.000002), (0.0000025, 0.000002), (5e-324, 0.0),
     (0.1 + 0.2, 0.3), (999_999.999999, 999_999.999999)],
)  # fmt: skip
async def test_cost_is_rounded_half_even_to_six_decimals(masc: MascApp, value: float, stored: float) -> None:
    assert (await masc.call("masc_cost_log", "claude", cost_usd=value))["entry"]["cost_usd"] == stored


async def test_an_entry_has_what_was_given_and_an_event(masc: MascApp, clock: ManualClock) -> None:
    logged = await masc.call("masc_cost_log", "claude", cost_usd=0.25, task_id="not:on-board", input_tokens=10**12)
    entry = logged["entry"]
    assert entry == {
        "seq": 1, "agent": "claude", "model": "unknown", "input_tokens": 10**12, "output_tokens": 0, "cost_usd": 0.25,
        "priced": False, "timestamp": entry["timestamp"], "task_id": "not:on-board",
    }  # fmt: skip
    assert (logged["agent_total_today_usd"], logged["joined"], "budget" in logged) == (0.25, True, False)
    events = await LogView(EVENTS, Transaction(masc.kernel.start_room.driver)).read(0, 100)
    (event,) = [e for e in events if e.type == "cost_logged"]
    assert (event.actor, event.subject, event.data["cost_usd"]) == ("claude", "not:on-board", 0.25)
    await masc.call("masc_cost_log", "gemini", cost_usd=1)
    await clock.advance(86_401)
    assert (await masc.call("masc_cost_log", "claude", cost_usd=0.5))["agent_total_today_usd"] == 0.5


async def test_what_was_logged_in_a_later_stretch_of_time_counts_when_the_clock_is_set_back(
    masc: MascApp, clock: ManualClock
) -> None:
    stretch = 8 * 64**3
    clock.jump(stretch)
    await masc.call("masc_cost_log", "claude", cost_usd=1)
    clock.jump(-stretch)
    logged = await masc.call("masc_cost_log", "claude", cost_usd=2)
    assert (logged["agent_total_today_usd"], (await reported(masc))["total_cost_usd"]) == (3, 3)


async def test_a_report_is_dearest_first_and_can_be_narrowed(masc: MascApp) -> None:
    for agent, cost, model, task in (("claude", 1, "a", "t1"), ("gemini", 2, "b", None), ("claude", 3, "b", "-"),
                                     ("Zed", 2, "c", "t1")):  # fmt: skip
        await masc.call(
            "masc_cost_log", agent, cost_usd=cost, model=model, task_id=task, input_tokens=1, output_tokens=2
        )
    whole = await reported(masc)
    assert [(s["key"], s["cost_usd"], s["entries"]) for s in whole["by_agent"]] == [
        ("claude", 4.0, 2), ("Zed", 2.0, 1), ("gemini", 2.0, 1),
    ]  # fmt: skip
    assert [s["key"] for s in whole["by_model"]] == ["b", "c", "a"]
    assert [(s["key"], s["cost_usd"]) for s in whole["by_task"]] == [('"-"', 3.0), ("t1", 3.0), ("-", 2.0)]
    assert (whole["period"], whole["input_tokens"], whole["output_tokens"], whole["from"] < whole["to"]) == (
        "daily", 4, 8, True,
    )  # fmt: skip
    mine = await reported(masc, agent="CLAUDE", task_id="t1", period="all")
    assert (mine["total_cost_usd"], [s["key"] for s in mine["by_model"]], "from" in mine) == (1.0, ["a"], False)
    assert (await reported(masc, agent="nobody"))["by_agent"] == []
    odd: list[dict[str, Any]] = [{"period": "Daily"}, {"agent": "a b"}, {"task_id": "a b"}, {"agnet": "x"}]
    for arguments in odd:
        assert "error" in (await masc.outcome("masc_cost_report", **arguments)).structured


async def test_big_totals_keep_their_micro_dollars(masc: MascApp) -> None:
    for cost in (*[1_000_000] * 60, 999_999.999999, 0.000002):
        await masc.call("masc_cost_log", "claude", cost_usd=cost)
    assert (await masc.call("masc_cost_report"))["total_cost_usd"] == 61_000_000.000001


async def test_agents_who_log_at_once_do_not_wait_for_each_other(masc: MascApp) -> None:
    """Each entry counts once, and agents have buckets of their own."""
    agents = ["a1", "b1", "c1", "d1"]
    for agent in agents:
        await masc.call("masc_cost_log", agent, cost_usd=0)
    await asyncio.gather(*(masc.call("masc_cost_log", agent, cost_usd=0.1) for agent in agents for _ in range(10)))
    report = await masc.call("masc_cost_report")
    assert (report["total_entries"], report["total_cost_usd"]) == (44, 4.0)
    documents = await masc.kernel.start_room.driver.scan(Scan(BUCKETS.name))
    assert {orjson.loads(d.body)["agent"] for d in documents} == set(agents)


def pages(documents: Iterable[Document]) -> list[Bucket]:
    return [structure(orjson.loads(d.body), Bucket) for d in documents]


async def test_an_entry_changes_one_page_and_no_page_grows_without_end(
    masc: MascApp, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await masc.call("masc_join", "claude")
    driver = masc.kernel.start_room.driver
    written: list[int] = []
    commit = driver.commit

    async def counted(checks: Any, writes: Any) -> Committed:
        written.append(sum(isinstance(w, Put) and w.key.collection == BUCKETS.name for w in writes))
        return await commit(checks, writes)

    monkeypatch.setattr(driver, "commit", counted)
    for i in range(MOST_SLOTS):
        await masc.call("masc_cost_log", "claude", cost_usd=1, task_id=f"task-{i:03d}")
    assert written == [1] * MOST_SLOTS
    clock.jump(3_600)
    for i in range(2 * MOST_SLOTS):
        await masc.call("masc_cost_log", "claude", cost_usd=1, task_id=f"task-{i:03d}")
    rolled_up = [i for i, count in enumerate(written) if count > 1]
    assert rolled_up == [MOST_SLOTS, 2 * MOST_SLOTS]
    found = pages(await driver.scan(Scan(BUCKETS.name)))
    assert {page.level for page in found} == {0, 1, 2, 3}
    assert max(sum(len(cell[2]) for cell in page.cells) for page in found) == MOST_SLOTS


@pytest.mark.parametrize("after", range(1, 6))
@pytest.mark.parametrize("asked", ["hourly", "daily", "all", "agent", "log", "claim"])
async def test_what_is_rolled_up_while_it_is_read_counts_once(
    masc: MascApp, monkeypatch: pytest.MonkeyPatch, asked: str, after: int
) -> None:
    """Another's entry, by which a page is rolled up, is committed behind one query of those that are added up."""
    await masc.call("masc_join", "codex")
    await masc.call("masc_add_task", title="a")
    for i in range(MOST_SLOTS):
        await masc.call("masc_cost_log", "claude", cost_usd=1, model=f"m{i}")
    await limit(masc, room_day="50", hard=True)
    driver = masc.kernel.start_room.driver
    scan, scans = driver.scan, list[Scan]()

    async def overtaken(wanted: Scan) -> Sequence[Document]:
        found = await scan(wanted)
        if wanted.collection == BUCKETS.name:
            scans.append(wanted)
            if len(scans) == after:
                assert (await masc.call("masc_cost_log", "claude", cost_usd=0))["entry"]["seq"] == MOST_SLOTS + 1
        return found

    monkeypatch.setattr(driver, "scan", overtaken)
    if asked == "log":
        assert (await masc.call("masc_cost_log", "codex", cost_usd=0))["budget"]["spent_usd"] == MOST_SLOTS
    elif asked == "claim":
        assert (await masc.call("masc_claim", "codex", task_id="task-001"))["changed"] is True
    else:
        given = {"agent": "claude"} if asked == "agent" else {"period": asked}
        assert (await masc.call("masc_cost_report", **given))["total_cost_usd"] == MOST_SLOTS


async def test_an_agent_that_is_spelled_in_two_ways_has_one_line(masc: MascApp, clock: ManualClock) -> None:
    await masc.call("masc_cost_log", "bob", cost_usd=1)
    await masc.call("masc_leave", "bob")
    await clock.advance(31 * 86_400)
    await masc.call("masc_gc", days=1)
    for _ in range(2):
        await masc.call("masc_cost_log", "Bob", cost_usd=1)
        report = await masc.call("masc_cost_report", period="all")
        assert len(report["by_agent"]) == 1
    assert (report["by_agent"][0]["key"].lower(), report["by_agent"][0]["cost_usd"]) == ("bob", 3)


async def test_whoever_logs_nothing_any_more_is_not_read_for_the_last_hour(
    masc: MascApp, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(5):
        await masc.call("masc_cost_log", f"gone{i}", cost_usd=1)
    clock.jump(7_200)
    await masc.call("masc_cost_log", "claude", cost_usd=1)
    driver = masc.kernel.start_room.driver
    scan, read = driver.scan, list[Document]()

    async def seen(wanted: Scan) -> Sequence[Document]:
        found = await scan(wanted)
        read.extend(d for d in found if d.key.collection == BUCKETS.name)
        return found

    monkeypatch.setattr(driver, "scan", seen)
    assert (await masc.call("masc_cost_report", period="hourly"))["total_entries"] == 1
    assert {page.agent for page in pages(read)} == {"claude"}
    assert (await masc.call("masc_cost_report", period="all"))["total_entries"] == 6


async def test_gc_leaves_costs_and_a_reset_takes_them(masc: MascApp, clock: ManualClock) -> None:
    await masc.call("masc_cost_log", "claude", cost_usd=1)
    await clock.advance(30 * 86_400)
    await masc.call("masc_gc", days=1)
    assert (await masc.call("masc_cost_report", period="all"))["total_entries"] == 1
    removed = (await masc.call("masc_reset", confirm=True))["removed"]
    assert (removed["costs"], removed["cost_buckets"]) == (1, 1)
    assert (await masc.call("masc_cost_report", period="all"))["total_entries"] == 0
    assert (await masc.call("masc_cost_log", "claude", cost_usd=1))["entry"]["seq"] == 2


async def test_costs_outlive_a_restart(tmp_path: Path, clock: ManualClock, registry: Registry) -> None:
    for total in (0.1, 0.2):
        async with masc_app(tmp_path, backend="sqlite", clock=clock, registry=registry) as masc:
            assert (await masc.call("masc_cost_log", "claude", cost_usd=0.1))["agent_total_today_usd"] == total
            assert not codes(await masc.call("masc_cost_report"))


async def test_every_fact_of_a_result_is_in_its_text(masc: MascApp) -> None:
    """Acceptance 4 of model.md."""
    for tool, arguments in (
        ("masc_cost_log", {"agent_name": "claude", "cost_usd": 0.000001, "model": "a b", "task_id": "t"}),
        ("masc_cost_report", {"period": "weekly"}),
    ):
        outcome = await masc.outcome(tool, **arguments)
        for fact in _facts(outcome.structured):
            assert str(fact) in outcome.text


def _facts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [fact for inner in value.values() for fact in _facts(inner)]
    if isinstance(value, list):
        return [fact for inner in value for fact in _facts(inner)]
    return [] if isinstance(value, bool) else [value]


def test_a_price_is_decimal_and_tokens_are_rounded_once() -> None:
    assert PRICES.prices["large"].input_per_million == Decimal(3)
    assert priced((10**12, Decimal("0.1")), (3, Decimal("0.5"))) == 10**11 + 2
    assert priced((999_999_999_999, Decimal("0.12345678901234567"))) == 123_456_789_012
    assert (priced((1, Decimal("0.5"))), priced((1, Decimal("0.25")), (1, Decimal("0.25")))) == (0, 0)
    assert priced((3, Decimal("0.5"))) == 2


@given(st.integers(0, 2**33 * 10**6 - 1))
def test_a_sum_shows_all_its_micro_dollars(amount: int) -> None:
    assert Fraction(repr(usd(amount))) == Fraction(amount, 10**6)
