"""What clients asked for and what came back: the only thing that the checks look at."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable
from typing import Any, Literal, TextIO

from attrs import define, field

__all__ = ["Final", "History", "Operation", "Outcome"]

Outcome = Literal["ok", "fail", "unknown"]
UNDECIDED = {"storage_unavailable", "internal_error"}
"""Refusals after which the change may have happened: the store's answer was lost, or something broke half-way."""


@define
class Operation:
    """One call of a tool by one client, at times of a monotonic clock in seconds."""

    process: str
    """The agent; it does one thing at a time, and nothing more after an outcome that is unknown."""
    tool: str
    arguments: dict[str, Any]
    invoked: float
    returned: float = math.inf
    """Infinite where the outcome is unknown: the change may still happen at any time."""
    outcome: Outcome = "unknown"
    """``fail`` is a refusal that says that nothing was changed."""
    result: dict[str, Any] = field(factory=dict)
    """The structured answer; for an unknown outcome ``{"lost": why}`` or the refusal."""
    number: int = 0
    """Its place among those of the client's process."""

    @property
    def code(self) -> str | None:
        """The code of the refusal, ``None`` where there was none."""
        return (self.result.get("error") or {}).get("code")

    @property
    def details(self) -> dict[str, Any]:
        """The details of the refusal."""
        return (self.result.get("error") or {}).get("details") or {}


@define
class Final:
    """What a fresh process reads when everything is over."""

    messages: list[dict[str, Any]] = field(factory=list)
    """All, in the order of their numbers."""
    tasks: list[dict[str, Any]] = field(factory=list)
    votes: list[dict[str, Any]] = field(factory=list)


class History:
    """The operations of one run; each is written to ``sink``, one JSON object a line, before and after it happens."""

    def __init__(self, sink: TextIO | None = None) -> None:
        self.operations: list[Operation] = []
        self.clock_set: list[float] = []
        """When the wall clock was set, so that a lock may end before its time."""
        self._sink = sink

    def note_clock(self) -> None:
        """The wall clock is set about now."""
        self.clock_set.append(time.monotonic())
        if self._sink is not None:
            self._sink.write(json.dumps({"clock_set": self.clock_set[-1]}) + "\n")

    def invoke(self, process: str, tool: str, arguments: dict[str, Any]) -> Operation:
        """A call that is about to be made."""
        operation = Operation(process, tool, arguments, time.monotonic(), number=len(self.operations))
        self.operations.append(operation)
        self._write(operation)
        return operation

    def answered(self, operation: Operation, result: dict[str, Any]) -> None:
        """The server answered, well or with a refusal."""
        operation.result = result
        if operation.code not in UNDECIDED:
            operation.returned = time.monotonic()
            operation.outcome = "ok" if operation.code is None else "fail"
        self._write(operation)

    def lost(self, operation: Operation, why: str) -> None:
        """No answer came."""
        operation.result = {"lost": why}
        self._write(operation)

    def absorb(self, lines: Iterable[str]) -> None:
        """Take over what another process wrote to its sink; a line that was cut off counts as not written."""
        found: dict[int, Operation] = {}
        for line in lines:
            if line.endswith("\n"):
                number, returned, *rest = json.loads(line)
                process, tool, arguments, invoked, outcome, result = rest
                end = math.inf if returned is None else returned
                found[number] = Operation(process, tool, arguments, invoked, end, outcome, result)
        for operation in found.values():
            operation.number = len(self.operations)
            self.operations.append(operation)
            self._write(operation)

    def _write(self, o: Operation) -> None:
        if self._sink is not None:
            returned = None if math.isinf(o.returned) else o.returned
            line = [o.number, returned, o.process, o.tool, o.arguments, o.invoked, o.outcome, o.result]
            self._sink.write(json.dumps(line) + "\n")
            self._sink.flush()
