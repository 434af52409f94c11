"""One benchmark: connect, check that the calls work, measure at each number of clients."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from attrs import define, field
from mcp.client.client import Client

from masc_core.bench.calls import Call, Request, all_tools, bare, choose, listing, made, of_tool
from masc_core.bench.engine import CallFailed, Lane, Limits, measure
from masc_core.bench.servers import BenchFailed, Target, connect, label
from masc_core.frozen import evolve, frozen

__all__ = ["Level", "Measured", "Plan", "Progress", "bench"]


@frozen
class Plan:
    """What to measure: one server or two, each with as many calls; none mean a safe one."""

    targets: tuple[Target, ...]
    calls: tuple[tuple[Call, ...], ...]
    clients: tuple[int, ...]
    limits: Limits
    era: str
    timeout: float


class Progress(Protocol):
    """Who wants to see how far a run is."""

    def begin(self, what: str, total: int | None) -> Callable[[int], None]:
        """A part begins, of ``total`` calls; gives what to tell the number of those done."""


@define
class Side:
    """A server and those connected to it."""

    target: Target
    name: str
    clients: list[Client]
    calls: list[Call]
    tools: int

    def as_dict(self) -> dict[str, Any]:
        """The server, for a report."""
        first = self.clients[0]
        return {
            "name": self.name,
            "target": self.target.shown,
            "protocol": first.protocol_version,
            "transport": "http" if isinstance(self.target.at, str) else "stdio",
            "tools": self.tools,
            "calls": [{"tool": call.tool, "arguments": call.arguments} for call in self.calls],
        }


@define
class Level:
    """What was measured with a number of clients: for each operation a lane of each server."""

    clients: int
    operations: list[list[Lane]]


@define
class Measured:
    """All of it."""

    servers: list[dict[str, Any]] = field(factory=list)
    levels: list[Level] = field(factory=list)
    stopped: str | None = None
    """Why it ended early."""

    @property
    def errors(self) -> int:
        """Calls that failed."""
        return sum(lane.errors.total() for level in self.levels for lanes in level.operations for lane in lanes)


async def bench(plan: Plan, progress: Progress) -> Measured:
    """Carry out the plan. Raises :class:`BenchFailed` where there is nothing to report; cancelled, as by Ctrl-C, it gives
    what was measured until then, if anything was."""
    measured = Measured()
    try:
        async with contextlib.AsyncExitStack() as stack:
            sides = await _sides(stack, plan, progress)
            measured.servers = [side.as_dict() for side in sides]
            operations = await _operations(sides, plan.timeout)
            for clients in plan.clients:
                level = Level(clients, [[Lane(name, call) for name, call in lanes] for lanes in operations])
                measured.levels.append(level)
                limits = evolve(plan.limits, clients=clients)
                total = limits.calls * sum(len(lanes) for lanes in operations)
                await measure(level.operations, limits, progress.begin(f"{clients} client{'s' * (clients > 1)}", total))
    except (BenchFailed, asyncio.CancelledError) as failure:
        if not any(lane.times for level in measured.levels for lanes in level.operations for lane in lanes):
            raise
        measured.stopped = str(failure) or "interrupted"
        if isinstance(failure, asyncio.CancelledError) and (task := asyncio.current_task()) is not None:
            task.uncancel()
    return measured


async def _sides(stack: contextlib.AsyncExitStack, plan: Plan, progress: Progress) -> list[Side]:
    sides: list[Side] = []
    tick = progress.begin("connecting", max(plan.clients) * len(plan.targets))
    for target, wanted in zip(plan.targets, plan.calls, strict=True):
        clients = []
        for _ in range(max(plan.clients)):
            clients.append(await stack.enter_async_context(connect(target, plan.era, plan.timeout)))
            tick(1)
        name = label(clients[0], target)
        if any(side.name == name for side in sides):
            name += " (2)"
        tools = await all_tools(clients[0], time.perf_counter() + plan.limits.seconds)
        sides.append(Side(target, name, clients, choose(tools, wanted, name), len(tools)))
    return sides


Operation = list[tuple[str, Callable[[int], Any]]]


async def _operations(sides: Sequence[Side], timeout: float) -> list[Operation]:
    """What is measured. Raises :class:`BenchFailed` when a tool fails at its first call."""
    found: list[Operation] = []
    for make in (bare, listing):
        operation = [_operation(side, timeout, make) for side in sides]
        with contextlib.suppress(CallFailed):  # not every server answers a ping
            for _, call in operation:
                await call(0)
            found.append(operation)
    for calls in zip(*(side.calls for side in sides), strict=True):
        operation = [
            _operation(side, timeout, partial(of_tool, call=call)) for side, call in zip(sides, calls, strict=True)
        ]
        for side, (_, call) in zip(sides, operation, strict=True):
            try:
                await call(0)
            except CallFailed as failure:
                raise BenchFailed(message=f"{side.name}: the first call failed: {failure}") from failure
        found.append(operation)
    return found


def _operation(
    side: Side, timeout: float, make: Callable[[Client], tuple[str, Request]]
) -> tuple[str, Callable[[int], Any]]:
    requests = [make(client) for client in side.clients]
    return requests[0][0], lambda client: made(requests[client][1], side.target, timeout)
