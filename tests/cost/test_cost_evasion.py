"""A hard budget holds whatever name a client gives itself and however the clock is set; saying no is as cheap as yes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from cost_support import limit, reported

from masc_core.identity import Client
from masc_core.store.driver import Document, Key, Scan
from masc_core.testing import ManualClock, MascApp
from masc_plugin_cost.adding import MOST_SLOTS


def bound(masc: MascApp, number: int = 1) -> Client:
    """A client that no endpoint names."""
    return masc.client(bindings=(f"session:{number}@host:1:1",))


async def code(masc: MascApp, client: Client, tool: str, **arguments: Any) -> str:
    outcome = await masc.outcome(tool, client, **arguments)
    return "" if outcome.error is None else outcome.error.code


async def test_a_client_without_binding_gets_no_new_budget_by_joining_again(masc: MascApp) -> None:
    await masc.call("masc_cost_log", "spender", cost_usd=5)
    await limit(masc, agent_day="1", hard=True)
    assert (await masc.error("masc_start", "spender", task_title="more"))["code"] == "budget_exceeded"
    assert (await masc.call("masc_tasks", status="all"))["total"] == 0
    assert (await masc.call("masc_start", "spender"))["agent"]["agent"] == "spender-2"
    assert (await masc.error("masc_start", "spender-2", task_title="more"))["code"] == "budget_exceeded"


async def test_a_name_given_instead_of_the_one_asked_for_shares_its_budget(masc: MascApp) -> None:
    await masc.call("masc_add_task", title="more")
    await masc.call("masc_cost_log", "spender", cost_usd=5)
    renamed = await masc.outcome("masc_join", bound(masc), agent_name="spender")
    assert renamed.structured["agent"] == "spender-2"
    await limit(masc, agent_day="1", hard=True)
    assert (await masc.error("masc_claim", "spender-2", task_id="task-001"))["code"] == "budget_exceeded"


async def test_one_client_has_one_budget_under_all_its_names(masc: MascApp) -> None:
    await masc.call("masc_add_task", title="more")
    mine = bound(masc)
    await masc.outcome("masc_join", mine, agent_name="claude")
    await masc.outcome("masc_cost_log", mine, agent_name="claude", cost_usd=5)
    await limit(masc, agent_day="1", hard=True)
    assert await code(masc, mine, "masc_start", agent_name="claude-b", task_title="x") == "budget_exceeded"
    assert await code(masc, mine, "masc_claim", agent_name="other", task_id="task-001") == "budget_exceeded"
    assert await code(masc, bound(masc, 2), "masc_claim", agent_name="gemini", task_id="task-001") == ""


async def test_the_wait_is_exact_to_the_second_however_much_was_logged(masc: MascApp, clock: ManualClock) -> None:
    await masc.call("masc_add_task", title="a")
    for i in range(60):
        await masc.call("masc_cost_log", ("claude", "gemini")[i % 2], cost_usd=1, model=f"m{i % 7}")
        await clock.advance((0.25, 3, 61, 700)[i % 4])
    for limits, agent in (({"agent_day": "11.5"}, "claude"), ({"agent_day": "none", "room_day": "20"}, "codex")):
        await limit(masc, **limits, hard=True)
        wait = (await masc.error("masc_claim", agent, task_id="task-001"))["details"]["retry_after"]
        clock.jump(wait - 1)
        assert (await masc.error("masc_claim", agent, task_id="task-001"))["details"]["retry_after"] == 1
        clock.jump(1)
        assert (await masc.call("masc_claim", agent, task_id="task-001"))["changed"] is True
        await masc.call("masc_transition", agent, task_id="task-001", action="release")
        clock.jump(-wait)


async def test_saying_no_reads_little_more_than_saying_yes(masc: MascApp, monkeypatch: pytest.MonkeyPatch) -> None:
    await masc.call("masc_add_task", title="a")
    for i in range(90):
        await masc.call("masc_cost_log", f"agent{i % 3}", cost_usd=1, task_id=f"t{i}")
    driver = masc.kernel.start_room.driver
    scanned: list[Document] = []
    asked: list[Scan] = []

    async def scan(wanted: Scan) -> Sequence[Document]:
        found = await original(wanted)
        asked.append(wanted)
        scanned.extend(d for d in found if d.key.collection == "cost_buckets")
        return found

    original = driver.scan
    monkeypatch.setattr(driver, "scan", scan)
    await limit(masc, room_day="1000", hard=True)
    asked.clear()
    assert (await masc.call("masc_claim", "agent1", task_id="task-001"))["changed"] is True
    allowed = len(asked)
    await masc.call("masc_transition", "agent1", task_id="task-001", action="release")
    await limit(masc, room_day="10")
    asked.clear()
    scanned.clear()
    assert (await masc.error("masc_claim", "agent1", task_id="task-001"))["code"] == "budget_exceeded"
    assert len(asked) <= 2 * allowed + 4
    assert {len(d.key.id.split(chr(31))[2].lstrip("0")) for d in scanned} == {2}, "full pages are of no use to a budget"


async def test_spending_survives_a_clock_that_is_set_back(masc: MascApp, clock: ManualClock) -> None:
    for jump in (60 * 86_400, -60 * 86_400):
        await masc.call("masc_init")
        clock.jump(jump)
        if jump > 0:
            await masc.call("masc_cost_log", "claude", cost_usd=1)
    for period in ("hourly", "daily", "all"):
        room, own = await reported(masc, period=period), await reported(masc, period=period, agent="claude")
        assert room["by_agent"] == own["by_agent"] and own["total_cost_usd"] == 1.0
    assert (await masc.call("masc_cost_log", "claude", cost_usd=1))["agent_total_today_usd"] == 2.0
    await masc.call("masc_add_task", title="a")
    await limit(masc, agent_day="2", hard=True)
    error = await masc.error("masc_claim", "claude", task_id="task-001")
    assert error["details"]["retry_after"] == 86_401


async def test_what_a_person_logged_can_be_reported(masc: MascApp) -> None:
    person = Client(transport="local", source="local", person="human:Root")
    await masc.call("masc_init")
    await masc.outcome("masc_cost_log", person, cost_usd=2)
    await masc.call("masc_cost_log", "claude", cost_usd=1)
    (key,) = [share["key"] for share in (await reported(masc))["by_agent"] if share["cost_usd"] == 2.0]
    assert (await reported(masc, agent=key))["total_cost_usd"] == 2.0
    assert (await reported(masc, agent="human:nobody"))["total_entries"] == 0
    for wrong, refused in (("human", "invalid_agent_name"), ("a b", "invalid_agent_name"), ("human:\n", "invalid_argument"),
                           ("human:" + "x" * 123, "invalid_argument")):  # fmt: skip
        assert (await masc.outcome("masc_cost_report", agent=wrong)).structured["error"]["code"] == refused


@pytest.mark.parametrize("limits", [{"agent_day": "30"}, {"room_day": "30"}])
async def test_the_wait_is_the_same_when_a_page_is_rolled_up_meanwhile(
    masc: MascApp, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, limits: dict[str, str]
) -> None:
    await masc.call("masc_add_task", title="a")
    await masc.call("masc_cost_log", "claude", cost_usd=1)
    for i in range(MOST_SLOTS):
        clock.jump(4)
        await masc.call("masc_cost_log", "claude", cost_usd=1, model=f"m{i}")
    await limit(masc, **limits, hard=True)
    driver = masc.kernel.start_room.driver
    scan, get = driver.scan, driver.get
    looks, behind = 0, 0

    async def overtake(keys: Iterable[str]) -> None:
        nonlocal looks
        if "cost_buckets" in keys:
            looks += 1
            if looks == behind:
                for i in range(MOST_SLOTS + 1):
                    await masc.call("masc_cost_log", "claude", cost_usd=0, model=f"n{i}")

    async def scanned(wanted: Scan) -> Sequence[Document]:
        found = await scan(wanted)
        await overtake([wanted.collection])
        return found

    async def got(keys: Sequence[Key]) -> list[Document | None]:
        found = await get(keys)
        await overtake([key.collection for key in keys])
        return found

    expected = (await masc.error("masc_claim", "claude", task_id="task-001"))["details"]["retry_after"]
    monkeypatch.setattr(driver, "scan", scanned)
    monkeypatch.setattr(driver, "get", got)
    for behind in range(1, 12):
        looks = 0
        error = await masc.error("masc_claim", "claude", task_id="task-001")
        assert (error["code"], error["details"]["retry_after"]) == ("budget_exceeded", expected), behind
