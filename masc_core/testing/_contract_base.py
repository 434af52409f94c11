"""Fixtures and helpers of the driver contract."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import pytest

from masc_core.clock import Clock
from masc_core.store.driver import Driver, IndexEntry, Key, Put
from masc_core.testing.clock import ManualClock

__all__ = ["BOUND", "ContractBase", "MakeDriver", "OpenDriver", "ids", "key", "put", "within"]

_T = TypeVar("_T")
MakeDriver = Callable[[Clock, str], Driver]
"""Makes a driver for a clock and a room, not yet opened."""
OpenDriver = Callable[..., Awaitable[Driver]]
"""``await open_driver(room="default")`` opens a driver that the end of the test closes."""
BOUND = 20.0
"""Seconds after which a test that waits for something has failed."""


class ContractBase:
    """What a subclass provides, and the drivers opened on it."""

    @pytest.fixture
    def make_driver(self) -> MakeDriver:
        """How to make one more driver on the test's database."""
        raise pytest.UsageError(f"{type(self).__name__} has to override the fixture make_driver")

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The store's clock."""
        return ManualClock()

    @pytest.fixture
    async def open_driver(self, make_driver: MakeDriver, clock: ManualClock) -> AsyncIterator[OpenDriver]:
        """Opens independent drivers; afterwards nothing of them may be left running."""
        threads, tasks = set(threading.enumerate()), asyncio.all_tasks()
        async with AsyncExitStack() as stack:

            async def open_one(room: str = "default") -> Driver:
                return await stack.enter_async_context(make_driver(clock, room))

            yield open_one
        gc.collect()
        left: list[Any] = [task for task in asyncio.all_tasks() - tasks if task is not asyncio.current_task()]
        left += [thread for thread in set(threading.enumerate()) - threads if thread.is_alive()]
        assert not left, f"still running after close: {left}"

    @pytest.fixture
    async def driver(self, open_driver: OpenDriver) -> Driver:
        """One opened driver."""
        return await open_driver()


def key(id: str, collection: str = "things") -> Key:
    return Key(collection, id)


def put(id: str, body: bytes = b"body", *index: tuple[str, ...], collection: str = "things") -> Put:
    return Put(Key(collection, id), body, tuple(IndexEntry(*entry) for entry in index))


async def within(awaitable: Awaitable[_T]) -> _T:
    """The result of ``awaitable``, which must come within the bound."""
    return await asyncio.wait_for(awaitable, BOUND)


def ids(documents: Sequence[Any]) -> list[str]:
    return [document.key.id for document in documents]
