"""Tools on several servers that share one Redis."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest
from redis_server import RedisServer

from masc_core.clock import timestamp
from masc_core.plugins import Registry
from masc_core.settings import Settings
from masc_core.store._redis_clock import ServerClock
from masc_core.testing import ManualClock
from masc_core.testing.app import masc_app


@pytest.fixture
def settings(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MASC_REDIS_URL", redis_server.url)
    return Settings(cluster=secrets.token_hex(8))


async def test_fifty_claims_from_two_machines_take_each_task_once(
    tmp_path: Path, settings: Settings, clock: ManualClock, registry: Registry
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    async with (
        masc_app(tmp_path / "one", backend="redis", clock=clock, registry=registry, settings=settings) as one,
        masc_app(tmp_path / "two", backend="redis", clock=clock, registry=registry, settings=settings) as two,
    ):
        for number in range(50):
            await one.call("masc_add_task", title=f"task {number}")
        claims = ((one, two)[n % 2].call("masc_claim_next", f"agent-{n}") for n in range(50))
        taken = [result["task"]["id"] for result in await asyncio.gather(*claims)]
        assert sorted(taken) == [f"task-{n:03d}" for n in range(1, 51)]
        log = await one.kernel.start_room.driver.read_log("messages", 0, 1000)
        assert [entry.seq for entry in log] == list(range(1, len(log) + 1))
        # A room in Redis has its directory, for its settings, but no file of another store.
        assert (tmp_path / "one" / ".masc" / "config.toml").exists()
        assert not list(tmp_path.glob("*/.masc/masc.db*"))


async def test_a_message_wakes_a_listener_on_another_machine(
    tmp_path: Path, settings: Settings, clock: ManualClock, registry: Registry
) -> None:
    async with (
        masc_app(tmp_path, backend="redis", clock=clock, registry=registry, settings=settings) as one,
        masc_app(tmp_path, backend="redis", clock=clock, registry=registry, settings=settings) as two,
    ):
        await one.call("masc_join", "claude")
        await one.call("masc_listen", "claude", timeout=0)
        listening = asyncio.create_task(one.call("masc_listen", "claude", timeout=30))
        await two.call("masc_join", "gemini")
        await two.call("masc_broadcast", "gemini", message="for you")
        heard = await asyncio.wait_for(listening, 20)
        assert heard["messages"]


async def test_times_are_the_servers(tmp_path: Path, settings: Settings, registry: Registry) -> None:
    from masc_core.clock import SystemClock

    async with masc_app(tmp_path, backend="redis", clock=SystemClock(), registry=registry, settings=settings) as app:
        room = app.kernel.start_room
        assert isinstance(room.clock, ServerClock)
        room.clock.seen(4_000_000_000.0, 0.0, 0.0)  # As if this machine's clock stood at zero.
        assert timestamp(room.clock.now()) > "2090"
