"""Runs a command, as ``masc restore --replace FILE``, and dies by SIGKILL at a point of it: WHERE COMMAND…"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

from masc_core.cli import main
from masc_core.store import _postgres_rows, _redis_rows, _sqlite_rows
from masc_core.store._redis_access import Lane
from masc_core.store.postgres import PostgresDriver
from masc_core.store.redis import RedisDriver
from masc_core.store.sqlite import SqliteDriver
from masc_core.transfer import operations


def die(*_: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def decided() -> None:
    operations.put_back = operations.merge = die  # type: ignore[assignment,attr-defined]


def half_written() -> None:
    """Some rows are in the transaction, or beside the room, and the rest is not."""
    write, calls = _sqlite_rows._write_document, iter(range(9))

    def document(*given: Any) -> None:
        write(*given)
        if next(calls) == 3:
            die()

    _sqlite_rows._write_document = document  # type: ignore[assignment]
    contents, parts = _postgres_rows._contents, _redis_rows._parts
    _postgres_rows._contents = lambda *given: some(contents(*given), 3)
    _redis_rows._parts = lambda *given: some(parts(*given), 3)


def some(items: Any, count: int) -> Iterator[Any]:
    for n, item in enumerate(items):
        if n == count:
            die()
        yield item


def all_but_the_end() -> None:
    """The transaction is whole, and not committed."""
    call = Lane.call

    async def command(self: Lane, *words: Any, **options: Any) -> Any:
        return die() if words[0] == b"EXEC" else await call(self, *words, **options)

    Lane.call = command  # type: ignore[method-assign]
    fill, contents = _sqlite_rows.fill, _postgres_rows._contents

    def filled(*given: Any) -> None:
        fill(*given)
        die()

    _sqlite_rows.fill = filled  # type: ignore[assignment]

    def last(*given: Any) -> Iterator[Any]:
        yield from contents(*given)
        die()

    _postgres_rows._contents = last  # type: ignore[assignment]


def done() -> None:
    """It is committed, and nobody was told."""
    for cls in (SqliteDriver, PostgresDriver, RedisDriver):
        wrap(cls)


def wrap(cls: Any) -> None:
    exchange = cls.exchange

    async def exchanged(self: Any, change: Any) -> None:
        await exchange(self, change)
        die()

    cls.exchange = exchanged


WHERE: dict[str, Callable[[], None]] = {f.__name__: f for f in (decided, half_written, all_but_the_end, done)}

if __name__ == "__main__":
    WHERE[sys.argv[1]]()
    main(sys.argv[2:])
