"""What masc_gc takes of portals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from portal_support import ask, opened, status, view

from masc_core.context import Context
from masc_core.errors import StorageBusy
from masc_core.hookspecs import hookimpl
from masc_core.plugins import load
from masc_core.records import ARCHIVE, Archived
from masc_core.store.collections import View
from masc_core.store.transaction import Transaction
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app

DAY = 86_400


async def archived(masc: MascApp, kind: str) -> list[Archived]:
    return await View(ARCHIVE, Transaction(masc.kernel.start_room.driver)).scan("kind", kind)


async def answer(masc: MascApp, task: str, agent: str = "gemini") -> None:
    await masc.call("masc_portal_send", agent, message="done", reply_to=task, result_status="completed")


async def keep_alive(masc: MascApp, clock: ManualClock, days: int, *agents: str) -> None:
    for _ in range(days * 24):
        for agent in agents:
            await masc.call("masc_heartbeat", agent, silent_for=3600)
        await clock.advance(3600)


async def collect(masc: MascApp, **arguments: Any) -> dict[str, int]:
    """What gc archives of portals; the dry run says the same."""
    planned = await masc.call("masc_gc", dry_run=True, **arguments)
    done = await masc.call("masc_gc", **arguments)
    assert planned["archived"] == done["archived"]
    return {kind: n for kind, n in done["archived"].items() if kind.startswith("portal")}


async def test_gc_takes_old_closed_portals_with_their_tasks_and_old_ended_ones(
    masc: MascApp, clock: ManualClock
) -> None:
    await opened(masc, "gemini", "codex")
    shown, unshown = await ask(masc, to="gemini"), await ask(masc, to="gemini")
    for task in (shown, unshown):
        await answer(masc, task)
        if task == shown:
            await status(masc, "claude")
    kept = await ask(masc, to="gemini")
    canceled = await ask(masc, to="codex")
    result = await ask(masc, "x", agent="codex", to="claude")
    await answer(masc, result, "claude")
    await masc.call("masc_portal_close", "claude", to="codex")
    await keep_alive(masc, clock, 8, "claude", "gemini", "codex")
    await masc.call("masc_portal_open", "gemini", target_agent="codex")
    await masc.call("masc_portal_close", "gemini", to="codex")

    assert await collect(masc) == {"portal": 1, "portal_task": 3}
    assert sorted(a.id for a in await archived(masc, "portal_task")) == sorted([shown, canceled, result])
    (portal,) = await archived(masc, "portal")
    assert (portal.record["agents"], portal.record["closed_reason"]) == (["claude", "codex"], "close")
    assert [r["id"] for r in (await view(masc, "claude", "gemini", peek=True))["results"]] == [unshown]
    assert [t["id"] for t in (await view(masc, "gemini"))["unread"]] == [kept]
    assert (await masc.call("masc_status", "codex"))["unread"]["portal_tasks"] == 0
    error = await masc.error("masc_portal_send", "gemini", message="x", reply_to=shown)
    assert error["code"] == "portal_task_not_found"
    assert await collect(masc) == {}
    await status(masc, "claude")
    assert await collect(masc) == {"portal_task": 1}, "it waited for its sender"


async def test_a_pair_can_be_archived_again_and_again(masc: MascApp, clock: ManualClock) -> None:
    for n in range(3):
        await opened(masc, "gemini")
        await ask(masc)
        for agent in ("claude", "gemini"):
            await masc.call("masc_leave", agent)
        await clock.advance(8 * DAY)
        assert await collect(masc) == {"portal": 1, "portal_task": 1}
        assert len(await archived(masc, "portal")) == n + 1


@pytest.mark.parametrize("characters", [1, 40_000])
async def test_much_goes_in_several_changes(masc: MascApp, clock: ManualClock, characters: int) -> None:
    count = 130 if characters == 1 else 7
    await opened(masc, "gemini", "codex")
    for n in range(count):
        task = await ask(masc, "x" * characters, to="codex" if n % 2 else "gemini")
        if n % 3 == 0:
            await answer(masc, task, "codex" if n % 2 else "gemini")
    for agent in ("claude", "gemini", "codex"):
        await masc.call("masc_leave", agent)
    await clock.advance(8 * DAY)
    assert await collect(masc) == {"portal": 2, "portal_task": count}
    await masc.call("masc_join", "claude")
    assert (await masc.call("masc_status", "claude"))["unread"]["portal_tasks"] == 0


class Broken:
    """A plugin that stops masc_gc after its first change."""

    rounds = 0

    @hookimpl
    async def masc_gc(self, ctx: Context, before: str, dry_run: bool) -> Mapping[str, Any] | None:
        self.rounds += 1
        if self.rounds > 1:
            raise StorageBusy()
        return None


@pytest.mark.parametrize("backend", ["memory", "sqlite"])
async def test_a_gc_that_was_interrupted_leaves_true_counts(tmp_path: Path, clock: ManualClock, backend: str) -> None:
    broken = Broken()
    registry = load(extra=[("broken", broken)], strict=True)  # as if it were MASC's own, which interrupts
    async with masc_app(tmp_path, backend=backend, clock=clock, registry=registry) as masc:
        await opened(masc, "gemini")
        for _ in range(130):
            await answer(masc, await ask(masc))
        await masc.call("masc_portal_close", "claude")
        await clock.advance(8 * DAY)
        assert (await masc.error("masc_gc"))["code"] == "storage_busy"
        await masc.call("masc_join", "claude")
        look = await view(masc, "claude", limit=100)
        assert look["counts"]["results"] == len(look["results"]) == 30
        assert (await masc.call("masc_status", "claude"))["unread"]["portal_tasks"] == 0


async def test_a_line_to_an_agent_that_was_archived_can_be_used_and_closed(masc: MascApp, clock: ManualClock) -> None:
    await masc.call("masc_join", "gone")
    await masc.call("masc_leave", "gone")
    await masc.call("masc_portal_open", "claude", target_agent="gone")
    await keep_alive(masc, clock, 8, "claude")
    assert (await masc.call("masc_gc"))["archived"]["agent"] == 1
    assert (await view(masc, "claude"))["peer_status"] == "inactive"
    task = await ask(masc, to="gone")
    again = await masc.call("masc_portal_open", "claude", target_agent="gone")
    assert (again["already_open"], again["warnings"][0]["code"]) == (True, "peer_offline")
    assert (await masc.call("masc_portal_close", "claude", to="gone"))["canceled"] == [task]
