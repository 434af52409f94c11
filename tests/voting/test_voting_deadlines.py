"""Deadlines: by the timer, on every access, exactly once, at the deadline."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from voting_support import cast, create, events, listed, messages, status

from masc_core.clock import plus
from masc_core.plugins import Registry
from masc_core.store.driver import Key, Rewrite
from masc_core.store.sealed import raw
from masc_core.sweep import DUE_SECONDS, due_once, sweep_forever
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app
from masc_plugin_voting.records import VOTES


async def timer(masc: MascApp) -> None:
    """One turn of the timer."""
    await due_once(masc.kernel, masc.kernel.start_room)


async def test_a_vote_short_of_voters_expires(masc: MascApp, clock: ManualClock) -> None:
    """Acceptance 6 of voting.md."""
    await create(masc, deadline_seconds=60)
    await cast(masc, "claude", "A")
    await clock.advance(61)
    standing = await status(masc)
    assert standing["vote"]["status"] == "expired"
    assert standing["vote"]["resolved_at"] == standing["vote"]["deadline"] == plus(standing["vote"]["created_at"], 60)
    assert "seconds_left" not in standing and (standing["voters"], standing["remaining"]) == (1, 1)


async def test_the_deadline_itself_is_past_and_the_moment_before_is_not(masc: MascApp, clock: ManualClock) -> None:
    await create(masc, deadline_seconds=60)
    assert (await status(masc))["seconds_left"] == 60
    await clock.advance(59.5)
    assert (await status(masc))["seconds_left"] == 1
    assert (await masc.call("masc_votes", status="pending"))["total"] == 1
    await clock.advance(0.499)
    assert (await cast(masc, "claude", "A"))["resolved"] is False
    assert await listed(masc, status="pending") == ["vote-001"]
    await clock.advance(0.001)
    assert (await status(masc))["vote"]["status"] == "expired"


async def test_a_vote_without_deadline_waits_for_ever(masc: MascApp, clock: ManualClock) -> None:
    await create(masc)
    await clock.advance(10**7)
    await timer(masc)
    standing = await status(masc)
    assert standing["vote"]["status"] == "pending" and "seconds_left" not in standing


async def test_a_cast_after_the_deadline_is_refused_and_the_vote_ends(masc: MascApp, clock: ManualClock) -> None:
    await create(masc, deadline_seconds=60)
    await clock.advance(60)
    for arguments in ({"choice": "A"}, {"cancel": True}):
        error = await masc.error("masc_vote_cast", "claude", vote_id="vote-001", **arguments)
        assert (error["code"], error["details"]["status"]) == ("vote_closed", "expired")
    assert len(await events(masc)) == 1
    assert (await status(masc))["voters"] == 0


@pytest.mark.parametrize("first", ["timer", "masc_vote_status", "masc_votes", "masc_vote_cast", "masc_gc"])
async def test_whoever_comes_first_the_vote_ends_once(masc: MascApp, clock: ManualClock, first: str) -> None:
    await create(masc, deadline_seconds=60)
    await cast(masc, "claude", "A")
    await clock.advance(100)
    if first == "timer":
        await timer(masc)
    elif first == "masc_vote_cast":
        await cast(masc, "gemini", "A")
    else:
        await masc.call(first, **({"vote_id": "vote-001"} if first == "masc_vote_status" else {}))
    (resolved,) = await events(masc)
    assert (resolved.actor, resolved.subject, resolved.data["status"]) == ("system", "vote-001", "expired")
    seen = await status(masc)
    await timer(masc)
    assert await listed(masc) == ["vote-001"]
    await masc.error("masc_vote_cast", "gemini", vote_id="vote-001", choice="A")
    assert await status(masc) == seen
    assert len(await events(masc)) == 1
    assert await messages(masc, "expired") == ['vote-001 expired with 1 of 2 votes missing: "Which?"']


async def test_lists_show_votes_as_their_deadlines_left_them(masc: MascApp, clock: ManualClock) -> None:
    for seconds in (60, 120, 60):
        await create(masc, deadline_seconds=seconds)
    for agent, choice in (("claude", "A"), ("gemini", "B")):
        await cast(masc, agent, choice, vote_id="vote-003")
    await clock.advance(60)
    assert await listed(masc, status="pending") == ["vote-002"]
    assert await listed(masc, status="expired") == ["vote-001"]
    assert await listed(masc, status="tied") == ["vote-003"]
    assert await listed(masc) == ["vote-002", "vote-003", "vote-001"]
    assert (await masc.call("masc_votes", status="pending"))["total"] == 1


async def test_the_list_that_meets_a_deadline_counts_its_vote_as_ended(masc: MascApp, clock: ManualClock) -> None:
    await create(masc, deadline_seconds=60)
    await create(masc)
    await clock.advance(60)
    page = await masc.call("masc_votes", status="pending")
    assert (page["total"], [vote["id"] for vote in page["votes"]]) == (1, ["vote-002"])


async def test_the_timer_ends_any_number_of_votes(masc: MascApp, clock: ManualClock) -> None:
    for _ in range(250):
        await create(masc, deadline_seconds=60)
    await clock.advance(60)
    assert (await masc.call("masc_status"))["votes_pending"] == 0
    await timer(masc)
    assert len(await events(masc)) == 250
    assert (await masc.call("masc_votes", status="pending"))["total"] == 0


async def test_a_vote_that_cannot_be_read_is_in_nobodys_way_before_its_deadline(
    masc: MascApp, clock: ManualClock
) -> None:
    await create(masc, deadline_seconds=3600)
    await create(masc, deadline_seconds=60)
    await raw(masc.kernel.start_room.driver).commit([], [Rewrite(Key(VOTES.name, "vote-001"), b"nonsense")])
    assert (await masc.call("masc_status"))["votes_pending"] == 2
    await clock.advance(60)
    await timer(masc)
    assert [event.subject for event in await events(masc)] == ["vote-002"]
    assert (await masc.call("masc_status"))["votes_pending"] == 1


async def test_a_serving_process_meets_deadlines_by_itself(masc: MascApp, clock: ManualClock) -> None:
    await create(masc, deadline_seconds=10)
    serving = asyncio.create_task(sweep_forever(masc.kernel))
    await clock.advance(9)
    assert await events(masc) == []
    for _ in range(100):  # a store in a thread needs more turns of the loop than the clock gives it
        await clock.advance(DUE_SECONDS)
        if await events(masc):
            break
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    assert [e.actor for e in await events(masc)] == ["system"]


async def test_the_timers_of_two_servers_and_a_reader_end_a_vote_once(
    tmp_path: Path, clock: ManualClock, registry: Registry
) -> None:
    async with (
        masc_app(tmp_path, backend="sqlite", clock=clock, registry=registry) as one,
        masc_app(tmp_path, backend="sqlite", clock=clock, registry=registry) as two,
    ):
        for _ in range(5):
            await create(one, deadline_seconds=60)
        assert len(await listed(two, status="pending")) == 5
        await clock.advance(60)
        await asyncio.gather(timer(one), timer(two), *(status(app) for app in (one, two)), listed(one), listed(two))
        assert sorted(e.subject or "" for e in await events(two)) == [f"vote-00{i}" for i in range(1, 6)]
        assert len(await messages(two, "expired")) == 5
