"""Connections to PostgreSQL: how they are made, kept, lent and given up, and what their errors mean.

A pool of our own because of what must happen when the server goes away: every call is told at once, and the first call
after its return succeeds. (psycopg_pool lets callers wait while it reconnects with growing pauses.)
"""

from __future__ import annotations

import asyncio
import logging
import re
import select
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection, errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from masc_core.clock import steady
from masc_core.errors import StartError, StorageBusy, StorageUnavailable
from masc_core.store._postgres_values import register

__all__ = ["Connection", "Pool", "Target", "is_refusal", "is_transient", "taken", "translated"]

Connection = AsyncConnection[Any]

logger = logging.getLogger(__name__)
_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 60.0
_PLACE_SECONDS = 5.0
_SIZE = 8
_LONG_SECRET = 8
"""Characters from which no ordinary word holds a password by chance."""
# What a server says that is there and will not have us, as opposed to one that is not ready yet.
_LATER = (
    "starting up",
    "shutting down",
    "in recovery",
    "too many clients",
    "remaining connection slots",
    "not yet accept",
)
# Classes of errors: connection, transaction (read-only after a failover), authorisation, database, resources, operator
# intervention, system, configuration, internal.
_GONE = frozenset(("08", "25", "28", "3D", "53", "57", "58", "F0", "XX"))
# Schema, table, function or a right to them: somebody took them away while we were at work.
_TAKEN_AWAY = frozenset(("3F000", "42P01", "42883", "42501"))
_SETUP = """SELECT pg_backend_pid(), current_setting('default_transaction_isolation'), current_setting('fsync'),
    extract(epoch FROM clock_timestamp())::float8"""


class Target:
    """A database's address. Its ``str`` and every message it lets through are without the password."""

    def __init__(self, url: str) -> None:
        if not url.startswith(("postgres://", "postgresql://")):
            raise StartError(message="the PostgreSQL URL must begin with postgres:// or postgresql://")
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error:
            given = {"host": "@"}
        # Not even the parser's message may be shown: what it takes for a host or a port may be half a password.
        if "@" in str(given.get("host", "")) or not re.fullmatch(r"[\d,]*", str(given.get("port", ""))):
            raise StartError(
                message="the PostgreSQL URL cannot be read; special characters in user and password are written as %XX"
            )
        secrets = [str(given[key]) for key in ("password", "sslpassword") if given.get(key)]
        self._secrets = [re.compile(_whole(secret)) for secret in sorted(secrets, key=len, reverse=True)]
        defaults: dict[str, Any] = {
            "application_name": "masc", "connect_timeout": _CONNECT_SECONDS, "keepalives_idle": 10,
            "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000,
        }  # fmt: skip
        self.conninfo = make_conninfo(**{**defaults, **given})
        host, port = given.get("host") or given.get("hostaddr") or "the local socket", given.get("port") or 5432
        self._shown = f"{host}:{port}/{given.get('dbname') or given.get('user') or ''}"

    def __str__(self) -> str:
        return self._shown

    __repr__ = __str__

    def clean(self, error: BaseException | str) -> str:
        """An error's text on one line, without the password."""
        text = " ".join(str(error).split()) or type(error).__name__
        for secret in self._secrets:
            text = secret.sub("***", text)
        return text


def _whole(secret: str) -> str:
    """A pattern of a password. A short one is not looked for inside words: without every ``a`` a message cannot be read, and
    shows what it was to hide. In a URL or after ``password=`` it is a word of its own."""
    found = re.escape(secret)
    return found if len(secret) >= _LONG_SECRET else rf"(?<!\w){found}(?!\w)"


