"""Which categories are used is recorded, cheaply, and is the ground for advice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from postgres_fixtures import local_stores

from masc_core.errors import StorageUnavailable
from masc_core.frozen import evolve
from masc_core.identity import Client, local_client
from masc_core.plugins import Registry
from masc_core.records import USES
from masc_core.store.collections import View
from masc_core.store.transaction import Transaction
from masc_core.sweep import keep_counts
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app
from masc_core.usage import DAYS, flush, used

CLIENT = Client(transport="http", source="test")
DAY = 86_400.0


async def call(masc: MascApp, tool: str, client: Client = CLIENT, **arguments: Any) -> dict[str, Any]:
    return dict((await masc.outcome(tool, client, **arguments)).structured)


async def counted(masc: MascApp, agent: str | None = None) -> dict[str, int]:
    """What the room knows of the last 30 days."""
    room = masc.kernel.start_room
    return dict(await used(room, Transaction(room.driver), agent))


async def stored(masc: MascApp, id: str = "room") -> dict[str, dict[str, int]]:
    found = await View(USES, Transaction(masc.kernel.start_room.driver)).find(id)
    return {} if found is None else found.days


async def test_calls_are_counted_in_memory_and_written_in_one_go(masc: MascApp) -> None:
    await call(masc, "masc_join", agent_name="claude")
    for _ in range(3):
        await call(masc, "masc_who")
        await call(masc, "masc_heartbeat", agent_name="claude")
    assert await stored(masc) == {}
    assert await counted(masc) == {"core": 1, "comm": 3, "health": 3}
    await flush(masc.kernel.start_room)
    day = "2023-11-14"
    assert await stored(masc) == {day: {"core": 1, "comm": 3, "health": 3}}
    assert await stored(masc, "agent:claude") == {day: {"core": 1, "health": 3}}
    await call(masc, "masc_who")
    await flush(masc.kernel.start_room)
    assert await counted(masc) == {"core": 1, "comm": 4, "health": 3}
    assert await counted(masc, "Claude") == {"core": 1, "health": 3}


async def test_refused_calls_and_a_persons_do_not_count(masc: MascApp) -> None:
    await call(masc, "masc_join", agent_name="claude")
    await call(masc, "masc_done", agent_name="claude", task_id="task-9")
    await call(masc, "masc_votes")  # outside the mode
    await masc.kernel.call("masc_who", {}, local_client())
    assert await counted(masc) == {"core": 1}


async def test_what_lean_calls_counts_for_its_category(masc: MascApp) -> None:
    client = evolve(CLIENT, selection=masc.kernel.modes.check("lean", (), "url"))
    await call(masc, "masc_call_write", client, name="masc_init")
    await call(masc, "masc_call_read", client, name="masc_votes")
    await call(masc, "masc_find_tools", client, query="vote")
    assert await counted(masc) == {"core": 1, "voting": 1, "lean": 1}


@local_stores
async def test_names_that_nobody_joined_under_are_not_kept(masc: MascApp) -> None:
    await call(masc, "masc_join", agent_name="claude")
    for n in range(600):
        await call(masc, "masc_status", agent_name=f"made-up-{n}")
    await flush(masc.kernel.start_room)
    records = await View(USES, Transaction(masc.kernel.start_room.driver)).scan(limit=100)
    assert {record.id for record in records} == {"room", "agent:claude"}
    assert await counted(masc) == {"core": 601}


async def test_old_days_are_forgotten(masc: MascApp, clock: ManualClock) -> None:
    await call(masc, "masc_join", agent_name="claude")
    await flush(masc.kernel.start_room)
    await clock.advance((DAYS - 1) * DAY)
    assert await counted(masc) == {"core": 1}
    await clock.advance(DAY)
    assert await counted(masc) == {}
    await call(masc, "masc_who")
    await flush(masc.kernel.start_room)
    assert [*(await stored(masc)).values()] == [{"comm": 1}]


async def test_what_could_not_be_written_is_kept(masc: MascApp, monkeypatch: pytest.MonkeyPatch) -> None:
    await call(masc, "masc_join", agent_name="claude")

    async def fail(*args: object) -> None:
        raise StorageUnavailable(backend="test")

    with monkeypatch.context() as patch:
        patch.setattr("masc_core.usage.transact", fail)
        with pytest.raises(StorageUnavailable):
            await flush(masc.kernel.start_room)
        await keep_counts(masc.kernel)  # the end of a server does not fail for it
    assert await counted(masc) == {"core": 1}
    await keep_counts(masc.kernel)
    assert await stored(masc) == {"2023-11-14": {"core": 1}}


async def test_two_servers_counts_add_up(tmp_path: Path, registry: Registry) -> None:
    async with (
        masc_app(tmp_path, backend="sqlite", registry=registry) as one,
        masc_app(tmp_path, backend="sqlite", registry=registry) as two,
    ):
        for masc in (one, two):
            await call(masc, "masc_join", agent_name="claude")
            await call(masc, "masc_who")
        await flush(one.kernel.start_room)
        await flush(two.kernel.start_room)
        assert await counted(one) == {"core": 2, "comm": 2}


async def test_advice_names_what_is_never_used_and_what_that_costs(masc: MascApp) -> None:
    await call(masc, "masc_join", agent_name="claude")
    assert "advice" not in await call(masc, "masc_get_config")
    for _ in range(20):
        await call(masc, "masc_who")
    await call(masc, "masc_heartbeat", agent_name="claude")
    config = await call(masc, "masc_get_config")
    rows = {row["name"]: row["tokens"] for row in config["categories"]}
    advice = config["advice"]
    assert advice["room"]["unused"] == ["worktree"]
    assert advice["room"]["saves_tokens"] == rows["worktree"]
    assert advice["room"]["keep"] == ["core", "comm", "health"]
    assert "prompt cache" in advice["when"] and advice["days"] == DAYS
    assert "agent" not in advice
    named = evolve(CLIENT, agent="claude")
    for _ in range(20):
        await call(masc, "masc_heartbeat", named)
    own = (await call(masc, "masc_get_config", named))["advice"]["agent"]
    assert own["unused"] == ["comm", "worktree"]
    switched = await call(masc, "masc_switch_mode", mode="custom", categories=advice["room"]["keep"])
    assert config["tool_tokens"] - switched["tool_tokens"] == advice["room"]["saves_tokens"]


async def test_a_budget_is_spent_on_what_is_used(masc: MascApp) -> None:
    await call(masc, "masc_join", agent_name="claude")
    everything = evolve(CLIENT, selection=masc.kernel.modes.check("full", (), "url"))
    for _ in range(3):
        await call(masc, "masc_votes", everything)
    modes = masc.kernel.modes
    enough = modes.cost(["core", "voting"], caller_known=False).tokens
    by_value = await call(masc, "masc_switch_mode", mode="budget", max_tokens=enough)
    assert "voting" not in by_value["enabled_categories"]
    by_use = await call(masc, "masc_switch_mode", mode="budget", max_tokens=enough, order="use")
    assert by_use["enabled_categories"] == ["core", "voting"]
    assert (by_use["order"], by_use["max_tokens"], by_use["changed"]) == ("use", enough, True)
    for _ in range(9):
        await call(masc, "masc_votes", everything)
        await call(masc, "masc_who", everything)
    assert (await call(masc, "masc_get_config"))["enabled_categories"] == ["core", "voting"]
