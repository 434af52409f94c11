"""Reports equal the plain sum over all entries, whatever was logged when."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from cost_support import reported
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from masc_core.frozen import frozen
from masc_core.plugins import load
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app
from masc_plugin_cost import adding
from masc_plugin_cost.report import WINDOWS

AGENTS = ["claude", "Gemini"]
MODELS = ["unknown", "large", "small"]
REGISTRY = load()
TASKS = [None, "task-001", "-"]


@frozen
class Step:
    """Wait (negative: the clock is set back), then log."""

    wait: float
    agent: str
    model: str
    task: str | None
    cost: float
    tokens: int


@frozen
class Known:
    """An entry as the test remembers it."""

    at: int
    """Milliseconds."""
    step: Step


waits = st.one_of(
    st.sampled_from(
        [0.0, 0.001, 3.999, 4.0, 127.0, 3599.0, 3600.0, 3601.0, 86_400.0, 604_800.0, 2_592_000.0, 5e6, -500.0, -6e6]
    ),
    st.integers(0, 8_000_000).map(lambda ms: ms / 1000),
    st.integers(0, 100).map(float),
)
steps = st.builds(
    Step,
    wait=waits,
    agent=st.sampled_from(AGENTS),
    model=st.sampled_from(MODELS),
    task=st.sampled_from(TASKS),
    cost=st.integers(0, 10**12).map(lambda micro: micro / 10**6),
    tokens=st.integers(0, 10**12),
)


def naive(entries: Sequence[Known], by: str) -> dict[str, tuple[int, int, int, Fraction]]:
    """Sums by agent, model or task, one entry after the other."""
    sums: dict[str, tuple[int, int, int, Fraction]] = {}
    for entry in entries:
        key = getattr(entry.step, by)
        if by == "task":
            key = {None: "-", "-": '"-"'}.get(key, key)
        n, i, o, c = sums.get(key, (0, 0, 0, Fraction(0)))
        sums[key] = (n + 1, i + entry.step.tokens, o + 1, c + Fraction(repr(entry.step.cost)))
    return sums


def told(shares: Sequence[dict[str, Any]]) -> dict[str, tuple[int, int, int, Fraction]]:
    """A report's part, in the form of :func:`naive`."""
    assert [s["cost_usd"] for s in shares] == sorted((s["cost_usd"] for s in shares), reverse=True)
    return {
        s["key"]: (s["entries"], s["input_tokens"], s["output_tokens"], Fraction(repr(s["cost_usd"]))) for s in shares
    }


EVERYTHING: dict[str, list[Any]] = {
    "period": [*WINDOWS, "all"],
    "agent": [None, "gemini"],
    "task": [None, "task-001", "-"],
}
SOME: dict[str, list[Any]] = {"period": ["hourly", "all"], "agent": [None], "task": [None, "task-001"]}


async def check(masc: MascApp, clock: ManualClock, entries: Sequence[Known], which: dict[str, list[Any]]) -> None:
    """Compare these reports."""
    now = int(clock.now() * 1000)
    for period in which["period"]:
        since = now - WINDOWS[period] * 1000 if period in WINDOWS else 0
        for agent in which["agent"]:
            for task in which["task"]:
                filters = {"agent": agent, "task_id": task}
                report = await reported(masc, period=period, **filters)
                window = [
                    e
                    for e in entries
                    if e.at >= since and agent in (None, e.step.agent.lower()) and task in (None, e.step.task)
                ]
                for by in ("agent", "model", "task"):
                    assert told(report[f"by_{by}"]) == naive(window, by)
                total = sum((Fraction(repr(e.step.cost)) for e in window), Fraction(0))
                assert (report["total_entries"], Fraction(repr(report["total_cost_usd"]))) == (len(window), total)


def today(entries: Sequence[Known]) -> float:
    """What the agent that logged last did in the last 86,400 s."""
    newest = entries[-1]
    window = [e for e in entries if e.at >= newest.at - 86_400_000 and e.step.agent == newest.step.agent]
    return float(sum((Fraction(repr(e.step.cost)) for e in window), Fraction(0)))


@pytest.mark.parametrize("page", [1, 3, adding.MOST_SLOTS])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=st.lists(steps, max_size=25))
def test_every_report_is_the_sum_of_its_entries(monkeypatch: pytest.MonkeyPatch, page: int, script: list[Step]) -> None:
    monkeypatch.setattr(adding, "MOST_SLOTS", page)

    async def play() -> None:
        clock = ManualClock()
        with tempfile.TemporaryDirectory() as path:
            async with masc_app(Path(path), clock=clock, registry=REGISTRY) as masc:
                await masc.call("masc_init")
                entries: list[Known] = []
                for step in script:
                    clock.jump(step.wait)
                    logged = await masc.call(
                        "masc_cost_log", step.agent, model=step.model, task_id=step.task, cost_usd=step.cost,
                        input_tokens=step.tokens, output_tokens=1,
                    )  # fmt: skip
                    assert logged["entry"]["cost_usd"] == step.cost
                    entries.append(Known(int(clock.now() * 1000), step))
                    assert logged["agent_total_today_usd"] == today(entries)
                    await check(masc, clock, entries, SOME)  # reports follow what was reported before
                await check(masc, clock, entries, EVERYTHING)

    asyncio.run(play())


async def test_rooms_that_look_alike_have_their_own_sums(tmp_path: Path) -> None:
    """Two rooms of one moment, whose newest entries are equal too; and one room before and after its reset."""
    clock = ManualClock()
    async with masc_app(tmp_path, clock=clock) as one, masc_app(tmp_path, clock=clock) as other:
        for masc, first in ((one, 1.0), (other, 2.0)):
            await masc.call("masc_init")
            await masc.call("masc_cost_log", "claude", cost_usd=first)
            await masc.call("masc_cost_log", "claude", cost_usd=0.5)
        for masc, total in ((one, 1.5), (other, 2.5), (one, 1.5)):
            assert (await reported(masc))["total_cost_usd"] == total
        assert "error" not in await one.call("masc_reset", confirm=True)
        for cost in (4.0, 0.5):
            await one.call("masc_cost_log", "claude", cost_usd=cost)
        assert (await reported(one))["total_cost_usd"] == 4.5
