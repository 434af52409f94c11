"""What servers archive and delete by themselves, and what they say of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from masc_core.errors import StartError
from masc_core.plugins import Registry
from masc_core.records import ARCHIVE, EVENTS
from masc_core.settings import Settings, load_settings
from masc_core.store.collections import LogView, View
from masc_core.store.transaction import Transaction
from masc_core.sweep import sweep_once
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app
from masc_plugin_health import gc
from masc_plugin_health.retention import RetentionSettings

DAY = 86_400
HOUR = 3600


@asynccontextmanager
async def room(path: Path, clock: ManualClock, registry: Registry, **days: int) -> AsyncIterator[MascApp]:
    """A room in memory that keeps what is over for so many days."""
    settings = Settings(sections={RetentionSettings: RetentionSettings(**days)})
    async with masc_app(path, clock=clock, settings=settings, registry=registry) as app:
        yield app


async def sweep(app: MascApp) -> None:
    assert await sweep_once(app.kernel, app.kernel.start_room)


async def archived(app: MascApp) -> dict[str, int]:
    return await View(ARCHIVE, Transaction(app.kernel.start_room.driver)).count("kind")


async def finish(app: MascApp, title: str) -> str:
    """A task that is done."""
    id: str = (await app.call("masc_add_task", "claude", title=title))["task"]["id"]
    await app.call("masc_claim", "claude", task_id=id)
    await app.call("masc_done", "claude", task_id=id)
    return id


async def events(app: MascApp, type: str) -> list[dict[str, Any]]:
    log = LogView(EVENTS, Transaction(app.kernel.start_room.driver))
    return [event.data for event in await log.read(0, 10_000) if event.type == type]


async def test_a_room_without_settings_keeps_everything(masc: MascApp, clock: ManualClock) -> None:
    await finish(masc, "old")
    await clock.advance(4000 * DAY)
    await sweep(masc)
    assert await archived(masc) == {}
    assert "deleted" not in await masc.call("masc_gc")
    await clock.advance(4000 * DAY)
    assert "deleted" not in await masc.call("masc_gc")
    assert (await archived(masc))["task"] == 1


async def test_servers_archive_what_is_older_than_the_settings_say(
    tmp_path: Path, clock: ManualClock, registry: Registry
) -> None:
    async with room(tmp_path, clock, registry, archive_days=30) as app:
        old = await finish(app, "old")
        await clock.advance(20 * DAY)
        young = await finish(app, "young")
        await clock.advance(11 * DAY)
        await sweep(app)
        assert [task["id"] for task in (await app.call("masc_archive_view"))["tasks"]] == [old]
        assert young in str(await app.call("masc_tasks", status="all"))
        assert [run["days"] for run in await events(app, "gc_run")] == [30]


async def test_a_server_looks_once_an_hour(tmp_path: Path, clock: ManualClock, registry: Registry) -> None:
    async with room(tmp_path, clock, registry, archive_days=1) as app:
        await finish(app, "first")
        await clock.advance(DAY - HOUR / 2)
        await sweep(app)
        await clock.advance(HOUR / 2 + 60)
        await sweep(app)
        assert await archived(app) == {}
        await clock.advance(HOUR / 2)
        await sweep(app)
        assert (await archived(app))["task"] == 1


async def test_what_one_sweep_leaves_the_next_one_does(
    tmp_path: Path, clock: ManualClock, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gc, "MOST_ROUNDS", 1)
    async with room(tmp_path, clock, registry, archive_days=1) as app:
        for number in range(450):
            await app.call("masc_broadcast", "claude", message=f"message {number}")
        await clock.advance(3 * DAY)
        await sweep(app)
        assert (await archived(app)).get("message", 0) < 450
        for _ in range(5):
            await sweep(app)
        assert (await archived(app))["message"] >= 450


async def test_the_archive_lets_go_of_what_it_kept_long_enough(
    tmp_path: Path, clock: ManualClock, registry: Registry
) -> None:
    async with room(tmp_path, clock, registry, archive_days=1, delete_days=100, delete_messages_days=10) as app:
        await finish(app, "old")
        await clock.advance(3 * DAY)
        await sweep(app)
        full = await archived(app)
        assert full["task"] == 1 and full["message"] > 0 and full["event"] > 0
        await clock.advance(11 * DAY)
        planned = (await app.call("masc_gc", dry_run=True))["deleted"]
        assert planned["message"] == full["message"]
        assert (await archived(app))["message"] == full["message"]
        await sweep(app)
        left = await archived(app)
        assert left["task"] == 1 and left.get("message", 0) < full["message"]
        assert sum(run["deleted"]["message"] for run in await events(app, "archive_deleted")) == full["message"]
        await clock.advance(90 * DAY)
        assert (await app.call("masc_gc"))["deleted"]["task"] == 1
        assert "task" not in await archived(app)


async def test_an_agent_is_told_of_messages_it_had_not_read(
    tmp_path: Path, clock: ManualClock, registry: Registry
) -> None:
    async with room(tmp_path, clock, registry, archive_days=1) as app:
        for agent in ("claude", "codex", "gemini"):
            await app.call("masc_join", agent)
        await app.call("masc_broadcast", "claude", message="@codex and @gemini: look")
        await app.call("masc_broadcast", "claude", message="@codex: look again")
        await app.call("masc_messages", "gemini")
        await app.call("masc_leave", "claude")
        for _ in range(50):  # a sign of life an hour
            await clock.advance(HOUR)
            await app.call("masc_heartbeat", "codex", silent_for=3600)
            await app.call("masc_heartbeat", "gemini", silent_for=3600)
        planned = await app.call("masc_gc", days=1, dry_run=True)
        assert [w for w in planned["warnings"] if w["code"] == "unread_archived"] == [
            {"code": "unread_archived", "message": "codex had not read 2 of the messages"}
        ]
        await sweep(app)
        told = [m for m in (await app.call("masc_messages", "codex"))["messages"] if "unread messages" in m["content"]]
        assert [(m["to"], m["content"].split(",")[0]) for m in told] == [("codex", "2 unread messages to codex")]
        assert (await archived(app))["message"] >= 2


@pytest.mark.parametrize("days", [0, 3651])
def test_days_out_of_range_stop_the_start(tmp_path: Path, registry: Registry, days: int) -> None:
    (tmp_path / ".masc").mkdir()
    (tmp_path / ".masc" / "config.toml").write_text(f"[retention]\ndelete_days = {days}\n")
    with pytest.raises(StartError, match=r"retention.delete_days must be 1 to 3650"):
        load_settings(tmp_path, {}, registry.sections)
