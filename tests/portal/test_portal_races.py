"""Portals under concurrent use: calls that reach their commits together, processes on one file, and listeners."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from portal_support import Meeting, ask, opened, status, view

from masc_core.plugins import Registry
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app

BACKENDS = pytest.mark.parametrize("backend", ["memory", "sqlite"])
Call = tuple[str, str, dict[str, Any]]


async def together(masc: MascApp, *calls: Call) -> list[dict[str, Any]]:
    return await asyncio.gather(*(masc.call(tool, agent, **arguments) for tool, agent, arguments in calls))


def codes(results: list[dict[str, Any]]) -> list[str]:
    return sorted(str(r["error"]["code"]) if "error" in r else "ok" for r in results)


@BACKENDS
async def test_of_two_answers_at_once_exactly_one_wins(tmp_path: Path, backend: str) -> None:
    meeting = Meeting("masc_portal_send")
    async with masc_app(tmp_path, backend=backend, extra=[("guard:meeting", meeting)]) as masc:
        await opened(masc, "gemini")
        meeting.size = 1
        task = await ask(masc)
        meeting.size, meeting.arrived = 2, 0
        meeting.complete.clear()
        answers: list[Call] = [
            ("masc_portal_send", "gemini", {"message": word, "reply_to": task, "result_status": word})
            for word in ("completed", "failed")
        ]
        results = await together(masc, *answers)
        assert meeting.complete.is_set()
        assert codes(results) == ["ok", "portal_task_closed"]
        (won,) = [r["portal_task"] for r in results if "error" not in r]
        (lost,) = [r["error"]["details"] for r in results if "error" in r]
        assert lost["status"] == won["status"] == won["result"]
        look = await view(masc, "claude")
        assert ([r["result"] for r in look["results"]], look["counts"]["results"]) == ([won["result"]], 1)


@BACKENDS
async def test_two_that_open_at_once_have_one_portal(tmp_path: Path, backend: str) -> None:
    meeting = Meeting("masc_portal_open")
    async with masc_app(tmp_path, backend=backend, extra=[("guard:meeting", meeting)]) as masc:
        for name in ("claude", "gemini"):
            await masc.call("masc_join", name)
        results = await together(
            masc,
            ("masc_portal_open", "claude", {"target_agent": "gemini", "initial_message": "a"}),
            ("masc_portal_open", "gemini", {"target_agent": "claude", "initial_message": "b"}),
        )
        assert sorted(r["already_open"] for r in results) == [False, True]
        assert len({(r["opened_by"], r["opened_at"]) for r in results}) == 1
        assert sorted(r["portal_task"]["id"] for r in results) == ["a2a-000001", "a2a-000002"]
        for agent in ("claude", "gemini"):
            counts = (await view(masc, agent))["counts"]
            assert (counts["unread"], counts["sent_open"]) == (1, 1)


@BACKENDS
async def test_a_send_and_a_close_at_once_leave_no_task_behind(tmp_path: Path, backend: str) -> None:
    meeting = Meeting("masc_portal_send", "masc_portal_close")
    async with masc_app(tmp_path, backend=backend, extra=[("guard:meeting", meeting)]) as masc:
        await opened(masc, "gemini")
        sent, closed = await together(
            masc,
            ("masc_portal_send", "claude", {"message": "x"}),
            ("masc_portal_close", "gemini", {}),
        )
        if "error" in sent:
            assert (sent["error"]["code"], closed["canceled"]) == ("portal_not_open", [])
        else:
            assert closed["canceled"] == [sent["portal_task"]["id"]]
        assert (await masc.call("masc_status", "gemini"))["unread"]["portal_tasks"] == 0
        await masc.call("masc_portal_open", "claude", target_agent="gemini")
        assert (await status(masc, "gemini"))["unread_total"] == 0


@BACKENDS
async def test_an_answer_and_a_close_at_once_agree(tmp_path: Path, backend: str) -> None:
    meeting = Meeting("masc_portal_send", "masc_portal_close", size=1)
    async with masc_app(tmp_path, backend=backend, extra=[("guard:meeting", meeting)]) as masc:
        await opened(masc, "gemini")
        task = await ask(masc)
        meeting.size, meeting.arrived = 2, 0
        meeting.complete.clear()
        answer, closed = await together(
            masc,
            ("masc_portal_send", "gemini", {"message": "x", "reply_to": task, "result_status": "completed"}),
            ("masc_portal_close", "claude", {}),
        )
        assert meeting.complete.is_set()
        if "error" in answer:
            assert (answer["error"]["code"], closed["canceled"]) == ("portal_not_open", [task])
            assert (await status(masc, "claude"))["portals"] == []
        else:
            assert closed["canceled"] == []
            assert [r["id"] for r in (await view(masc, "claude"))["results"]] == [task]


@BACKENDS
async def test_of_two_looks_at_once_one_shows_the_task_as_new(tmp_path: Path, backend: str) -> None:
    meeting = Meeting("masc_portal_status")
    async with masc_app(tmp_path, backend=backend, extra=[("guard:meeting", meeting)]) as masc:
        await opened(masc, "gemini")
        task = await ask(masc)
        results = await together(masc, *[("masc_portal_status", "gemini", {})] * 2)
        shown = [[[t["id"] for t in p[kind]] for kind in ("unread", "open")] for r in results for p in r["portals"]]
        assert sorted(shown) == [[[], [task]], [[task], []]]
        assert (await view(masc, "gemini"))["counts"]["open"] == 1


@BACKENDS
async def test_a_look_and_a_send_at_once_lose_no_count(tmp_path: Path, backend: str) -> None:
    meeting = Meeting("masc_portal_send", "masc_portal_status", size=1)
    async with masc_app(tmp_path, backend=backend, extra=[("guard:meeting", meeting)]) as masc:
        await opened(masc, "gemini")
        await ask(masc)
        meeting.size, meeting.arrived = 2, 0
        meeting.complete.clear()
        await together(masc, ("masc_portal_status", "gemini", {}), ("masc_portal_send", "claude", {"message": "y"}))
        assert meeting.complete.is_set()
        look = await view(masc, "gemini", peek=True)
        assert look["counts"]["unread"] == len(look["unread"])
        assert look["counts"]["open"] == len(look["open"])
        assert len(look["unread"]) + len(look["open"]) == 2


async def test_several_kernels_on_one_file_answer_every_task_once(tmp_path: Path, registry: Registry) -> None:
    tasks = 10
    async with (
        masc_app(tmp_path, backend="sqlite", registry=registry) as one,
        masc_app(tmp_path, backend="sqlite", registry=registry) as two,
    ):
        await opened(one, "gemini")
        ids = [await ask(one, f"task {n}") for n in range(tasks)]
        answers = await asyncio.gather(
            *(
                masc.call("masc_portal_send", "gemini", message="ok", reply_to=task, result_status="completed")
                for task in ids
                for masc in (one, two)
            )
        )
        assert Counter(codes(answers)) == {"ok": tasks, "portal_task_closed": tasks}
        looks = await asyncio.gather(*(status(masc, "claude") for masc in (one, two)))
        shown = [r["id"] for look in looks for p in look["portals"] for r in p["results"]]
        assert sorted(shown) == ids


async def listening(masc: MascApp, agent: str) -> asyncio.Task[dict[str, Any]]:
    """A masc_listen of ``agent`` that waits already."""
    waiting = asyncio.create_task(masc.call("masc_listen", agent, timeout=50))
    async with asyncio.timeout(5):
        while not any(
            a["name"] == agent and a["status"] == "listening" for a in (await masc.call("masc_who"))["agents"]
        ):
            await asyncio.sleep(0)
    return waiting


async def test_a_new_task_and_its_result_wake_the_one_concerned(masc: MascApp) -> None:
    await opened(masc, "gemini", "codex")
    gemini, codex = await listening(masc, "gemini"), await listening(masc, "codex")
    task = await ask(masc, to="gemini")
    heard = await asyncio.wait_for(gemini, 5)
    assert (heard["portal_tasks_waiting"], heard["messages"], heard["timed_out"]) == (1, [], False)
    claude = await listening(masc, "claude")
    await masc.call("masc_portal_send", "gemini", message="done", reply_to=task, result_status="completed")
    heard = await asyncio.wait_for(claude, 5)
    assert (heard["portal_tasks_waiting"], heard["timed_out"]) == (1, False)
    assert not codex.done(), "it is nothing to a third agent"
    codex.cancel()
    await asyncio.gather(codex, return_exceptions=True)
    await status(masc, "claude")


async def test_a_task_that_waits_is_told_at_once_until_it_is_read(masc: MascApp, clock: ManualClock) -> None:
    await opened(masc, "gemini")
    await ask(masc)
    for _ in range(2):
        heard = await masc.call("masc_listen", "gemini")
        assert (heard["portal_tasks_waiting"], heard["waited_seconds"]) == (1, 0)
    await status(masc, "gemini")
    waiting = await listening(masc, "gemini")
    for _ in range(5):
        await clock.advance(11)
    assert (await asyncio.wait_for(waiting, 5))["timed_out"] is True


async def test_a_listener_in_another_process_is_woken(tmp_path: Path, registry: Registry) -> None:
    async with (
        masc_app(tmp_path, backend="sqlite", registry=registry) as one,
        masc_app(tmp_path, backend="sqlite", registry=registry) as two,
    ):
        await opened(one, "gemini")
        waiting = await listening(two, "gemini")
        await ask(one)
        assert (await asyncio.wait_for(waiting, 5))["portal_tasks_waiting"] == 1
