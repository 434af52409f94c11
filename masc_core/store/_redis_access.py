"""How the Redis driver reaches its server: connections, scripts, and what the server's errors mean."""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any, TypeVar
from urllib.parse import urlsplit

from attrs import define, field
from redis.asyncio import Connection
from redis.asyncio.connection import parse_url
from redis.exceptions import AuthenticationError, NoPermissionError, NoScriptError, RedisError, ResponseError
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import TimeoutError as TooSlow

from masc_core.errors import StartError, StorageBusy, StorageUnavailable
from masc_core.frozen import frozen

__all__ = ["LOST", "Lane", "Lanes", "Script", "Server", "denied", "distrust", "is_busy", "load_script", "unavailable"]

LOST = (Disconnected, TooSlow, OSError, TimeoutError)
"""The answer did not come: whether the server has done what it was asked, nobody here knows."""
REPLY_SECONDS = 5.0
_CONNECT_SECONDS = 5.0
_CONNECT_TRIES = 3
_PAUSE = 0.02
_COMMAND = re.compile(r"run the '([\w|-]+)' command")
_T = TypeVar("_T")
_CAUSES = {
    "OOM": "it is out of memory; raise its maxmemory",
    "MISCONF": "it cannot write to its disk",
    "READONLY": "it is a replica",
    "NOREPLICAS": "it has too few replicas for a write",
    "LOADING": "it is still loading its data",
    "MASTERDOWN": "it has lost its primary",
    "CLUSTERDOWN": "its cluster is down",
    "MOVED": "another node of its cluster has the room",
    "TRYAGAIN": "its cluster is moving the room",
    "NOPERM": "its user may not do this",
    "NOAUTH": "it refuses the credentials",
    "WRONGPASS": "it refuses the credentials",
}


@frozen
class Script:
    """A Lua script and the name by which the server remembers it."""

    text: bytes
    sha: bytes


def load_script(name: str) -> Script:
    """One of the scripts beside this module."""
    text = (files("masc_core.store") / "_redis_scripts" / f"{name}.lua").read_bytes()
    return Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest().encode())


class Server:
    """Where the server is and how to connect. Raises :class:`StartError` for a URL that cannot be one of ours."""

    def __init__(self, url: str) -> None:
        # Neither the URL nor what its parser says of it may be shown: it can hold a password.
        try:
            # What redis-py cannot read of a database it takes for 0, and "/1/2" for 12: a room would be somewhere else.
            if urlsplit(url).scheme not in {"redis", "rediss"} or not re.fullmatch(r"/?[0-9]*", urlsplit(url).path):
                raise ValueError
            self._options: dict[str, Any] = {
                **parse_url(url),
                "protocol": 2,
                "decode_responses": False,
                "socket_timeout": None,
                "socket_connect_timeout": _CONNECT_SECONDS,
                "socket_keepalive": True,
            }
            self._class: Callable[..., Connection] = self._options.pop("connection_class", Connection)
            self._class(**self._options)
        except (ValueError, TypeError, RedisError):
            raise StartError(
                message="the Redis URL cannot be used; write redis://[user:password@]host[:port][/db], or rediss:// for TLS"
            ) from None
        scheme, host = urlsplit(url).scheme, self._options.get("host", "localhost")
        self.address = f"{scheme}://{host}:{self._options.get('port', 6379)}/{self._options.get('db', 0)}"
        """For messages: the URL without credentials."""

    def connection(self) -> Connection:
        """A connection of its own, not yet connected."""
        return self._class(**self._options)


@define(eq=False)
class Lane:
    """One connection, used by one call at a time."""

    connection: Connection
    number: int
    commits: int = field(default=0)
    """How many commits went this way."""

    async def connect(self) -> None:
        """Connect, unless connected. Raises what is in :data:`LOST`, :class:`AuthenticationError` among them."""
        tries = 0
        while not self.connection.is_connected:
            tries += 1
            try:
                async with asyncio.timeout(_CONNECT_SECONDS + REPLY_SECONDS):
                    await self.connection.connect()  # type: ignore[no-untyped-call]
            except (Disconnected, OSError) as error:
                # A connection can break while it is made; a server that is away refuses all three at once.
                if tries == _CONNECT_TRIES or isinstance(error, AuthenticationError | TimeoutError):
                    raise

    async def call(self, *command: bytes | int, seconds: float = REPLY_SECONDS) -> Any:
        """Send one command and wait ``seconds`` for its answer."""
        connection = self.connection
        await self.connect()
        # One timer for both ways; with the connection's own every call would pay for three.
        async with asyncio.timeout(seconds):
            await connection.send_packed_command(connection.pack_command(*command), check_health=False)
            return await connection.read_response()

    async def run(
        self,
        script: Script,
        keys: Sequence[bytes],
        arguments: Sequence[bytes | int],
        seconds: float = REPLY_SECONDS,
    ) -> Any:
        """Run a script, sending its text where the server does not know it (any more)."""
        try:
            return await self.call(b"EVALSHA", script.sha, len(keys), *keys, *arguments, seconds=seconds)
        except NoScriptError:
            return await self.call(b"EVAL", script.text, len(keys), *keys, *arguments, seconds=seconds)

    async def drop(self) -> None:
        """Close the connection; the next call opens another."""
        try:
            await self.connection.disconnect(nowait=True)
        except LOST:
            pass


