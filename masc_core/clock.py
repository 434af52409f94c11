"""Time, from one replaceable place.

Stored times come from :meth:`Clock.now` (the store's idea of wall time), waiting uses :meth:`Clock.monotonic` and
:meth:`Clock.sleep`. Tests own time through :class:`masc_core.testing.ManualClock`.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

__all__ = ["Clock", "SystemClock", "parse_time", "plus", "soon_after", "steady", "timestamp"]

_TEN_SECONDS = len("2026-11-22T03:45:1")


class Clock(Protocol):
    """Where every time in MASC comes from."""

    def now(self) -> float:
        """Wall time in seconds since the epoch (UTC)."""
        ...

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds`` of monotonic time."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def steady() -> float:
    """Seconds of a clock that nobody sets; where the system has one, it goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def timestamp(seconds: float, later: float = 0) -> str:
    """``seconds`` since the epoch as ``YYYY-MM-DDTHH:MM:SS.sssZ``; such strings sort by time. Or that many seconds
    ``later``, to the millisecond."""
    whole, millis = divmod(int(seconds * 1000) + round(later * 1000), 1000)
    return f"{_to_the_second(whole)}.{millis:03d}Z"


@lru_cache(maxsize=256)
def _to_the_second(whole: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))


# A call asks about the same few moments for record after record.
@lru_cache(maxsize=1024)
def parse_time(text: str) -> float:
    """The inverse of :func:`timestamp`."""
    return datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC).timestamp()


@lru_cache(maxsize=1024)
def plus(text: str, seconds: float) -> str:
    """The timestamp ``seconds`` after ``text`` (before it, when negative)."""
    moment = datetime.fromisoformat(text[:-1]) + timedelta(seconds=seconds)
    return f"{moment.isoformat(timespec='milliseconds')}Z"


def soon_after(text: str) -> str:
    """A bound above every stored time of the ten seconds that ``text`` is in.

    What is due by now is best looked for up to there: a store may remember what it was asked, and no two calls ask about
    the same millisecond.
    """
    return f"{text[:_TEN_SECONDS]}:"
