"""The line of a room in Redis: tickets in order of arrival, which whoever waits renews and which run out otherwise."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.exceptions import RedisError

from masc_core.errors import StorageBusy, StorageUnavailable
from masc_core.store._redis_access import Lanes, load_script
from masc_core.store._redis_keys import RoomKeys
from masc_core.store.line import TURN_SECONDS

__all__ = ["RedisLine"]

_PAUSE = 0.01
"""Seconds to the next look, for each ticket that is before."""
_LONGEST_PAUSE = 0.25


class RedisLine:
    """A :class:`~masc_core.store.line.Line`."""

    def __init__(self, lanes: Lanes, keys: RoomKeys) -> None:
        self._lanes = lanes
        self._keys = (keys.line, keys.tickets)
        self._script = load_script("line")

    @asynccontextmanager
    async def turn(self, within: float) -> AsyncIterator[None]:
        ticket = secrets.token_hex(8).encode()
        try:
            await self._wait(ticket, within)
            yield
        finally:
            await self._ask(ticket, 0)

    async def _wait(self, ticket: bytes, within: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while before := await self._ask(ticket, TURN_SECONDS):
            pause = min(before * _PAUSE, _LONGEST_PAUSE)
            if loop.time() + pause > end:
                raise StorageBusy()
            await asyncio.sleep(pause)

    async def _ask(self, ticket: bytes, seconds: float) -> int:
        """How many tickets are before this one, which holds for so long; 0 also where the line cannot be reached."""
        arguments = (ticket, repr(seconds).encode())
        try:
            return int(await self._lanes.read(lambda lane: lane.run(self._script, self._keys, arguments)))
        except (StorageUnavailable, StorageBusy, RedisError):
            return 0
