"""Presence is bookkeeping: it follows the clock, and no reading call depends on it."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from masc_core import READ, READER, CallerUse, Context, hookimpl, tool
from masc_core.errors import StorageUnavailable
from masc_core.frozen import frozen
from masc_core.store.sealed import raw
from masc_core.store.sqlite import SqliteDriver
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app

HOUR = 3_600.0


@frozen
class Looked:
    """Nothing was seen."""

    seen: int = 0


async def test_an_agent_is_seen_after_the_clock_was_set_back(masc: MascApp, clock: ManualClock) -> None:
    await masc.call("masc_join", "claude")
    await masc.call("masc_join", "gemini")
    clock.jump(-2 * HOUR)
    await masc.call("masc_broadcast", "claude", message="still here")
    await clock.advance(301)
    rows = {row["name"]: row for row in (await masc.call("masc_agents", "gemini"))["agents"]}
    assert rows["claude"]["status"] == "zombie"
    assert rows["gemini"]["status"] == "active"


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """No file grows past 33,000 bytes: database and log are longer, what processes share of it is shorter."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (33_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    "tool", ["masc_status", "masc_tasks", "masc_messages", "masc_who", "masc_agents", "masc_listen"]
)
async def test_a_full_disk_takes_no_writes_and_gives_all_reads(tmp_path: Path, clock: ManualClock, tool: str) -> None:
    async with masc_app(tmp_path, backend="sqlite", clock=clock) as masc:
        await masc.call("masc_join", "claude")
        await masc.call("masc_broadcast", "gemini", message="hello")
        await clock.advance(60)
        with full_disk():
            refused = await masc.call("masc_broadcast", "gemini", message="more")
            read = await masc.kernel.call(tool, {}, masc.client(agent="claude"))
        assert refused["error"]["code"] == "storage_unavailable"
        assert read.error is None, read.text
        assert "error" not in await masc.call("masc_broadcast", "gemini", message="more")


async def test_only_a_reading_call_that_refreshes_a_presence_is_tried_again(clock: ManualClock, tmp_path: Path) -> None:
    tries = list[str]()

    @tool(effect=READ, role=READER, caller=CallerUse.OPTIONAL)
    async def masc_look(ctx: Context) -> Looked:
        """Look."""
        tries.append(ctx.agent)
        raise StorageUnavailable(backend="sqlite", cause="the connection was lost in the middle of the call")

    class Plugin:
        @hookimpl
        def masc_tools(self, register: Callable[[Callable[..., Any]], None]) -> None:
            register(masc_look)

    async with masc_app(tmp_path, clock=clock, extra=[("look", Plugin())]) as masc:
        await masc.call("masc_join", "claude")
        assert (await masc.error("masc_look", "claude"))["code"] == "storage_unavailable"
        assert tries == ["claude"]
        await clock.advance(60)
        assert (await masc.error("masc_look", "claude"))["code"] == "storage_unavailable"
        assert tries == ["claude"] * 3


@pytest.mark.parametrize("tool", ["masc_status", "masc_listen"])
async def test_a_database_that_stays_locked_takes_no_writes_and_gives_all_reads(
    tmp_path: Path, clock: ManualClock, tool: str
) -> None:
    async with masc_app(tmp_path, backend="sqlite", clock=clock) as masc:
        await masc.call("masc_join", "claude")
        await masc.call("masc_broadcast", "gemini", message="hello")
        await clock.advance(60)
        driver = raw(masc.kernel.start_room.driver)
        assert isinstance(driver, SqliteDriver)
        driver._patience = 0.05
        with contextlib.closing(sqlite3.connect(driver.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            refused = await masc.call("masc_broadcast", "gemini", message="more")
            read = await masc.kernel.call(tool, {}, masc.client(agent="claude"))
        assert refused["error"]["code"] == "storage_busy"
        assert read.error is None, read.text
        assert "error" not in await masc.call("masc_broadcast", "gemini", message="more")


async def test_waiting_goes_on_while_the_disk_is_full(tmp_path: Path, clock: ManualClock) -> None:
    async with masc_app(tmp_path, backend="sqlite", clock=clock) as masc:
        await masc.call("masc_join", "claude")
        with full_disk():
            call = masc.kernel.call("masc_listen", {"timeout": 1}, masc.client(agent="claude"))
            waiting = asyncio.create_task(call)
            await clock.advance(2)
            read = await waiting
        assert read.structured["timed_out"] is True
