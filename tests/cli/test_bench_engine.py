"""How calls are taken in turn, and how their times are summed up."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.client.client import Client
from mcp_types import ListToolsResult, Tool

from masc_core.bench import calls, stats, tokens
from masc_core.bench.calls import ListUnfinished
from masc_core.bench.engine import CallFailed, Lane, Limits, measure
from masc_core.bench.servers import Target

times = st.lists(st.floats(1e-3, 1e5), min_size=1, max_size=50)


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([7.0], 99, 7.0), ([1.0, 2.0], 50, 1.5), ([4.0, 1.0, 3.0, 2.0], 95, 3.85), (list(range(101)), 99, 99)],
)
def test_percentiles_interpolate_between_neighbours(values: list[float], percent: int, expected: float) -> None:
    assert stats.percentile(values, percent) == pytest.approx(expected)


def test_nothing_measured_has_no_figures() -> None:
    assert set(stats.summary([]).values()) == {None}


@given(times)
def test_every_time_is_in_one_bin(values: list[float]) -> None:
    found = stats.counts(values, stats.bins(values))
    assert len(found) == 12
    assert sum(row["calls"] for row in found) == len(values)
    assert found[0]["calls"] > 0


async def test_calls_to_be_compared_take_turns_in_changing_order() -> None:
    made: list[str] = []

    def lane(name: str) -> Lane:
        async def call(client: int) -> None:
            made.append(name)

        return Lane(name, call)

    first, second, other = lane("a"), lane("b"), lane("x")
    ticks: list[int] = []
    await measure([[first, second], [other]], Limits(calls=3, warm_up=2), ticks.append)
    assert "".join(made) == "aabbxx" + "abx" + "bax" + "abx"
    assert [len(each.times) for each in (first, second, other)] == [3, 3, 3]
    assert sum(ticks) == 9


async def test_clients_call_at_the_same_time_and_share_the_calls() -> None:
    together = asyncio.Barrier(3)
    by_client: list[int] = []

    async def call(client: int) -> None:
        by_client.append(client)
        await together.wait()

    lane = Lane("together", call)
    await asyncio.wait_for(measure([[lane]], Limits(clients=3, calls=30, warm_up=1)), 20)
    assert len(lane.times) == 30
    assert sorted(by_client) == sorted([0, 1, 2] * 11)


async def test_failures_are_counted_in_the_warm_up_too() -> None:
    async def call(client: int) -> None:
        raise CallFailed("no")

    lane = Lane("no", call)
    await measure([[lane]], Limits(calls=4, warm_up=2))
    assert (lane.times, dict(lane.errors)) == ([], {"no": 6})


async def test_a_warm_up_that_does_not_end_leaves_nothing_measured() -> None:
    calls = 0

    async def call(client: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise asyncio.CancelledError

    lane = Lane("warming", call)
    with pytest.raises(asyncio.CancelledError):
        await measure([[lane]], Limits(calls=4, warm_up=5))
    assert (calls, lane.times) == (3, [])


@pytest.mark.parametrize("clients", [1, 2])
async def test_another_exception_ends_the_run_and_leaves_what_was_measured(clients: int) -> None:
    calls = 0

    async def call(client: int) -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        if calls >= 8:
            raise LookupError("gone")

    lane = Lane("x", call)
    with pytest.raises(LookupError):
        await measure([[lane]], Limits(clients=clients, calls=40, warm_up=0))
    assert 8 - clients <= len(lane.times) < 8


async def test_when_time_is_up_each_call_is_made_once() -> None:
    made: list[str] = []

    def lane(name: str) -> Lane:
        async def call(client: int) -> None:
            made.append(name)

        return Lane(name, call)

    lanes = [lane("a"), lane("b")]
    await measure([lanes], Limits(clients=2, calls=1000, warm_up=1000, seconds=0.0))
    assert "".join(made) == "ab" + "ab"
    assert [len(lane.times) for lane in lanes] == [1, 1]


class PagedClient:
    """A client whose server has a tool list of some pages, and a clock that runs on by a second a page."""

    server_info = instructions = None
    protocol_version = "2025-11-25"

    def __init__(self, pages: int, slower: int = 0) -> None:
        self.pages = pages
        self.slower = slower
        """How many pages each further list has more."""
        self.now = 0.0
        self.asked: list[str | None] = []

    def perf_counter(self) -> float:
        return self.now

    async def list_tools(self, cursor: str | None = None) -> ListToolsResult:
        self.now += 1
        self.asked.append(cursor)
        here = int(cursor or 0) + 1
        tool = Tool(name=f"tool{here}", input_schema={"type": "object"})
        following = str(here) if here < self.pages else None
        if following is None:
            self.pages += self.slower
        return ListToolsResult(tools=[tool], next_cursor=following)


async def cost_of(client: PagedClient, seconds: float, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    for module in (calls, tokens):
        patch.setattr(module, "time", client)
    return await tokens.list_cost(cast(Client, client), Target("http://localhost/mcp"), len, seconds)


async def test_a_list_that_goes_on_for_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    client = PagedClient(pages=50)
    with pytest.raises(ListUnfinished, match="has not ended in time, after 3 pages; --seconds"):
        await cost_of(client, 3, monkeypatch)
    assert len(client.asked) == 3


async def test_a_further_list_that_goes_on_for_too_long_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    client = PagedClient(pages=2, slower=1)
    cost = await cost_of(client, 7, monkeypatch)
    assert client.asked == [None, "1", None, "1", "2", None, "1"]
    assert [tool["name"] for tool in cost["tools"]] == ["tool1", "tool2", "tool3"]
    assert (cost["first_list_ms"], cost["lists"], cost["list_ms"]["p50_ms"]) == (2000, 1, 3000)


async def test_the_first_page_is_asked_for_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    cost = await cost_of(PagedClient(pages=1), 0.1, monkeypatch)
    assert (cost["first_list_ms"], cost["lists"]) == (1000, 1)
