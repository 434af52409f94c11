"""What a measured agent does, in process or over HTTP: a round of seven calls, as long as it is asked to."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import define, field
from common import percentile

__all__ = ["Agent", "Refused", "Times"]

Call = Callable[..., Awaitable[dict[str, Any]]]
"""Calls a tool with arguments and gives its structured result; raises :class:`Refused`."""


class Refused(Exception):
    """A call that was answered with an error, whose code it has."""


@define
class Times:
    """Milliseconds of calls that were answered well, and the codes of the others."""

    reads: list[float] = field(factory=list)
    writes: list[float] = field(factory=list)
    errors: Counter[str] = field(factory=Counter)

    def facts(self) -> dict[str, Any]:
        """The percentiles of both kinds."""
        found: dict[str, Any] = {"calls": len(self.reads) + len(self.writes)}
        for name, values in (("read", self.reads), ("write", self.writes)):
            for percent in (50, 95, 99):
                found[f"{name}_p{percent}_ms"] = round(percentile(values, percent), 3)
        return {**found, "errors": dict(self.errors)}


@define
class Agent:
    """Puts a task on the board, takes the most urgent one, ends it, says so, and looks what else is new."""

    call: Call
    times: Times
    seen: int = 0
    """Number of the last message it knows."""

    async def round(self) -> None:
        """Three reads and four writes."""
        await self._write("masc_add_task", title="one more", priority=1)
        await self._read("masc_tasks", limit=20)
        task = (await self._write("masc_claim_next")).get("task")
        await self._read("masc_messages", since_seq=self.seen, limit=20)
        if task is not None:
            await self._write("masc_done", task_id=task["id"], notes="done and tested")
        said = await self._write("masc_broadcast", message="finished a piece, going on with the next")
        self.seen = said.get("seq", self.seen)
        await self._read("masc_status")

    async def _read(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return await self._timed(self.times.reads, tool, arguments)

    async def _write(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return await self._timed(self.times.writes, tool, arguments)

    async def _timed(self, into: list[float], tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        begun = time.perf_counter()
        try:
            result = await self.call(tool, **arguments)
        except Refused as refused:
            self.times.errors[str(refused)] += 1
            return {}
        into.append((time.perf_counter() - begun) * 1000)
        return result
