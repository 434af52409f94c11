"""Concurrent ballots: of several that could be the last, exactly one is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from voting_support import cast, create, events, messages, status

from masc_core.plugins import Registry
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app

VOTERS = [f"voter{i}" for i in range(10)]


def meet_at_commit(monkeypatch: pytest.MonkeyPatch, apps: Sequence[MascApp], number: int) -> None:
    """Let the next ``number`` commits, through whichever kernel, begin only when all of them have read."""
    barrier, waiting = asyncio.Barrier(number), number

    def held(commit: Any) -> Any:
        async def wait(*arguments: Any) -> Any:
            nonlocal waiting
            if waiting:
                waiting -= 1
                async with asyncio.timeout(10):
                    await barrier.wait()
            return await commit(*arguments)

        return wait

    for app in apps:
        driver = app.kernel.start_room.driver
        monkeypatch.setattr(driver, "commit", held(driver.commit))


async def race(monkeypatch: pytest.MonkeyPatch, apps: Sequence[MascApp]) -> None:
    """Ten last ballots at once, spread over kernels on one store."""
    app = apps[0]
    for voter in (*VOTERS, "claude"):
        await app.call("masc_join", voter)
    await create(app)
    await cast(app, "claude", "A")
    for other in apps:
        assert (await status(other))["remaining"] == 1
    meet_at_commit(monkeypatch, apps, len(VOTERS))
    results = await asyncio.gather(*(cast(apps[i % len(apps)], voter, "A") for i, voter in enumerate(VOTERS)))
    assert [r["resolved"] for r in results if "error" not in r] == [True]
    assert {r["error"]["code"] for r in results if "error" in r} == {"vote_closed"}
    standing = await status(apps[-1])
    assert (standing["voters"], standing["vote"]["winner"], standing["vote"]["version"]) == (2, "A", 3)
    assert len(await events(app)) == 1
    assert len(await messages(app, "approved")) == 1
    assert len(await events(app, "vote_cast")) == 2


async def test_of_ten_concurrent_last_votes_one_resolves(masc: MascApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Acceptance 7 of voting.md."""
    await race(monkeypatch, [masc])


async def test_two_servers_of_one_room_resolve_a_vote_once(
    tmp_path: Path, clock: ManualClock, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        masc_app(tmp_path, backend="sqlite", clock=clock, registry=registry) as one,
        masc_app(tmp_path, backend="sqlite", clock=clock, registry=registry) as two,
    ):
        await race(monkeypatch, [one, two])


async def test_concurrent_ballots_are_all_counted(masc: MascApp, monkeypatch: pytest.MonkeyPatch) -> None:
    for voter in VOTERS:
        await masc.call("masc_join", voter)
    await create(masc, required_votes=10, proposer=VOTERS[0])
    meet_at_commit(monkeypatch, [masc], len(VOTERS))
    results = await asyncio.gather(*(cast(masc, voter, "AB"[i % 2]) for i, voter in enumerate(VOTERS)))
    assert [r["resolved"] for r in results].count(True) == 1
    standing = await status(masc)
    assert (standing["tally"], standing["vote"]["status"]) == ({"A": 5, "B": 5, "C": 0}, "tied")


async def test_a_ballot_and_a_cancellation_at_once_leave_one_end(
    masc: MascApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(masc, required_votes=1)
    await masc.call("masc_join", "gemini")
    meet_at_commit(monkeypatch, [masc], 2)
    results = await asyncio.gather(cast(masc, "gemini", "A"), cast(masc, "claude", cancel=True))
    assert sum("error" in r for r in results) == 1
    assert len(await events(masc)) == 1
