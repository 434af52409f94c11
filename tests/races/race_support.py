"""Two calls of which one happens, whole, inside the other: in each of the gaps between what the other asks of the store.

A unit of work is no snapshot: what it reads, it reads at different moments. A call is right if, wherever another call is
committed meanwhile, the room and both answers are what they would be had one call come after the other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson
from attrs import define, evolve, field, frozen

from masc_core.contracts import Contract
from masc_core.identity import Client
from masc_core.store.collections import Collection
from masc_core.store.driver import Driver, Scan
from masc_core.testing import ManualClock, MascApp

__all__ = ["Answer", "Call", "Gaps", "Rooms", "Story", "ends_in_order", "in_every_gap", "state"]

_OPERATIONS = ("get", "scan", "count", "count_log", "read_log", "scan_log", "heads", "leases", "commit")
_OWN_TO_EACH_RUN = frozenset(
    {
        "version",
        "seq",
        "session_id",
        "token",
        "token_hash",
        "room_secret",
        "room_secret_hash",
        "key",
        "export_path",
        "path",
        "read_seq",
    }
)
_NOT_COMPARED = frozenset({"audit", "audit_keys", "dialog_keys"})
Answer = dict[str, Any]
Rooms = Callable[[], AbstractAsyncContextManager[tuple[MascApp, MascApp]]]
"""Makes a new room, as the servers of the one call and of the other see it; they may be the same."""


@define
class Gaps:
    """Counts the operations that a driver is asked for, and runs something right before one of them."""

    gap: int | None = None
    """Before which operation, from 0; ``None`` for never."""
    work: Callable[[], Awaitable[None]] | None = None
    asked: int = 0
    _watching: bool = False

    def over(self, driver: Driver) -> None:
        """Stand between ``driver`` and whoever uses it from now on."""
        for name in _OPERATIONS:
            setattr(driver, name, self._before(getattr(driver, name)))

    def _before(self, operation: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def passed(*args: Any, **options: Any) -> Any:
            if self._watching:
                if self.asked == self.gap and self.work is not None:
                    self._watching = False
                    await self.work()
                    self._watching = True
                self.asked += 1
            return await operation(*args, **options)

        return passed

    async def watch(self, call: Awaitable[Answer]) -> Answer:
        """Await a call whose operations count."""
        self._watching = True
        try:
            return await call
        finally:
            self._watching = False


@frozen
class Call:
    """A tool, its arguments and who calls: an agent by its name, or a client that ``of`` makes."""

    tool: str | Contract
    """By its name; a command, which has none that could be called, by its contract."""
    agent: str | None = None
    arguments: dict[str, Any] = field(factory=dict)
    of: Callable[[MascApp, Sequence[Answer]], Client] | None = None
    """Given the answers of the calls before."""

    async def on(self, masc: MascApp, before: Sequence[Answer]) -> Answer:
        """The structured answer; of a refusal the code and details."""
        client = masc.client() if self.of is None else self.of(masc, before)
        if not isinstance(self.tool, str):
            answer = dict((await masc.kernel.run(self.tool, self.arguments, client)).structured)
        elif self.of is None:
            answer = await masc.call(self.tool, self.agent, **self.arguments)
        else:
            answer = dict((await masc.outcome(self.tool, client, **self.arguments)).structured)
        error = answer.get("error")
        return answer if error is None else {"error": error["code"], "details": error["details"]}


@frozen
class Story:
    """What is there at first, and the two calls that meet."""

    name: str
    before: tuple[Call, ...]
    one: Call
    other: Call
    seconds: float = 0.0
    """How much time passes before they meet."""
    refusals_alike: bool = False
    """A refusal changes nothing, so it need not hold at a commit: of two that fit, either may be given."""

    @property
    def reversed(self) -> Story:
        """The same with the other call around the one."""
        return evolve(self, name=f"{self.name}, the other way round", one=self.other, other=self.one)

    def told(self, answer: Answer) -> str:
        """An answer as two runs have it in common."""
        return _text({"error": True} if self.refusals_alike and "error" in answer else answer)


Outcome = tuple[str, str, str]
"""The room and the two answers, each as text that two runs have in common."""


async def state(masc: MascApp) -> str:
    """Everything the room keeps, free of what differs from run to run; logs without their order."""
    kept: dict[str, Any] = {}
    driver = masc.kernel.start_room.driver
    for declared in masc.kernel.registry.records:
        if declared.name in _NOT_COMPARED:
            continue
        if isinstance(declared, Collection):
            found = await driver.scan(Scan(declared.name))
            kept[declared.name] = {d.key.id: _common(orjson.loads(d.body)) for d in found}
        else:
            entries = await driver.read_log(declared.name, 0, 100_000)
            kept[declared.name] = sorted(_text(orjson.loads(e.body)) for e in entries)
    return _text(kept)


def _common(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _common(v) for k, v in value.items() if k not in _OWN_TO_EACH_RUN}
    if isinstance(value, list):
        return [_common(item) for item in value]
    return value


def _text(value: Any) -> str:
    return orjson.dumps(_common(value), option=orjson.OPT_SORT_KEYS).decode()


async def _run(rooms: Rooms, story: Story, gap: int | None) -> tuple[Outcome, bool]:
    """One run with ``other`` in that gap of ``one`` (``None``: after it), and whether ``one`` had such a gap."""
    async with rooms() as (masc, elsewhere):
        before: list[Answer] = []
        for call in story.before:
            before.append(await call.on(masc, before))
            assert "error" not in before[-1], before[-1]
        assert isinstance(masc.clock, ManualClock)
        await masc.clock.advance(story.seconds)
        answers: dict[str, Answer] = {}

        async def meanwhile() -> None:
            answers["other"] = await story.other.on(elsewhere, before)

        assert await elsewhere.kernel.start_room.connect(create=False)
        gaps = Gaps(gap, meanwhile)
        gaps.over(masc.kernel.start_room.driver)
        answers["one"] = await gaps.watch(story.one.on(masc, before))
        met = "other" in answers
        if not met:
            await meanwhile()
        return (await state(masc), story.told(answers["one"]), story.told(answers["other"])), met


async def ends_in_order(rooms: Rooms, story: Story) -> list[Outcome]:
    """What there may be in the end: ``one`` then ``other``, or ``other`` then ``one``."""
    first, _ = await _run(rooms, story, None)
    second, _ = await _run(rooms, story.reversed, None)
    return [first, (second[0], second[2], second[1])]


async def in_every_gap(rooms: Rooms, story: Story) -> AsyncIterator[tuple[int, Outcome]]:
    """The ends of as many runs as ``one`` has gaps."""
    gap, met = 0, True
    while True:
        outcome, met = await _run(rooms, story, gap)
        if not met:
            return
        yield gap, outcome
        gap += 1
