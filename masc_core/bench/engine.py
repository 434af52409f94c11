"""Times calls, those to be compared in turn, so that what disturbs the machine disturbs all alike."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence

from attrs import define, field

from masc_core.frozen import frozen

__all__ = ["CallFailed", "Lane", "Limits", "measure"]

_REASONS = 8
"""Different failures that are told apart; messages may hold an id each."""


class CallFailed(Exception):
    """A call that came back without a result; counted, and the run goes on. ``str`` says what came instead."""


@frozen
class Limits:
    """What ends a run, whichever comes first."""

    clients: int = 1
    calls: int = 200
    """Measured calls of each lane, by all clients together."""
    warm_up: int = 10
    """Calls of each client before, which are not measured."""
    seconds: float = 30.0
    """For the whole run with its warm-up; each lane gets one measured call in any case."""

    @property
    def block(self) -> int:
        """Calls of a lane before it is another's turn: one, or enough that all clients are busy for most of the time."""
        return 1 if self.clients == 1 else 5 * self.clients


@define
class Lane:
    """One call that is measured over and over, and what was measured."""

    name: str
    call: Callable[[int], Awaitable[object]]
    """Given a client's number; raises :class:`CallFailed`. Any other exception ends the run."""
    times: list[float] = field(factory=list)
    """Milliseconds of each call that gave a result."""
    errors: Counter[str] = field(factory=Counter)
    """Failed calls by reason, those of the warm-up too."""
    seconds: float = 0.0
    """Time in which calls were under way, to which failed ones belong."""
    cpu_seconds: float = 0.0
    """Of it, processor time of this process: of the clients, and of a lane that calls something in process."""

    async def run(self, clients: int, calls: int, deadline: float) -> None:
        """Let the clients share ``calls`` calls; after the deadline none begins but the lane's first."""
        left = iter(range(calls))
        begun, cpu = time.perf_counter(), time.process_time()
        try:
            if clients == 1:
                await self._work(0, left, deadline)
            else:
                async with asyncio.TaskGroup() as group:
                    for client in range(clients):
                        group.create_task(self._work(client, left, deadline))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            self.seconds += time.perf_counter() - begun
            self.cpu_seconds += time.process_time() - cpu

    async def _work(self, client: int, left: Iterator[int], deadline: float) -> None:
        for i in left:
            begun = time.perf_counter()
            if begun >= deadline and (i or self.times):
                return
            try:
                await self.call(client)
            except CallFailed as failure:
                reason = str(failure)
                self.errors[reason if reason in self.errors or len(self.errors) < _REASONS else "others"] += 1
            else:
                self.times.append((time.perf_counter() - begun) * 1000)

    def forget(self) -> None:
        """Drop the measurements, not the errors."""
        self.times.clear()
        self.seconds = self.cpu_seconds = 0.0


async def measure(
    operations: Sequence[Sequence[Lane]], limits: Limits, tick: Callable[[int], None] = lambda calls: None
) -> None:
    """Warm up, then measure; the lanes of an operation are the ones to compare, and take turns in changing order.

    ``tick`` gets the number of calls done since it was called last. Raises what a lane's call raises, other than
    :class:`CallFailed`; the lanes then hold what was measured before.
    """
    deadline = time.perf_counter() + limits.seconds
    for lane in itertools.chain.from_iterable(operations):
        try:
            await lane.run(limits.clients, limits.warm_up * limits.clients, deadline)
        finally:
            lane.forget()
    for turn, done in enumerate(range(0, limits.calls, limits.block)):
        if turn and time.perf_counter() >= deadline:
            return
        for operation in operations:
            for lane in operation if turn % 2 == 0 else reversed(operation):
                calls = min(limits.block, limits.calls - done)
                await lane.run(limits.clients, calls, deadline)
                tick(calls)
