"""The line of a room in PostgreSQL: an advisory lock, which the server hands on in order of arrival."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg

from masc_core.clock import steady
from masc_core.errors import StorageUnavailable
from masc_core.store._postgres_pool import Connection, Pool
from masc_core.store.line import TURN_SECONDS, ProcessLine

__all__ = ["PostgresLine"]

_LINE = 1296126788  # beside the key of the rooms' locks
_ENTER = """SET lock_timeout = {within};
SET idle_session_timeout = {turn};
SELECT pg_advisory_lock({line}, {room})"""
_LEAVE = """SELECT pg_advisory_unlock({line}, {room});
RESET idle_session_timeout;
RESET lock_timeout"""


class PostgresLine:
    """A :class:`~masc_core.store.line.Line`.

    The lock belongs to a connection that goes back to the pool, for the work that is done in the turn: one more for each
    who waits would be more than the server has. It ends with the connection, which the server ends when nothing comes.
    """

    def __init__(self, pool: Pool) -> None:
        self.room = 0
        self._pool = pool
        self._here = ProcessLine()

    @asynccontextmanager
    async def turn(self, within: float) -> AsyncIterator[None]:
        # Behind a pooler nothing belongs to a session: the next statement may go to another.
        if self._pool.pooled:
            yield
            return
        end = steady() + within
        # A connection that has the lock would be given it once more.
        async with self._here.turn(within):
            db: Connection | None = None
            with suppress(StorageUnavailable):
                db = await self._enter(end - steady())
            try:
                yield
            finally:
                if db is not None:
                    await self._pool.conclude(db, _LEAVE.format(line=_LINE, room=self.room).encode())

    async def _enter(self, within: float) -> Connection:
        milliseconds = {"within": max(1, int(within * 1000)), "turn": int(TURN_SECONDS * 1000)}
        async with self._pool.lend() as db:
            try:
                await db.execute(_ENTER.format(**milliseconds, line=_LINE, room=self.room).encode(), prepare=False)
            except psycopg.Error:
                raise  # and the server has undone all three
            except BaseException:
                await db.close()  # a cancellation may come too late to keep it from having the lock
                raise
        return db
