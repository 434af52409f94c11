"""The driver that keeps rooms in Redis, shared by any number of processes of any number of machines.

A commit is one script: Redis runs scripts one at a time, so a change is atomic towards everybody, and with
``appendfsync always`` its answer comes after the change is on disk. Reads are single commands or scripts, so each sees one
state. `_redis_keys.py` says how things are kept.

An answer can get lost with its connection. Each connection numbers its commits and each commit leaves its number and
outcome in a slot of its connection, so the same commit is sent again and has the same outcome, whether it was done before
or not.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from redis.exceptions import AuthenticationError, RedisError, ResponseError

from masc_core.clock import Clock, steady
from masc_core.errors import StartError, StorageBusy, StorageUnavailable
from masc_core.store._limits import check_limits
from masc_core.store._redis_access import (
    LOST,
    Lane,
    Lanes,
    Server,
    denied,
    distrust,
    is_busy,
    load_script,
    pause_busy,
    unavailable,
)
from masc_core.store._redis_clock import ServerClock
from masc_core.store._redis_commit import Commit, Last
from masc_core.store._redis_keys import RoomKeys
from masc_core.store._redis_line import RedisLine
from masc_core.store._redis_reads import Reads
from masc_core.store._redis_start import SCHEMA, check_schema, check_server
from masc_core.store._redis_watch import Listener
from masc_core.store._sqlite_access import to_the_end
from masc_core.store.driver import Check, Committed, Contents, Document, Head, Key, Lease, LogEntry, Scan, Write

if TYPE_CHECKING:
    from masc_core.store.snapshot import Exchange, Snapshot

__all__ = ["RedisDriver"]

_KEEP_SECONDS = b"3600"
_PAUSE = 0.1


class RedisDriver:
    """A :class:`~masc_core.store.driver.Driver` on the server at ``url`` (``redis://`` or ``rediss://``).

    ``clock``: ``None`` follows the server's time. ``cluster`` and ``room`` name the data. ``durability``: the server must
    sync every change for ``full``, every second for ``process``. ``patience``: seconds to find out what became of a commit
    whose connection broke, and to wait for somebody else's long script. ``opening``: seconds to wait for the server at the
    start. ``connections``: how many calls are under way at once.
    """

    name = "redis"

    def __init__(
        self,
        url: str,
        clock: Clock | None = None,
        *,
        cluster: str = "default",
        room: str = "default",
        durability: Literal["full", "process"] = "full",
        patience: float = 5.0,
        opening: float = 10.0,
        connections: int = 8,
    ) -> None:
        self.clock: Clock = ServerClock() if clock is None else clock
        self._followed = self.clock if isinstance(self.clock, ServerClock) else None
        self._server = Server(url)
        self._keys = RoomKeys(cluster, room)
        self._durability = durability
        self._patience = patience
        self._opening = opening
        self._reads = Reads(self._keys)
        self._commit_script = load_script("commit")
        self._client = secrets.token_hex(8)
        self._identity = secrets.token_hex(16).encode()
        self._known = False
        self._ends: dict[str, Last] = {}
        self._late_turn = asyncio.Lock()
        self._lanes = Lanes(self._server, connections, patience)
        self.line = RedisLine(self._lanes, self._keys)
        self._listener = self._new_listener()

    async def __aenter__(self) -> Self:
        self._lanes.open = True
        self._listener = self._new_listener()
        deadline = time.monotonic() + self._opening
        try:
            async with self._lanes.take() as lane:
                while not await self._try_open(lane, deadline):
                    await asyncio.sleep(_PAUSE)
        except BaseException:
            await self._lanes.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lanes.open = False
        await to_the_end(asyncio.ensure_future(self._shut()))

    async def get(self, keys: Sequence[Key]) -> list[Document | None]:
        if not keys:
            return []
        return await self._lanes.read(lambda lane: self._reads.get(lane, keys))

    async def scan(self, scan: Scan) -> list[Document]:
        if scan.limit <= 0:
            return []
        return await self._lanes.read(lambda lane: self._reads.scan(lane, scan))

    async def count(self, collection: str, index: str, group: str | None = None) -> dict[str, int]:
        return await self._lanes.read(lambda lane: self._reads.count(lane, collection, index, group))

    async def count_log(self, log: str, index: str, value: str, after: int = 0) -> int:
        return await self._lanes.read(lambda lane: self._reads.count_log(lane, log, index, value, after))

    async def read_log(self, log: str, after: int = 0, limit: int = 100, reverse: bool = False) -> list[LogEntry]:
        if limit <= 0:
            return []
        return await self._lanes.read(lambda lane: self._reads.read_log(lane, log, after, limit, reverse))

    async def scan_log(self, scan: Scan) -> list[tuple[str, LogEntry]]:
        if not scan.index:
            raise ValueError("scan_log needs an index; use read_log for the order of the log")
        if scan.limit <= 0:
            return []
        return await self._lanes.read(lambda lane: self._reads.scan_log(lane, scan))

    async def heads(self, logs: Sequence[str]) -> list[Head]:
        return await self._lanes.read(lambda lane: self._reads.heads(lane, logs))

    async def leases(self, names: Sequence[str]) -> list[Lease | None]:
        return await self._lanes.read(lambda lane: self._reads.leases(lane, names, self._now()))

    async def contents(self) -> Contents:
        return await self._lanes.read(self._reads.contents)

    async def scrub(self) -> None:
        """Nothing to do: what is replaced is gone from the data, and this driver keeps no files. Those of the server have it
        until the server writes them anew."""

    async def dump(self) -> Snapshot:
        from masc_core.store._redis_rows import dump_all

        return await self._lanes.read(lambda lane: dump_all(lane, self._keys, self.clock.now()))

    async def exchange(self, change: Exchange) -> None:
        from masc_core.store._redis_rows import RightsMissing, exchange_all

        async with self._lanes.take() as lane:
            try:
                done = await exchange_all(lane, self._keys, change, self._identity, self.clock.now())
            except (RedisError, *LOST) as error:
                if (command := denied(error)) is not None:
                    raise RightsMissing(command=command) from error
                raise unavailable(error) from error
        self._listener.wake(done.lasts)

    async def commit(self, checks: Sequence[Check], writes: Sequence[Write]) -> Committed:
        check_limits(checks, writes)
        commit = Commit(self._keys, checks, writes, self._ends)
        # A commit that is cancelled on its way is waited for: nobody could say whether it has happened.
        return await to_the_end(asyncio.ensure_future(self._commit(commit)))

    async def watch(self, after: Mapping[str, int]) -> dict[str, int]:
        self._lanes.check_open()
        try:
            while True:
                await self._listener.ready()
                lasts = await self._read_lasts(after)
                if any(lasts[log] > number for log, number in after.items()):
                    return lasts
                await self._listener.wait(after)
        except StorageUnavailable:
            if not self._lanes.open:  # closed meanwhile
                raise asyncio.CancelledError from None
            raise

    async def _commit(self, commit: Commit) -> Committed:
        if not commit.late_logs:
            return await self._send(commit)
        # Bodies that build on each other: commits of one process would only make each other's stale.
        async with self._late_turn:
            commit.lasts.update((log, end) for log, end in self._ends.items() if log in commit.late_logs)
            committed = await self._send(commit)
            self._ends.update(commit.ends())
            return committed

    async def _send(self, commit: Commit) -> Committed:
        deadline = time.monotonic() + self._patience
        async with self._lanes.take() as lane:
            lane.commits += 1
            attempt = _Attempt(self, lane, commit)
            while True:
                asked = steady()
                kind, *answer = await attempt.run()
                if kind in (b"done", b"conflict", b"late"):
                    if answer[0]:
                        self._identity, self._known = answer[0], True
                    if self._followed is not None and not attempt.resent:
                        self._followed.seen(float(answer[1]), asked, steady())
                if kind == b"done" and commit.problem is not None:
                    raise commit.problem
                if kind == b"done":
                    committed = commit.committed(*answer[2:])
                    self._listener.wake(commit.grown(committed))
                    return committed
                if kind == b"conflict":
                    raise commit.conflict(*answer[2:])
                if kind != b"late":
                    raise _refusal(kind, answer)
                commit.learn(answer[2])
                if time.monotonic() > deadline:
                    raise StorageBusy()

    async def _read_lasts(self, logs: Iterable[str]) -> dict[str, int]:
        return await self._lanes.read(lambda lane: self._reads.lasts(lane, logs))

    def _now(self) -> bytes:
        """The time for a script; empty means that of the server."""
        return b"" if self._followed is not None else repr(self.clock.now()).encode()

    def _new_listener(self) -> Listener:
        return Listener(self._server.connection(), self._keys.hints, self._read_lasts)

    async def _try_open(self, lane: Lane, deadline: float) -> bool:
        """Look whether the server may hold a room; false to try again. Raises :class:`StartError`."""
        address = self._server.address
        try:
            await check_server(lane, address, self._durability)
            identity = await check_schema(lane, self._keys.meta, address)
            if self._followed is not None:
                asked = steady()
                seconds, micros = await lane.call(b"TIME")
                self._followed.seen(int(seconds) + int(micros) / 1e6, asked, steady())
        except AuthenticationError as error:
            raise StartError(message=f"{address} refuses the credentials; correct MASC_REDIS_URL") from error
        except (ResponseError, *LOST) as error:
            if distrust(error):
                advice = "name its certificate authority in MASC_REDIS_URL with ?ssl_ca_certs=FILE"
            elif (is_busy(error) or isinstance(error, LOST)) and time.monotonic() < deadline:
                return False
            else:
                advice = "start Redis or correct MASC_REDIS_URL" if isinstance(error, LOST) else "correct its settings"
            raise StartError(message=f"{address} cannot be used ({_cause(error)}); {advice}") from error
        if identity is not None:
            self._identity, self._known = identity, True
        return True

    async def _shut(self) -> None:
        await self._listener.close()
        await self._lanes.close()


class _Attempt:
    """One commit on its way: sent until its outcome is known or the patience is at its end."""

    def __init__(self, driver: RedisDriver, lane: Lane, commit: Commit) -> None:
        self._driver = driver
        self._lane = lane
        self._commit = commit
        self.resent = False
        """An earlier copy may have been done, or may still be on its way."""

    async def run(self) -> Any:
        """The script's answer. Raises :class:`StorageUnavailable`, :class:`StorageBusy`."""
        driver, lane = self._driver, self._lane
        keys = driver._keys
        all_keys = [keys.meta, keys.heads, keys.leases, keys.slot(driver._client, lane.number), *self._commit.keys]
        operations = self._commit.operations()
        give_up: float | None = None
        while True:
            sent = False
            try:
                await lane.connect()
                sent = True
                return await lane.run(driver._commit_script, all_keys, [*self._header(), *operations])
            except (RedisError, *LOST) as error:
                if is_busy(error):
                    give_up = await pause_busy(give_up, driver._patience)
                    continue
                if not isinstance(error, LOST) or isinstance(error, AuthenticationError):
                    raise unavailable(error) from error
                self.resent = self.resent or (sent and unavailable(error).cause != _LOADING)
                give_up = give_up or time.monotonic() + driver._patience
                await lane.drop()
                if not self.resent or time.monotonic() > give_up:
                    raise unavailable(error) from error
                await asyncio.sleep(0 if sent else _PAUSE)

    def _header(self) -> list[bytes]:
        driver = self._driver
        return [
            b"%d" % SCHEMA,
            driver._identity,
            b"1" if driver._known else b"0",
            driver._now(),
            b"%d" % self._lane.commits,
            b"1" if self.resent else b"0",
            _KEEP_SECONDS,
            driver._keys.hints,
        ]


def _cause(error: Exception) -> str:
    try:
        return unavailable(error).cause
    except ResponseError:
        return f"it answers {str(error).partition(' ')[0]}"


_LOADING = "it is still loading its data"


def _refusal(kind: bytes, answer: Sequence[Any]) -> StorageUnavailable:
    if kind == b"gone":
        cause = "this room's data was removed or replaced; start the server again"
    elif kind == b"damaged":
        cause = f"the key {answer[0].decode(errors='replace')} holds something else"
    elif kind == b"denied":
        cause = f"its user may not use {answer[0].decode()}"
    else:
        cause = "the outcome is unknown"
    return StorageUnavailable(backend="redis", cause=cause)
