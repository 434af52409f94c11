"""How the Redis driver notices that another process has committed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from redis.asyncio import Connection
from redis.exceptions import RedisError

from masc_core.errors import StorageUnavailable, Unavailable
from masc_core.store._redis_access import LOST, REPLY_SECONDS, unavailable
from masc_core.store._waiters import Waiters

__all__ = ["Listener"]

EVERY = 2.0
"""Seconds after which logs are looked at even without a hint."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


class Listener:
    """Hears the hints of a room on a connection of its own, from the first wait on until it is closed.

    A hint can be lost, so whoever waits is also looked after every two seconds and whenever the connection comes back.
    ``lasts`` gives the last number of each log.
    """

    def __init__(
        self, connection: Connection, channel: bytes, lasts: Callable[[Iterable[str]], Awaitable[Mapping[str, int]]]
    ) -> None:
        self._connection = connection
        self._channel = channel
        self._lasts = lasts
        self._waiters = Waiters()
        self._heard: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._subscribed = False
        self._starting: set[asyncio.Future[None]] = set()
        self.closed = False

    async def ready(self) -> None:
        """Wait until hints are heard. Raises :class:`StorageUnavailable` when the server cannot be reached."""
        if self.closed:
            raise asyncio.CancelledError
        if self._task is None:
            self._task = asyncio.create_task(self._listen())
        if not self._subscribed:
            future = asyncio.get_running_loop().create_future()
            self._starting.add(future)
            try:
                await future
            finally:
                self._starting.discard(future)

    async def wait(self, after: Mapping[str, int]) -> None:
        """Wait until one of the logs has grown past its number in ``after``, as far as anybody has said."""
        if self.closed:
            raise asyncio.CancelledError
        if not any(self._heard.get(log, 0) > number for log, number in after.items()):
            await self._waiters.wait(after)

    def wake(self, lasts: Mapping[str, int]) -> None:
        """Tell of logs that grew."""
        if lasts:
            for log, last in lasts.items():
                self._heard[log] = max(last, self._heard.get(log, 0))
            self._waiters.wake(lasts)

    async def close(self) -> None:
        """Cancel whoever waits and hang up."""
        self.closed = True
        self._waiters.cancel()
        for future in self._starting:
            future.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._hang_up()

    async def _listen(self) -> None:
        pause = 0.0
        while True:
            try:
                await self._subscribe()
                pause = 0.0
                await self._hear()
            except (RedisError, *LOST) as error:
                self._subscribed = False
                await self._hang_up()
                if pause:  # The first failure is that of the connection; the second one of the server.
                    self._fail(error)
                    await asyncio.sleep(pause)
                pause = min(pause * 2 or _FIRST_PAUSE, _LONGEST_PAUSE)

    async def _subscribe(self) -> None:
        async with asyncio.timeout(REPLY_SECONDS):
            await self._connection.connect()  # type: ignore[no-untyped-call]
            await self._connection.send_packed_command(
                self._connection.pack_command(b"SUBSCRIBE", self._channel), check_health=False
            )
            await self._connection.read_response()
        self._subscribed = True
        for future in self._starting:
            if not future.done():
                future.set_result(None)
        # What was announced while nobody listened.
        await self._look()

    async def _hear(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + EVERY
        while True:
            message = await self._connection.read_response(timeout=max(0.01, due - loop.time()))
            if message is not None:
                seq, _, log = message[2].partition(b" ")
                self.wake({log.decode(): int(seq)})
            if loop.time() >= due:
                await self._look()
                due = loop.time() + EVERY

    async def _look(self) -> None:
        # Numbers heard before a loss of data would wake waiters for ever.
        self._heard.clear()
        if logs := self._waiters.logs():
            try:
                self.wake(await self._lasts(logs))
            except Unavailable as error:
                self._waiters.fail(error)

    def _fail(self, error: BaseException) -> None:
        try:
            failure: Exception = unavailable(error)
        except RedisError:
            failure = StorageUnavailable(backend="redis", cause="it refuses subscriptions")
        self._waiters.fail(failure)
        for future in self._starting:
            if not future.done():
                future.set_exception(failure)

    async def _hang_up(self) -> None:
        try:
            await self._connection.disconnect(nowait=True)
        except LOST:
            pass
