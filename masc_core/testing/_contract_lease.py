"""Leases: one holder, fences that only grow, expiry by the store's clock."""

from __future__ import annotations

import asyncio

import pytest

from masc_core.store.driver import Acquire, Conflict, Driver, Held, Key, Lease, Release, Renew, Write
from masc_core.testing._contract_base import ContractBase, OpenDriver, key, put, within
from masc_core.testing.clock import ManualClock

__all__ = ["LeaseContract"]


async def _acquire(driver: Driver, name: str = "lock", owner: str = "me", seconds: float = 10) -> Lease:
    (lease,) = (await driver.commit([], [Acquire(name, owner, seconds)])).leases
    return lease


class LeaseContract(ContractBase):
    async def test_a_lease_shows_who_holds_it_and_until_when(self, driver: Driver, clock: ManualClock) -> None:
        lease = await _acquire(driver)
        assert lease == Lease("lock", "me", lease.fence, clock.now() + 10)
        assert await driver.leases(["none", "lock"]) == [None, lease]
        await driver.commit([Held("lock", lease.fence)], [put("a")])

    async def test_a_held_lease_is_refused_also_to_its_owner(self, driver: Driver) -> None:
        lease = await _acquire(driver)
        for owner in ("me", "you"):
            with pytest.raises(Conflict) as caught:
                await driver.commit([], [put("a"), Acquire("lock", owner, 10)])
            assert caught.value.leases == {"lock": lease}
        assert await driver.get([key("a")]) == [None]

    async def test_fences_grow_over_the_whole_room(self, driver: Driver, clock: ManualClock) -> None:
        fences = [(await _acquire(driver, "a")).fence, (await _acquire(driver, "b")).fence]
        committed = await driver.commit([], [Acquire("c", "me", 1), Acquire("d", "me", 1), Release("a", fences[0])])
        fences += [lease.fence for lease in committed.leases]
        await clock.advance(2)
        fences += [(await _acquire(driver, name)).fence for name in ("a", "c", "e")]
        assert fences == sorted(set(fences))
        assert fences[0] >= 1

    async def test_renewing_keeps_the_fence_and_counts_from_now(self, driver: Driver, clock: ManualClock) -> None:
        lease = await _acquire(driver)
        await clock.advance(4)
        committed = await driver.commit([], [Renew("lock", lease.fence, 10)])
        assert committed.leases == (Lease("lock", "me", lease.fence, clock.now() + 10),)
        await clock.advance(9)
        await driver.commit([Held("lock", lease.fence)], [])
        await clock.advance(1)
        assert await driver.leases(["lock"]) == [None]

    async def test_a_released_lease_is_free(self, driver: Driver) -> None:
        lease = await _acquire(driver)
        await driver.commit([], [Release("lock", lease.fence)])
        assert await driver.leases(["lock"]) == [None]
        assert (await _acquire(driver, owner="you")).fence > lease.fence

    async def test_a_lease_can_change_hands_in_one_commit(self, driver: Driver) -> None:
        lease = await _acquire(driver)
        (second,) = (await driver.commit([], [Release("lock", lease.fence), Acquire("lock", "you", 5)])).leases
        assert await driver.leases(["lock"]) == [second]
        assert second.owner == "you"

    async def test_a_conflict_within_one_commit_shows_what_is_stored(self, driver: Driver) -> None:
        with pytest.raises(Conflict) as caught:
            await driver.commit([], [Acquire("lock", "me", 5), Acquire("lock", "you", 5)])
        assert caught.value.leases == {"lock": None}
        assert await driver.leases(["lock"]) == [None]

    @pytest.mark.parametrize("kind", ["held", "renew", "release"])
    async def test_a_stale_fence_and_an_expired_lease_are_refused(
        self, driver: Driver, clock: ManualClock, kind: str
    ) -> None:
        async def use(fence: int) -> None:
            uses: dict[str, list[Write]] = {"renew": [Renew("lock", fence, 5)], "release": [Release("lock", fence)]}
            writes = [put("a"), *uses.get(kind, [])]
            await driver.commit([Held("lock", fence)] if kind == "held" else [], writes)

        lease = await _acquire(driver)
        await clock.advance(10)
        with pytest.raises(Conflict) as caught:
            await use(lease.fence)
        assert caught.value.leases == {"lock": None}
        second = await _acquire(driver, owner="you")
        for fence in (lease.fence, second.fence + 1, 0):
            with pytest.raises(Conflict) as caught:
                await use(fence)
            assert caught.value.leases == {"lock": second}
        assert await driver.get([key("a")]) == [None]
        assert await driver.leases(["lock"]) == [second]
        await use(second.fence)

    @pytest.mark.parametrize("seen_by", ["reading", "refusal", "nobody"])
    async def test_a_lease_seen_expired_stays_so_when_the_clock_jumps_back(
        self, open_driver: OpenDriver, clock: ManualClock, seen_by: str
    ) -> None:
        one, two = await open_driver(), await open_driver()
        lease = await _acquire(one)
        clock.jump(20)
        if seen_by == "reading":
            assert await two.leases(["lock"]) == [None]
        elif seen_by == "refusal":
            with pytest.raises(Conflict):
                await two.commit([Held("lock", lease.fence)], [])
        clock.jump(-20)
        if seen_by == "nobody":
            assert await two.leases(["lock"]) == [lease]
            return
        assert await two.leases(["lock"]) == [None]
        await two.commit([], [put("a")])
        assert await one.leases(["lock"]) == await two.leases(["lock"]) == [None]
        second = await _acquire(two, owner="you")
        assert second.fence > lease.fence
        with pytest.raises(Conflict):
            await one.commit([], [Renew("lock", lease.fence, 10)])
        assert await one.leases(["lock"]) == [second]

    async def test_of_two_clients_exactly_one_takes_a_lease(self, open_driver: OpenDriver) -> None:
        clients = [await open_driver(), await open_driver()]
        taken: list[Lease] = []

        async def take(me: int) -> None:
            for n in range(30):
                try:
                    taken.append(await _acquire(clients[me], f"lock{n}", f"client{me}"))
                except Conflict as conflict:
                    held = conflict.leases[f"lock{n}"]
                    assert held is not None
                    assert held.owner == f"client{1 - me}"
                await asyncio.sleep(0)

        await within(asyncio.gather(take(0), take(1)))
        assert sorted(lease.name for lease in taken) == sorted(f"lock{n}" for n in range(30))
        assert len({lease.fence for lease in taken}) == 30

    async def test_leases_are_no_documents(self, driver: Driver) -> None:
        await _acquire(driver, "a")
        assert await driver.get([Key("a", "a"), Key("", "a")]) == [None, None]
