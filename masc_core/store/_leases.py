"""The rules of leases, once for all drivers: decide a whole commit in memory, then let the driver write the outcome.

Deciding first means that a refused commit has nothing to undo and that a conflict shows what is stored, not what an
earlier write of the same commit would have made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import Factory, define

from masc_core.frozen import evolve
from masc_core.store.driver import Acquire, Check, Held, Lease, Reached, Release, Renew, Write

__all__ = ["LeaseOutcome", "settle_leases", "time_wanted"]


@define
class LeaseOutcome:
    """What the lease checks and writes of one commit come to."""

    changed: dict[str, Lease | None] = Factory(dict)
    """The leases to store; ``None``: to remove."""
    granted: list[Lease] = Factory(list)
    """One for each Acquire and Renew, in order."""
    failed: dict[str, Lease | None] = Factory(dict)
    """Where a check or write did not hold: what is stored now. Not empty: write nothing."""
    fence: int | None = None
    """The room's new fence counter, ``None`` when it did not move."""


def settle_leases(
    checks: Iterable[Check],
    writes: Iterable[Write],
    now: float,
    load: Callable[[str], Lease | None],
    load_fence: Callable[[], int],
) -> LeaseOutcome:
    """Decide every lease check and write of a commit at time ``now``.

    ``load`` gives a lease as stored, ``None`` when it is free or expired; ``load_fence`` the room's last fence.
    """
    outcome = LeaseOutcome()
    stored: dict[str, Lease | None] = {}

    def current(name: str) -> Lease | None:
        if name in outcome.changed:
            return outcome.changed[name]
        if name not in stored:
            stored[name] = load(name)
        return stored[name]

    for check in checks:
        if isinstance(check, Held):
            lease = current(check.name)
            if lease is None or lease.fence != check.fence:
                outcome.failed[check.name] = lease
    for write in writes:
        if not isinstance(write, Acquire | Renew | Release):
            continue
        lease = current(write.name)
        if (lease is not None) if isinstance(write, Acquire) else (lease is None or lease.fence != write.fence):
            outcome.failed[write.name] = stored[write.name]
        elif isinstance(write, Release):
            outcome.changed[write.name] = None
        else:
            if isinstance(write, Acquire):
                outcome.fence = (load_fence() if outcome.fence is None else outcome.fence) + 1
                lease = Lease(write.name, write.owner, outcome.fence, now + write.seconds)
            elif lease is not None:
                lease = evolve(lease, expires_at=now + write.seconds)
                assert lease is not None
            outcome.changed[write.name] = lease
            outcome.granted.append(lease)  # type: ignore[arg-type]
    return outcome


def time_wanted(checks: Iterable[Check]) -> float:
    """What the store's clock must have reached, 0 where that does not matter."""
    return max((check.time for check in checks if isinstance(check, Reached)), default=0.0)
