"""How the PostgreSQL driver notices that another process has committed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping

import psycopg

from masc_core.errors import StartError, StorageBusy, StorageUnavailable
from masc_core.store._postgres_pool import Connection, Pool
from masc_core.store._waiters import Waiters

__all__ = ["Hints"]

logger = logging.getLogger(__name__)
_REGARDLESS = 2.0
_POLL = 0.5
_PAUSE = 0.1
_FAILS_AFTER = 5.0


class Hints:
    """One connection that listens, while anybody waits or has waited, and a look at the logs every 2 s regardless.

    A hint says only how far a log has grown; waiters read again. Each time listening begins all waiters read again too,
    since nobody knows what was said before. Behind a pooler there is nothing to listen to, and the logs are looked at
    twice a second. ``lasts`` reads the last number of each log. It is real time: other processes do not follow a test's
    clock.
    """

    def __init__(self, pool: Pool, channel: str, lasts: Callable[[Iterable[str]], Awaitable[dict[str, int]]]) -> None:
        self._pool = pool
        self._channel = channel
        self._lasts = lasts
        self._waiters = Waiters()
        self._task: asyncio.Task[None] | None = None
        self.turn = 0
        """Grows with every hint; whoever reads compares it before and after, and misses nothing in between."""

    async def wait(self, after: Mapping[str, int], turn: int) -> None:
        """Wait until one of the logs has grown past its number in ``after``; at once when there were hints since ``turn``.

        Raises :class:`StorageUnavailable` when the database stays away.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        if turn == self.turn:
            await self._waiters.wait(after)

    def wake(self, lasts: Mapping[str, int]) -> None:
        """Tell of logs that have grown."""
        if lasts:
            self.turn += 1
            self._waiters.wake(lasts)

    async def close(self) -> None:
        """Cancel whoever waits and stop listening."""
        self._waiters.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _run(self) -> None:
        failing: float | None = None
        loop = asyncio.get_running_loop()
        while True:
            try:
                if self._pool.pooled:
                    await asyncio.sleep(_POLL)
                    await self._look()
                else:
                    await self._listen()
                failing = None
            except (psycopg.Error, StartError, StorageUnavailable, StorageBusy) as error:
                failing = loop.time() if failing is None else failing
                cause = self._pool.target.clean(error)
                logger.debug("not listening: %s", cause)
                if loop.time() - failing > _FAILS_AFTER:
                    self._waiters.fail(StorageUnavailable(backend="postgres", cause=cause))
                await asyncio.sleep(_PAUSE)

    async def _listen(self) -> None:
        """Listen until the connection is lost. A connection that was good for a while counts as none that failed."""
        db = await self._pool.connect()
        try:
            if self._pool.pooled:
                return
            await db.execute(f"LISTEN {self._channel}".encode())
            self.turn += 1
            await self._look()
            while True:
                await self._hear(db)
                await self._look()
        finally:
            await db.close()

    async def _hear(self, db: Connection) -> None:
        """Pass on what is said for 2 s; raises ``psycopg.Error`` when the connection is lost."""
        async for heard in db.notifies(timeout=_REGARDLESS):
            if not heard.payload:
                await self._look()
            self.wake({bytes.fromhex(log).decode(): int(last) for log, last in _pairs(heard.payload)})

    async def _look(self) -> None:
        if self._waiters:
            self.wake(await self._lasts(self._waiters.logs()))


def _pairs(payload: str) -> Iterable[tuple[str, str]]:
    for pair in payload.split():
        log, _, last = pair.partition(":")
        yield log, last
