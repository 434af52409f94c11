"""What follows an answer cannot break the connection that carried it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from masc_core.wire._delivery import unbreakable


class Panic(BaseException):
    """What extension modules raise."""


def raising(error: BaseException) -> Callable[[], Awaitable[None]]:
    """Something that breaks."""

    async def callback() -> None:
        raise error

    return callback


@pytest.mark.parametrize("error", [RuntimeError("x"), SystemExit(1), Panic("x")])
async def test_what_breaks_is_logged(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    await unbreakable(raising(error))()
    assert "what was to follow an answer failed" in caplog.text


async def test_a_cancellation_goes_on() -> None:
    with pytest.raises(asyncio.CancelledError):
        await unbreakable(raising(asyncio.CancelledError()))()
