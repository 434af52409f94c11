"""What ended lately: exact to the second, and no dearer when the board has seen more."""

from __future__ import annotations

from typing import Any

import pytest

from masc_core.store.driver import Document, Driver, LogEntry, Scan
from masc_core.testing import ManualClock, MascApp

DAY = 86_400


async def finish(masc: MascApp, title: str, agent: str = "claude", priority: int = 3) -> str:
    task_id = str((await masc.call("masc_add_task", agent, title=title, priority=priority))["task"]["id"])
    await masc.call("masc_claim", agent, task_id=task_id)
    await masc.call("masc_done", agent, task_id=task_id)
    return task_id


def ids(result: dict[str, Any]) -> list[str]:
    return [task["id"] for task in result["tasks"]]


async def test_recent_ends_exactly_a_day_ago(masc: MascApp, clock: ManualClock) -> None:
    early = await finish(masc, "early")
    await clock.advance(1)
    late = await finish(masc, "late", "gemini")
    await clock.advance(DAY - 1)
    both = await masc.call("masc_tasks")
    assert (ids(both), both["total"]) == ([early, late], 2)
    await clock.advance(0.5)
    page = await masc.call("masc_tasks")
    assert (ids(page), page["total"]) == ([late], 1)
    assert [t["id"] for t in (await masc.call("masc_status"))["tasks"]] == [late]
    assert ids(await masc.call("masc_tasks", assignee="claude")) == []
    assert ids(await masc.call("masc_tasks", assignee="gemini")) == [late]
    await clock.advance(1)
    assert (await masc.call("masc_tasks"))["total"] == 0


async def test_recent_tasks_of_many_hours_come_in_the_order_of_the_board(masc: MascApp, clock: ManualClock) -> None:
    done = []
    for hour in range(30):
        done.append((await finish(masc, f"t{hour}", priority=1 + hour % 3), hour))
        await clock.advance(3600)
    recent = [(1 + hour % 3, hour, task_id) for task_id, hour in done if hour >= 6]
    expected = [task_id for _, _, task_id in sorted(recent)]
    pages = [await masc.call("masc_tasks", limit=7, offset=offset) for offset in range(0, 28, 7)]
    assert [task_id for page in pages for task_id in ids(page)] == expected
    assert {page["total"] for page in pages} == {24}
    assert [page["more"] for page in pages] == [True, True, True, False]


@pytest.mark.parametrize("each", [1, 25])
async def test_a_clock_that_jumps_leaves_no_task_that_is_counted_and_never_shown(
    masc: MascApp, clock: ManualClock, each: int
) -> None:
    """Once with as few as are counted one by one, once with as many as are counted by the hour."""

    async def shown() -> tuple[list[str], dict[str, Any]]:
        pages = [await masc.call("masc_tasks", limit=10, offset=offset) for offset in range(0, 2 * each + 10, 10)]
        assert len({page["total"] for page in pages}) == 1
        assert [page["more"] for page in pages] == [
            page["total"] > n for n, page in enumerate(pages, 1) for n in [10 * n]
        ]
        return sorted(i for page in pages for i in ids(page)), pages[0]

    early = [await finish(masc, f"early {n}") for n in range(each)]
    clock.jump(-2 * DAY)
    assert (await shown())[0] == sorted(early)
    wrong = [await finish(masc, f"wrong {n}") for n in range(each)]
    assert (await shown())[0] == sorted(early + wrong)
    clock.jump(2 * DAY + 3600)
    late = [await finish(masc, f"late {n}") for n in range(each)]
    found, page = await shown()
    assert found == sorted(early + late)
    assert page["total"] == 2 * each
    status = await masc.call("masc_status")
    assert len(status["tasks"]) + status["more"]["tasks"] == 2 * each
    assert not {t["id"] for t in status["tasks"]} & set(wrong)


async def test_an_agents_finished_tasks_are_counted_and_paged(masc: MascApp) -> None:
    done = [await finish(masc, f"t{n}") for n in range(5)]
    await finish(masc, "other", "gemini")
    page = await masc.call("masc_tasks", status="done", assignee="CLAUDE", limit=2, offset=2)
    assert (ids(page), page["total"], page["more"]) == (done[2:4], 5, True)


async def test_gc_takes_what_is_older_than_its_days_to_the_second(masc: MascApp, clock: ManualClock) -> None:
    old = await finish(masc, "old", priority=5)
    await clock.advance(2)
    await finish(masc, "younger", priority=1)
    await clock.advance(7 * DAY - 1)
    assert (await masc.call("masc_gc", "claude", days=7, dry_run=True))["tasks"] == [old]
    assert (await masc.call("masc_gc", "claude", days=7))["tasks"] == [old]
    assert (await masc.call("masc_gc", "claude", days=7))["tasks"] == []


class Counting:
    """How many records a driver hands out."""

    def __init__(self, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
        self.records = 0
        scan, scan_log, read_log = driver.scan, driver.scan_log, driver.read_log

        async def counted_scan(wanted: Scan) -> list[Document]:
            found = await scan(wanted)
            self.records += len(found)
            return found

        async def counted_scan_log(wanted: Scan) -> list[tuple[str, LogEntry]]:
            found = await scan_log(wanted)
            self.records += len(found)
            return found

        async def counted_read_log(*args: Any, **named: Any) -> list[LogEntry]:
            found = await read_log(*args, **named)
            self.records += len(found)
            return found

        monkeypatch.setattr(driver, "scan", counted_scan)
        monkeypatch.setattr(driver, "scan_log", counted_scan_log)
        monkeypatch.setattr(driver, "read_log", counted_read_log)

    def taken(self) -> int:
        """The number since the last time."""
        taken, self.records = self.records, 0
        return taken


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("masc_status", {}),
        ("masc_tasks", {"limit": 5}),
        ("masc_tasks", {"limit": 5, "status": "all"}),
        ("masc_tasks", {"limit": 5, "status": "done", "assignee": "claude"}),
        ("masc_claim_next", {"agent_name": "gemini"}),
        ("masc_messages", {"limit": 5}),
        ("masc_who", {}),
        ("masc_archive_view", {}),
    ],
)
async def test_a_fuller_room_costs_no_more_reads(
    masc: MascApp, monkeypatch: pytest.MonkeyPatch, tool: str, arguments: dict[str, Any]
) -> None:
    await masc.call("masc_join", "gemini")
    for n in range(25):
        await finish(masc, f"t{n}")
        await masc.call("masc_add_task", "claude", title=f"open {n}")
    counting = Counting(masc.kernel.start_room.driver, monkeypatch)
    await masc.call(tool, **arguments)
    few = counting.taken()
    for n in range(40):
        await finish(masc, f"more {n}")
        await masc.call("masc_add_task", "claude", title=f"more {n}")
    counting.taken()
    await masc.call(tool, **arguments)
    assert counting.taken() <= few + 1
