"""Which store a room has: from settings and environment to a driver, one function for each ``storage.type``.

No store ever stands in for another: what cannot be opened stops the start.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Literal

from masc_core.clock import Clock, SystemClock
from masc_core.errors import StartError
from masc_core.settings import Settings
from masc_core.store.driver import Driver

__all__ = ["open_driver", "store_exists", "upgrade_store"]

_ROOM = "default"


def open_driver(
    settings: Settings, directory: Path, clock: Clock, environ: Mapping[str, str] | None = None, room: str = _ROOM
) -> Driver:
    """The driver of the room whose directory is ``directory``, to be entered by the caller.

    ``clock`` is followed as it is, except that shared stores put their server's in the place of a
    :class:`~masc_core.clock.SystemClock`. Raises :class:`StartError` for a missing package, address or bad address.
    """
    return _OPENERS[settings.storage.type](settings, directory, clock, os.environ if environ is None else environ, room)


def store_exists(settings: Settings, directory: Path) -> bool:
    """Whether there is anything to connect to before a room is made. A shared store always counts as there: whether it
    holds the room is for the room's record to say. A link to nothing is there too: opening it says what is wrong."""
    return settings.storage.type != "sqlite" or os.path.lexists(directory / "masc.db")


async def upgrade_store(settings: Settings, environ: Mapping[str, str] | None = None) -> str:
    """Bring the store's schema to the present one; what was done, as a sentence. Raises :class:`StartError`."""
    upgrade = _UPGRADES.get(settings.storage.type)
    if upgrade is None:
        return f"{settings.storage.type} needs no upgrade by hand"
    return await upgrade(settings, os.environ if environ is None else environ)


def _durability(settings: Settings) -> Literal["full", "process"]:
    return "process" if settings.storage.durability == "process" else "full"


def _open_sqlite(settings: Settings, directory: Path, clock: Clock, environ: Mapping[str, str], room: str) -> Driver:
    from masc_core.store.sqlite import SqliteDriver

    return SqliteDriver(
        directory / "masc.db",
        clock,
        room=room,
        durability=_durability(settings),
        allow_network_fs=settings.storage.allow_network_fs,
    )


def _open_memory(settings: Settings, directory: Path, clock: Clock, environ: Mapping[str, str], room: str) -> Driver:
    from masc_core.store.memory import MemoryDriver

    return MemoryDriver(clock, room=room)


def _open_postgres(settings: Settings, directory: Path, clock: Clock, environ: Mapping[str, str], room: str) -> Driver:
    try:
        from masc_core.store.postgres import PostgresDriver
    except ImportError as error:
        raise _missing("postgres") from error
    url = _url(environ, "MASC_POSTGRES_URL", "DATABASE_URL", "postgresql://user:password@host/database")
    own = None if isinstance(clock, SystemClock) else clock
    return PostgresDriver(url, own, cluster=settings.cluster, room=room, durability=_durability(settings))


def _open_redis(settings: Settings, directory: Path, clock: Clock, environ: Mapping[str, str], room: str) -> Driver:
    try:
        from masc_core.store.redis import RedisDriver
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "redis":
            raise
        raise _missing("redis") from error
    url = _url(environ, "MASC_REDIS_URL", "REDIS_URL", "redis://user:password@host")
    own = None if isinstance(clock, SystemClock) else clock
    return RedisDriver(url, own, cluster=settings.cluster, room=room, durability=_durability(settings))


async def _upgrade_postgres(settings: Settings, environ: Mapping[str, str]) -> str:
    try:
        from masc_core.store._postgres_start import upgrade_database
    except ImportError as error:
        raise _missing("postgres") from error
    before, after = await upgrade_database(
        _url(environ, "MASC_POSTGRES_URL", "DATABASE_URL", "postgresql://user:password@host/database")
    )
    if before == after:
        return f"schema masc is at {after} already"
    if before == 0:
        return f"made schema masc, number {after}"
    return f"upgraded schema masc from {before} to {after}; the tables before it are in schema masc_bak_{before}"


def _url(environ: Mapping[str, str], variable: str, fallback: str, example: str) -> str:
    """The address of a shared store. The message never repeats it: it may hold a password."""
    url = environ.get(variable) or environ.get(fallback)
    if not url:
        raise StartError(message=f"{variable} is not set; set it to the store's address, such as {example}")
    return url


def _missing(extra: str) -> StartError:
    return StartError(
        message=f"storage type {extra} needs packages that are not installed; pip install 'masc[{extra}]'"
    )


_Opener = Callable[[Settings, Path, Clock, Mapping[str, str], str], Driver]
_OPENERS: Mapping[str, _Opener] = {
    "sqlite": _open_sqlite,
    "memory": _open_memory,
    "postgres": _open_postgres,
    "redis": _open_redis,
}
_UPGRADES: Mapping[str, Callable[[Settings, Mapping[str, str]], Awaitable[str]]] = {
    "postgres": _upgrade_postgres,
}
