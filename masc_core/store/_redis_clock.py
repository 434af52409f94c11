"""The clock of the Redis server, as this process knows it."""

from __future__ import annotations

import asyncio
import time

__all__ = ["ServerClock"]

_JITTER = 0.005


class ServerClock:
    """A :class:`masc_core.clock.Clock` that follows the server's time by the difference seen in its answers."""

    def __init__(self) -> None:
        self._offset: float | None = None

    def now(self) -> float:
        return time.time() + (self._offset or 0.0)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def seen(self, server: float, asked: float, answered: float) -> None:
        """The server said ``server`` between the local times ``asked`` and ``answered``.

        Only a difference that the way there and back cannot explain is taken over: time should not tremble.
        """
        offset = server - (asked + answered) / 2
        if self._offset is None or abs(offset - self._offset) > (answered - asked) / 2 + _JITTER:
            self._offset = offset
