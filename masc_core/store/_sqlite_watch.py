"""How the SQLite driver notices that another process has committed."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Mapping

from masc_core.errors import StorageUnavailable
from masc_core.store._sqlite_access import is_busy, unavailable
from masc_core.store._waiters import Waiters

__all__ = ["Poller"]

_EVERY = 0.02
_REGARDLESS = 50


class Poller:
    """Looks at the file's change counter while anybody waits, and at the logs when it has moved.

    ``version`` gives the counter, ``lasts`` the last number of each log. Both are single reads of some microseconds, so
    they run in a timer's callback, one for all waiters. It is real time: other processes do not follow a test's clock.
    """

    def __init__(self, version: Callable[[], int], lasts: Callable[[Collection[str]], Mapping[str, int]]) -> None:
        self._version = version
        self._lasts = lasts
        self._waiters = Waiters()
        self._timer: asyncio.TimerHandle | None = None
        self._seen: int | None = None
        self._turns = 0

    async def wait(self, after: Mapping[str, int]) -> None:
        """Wait until one of the logs has grown past its number in ``after``."""
        if self._timer is None:
            self.forget()
            self._schedule()
        try:
            await self._waiters.wait(after)
        finally:
            if not self._waiters and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def wake(self, lasts: Mapping[str, int]) -> None:
        """Tell of logs that grew by this driver's own commit."""
        if lasts:
            self._waiters.wake(lasts)

    def forget(self) -> None:
        """Look at the logs in the next turn whatever the counter says: counters of two connections do not compare."""
        self._seen = None

    def close(self) -> None:
        """Cancel whoever waits."""
        self._waiters.cancel()

    def _schedule(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_EVERY, self._turn)

    def _turn(self) -> None:
        self._schedule()
        self._turns += 1
        try:
            version = self._version()
            if version != self._seen or self._turns % _REGARDLESS == 0:
                self._waiters.wake(self._lasts(self._waiters.logs()))
                self._seen = version
        except sqlite3.Error as error:
            if not is_busy(error):
                self._waiters.fail(unavailable(error))
        except StorageUnavailable as error:
            self._waiters.fail(error)
