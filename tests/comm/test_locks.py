"""Advisory locks, as comm.md accepts them."""

from __future__ import annotations

import asyncio

import pytest

from masc_core.records import EVENTS
from masc_core.store.collections import LogView
from masc_core.store.transaction import Transaction
from masc_core.testing import ManualClock, MascApp


async def test_an_overlap_is_refused_and_the_holder_renews(masc: MascApp) -> None:
    taken = await masc.call("masc_lock", "claude", file_path="./a//b.py")
    assert taken["file_path"] == "a/b.py"
    for path in ("a/b.py", "a/", "a/b.py/"):
        error = await masc.error("masc_lock", "gemini", file_path=path)
        assert (error["code"], error["details"]["locked_by"]) == ("file_locked", "claude")
    again = await masc.call("masc_lock", "claude", file_path="a/b.py")
    assert (again["fence"], again["renewed"]) == (taken["fence"], True)
    assert (await masc.error("masc_lock", "claude", file_path="a/../../b"))["code"] == "invalid_file_path"


async def test_a_subtree_covers_what_is_below_and_nothing_beside(masc: MascApp) -> None:
    await masc.call("masc_lock", "claude", file_path="src/")
    assert (await masc.error("masc_lock", "gemini", file_path="src/deep/x.py"))["details"]["lock_path"] == "src/"
    assert "fence" in await masc.call("masc_lock", "gemini", file_path="src2/x.py")
    assert "fence" in await masc.call("masc_lock", "claude", file_path="src/x.py")


async def test_long_paths_overlap_too(masc: MascApp) -> None:
    deep = "ä" * 240 + "/" + "ö" * 240
    await masc.call("masc_lock", "claude", file_path=f"{deep}/x")
    assert (await masc.error("masc_lock", "gemini", file_path=f"{deep}/"))["code"] == "file_locked"
    assert "fence" in await masc.call("masc_lock", "gemini", file_path=f"{deep}2/")


async def test_an_expired_lock_is_free_for_others(masc: MascApp, clock: ManualClock) -> None:
    first = await masc.call("masc_lock", "claude", file_path="a", ttl_seconds=60)
    await clock.advance(61)
    second = await masc.call("masc_lock", "gemini", file_path="a")
    assert second["fence"] > first["fence"]
    assert (await masc.error("masc_unlock", "claude", file_path="a"))["code"] == "lock_not_owner"


@pytest.mark.parametrize("look", ["unlock", "status"])
async def test_a_lock_that_was_seen_expired_stays_so_when_the_clock_is_set_back(
    masc: MascApp, clock: ManualClock, look: str
) -> None:
    first = await masc.call("masc_lock", "claude", file_path="a", ttl_seconds=60)
    kept = await masc.call("masc_lock", "claude", file_path="b", ttl_seconds=7200)
    clock.jump(3600)
    if look == "unlock":
        assert (await masc.call("masc_unlock", "claude", file_path="a", fence=first["fence"]))["released"] is False
    else:
        assert (await masc.call("masc_status", "gemini"))["locks"]["active"] == 1
    clock.jump(-3600)
    shown = (await masc.call("masc_status", "gemini"))["locks"]
    assert [shown["active"], *(lock["file_path"] for lock in shown["files"])] == [1, "b"]
    second = await masc.call("masc_lock", "gemini", file_path="a")
    assert second["fence"] > kept["fence"]
    assert (await masc.error("masc_unlock", "claude", file_path="a", fence=first["fence"]))["code"] == "lock_not_owner"


async def test_a_lock_that_a_look_finds_expired_is_ended_by_the_system(masc: MascApp, clock: ManualClock) -> None:
    await masc.call("masc_lock", "claude", file_path="a", ttl_seconds=60)
    clock.jump(60)
    assert (await masc.call("masc_status", "gemini"))["locks"] == {"active": 0, "files": []}
    events = await LogView(EVENTS, Transaction(masc.kernel.start_room.driver)).read(limit=100)
    assert [(e.type, e.actor, e.subject) for e in events if e.type.startswith("lock_")][1:] == [
        ("lock_expired", "system", "claude")
    ]


async def test_unlock_checks_the_fence_and_tells_when_there_is_no_lock(masc: MascApp) -> None:
    taken = await masc.call("masc_lock", "claude", file_path="a")
    stale = await masc.error("masc_unlock", "claude", file_path="a", fence=taken["fence"] + 1)
    assert (stale["code"], stale["details"]["current"]) == ("stale_fence", taken["fence"])
    assert (await masc.call("masc_unlock", "claude", file_path="a"))["released"] is True
    nothing = await masc.call("masc_unlock", "claude", file_path="a")
    assert (nothing["released"], nothing["warnings"][0]["code"]) == (False, "not_locked")


async def test_of_concurrent_overlapping_locks_one_is_taken(masc: MascApp) -> None:
    agents = ["a1", "b1", "c1", "d1"]
    for agent in agents:
        await masc.call("masc_join", agent)
    paths = ["p/", "p/q", "p/", "p/q/"]
    results = await asyncio.gather(
        *(masc.call("masc_lock", a, file_path=p) for a, p in zip(agents, paths, strict=True))
    )
    assert sum("fence" in r for r in results) == 1


@pytest.mark.parametrize("end", ["masc_leave", "masc_done"])
async def test_a_lock_ends_with_its_holder_or_task(masc: MascApp, end: str) -> None:
    await masc.call("masc_add_task", "claude", title="t")
    await masc.call("masc_claim", "claude", task_id="task-001")
    await masc.call("masc_lock", "claude", file_path="a", task_id="task-001")
    arguments = {"task_id": "task-001"} if end == "masc_done" else {}
    assert (await masc.call(end, "claude", **arguments))["locks_released"] == ["a"]
    assert (await masc.call("masc_status"))["locks"] == {"active": 0, "files": []}