class Pool:
    """At most ``size`` connections, made when needed. ``observe`` is told what the server's clock showed and when."""

    def __init__(self, target: Target, observe: Callable[[float, float, float], None], size: int = _SIZE) -> None:
        self.target = target
        self.pooled = False
        """Somebody stands between us and the server and hands out its connections by transaction."""
        self.fsync = True
        self._observe = observe
        self._idle: list[Connection] = []
        self._lent: set[Connection] = set()
        self._owed: dict[Connection, bytes] = {}
        self._busy = 0
        self._places = asyncio.Semaphore(size)
        self._open = True

    async def connect(self) -> Connection:
        """A new connection outside the pool, in autocommit mode. Raises ``psycopg.Error`` and :class:`StartError`."""
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                db: Connection = await AsyncConnection.connect(self.target.conninfo, autocommit=True)
        except TimeoutError:
            raise psycopg.OperationalError(f"no connection within {_CONNECT_SECONDS} s") from None
        try:
            await self._set_up(db)
        except BaseException:
            await db.close()
            raise
        return db

    async def _set_up(self, db: Connection) -> None:
        register(db)
        before = steady()
        row = await (await db.execute(_SETUP, prepare=False)).fetchone()
        assert row is not None
        pid, isolation, fsync, now = row
        self._observe(now, before, steady())
        self.fsync = fsync == "on"
        if pid != db.info.backend_pid:
            # A pooler answers the handshake with a number of its own. It may change the server behind our back between
            # two transactions, so nothing that belongs to a session can be relied on.
            db.prepare_threshold = None
            if not self.pooled:
                self.pooled = True
                logger.warning("a connection pooler is in front of %s: waiting for news polls", self.target)
        else:
            # Plans are kept. One made while a table is small must not read all of it when it has grown. Where there is no
            # other way, the price that this puts on it would have the server compile the plan, for half a second.
            await db.execute(
                "SELECT set_config('enable_seqscan', 'off', false), set_config('jit', 'off', false)", prepare=False
            )
        if isolation != "read committed":
            if self.pooled:
                raise StartError(
                    message=f"{self.target} begins transactions as {isolation}; behind a pooler MASC's role needs "
                    "ALTER ROLE … SET default_transaction_isolation = 'read committed'"
                )
            await db.execute("SET default_transaction_isolation = 'read committed'", prepare=False)

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Connection]:
        """A connection for one piece of work. One that is left inside a transaction, or is lost, is closed.

        Raises what the work raises, translated; :class:`StorageUnavailable` when there is no connection to be had.
        """
        async with taken(self._places, _PLACE_SECONDS), self._counted():
            db = await self._take()
            self._lent.add(db)
            try:
                async with asyncio.timeout(_ANSWER_SECONDS) as limit:
                    yield db
            except psycopg.Error as error:
                raise translated(self.target, error) from error
            except TimeoutError as error:
                if limit.expired():
                    raise StorageUnavailable(
                        backend="postgres", cause=f"no answer within {_ANSWER_SECONDS:.0f} s"
                    ) from error
                raise
            finally:
                await self._give_back(db)

    async def conclude(self, db: Connection, statement: bytes) -> None:
        """Run a statement on a connection that was lent before, as soon as nobody uses it; close it if that fails."""
        if db in self._idle:
            self._idle.remove(db)
            self._lent.add(db)
            self._owed[db] = statement
            await self._give_back(db)
        elif db in self._lent:
            self._owed[db] = statement

    async def _give_back(self, db: Connection) -> None:
        try:
            if (owed := self._owed.pop(db, None)) is not None and _is_at_rest(db):
                await db.execute(owed, prepare=False)
        except BaseException as error:
            await db.close()
            if not isinstance(error, psycopg.Error):
                raise
        finally:
            self._lent.discard(db)
            if self._open and _is_at_rest(db):
                self._idle.append(db)
            else:
                await db.close()

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[Connection]:
        """A connection of its own for work that takes long, closed afterwards. Raises as :meth:`lend` does."""
        async with self._counted():
            db = await self._made()
            self._lent.add(db)
            try:
                yield db
            except psycopg.Error as error:
                raise translated(self.target, error) from error
            finally:
                self._lent.discard(db)
                await db.close()

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        # From before a connection is made: one whose making was cancelled still has something to end.
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    async def _take(self) -> Connection:
        while self._open and self._idle:
            db = self._idle.pop()
            if _is_alive(db):
                return db
            await db.close()
        return await self._made()

    async def _made(self) -> Connection:
        if not self._open:
            raise StorageUnavailable(backend="postgres", cause="the driver is not open")
        try:
            return await self.connect()
        except (psycopg.Error, StartError) as error:
            raise StorageUnavailable(backend="postgres", cause=self.target.clean(error)) from error

    async def close(self) -> None:
        """Close what is idle at once and what is lent when its work ends, 5 s from now at the latest."""
        self._open = False
        deadline = time.monotonic() + 5
        while self._busy and time.monotonic() < deadline:
            await asyncio.sleep(0.005)
        for db in (*self._idle, *self._lent):
            await db.close()
        self._idle.clear()


@asynccontextmanager
async def taken(places: asyncio.Semaphore, within: float) -> AsyncIterator[None]:
    """One of some places. Raises :class:`StorageBusy` when none is free ``within`` that many seconds."""
    try:
        async with asyncio.timeout(within):
            await places.acquire()
    except TimeoutError:
        raise StorageBusy() from None
    try:
        yield
    finally:
        places.release()


def _is_at_rest(db: Connection) -> bool:
    return db.pgconn.transaction_status == TransactionStatus.IDLE


def _is_alive(db: Connection) -> bool:
    """Look, without asking the server, whether it has ended the connection while nobody used it."""
    if db.closed:
        return False
    # Nobody speaks on an idle connection but a server that says good-bye.
    if sys.platform == "win32":
        return not select.select([db.fileno()], [], [], 0)[0]
    poll = select.poll()
    poll.register(db.fileno(), select.POLLIN)
    return not poll.poll(0)


def is_refusal(target: Target, error: psycopg.Error) -> bool:
    """The server is there and will not have us: waiting changes nothing."""
    text = str(error)
    return "FATAL" in text and not any(hint in text for hint in _LATER)


def is_transient(error: psycopg.Error) -> bool:
    """Nothing was written, and trying again can help: a deadlock, a lost race, a cancel request that came too late."""
    return isinstance(error, errors.DeadlockDetected | errors.SerializationFailure | errors.QueryCanceled)


def translated(target: Target, error: psycopg.Error) -> Exception:
    """What an error of PostgreSQL is to our callers; a defect of ours stays what it is."""
    if is_transient(error) or isinstance(error, errors.LockNotAvailable):
        return StorageBusy()
    # A connection that broke has no class at all.
    kind = (error.sqlstate or "")[:2]
    lost = error.sqlstate is None and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    if lost or kind in _GONE or error.sqlstate in _TAKEN_AWAY:
        return StorageUnavailable(backend="postgres", cause=target.clean(error))
    return error
