"""Sliding windows of 60 s, in the memory of this process and never larger than what still counts."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterable

from attrs import define, field

from masc_core import Context

__all__ = ["WINDOW_SECONDS", "Callers", "Windows", "key_of"]

WINDOW_SECONDS = 60.0
_MOST_CALLERS = 10_000
"""Of more callers than these, the one silent longest is forgotten; its windows are usually empty by then."""

Key = tuple[str, str]
"""Agent and source of its connection, either of which may be empty."""


@define
class Windows:
    """The calls of one caller, by their times: those within the limits, by category, and those that used the burst."""

    categories: dict[str, deque[float]] = field(factory=dict)
    burst: deque[float] = field(factory=deque)

    def charge(self, category: str, limit: int, burst: int, now: float) -> int | None:
        """Count a call. When none may pass, count nothing and give the seconds until one would."""
        times = self.categories.get(category)
        if times is None:
            times = self.categories[category] = deque()
        _forget(times, now)
        if len(times) < limit:
            times.append(now)
            return None
        _forget(self.burst, now)
        if len(self.burst) < burst:
            self.burst.append(now)
            return None
        frees = times[len(times) - limit]
        if burst:
            frees = min(frees, self.burst[len(self.burst) - burst])
        return max(1, math.ceil(frees + WINDOW_SECONDS - now))

    def used(self, category: str, now: float) -> tuple[int, int]:
        """Calls of a category that count now, and whole seconds until the oldest of them does not."""
        times = self.categories.get(category)
        if times is not None:
            _forget(times, now)
        if not times:
            return 0, 0
        return len(times), max(1, math.ceil(times[0] + WINDOW_SECONDS - now))

    def bursts(self, now: float) -> int:
        """Calls beyond the limits that count now."""
        _forget(self.burst, now)
        return len(self.burst)


def _forget(times: deque[float], now: float) -> None:
    oldest = now - WINDOW_SECONDS
    while times and times[0] <= oldest:
        times.popleft()


@define
class Callers:
    """The windows of everybody who called lately, the latest last."""

    _known: OrderedDict[Key, Windows] = field(factory=OrderedDict)
    _sources: dict[str, set[str]] = field(factory=dict)

    def of(self, key: Key) -> Windows:
        """A caller's windows, to count in."""
        windows = self._known.get(key)
        if windows is None:
            windows = self._known[key] = Windows()
            self._sources.setdefault(key[0], set()).add(key[1])
            if len(self._known) > _MOST_CALLERS:
                self._drop(next(iter(self._known)))
        self._known.move_to_end(key)
        return windows

    def seen(self, key: Key) -> Windows:
        """A caller's windows, to look at; empty ones for somebody who has not called."""
        return self._known.get(key) or Windows()

    def sources(self, agent: str) -> Iterable[str]:
        """Where an agent has called from."""
        return sorted(self._sources.get(agent, ()))

    def _drop(self, key: Key) -> None:
        del self._known[key]
        sources = self._sources[key[0]]
        sources.discard(key[1])
        if not sources:
            del self._sources[key[0]]


def key_of(ctx: Context) -> Key:
    """Whose windows a call counts in: the authenticated agent's; else the name's on this connection, else the source's."""
    caller = ctx.caller
    if caller.auth == "token":
        return (caller.by or caller.name).lower(), ""
    return caller.name.lower() if caller.known else "", ctx.call.client.source
