"""What the tests of PostgreSQL share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg

from masc_core.store.driver import (
    Append,
    Key,
)
from masc_core.store.postgres import PostgresDriver

A = Key("things", "a")
LATE = Append("log", lambda seq, previous: b"%d<%s" % (seq, previous or b""))
Make = Callable[..., PostgresDriver]


def terminate(db: psycopg.Connection[Any]) -> int:
    """Cut every connection of MASC to this database; how many there were."""
    return db.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'masc'"
    ).rowcount


def connections(db: psycopg.Connection[Any], state: str = "%") -> int:
    row = db.execute(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'masc' AND state LIKE %s",
        (state,),
    ).fetchone()
    assert row is not None
    return int(row[0])


async def soon(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


class Locked:
    """Holds the lock of a driver's room, as a slow writer does."""

    def __init__(self, url: str, driver: PostgresDriver) -> None:
        self.db = psycopg.connect(url)
        self._room = driver._room

    def __enter__(self) -> psycopg.Connection[Any]:
        self.db.execute("SELECT masc.enter(%s::int, 1000)", (self._room,))
        return self.db

    def __exit__(self, *_: object) -> None:
        self.db.rollback()
        self.db.close()


async def listens(store: PostgresDriver) -> None:
    """Return once a driver with a waiter has begun to listen."""
    await soon(lambda: store._hints is not None and store._hints.turn > 0)