class Lanes:
    """The connections of a driver. Whoever comes when all are in use waits its turn."""

    def __init__(self, server: Server, count: int, patience: float) -> None:
        self._patience = patience
        self._free: asyncio.LifoQueue[Lane] = asyncio.LifoQueue()
        self._count = count
        self.open = False
        for number in reversed(range(count)):
            self._free.put_nowait(Lane(server.connection(), number))

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Lane]:
        """A connection for the time of one call. Raises :class:`StorageUnavailable` when the driver is closed."""
        self.check_open()
        lane = await self._free.get()
        try:
            self.check_open()
            yield lane
        finally:
            self._free.put_nowait(lane)

    async def read(self, ask: Callable[[Lane], Awaitable[_T]]) -> _T:
        """The answer to a question that may be asked twice: a connection can have died since it was used last."""
        async with self.take() as lane:
            fresh = not lane.connection.is_connected
            give_up: float | None = None
            while True:
                try:
                    return await ask(lane)
                except (RedisError, *LOST) as error:
                    if is_busy(error):
                        give_up = await pause_busy(give_up, self._patience)
                        continue
                    if fresh or not isinstance(error, LOST) or isinstance(error, TooSlow | TimeoutError):
                        raise unavailable(error) from error
                    fresh = True
                    await lane.drop()

    async def close(self) -> None:
        """Wait for the calls under way and close every connection."""
        self.open = False
        for _ in range(self._count):
            lane = await self._free.get()
            try:
                await lane.connection.disconnect()
            except LOST:
                pass

    def check_open(self) -> None:
        """Raise :class:`StorageUnavailable` when the driver is closed."""
        if not self.open:
            raise StorageUnavailable(backend="redis", cause="the driver is not open")


def is_busy(error: BaseException) -> bool:
    """A script of somebody else's runs for so long that the server takes no commands."""
    return isinstance(error, ResponseError) and str(error).startswith("BUSY ")


async def pause_busy(give_up: float | None, patience: float) -> float:
    """Wait a little and give the time at which to stop waiting. Raises :class:`StorageBusy` when it has come."""
    now = time.monotonic()
    give_up = now + patience if give_up is None else give_up
    if now >= give_up:
        raise StorageBusy()
    await asyncio.sleep(_PAUSE)
    return give_up


def unavailable(error: BaseException) -> StorageUnavailable:
    """What an error of the server or the way to it is to our callers. Raises ``error`` itself when it shows a defect of
    ours."""
    if isinstance(error, AuthenticationError):
        return StorageUnavailable(backend="redis", cause=_CAUSES["NOAUTH"])
    if (command := denied(error)) is not None:
        return StorageUnavailable(backend="redis", cause=f"its user may not run {command}")
    code = str(getattr(error, "status_code", None) or str(error).split(" ", 1)[0])
    if code in _CAUSES:
        return StorageUnavailable(backend="redis", cause=_CAUSES[code])
    if isinstance(error, TooSlow | TimeoutError):
        return StorageUnavailable(backend="redis", cause="no answer in time")
    if isinstance(error, LOST):
        return StorageUnavailable(backend="redis", cause=distrust(error) or "no connection")
    raise error


def denied(error: BaseException) -> str | None:
    """The command that the server's user may not run; ``None`` where it is not for want of one that something fails."""
    if not isinstance(error, ResponseError):
        return None
    if str(error).startswith("The user executing the script can't run"):
        return "a command of a script"
    named = _COMMAND.search(str(error))
    refused = isinstance(error, NoPermissionError) or "NOPERM" in str(error)  # also where EXEC says why it did nothing
    return named[1].upper() if refused and named else None


def distrust(error: BaseException) -> str | None:
    """Why there is no TLS with this server, ``None`` where TLS is not what fails. Trying again does not help."""
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.library == "X509":
        return "a file that ssl_… names in its URL is no certificate"
    if isinstance(error, FileNotFoundError):
        return "a file that ssl_… names in its URL is not there"
    return None
