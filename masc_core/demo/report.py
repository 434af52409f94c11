"""What the demonstration tells while it runs, and the tables at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import asdict, define, field, frozen
from rich.console import Console
from rich.table import Table
from rich.text import Text

from masc_core.bench.stats import percentile

__all__ = ["Check", "ModeSize", "Narrator", "Report", "TimedCall", "show"]


class Narrator:
    """Tells what happens, while it happens; silent without a console."""

    def __init__(self, out: Console | None) -> None:
        self._out = out

    def chapter(self, title: str) -> None:
        """Begin a part of the story."""
        if self._out is not None:
            self._out.print(Text(f"\n{title}", style="bold"))

    def says(self, who: str, what: str) -> None:
        """One thing somebody did, on one line."""
        if self._out is not None:
            style = {"claude": "cyan", "gemini": "magenta"}.get(who, "dim")
            line = " ".join(what.split())
            shown = line if len(line) <= 150 else f"{line[:149]}…"
            self._out.print(Text.assemble((f"  {who:<7}", style), shown), soft_wrap=True)


@frozen
class TimedCall:
    """One tool call and what it took, seen from the client."""

    tool: str
    transport: str
    milliseconds: float
    waits: bool = False
    """The call was meant to wait for something."""


@frozen
class Check:
    """One promise, and whether it was kept."""

    promise: str
    kept: bool
    evidence: str


@frozen
class ModeSize:
    """What a mode's tool list costs, as served; without the caller parameter where the URL names the agent."""

    mode: str
    tools: int
    bytes: int
    tokens: int
    tokens_caller_known: int


@define
class Report:
    """Everything that was measured and checked."""

    calls: list[TimedCall] = field(factory=list)
    checks: list[Check] = field(factory=list)
    modes: list[ModeSize] = field(factory=list)
    wake_milliseconds: float | None = None
    """From sending a message to its arrival in another process's waiting masc_listen."""
    project: str | None = None
    """Where the repository was left, with --keep."""

    def check(self, promise: str, kept: bool, evidence: object) -> None:
        """Note whether a promise was kept."""
        self.checks.append(Check(promise, bool(kept), str(evidence)))

    @property
    def kept(self) -> bool:
        """Every promise was kept."""
        return bool(self.checks) and all(check.kept for check in self.checks)

    def latencies(self) -> list[dict[str, Any]]:
        """Number of calls, p50 and p95 in milliseconds, for each transport and then for each tool."""
        timed = [call for call in self.calls if not call.waits]
        rows = [
            _latency(f"all over {transport}", [c for c in timed if c.transport == transport])
            for transport in sorted({c.transport for c in timed})
        ]
        return rows + [_latency(tool, [c for c in timed if c.tool == tool]) for tool in sorted({c.tool for c in timed})]

    def as_dict(self) -> dict[str, Any]:
        """The report for a program."""
        return {
            "kept": self.kept,
            "checks": [asdict(check) for check in self.checks],
            "calls": self.latencies(),
            "modes": [asdict(mode) for mode in self.modes],
            "wake_ms": self.wake_milliseconds,
            **({"project": self.project} if self.project else {}),
        }


def _latency(name: str, calls: Sequence[TimedCall]) -> dict[str, Any]:
    times = [call.milliseconds for call in calls]
    figures = {f"p{percent}_ms": round(percentile(times, percent), 2) for percent in (50, 95)}
    return {"name": name, "calls": len(times), **figures}


def show(out: Console, report: Report) -> None:
    """Print the tables."""
    for table in (_calls_table(report), _modes_table(report), _checks_table(report)):
        out.print()
        if table.row_count:
            out.print(table)
    kept = sum(check.kept for check in report.checks)
    out.print(Text(f"{kept} of {len(report.checks)} promises kept", style="bold green" if report.kept else "bold red"))
    if report.project:
        out.print(Text(f"The repository is in {report.project}"), soft_wrap=True)


def _table(title: str, *columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, title_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left")
    return table


def _calls_table(report: Report) -> Table:
    right = ("calls", "p50 ms", "p95 ms")
    table = _table("Calls, as the client saw them", "call", *right, right=right)
    for row in report.latencies():
        table.add_row(row["name"], str(row["calls"]), f"{row['p50_ms']:.1f}", f"{row['p95_ms']:.1f}")
    if report.wake_milliseconds is not None:
        wake = f"{report.wake_milliseconds:.1f}"
        table.add_row("message to a waiting masc_listen", "1", wake, wake)
    return table


def _modes_table(report: Report) -> Table:
    right = ("tools", "bytes", "tokens", "tokens with ?agent=")
    table = _table("What a mode's tool list costs (tokens of o200k_base)", "mode", *right, right=right)
    for mode in report.modes:
        table.add_row(mode.mode, *(str(n) for n in (mode.tools, mode.bytes, mode.tokens, mode.tokens_caller_known)))
    return table


def _checks_table(report: Report) -> Table:
    table = _table("Promises", "", "promise", "evidence")
    for check in report.checks:
        mark = Text("kept", style="green") if check.kept else Text("BROKEN", style="red")
        table.add_row(mark, Text(check.promise), Text(check.evidence))
    return table
