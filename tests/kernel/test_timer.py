"""What the timer asks for and when, and whose failures it survives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from masc_core import Context, hookimpl
from masc_core.errors import StorageBusy
from masc_core.store.driver import Acquire
from masc_core.store.transaction import Transaction
from masc_core.sweep import DUE_SECONDS, SWEEP_SECONDS, sweep_forever, sweep_once
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app


class Timed:
    """Counts what it is asked for; fails on demand."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failing = False

    @hookimpl
    async def masc_due(self, ctx: Context) -> dict[str, Any] | None:
        self.asked.append(f"due {ctx.actor}")
        if self.failing:
            raise StorageBusy()
        return None

    @hookimpl
    async def masc_sweep(self, ctx: Context) -> dict[str, Any] | None:
        self.asked.append("sweep")
        return None


@pytest.fixture
def timed() -> Timed:
    return Timed()


@pytest.fixture
async def app(tmp_path: Path, clock: ManualClock, timed: Timed) -> AsyncIterator[MascApp]:
    async with masc_app(tmp_path, clock=clock, extra=[("timed", timed)]) as app:
        yield app


@contextlib.asynccontextmanager
async def timer(app: MascApp) -> AsyncIterator[None]:
    task = asyncio.create_task(sweep_forever(app.kernel))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_deadlines_are_looked_for_often_and_sweeps_are_rare(
    app: MascApp, clock: ManualClock, timed: Timed
) -> None:
    await app.call("masc_join", "claude")
    async with timer(app):
        await clock.advance(DUE_SECONDS)
        assert timed.asked == ["due system"]
        await clock.advance(SWEEP_SECONDS)
    assert timed.asked.count("sweep") == 1
    assert timed.asked.count("due system") == 1 + SWEEP_SECONDS / DUE_SECONDS


async def test_without_a_room_nothing_is_asked(app: MascApp, clock: ManualClock, timed: Timed) -> None:
    async with timer(app):
        await clock.advance(SWEEP_SECONDS)
    assert timed.asked == []


async def test_a_failed_turn_is_not_the_last_one(app: MascApp, clock: ManualClock, timed: Timed) -> None:
    await app.call("masc_join", "claude")
    timed.failing = True
    async with timer(app):
        await clock.advance(DUE_SECONDS)
        timed.failing = False
        await clock.advance(DUE_SECONDS)
    assert timed.asked == ["due system"] * 2


async def test_a_room_is_swept_by_one_process_at_a_time(app: MascApp, timed: Timed) -> None:
    await app.call("masc_join", "claude")
    room = app.kernel.start_room

    other = Transaction(room.driver)
    other.add(Acquire("sweep", "pid 1", 50))
    await other.commit()
    assert not await sweep_once(app.kernel, room)
    assert timed.asked == []
