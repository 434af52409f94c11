"""Who waits for which log to grow."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

__all__ = ["Waiters"]


class Waiters:
    """The calls of :meth:`Driver.watch` that wait in one driver."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], Mapping[str, int]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def logs(self) -> set[str]:
        """Every log that somebody waits for."""
        return {log for after in self._waiting.values() for log in after}

    async def wait(self, after: Mapping[str, int]) -> None:
        """Wait until :meth:`wake` tells of a log beyond its number in ``after``."""
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = after
        try:
            await future
        finally:
            del self._waiting[future]

    def wake(self, lasts: Mapping[str, int]) -> None:
        """Wake whoever waits for a log that ``lasts`` shows to have grown."""
        for future, after in self._waiting.items():
            if not future.done() and any(last > after.get(log, last) for log, last in lasts.items()):
                future.set_result(None)

    def fail(self, error: BaseException) -> None:
        """End every wait with ``error``."""
        for future in self._waiting:
            if not future.done():
                future.set_exception(error)

    def cancel(self) -> None:
        """End every wait with :class:`asyncio.CancelledError`."""
        for future in self._waiting:
            future.cancel()
