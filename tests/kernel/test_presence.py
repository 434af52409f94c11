"""Presence is bookkeeping: it follows the clock, and no reading call depends on it."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app

HOUR = 3_600.0


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


async def test_waiting_goes_on_while_the_disk_is_full(tmp_path: Path, clock: ManualClock) -> None:
    async with masc_app(tmp_path, backend="sqlite", clock=clock) as masc:
        await masc.call("masc_join", "claude")
        with full_disk():
            call = masc.kernel.call("masc_listen", {"timeout": 1}, masc.client(agent="claude"))
            waiting = asyncio.create_task(call)
            await clock.advance(2)
            read = await waiting
        assert read.structured["timed_out"] is True
