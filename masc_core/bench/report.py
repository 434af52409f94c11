"""Shows what was measured: as an object for programs, as tables for people."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from masc_core.bench import stats
from masc_core.bench.engine import Lane
from masc_core.bench.run import Measured
from masc_core.bench.tokens import COUNTED
from masc_core.render import printable
from masc_core.tokens import TOKENIZER

__all__ = ["Bar", "as_dict", "show", "show_costs", "tokens_as_dict"]

Row = dict[str, Any]
_FIGURES = ("min_ms", "p50_ms", "p95_ms", "p99_ms", "calls_per_s")
_REFRESH_SECONDS = 0.2


class Bar:
    """A progress bar on standard error where somebody looks at it; drawn between calls, so that no call is disturbed."""

    def __init__(self) -> None:
        out = Console(stderr=True, emoji=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = RichProgress(*columns, console=out, transient=True, auto_refresh=False, disable=not out.is_terminal)
        self._drawn = 0.0

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, what: str, total: int | None) -> Callable[[int], None]:
        """See :class:`masc_core.bench.run.Progress`."""
        task = self._bar.add_task(what, total=total)
        self._bar.refresh()

        def tick(calls: int) -> None:
            self._bar.advance(task, calls)
            if (now := time.monotonic()) - self._drawn > _REFRESH_SECONDS:
                self._drawn = now
                self._bar.refresh()

        return tick


def as_dict(measured: Measured) -> Row:
    """The report: servers, and for each number of clients and each call the figures of each server and their ratio."""
    names = [server["name"] for server in measured.servers]
    return {
        "servers": measured.servers,
        "percentiles": stats.PERCENTILES,
        "levels": [
            {"clients": level.clients, "operations": [_operation(lanes, names) for lanes in level.operations]}
            for level in measured.levels
        ],
        "errors": measured.errors,
        **({"stopped": measured.stopped} if measured.stopped else {}),
    }


def _operation(lanes: Sequence[Lane], names: Sequence[str]) -> Row:
    everything = [value for lane in lanes for value in lane.times]
    bounds = stats.bins(everything) if everything else [0.0]
    rows = [_lane(lane, name, bounds) for lane, name in zip(lanes, names, strict=True)]
    result: Row = {"call": " / ".join(dict.fromkeys(lane.name for lane in lanes)), "servers": rows}
    if len(rows) == 2:
        ours, other = rows
        result["ratio"] = {f: round(ours[f] / other[f], 3) if ours[f] and other[f] else None for f in _FIGURES}
    return result


def _lane(lane: Lane, name: str, bounds: Sequence[float]) -> Row:
    calls = len(lane.times)
    return {
        "server": name,
        "call": lane.name,
        "calls": calls,
        "errors": dict(lane.errors),
        **stats.summary(lane.times),
        "calls_per_s": round(calls / lane.seconds, 1) if calls else None,
        "client_cpu_ms": round(lane.cpu_seconds / calls * 1000, 3) if calls else None,
        "histogram": stats.counts(lane.times, bounds),
    }


def show(out: Console, report: Row, histogram: bool) -> None:
    """Print a report."""
    for server in report["servers"]:
        about = f"{server['name']}: {server['target']} ({server['transport']}, {server['protocol']})"
        out.print(_plain(about), soft_wrap=True)
    out.print(_table(report))
    if histogram:
        for level in report["levels"]:
            for operation in level["operations"]:
                out.print(_histogram(operation, level["clients"]))
    several = any(level["clients"] > 1 for level in report["levels"])
    out.print(Text(_notes(several, any(s["transport"] == "stdio" for s in report["servers"])), style="dim"))
    _show_errors(out, report)


def _plain(text: str, style: str = "") -> Text:
    """Text as it is: what a server calls itself or says is neither markup nor orders to a terminal."""
    return Text(printable(text), style=style)


def _notes(several: bool, stdio: bool) -> str:
    notes = (
        f"Milliseconds; percentiles: {stats.PERCENTILES}. calls/s counts all clients together. client CPU is this program's "
        "own processor time in a call, which no server can do anything about; when it comes near 1000 / (calls/s), it "
        "limits the throughput."
    )
    return f"{notes} Over stdio each client has a server process of its own." if several and stdio else notes


def _show_errors(out: Console, report: Row) -> None:
    for level in report["levels"]:
        for operation in level["operations"]:
            for row in operation["servers"]:
                for reason, number in row["errors"].items():
                    text = f"failed {number} times with {level['clients']} clients, {row['server']}: {reason}"
                    out.print(_plain(text, "red"), soft_wrap=True)
    if "stopped" in report:
        out.print(_plain(f"stopped early: {report['stopped']}", "bold red"), soft_wrap=True)


def _table(report: Row) -> Table:
    right = ("calls", "failed", "min", "p50", "p95", "p99", "max", "calls/s", "client CPU")
    table = Table(box=None, pad_edge=False)
    for column in ("clients", "call", "server", *right):
        table.add_column(column, justify="left" if column in ("call", "server") else "right")
    for level in report["levels"]:
        for operation in level["operations"]:
            for row in operation["servers"]:
                times = [_number(row[key], 2) for key in ("min_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms")]
                facts = [str(row["calls"]), str(sum(row["errors"].values())), *times]
                facts += [_number(row["calls_per_s"], 1), _number(row["client_cpu_ms"], 2)]
                table.add_row(str(level["clients"]), _plain(row["call"]), _plain(row["server"]), *facts)
            if "ratio" in operation:
                *times, rate = (_number(operation["ratio"][figure], 2) for figure in _FIGURES)
                table.add_row("", "", "ratio", "", "", *times, "", rate, "", style="bold")
    return table


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _histogram(operation: Row, clients: int) -> Table:
    rows = operation["servers"]
    table = Table(
        title=_plain(f"{operation['call']}, {clients} client{'s' * (clients > 1)}"),
        title_justify="left",
        box=None,
        pad_edge=False,
        title_style="bold",
    )
    table.add_column("to ms", justify="right")
    for row in rows:
        table.add_column(_plain(row["server"]))
    greatest = max((b["calls"] for row in rows for b in row["histogram"]), default=0)
    for bins in zip(*(row["histogram"] for row in rows), strict=True):
        bars = [f"{'█' * round(30 * b['calls'] / (greatest or 1))} {b['calls']}" for b in bins]
        table.add_row(_number(bins[0]["to_ms"], 2), *bars)
    return table


def tokens_as_dict(costs: Sequence[Row]) -> Row:
    """The report of tool lists' costs."""
    return {"tokenizer": TOKENIZER, "counted": COUNTED, "servers": list(costs)}


def show_costs(out: Console, report: Row) -> None:
    """Print what tool lists cost."""
    for server in report["servers"]:
        total = server["total"]
        table = Table(box=None, pad_edge=False)
        for column in ("tool", "tokens", "bytes", "bytes listed"):
            table.add_column(column, justify="left" if column == "tool" else "right")
        for row in [*server["tools"], {"name": f"{total['tools']} tools", **total}]:
            table.add_row(_plain(row["name"]), *(str(row[key]) for key in ("tokens", "bytes", "listed_bytes")))
        out.print(_plain(f"{server['name']}: {server['target']} ({server['protocol']})"), soft_wrap=True)
        out.print(table)
        times = server["list_ms"]
        out.print(
            f"listing takes {times['p50_ms']:.1f} ms (p50 of {server['lists']}; the first {server['first_list_ms']:.1f} ms); "
            f"instructions cost {server['instructions_tokens']} tokens more"
        )
    out.print(
        Text(f"Tokens of {report['tokenizer']}: {report['counted']}; listed bytes hold the rest too.", style="dim")
    )
