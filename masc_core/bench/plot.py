"""Draws what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from masc_core.bench.run import Measured
from masc_core.errors import StartError
from masc_core.render import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw", "new_figure"]


def new_figure() -> Figure:
    """An empty picture. Raises :class:`StartError` where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError as missing:
        raise StartError(message="--plot needs matplotlib: pip install 'masc[bench]'") from missing
    return Figure(layout="constrained")


def draw(figure: Figure, measured: Measured, path: Path) -> None:
    """Write PNG or SVG, as the name ends: how many of the calls took at most how long, a panel for each number of clients.

    Raises :class:`StartError` where the file cannot be written.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    names = [server["name"] for server in measured.servers]
    figure.set_size_inches(8, 1 + 3.2 * len(measured.levels))
    panels = figure.subplots(len(measured.levels), 1, sharex=True, squeeze=False)
    for level, (axes,) in zip(measured.levels, panels, strict=True):
        for i, lanes in enumerate(level.operations):
            for name, lane, line in zip(names, lanes, "-:", strict=False):
                if lane.times:
                    # The space: a label that begins with an underscore is left out.
                    label = f" {printable(lane.name)}, {printable(name)}"
                    axes.ecdf(lane.times, label=label, color=f"C{i}", linestyle=line)
        axes.set(xscale="log", ylabel="share of calls", title=f"{level.clients} client{'s' * (level.clients > 1)}")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.3, which="both")
        for text in axes.legend(fontsize="small").get_texts():
            text.set_parse_math(False)
    panels[-1][0].set_xlabel("milliseconds")
    try:
        figure.savefig(path)
    except OSError as error:
        raise StartError(message=f"{path} cannot be written: {error.strerror}") from error
