"""Draws what scale_teams.py measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from masc_core.bench.plot import new_figure

__all__ = ["draw"]

Row = dict[str, Any]
COLOURS = {"memory": "C7", "sqlite": "C0", "postgres": "C2", "redis": "C3"}


def draw(rows: Sequence[Row], path: Path) -> None:
    """Latency in process over the size of the room; throughput and latency over HTTP over size and over agents."""
    figure = new_figure()
    figure.set_size_inches(11, 8)
    ((kernel, by_size), (throughput, latency)) = figure.subplots(2, 2)
    alone = [row for row in rows if row["servers"] == 0]
    served = [row for row in rows if row["servers"] == 1]
    teams = sorted({row["agents"] for row in served})
    sizes = sorted({row["size"] for row in served})
    team = teams[len(teams) // 2] if teams else 0
    size = sizes[len(sizes) // 2] if sizes else 0
    middle = [row for row in served if row["agents"] == team]
    room = [row for row in served if row["size"] == size]
    _both(kernel, alone, "size", "p50")
    kernel.set(title="one agent, in process", xlabel="tasks, messages and events, each", ylabel="ms, median")
    _lines(by_size, middle, "size", lambda row: row["calls_per_s"])
    by_size.set(title=f"{team} agents, one server", xlabel="tasks, messages and events, each", ylabel="calls/s")
    _lines(throughput, room, "agents", lambda row: row["calls_per_s"])
    throughput.set(title=f"room of {size:,}, one server", xlabel="agents at once", ylabel="calls/s")
    _both(latency, room, "agents", "p95")
    latency.set(title=f"room of {size:,}, one server", xlabel="agents at once", ylabel="ms, 95th percentile")
    for axes in (kernel, by_size, throughput, latency):
        axes.set_xscale("log")
        axes.grid(alpha=0.3, which="both")
    for axes in (kernel, latency):
        axes.set_yscale("log")
    for axes in (by_size, throughput):
        axes.set_ylim(bottom=0)
    for axes in (kernel, by_size, latency):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="small")
    figure.savefig(path, dpi=110)


def _both(axes: Any, rows: Sequence[Row], over: str, percent: str) -> None:
    """Reads and writes."""
    _lines(axes, rows, over, lambda row: row[f"write_{percent}_ms"], " write", "-")
    _lines(axes, rows, over, lambda row: row[f"read_{percent}_ms"], " read", ":")


def _lines(
    axes: Any, rows: Sequence[Row], over: str, value: Callable[[Row], float], of: str = "", style: str = "-"
) -> None:
    """A line for each store."""
    for store, colour in COLOURS.items():
        mine = sorted((row[over], value(row)) for row in rows if row["store"] == store)
        if mine:
            axes.plot(*zip(*mine, strict=True), style, color=colour, marker=".", label=f"{store}{of}")
