"""What agents do all day, in a room whose every record is sealed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from room_support import KEY, convert, inner

from masc_core.plugins import Registry
from masc_core.store.envelope import is_sealed
from masc_core.sweep import due_once, sweep_once
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app
from masc_plugin_encryption.migration import pages


@pytest.fixture
async def room(
    tmp_path: Path, clock: ManualClock, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MascApp]:
    """A sealed SQLite room. At the end nothing plain may be in it."""
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", KEY)
    async with masc_app(tmp_path, backend="sqlite", clock=clock, registry=registry) as app:
        await app.call("masc_join", "claude")
        await app.call("masc_encryption_enable")
        await convert(app)
        yield app
        async for page in pages(inner(app)):
            assert all(is_sealed(item.body) for item in page.items), page.name


async def test_the_board(room: MascApp) -> None:
    first = (await room.call("masc_add_task", "claude", title="Fix login", priority=1))["task"]
    second = (await room.call("masc_add_task", "claude", title="Write it up", depends_on=[first["id"]]))["task"]
    error = await room.error("masc_claim", "gemini", task_id=second["id"])
    assert error["code"] == "task_blocked"
    assert (await room.call("masc_claim_next", "gemini"))["task"]["id"] == first["id"]
    assert (await room.error("masc_claim", "codex", task_id=first["id"]))["code"] == "task_already_claimed"
    stale = await room.error(
        "masc_transition", "gemini", task_id=first["id"], action="start", expected_version=first["version"]
    )
    assert stale["code"] == "version_conflict"
    done = (await room.call("masc_done", "gemini", task_id=first["id"], notes="deployed"))["task"]
    assert (done["status"], done["notes"]) == ("done", "deployed")
    assert (await room.call("masc_claim", "codex", task_id=second["id"]))["task"]["assignee"] == "codex"
    listed = await room.call("masc_tasks", status="all")
    assert {t["title"] for t in listed["tasks"]} >= {"Write it up"}
    status = await room.call("masc_status")
    assert status["tasks_by_status"]["claimed"] == 1


async def test_twenty_racing_for_one_task(room: MascApp) -> None:
    task = (await room.call("masc_add_task", "claude", title="one"))["task"]["id"]
    results = await asyncio.gather(*(room.call("masc_claim", f"agent{n}", task_id=task) for n in range(20)))
    assert sum("task" in result for result in results) == 1


async def test_messages_mentions_and_waiting(room: MascApp) -> None:
    await room.call("masc_join", "gemini")
    waiting = asyncio.create_task(room.call("masc_listen", "gemini", timeout=20))
    while not any(a["mark"] == "listening" for a in (await room.call("masc_who"))["agents"]):
        await asyncio.sleep(0)
    sent = await room.call("masc_broadcast", "claude", message="@gemini ready 🦊")
    assert [m["agents"] for m in sent["mentions"]] == [["gemini"]]
    heard = (await waiting)["messages"]
    assert [m["content"] for m in heard][-1] == "@gemini ready 🦊"
    large = "x" * 50_000
    await room.call("masc_broadcast", "claude", message=large)
    found = (await room.call("masc_messages", since_seq=sent["seq"]))["messages"]
    assert found[-1]["content"] == large


async def test_locks_presence_and_leaving(room: MascApp, clock: ManualClock) -> None:
    await room.call("masc_lock", "claude", file_path="src/a.py")
    assert (await room.error("masc_lock", "gemini", file_path="src/a.py"))["code"] == "file_locked"
    left = await room.call("masc_leave", "claude")
    assert left["locks_released"] == ["src/a.py"]
    await room.call("masc_lock", "gemini", file_path="src/a.py")
    await clock.advance(400)
    await due_once(room.kernel, room.kernel.start_room)
    assert await sweep_once(room.kernel, room.kernel.start_room)
    assert all(a["name"] != "gemini" or a["status"] == "inactive" for a in (await room.call("masc_who"))["agents"])


async def test_archive_and_reset(room: MascApp, clock: ManualClock) -> None:
    task = (await room.call("masc_start", "codex", task_title="old"))["task"]["id"]
    await room.call("masc_done", "codex", task_id=task)
    await clock.advance(40 * 86_400)
    assert (await room.call("masc_gc", days=30))["tasks"] == [task]
    assert task in str(await room.call("masc_archive_view"))
    assert (await room.call("masc_reset", confirm=True))["removed"]
    assert (await room.call("masc_status"))["tasks"] == []
    assert (await room.call("masc_add_task", "claude", title="new"))["task"]["id"] != task
