"""Rooms to be moved about."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from masc_core.plugins import Registry
from masc_core.settings import Settings
from masc_core.store.driver import Acquire
from masc_core.store.sealed import raw
from masc_core.store.snapshot import Snapshot
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app
from masc_core.transfer.lines import encode

STORES = ("memory", "sqlite", "postgres", "redis")


class Places:
    """Makes empty rooms on any store, under one clock."""

    def __init__(
        self,
        request: pytest.FixtureRequest,
        path: Path,
        clock: ManualClock,
        registry: Registry,
        patch: pytest.MonkeyPatch,
    ) -> None:
        self._request = request
        self._path = path
        self.clock = clock
        self._registry = registry
        self._patch = patch

    def environment(self, store: str) -> dict[str, str]:
        """What leads a process to an empty room on a store."""
        found = {"MASC_STORAGE_TYPE": store, "MASC_CLUSTER_NAME": secrets.token_hex(8)}
        if store == "redis":
            found["MASC_REDIS_URL"] = self._request.getfixturevalue("redis_server").url
        if store == "postgres":
            found["MASC_POSTGRES_URL"] = self._request.getfixturevalue("postgres_url")
        return found

    @asynccontextmanager
    async def empty(self, store: str) -> AsyncIterator[MascApp]:
        """A kernel on an empty room."""
        for name, value in self.environment(store).items():
            if name.endswith("_URL"):
                self._patch.setenv(name, value)
        path = self._path / secrets.token_hex(4)
        path.mkdir()
        settings = Settings(cluster=secrets.token_hex(8))
        async with masc_app(path, backend=store, clock=self.clock, settings=settings, registry=self._registry) as app:
            yield app


async def snapshot(app: MascApp) -> Snapshot:
    """The room as it is stored."""
    return await raw(app.kernel.start_room.driver).dump()


async def lines(app: MascApp) -> list[bytes]:
    """The room as an export."""
    return list(encode(await snapshot(app)))


async def furnish(app: MascApp) -> None:
    """Something of every category, archived, deleted and refused things among it."""
    call = app.call
    for agent in ("claude", "codex"):
        await call("masc_join", agent, capabilities=["python"])
    ids = [(await call("masc_add_task", "claude", title=f"task {n} Grüße"))["task"]["id"] for n in range(6)]
    for id in ids[:3]:
        await call("masc_claim", "claude", task_id=id)
    await call("masc_done", "claude", task_id=ids[0], notes="done")
    await call("masc_lock", "claude", file_path="src/a.py")
    await call("masc_lock", "codex", file_path="src/b.py")
    await call("masc_unlock", "codex", file_path="src/b.py")
    await call("masc_broadcast", "claude", message="hello @codex\n\x7f")
    await call("masc_portal_open", "claude", target_agent="codex")
    await call("masc_portal_send", "claude", target_agent="codex", message="look")
    await call("masc_vote_create", proposer="claude", topic="which", options=["a", "b"], required_votes=2)
    await call("masc_cost_log", "claude", cost_usd=0.25, model="large")
    await call("masc_heartbeat", "claude", silent_for=600)
    assert isinstance(app.clock, ManualClock)
    await app.clock.advance(9 * 86_400)
    await call("masc_gc", days=7)
    await call("masc_add_task", "codex", title="after")
    await call("masc_claim", "codex", task_id="no-such-task")
    await call("masc_lock", "codex", file_path="src/c.py")
    await raw(app.kernel.start_room.driver).commit([], [Acquire("over", "me", 1), Acquire("held", "me", 86_400)])
