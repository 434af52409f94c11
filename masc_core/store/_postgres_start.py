"""The first connection to a PostgreSQL server, which may still be starting, and the schema that is made over it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg

from masc_core.errors import StartError
from masc_core.store._postgres_pool import Connection, Pool, Target, is_refusal
from masc_core.store._postgres_schema import upgrade

__all__ = ["connect_first", "upgrade_database"]

_T = TypeVar("_T")
_PAUSE = 0.02


async def upgrade_database(url: str) -> tuple[int, int]:
    """Make or bring forward the schema: the numbers before (0: none) and after. Raises :class:`StartError`."""
    pool = Pool(Target(url), lambda *_: None)
    return await connect_first(pool, upgrade, 10.0)


async def connect_first(pool: Pool, use: Callable[[Connection], Awaitable[_T]], within: float) -> _T:
    """Make the first connection and use it: what ``use`` gives. A server that is not there yet is waited for.

    Raises :class:`StartError` saying what is wrong, without the password.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while True:
        try:
            async with asyncio.timeout_at(end):
                db = await pool.connect()
            break
        except (psycopg.Error, TimeoutError) as error:
            refused = isinstance(error, psycopg.Error) and is_refusal(pool.target, error)
            if refused:
                raise StartError(
                    message=f"PostgreSQL at {pool.target} refuses: {pool.target.clean(error)}; "
                    "check user, password and database in the URL"
                ) from None
            if loop.time() + _PAUSE >= end:
                raise StartError(
                    message=f"PostgreSQL at {pool.target} did not answer within {within:.0f} s "
                    f"({pool.target.clean(error)}); start it or correct the URL"
                ) from None
        await asyncio.sleep(min(0.25, max(0.0, end - loop.time())))
    try:
        return await use(db)
    except psycopg.Error as error:
        raise StartError(message=f"PostgreSQL at {pool.target} cannot be used: {pool.target.clean(error)}") from None
    finally:
        await db.close()
