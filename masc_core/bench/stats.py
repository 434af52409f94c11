"""Sums of measured times."""

from __future__ import annotations

import bisect
import statistics
from collections.abc import Sequence
from typing import Any

__all__ = ["PERCENTILES", "bins", "counts", "percentile", "summary"]

PERCENTILES = "linear interpolation between the two nearest measurements, both ends included, as numpy's default"
"""How :func:`percentile` is defined."""


def percentile(values: Sequence[float], percent: int) -> float:
    """The value below which ``percent`` per cent of ``values`` lie, 1 to 99; 50 is the median. See :data:`PERCENTILES`."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def summary(times: Sequence[float]) -> dict[str, float | None]:
    """``{mean_ms, min_ms, p50_ms, p95_ms, p99_ms, max_ms}`` of milliseconds; all ``None`` where nothing was measured."""
    if not times:
        return dict.fromkeys(("mean_ms", "min_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms"))
    found = {"mean_ms": statistics.fmean(times), "min_ms": min(times), "max_ms": max(times)}
    found |= {f"p{percent}_ms": percentile(times, percent) for percent in (50, 95, 99)}
    return {name: round(value, 4) for name, value in found.items()}


def bins(times: Sequence[float], number: int = 12) -> list[float]:
    """The ``number + 1`` bounds of bins that grow by the same factor, from the least to the greatest of ``times``."""
    low = max(min(times), 1e-6)
    factor = (max(*times, low * 1.01) / low) ** (1 / number)
    return [low * factor**i for i in range(number + 1)]


def counts(times: Sequence[float], bounds: Sequence[float]) -> list[dict[str, Any]]:
    """A histogram: ``{from_ms, to_ms, calls}`` for each bin; what rounding puts outside counts at the ends."""
    found = [0] * (len(bounds) - 1)
    for value in times:
        found[min(max(bisect.bisect_right(bounds, value) - 1, 0), len(found) - 1)] += 1
    return [
        {"from_ms": round(low, 4), "to_ms": round(high, 4), "calls": n}
        for low, high, n in zip(bounds, bounds[1:], found, strict=False)
    ]
