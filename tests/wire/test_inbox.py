"""What is said to a request of the handshake era comes out in order, and nobody waits for what cannot come."""

from __future__ import annotations

import asyncio

import anyio
import mcp_types as types
import pytest
from mcp.server.streamable_http import EventMessage

from masc_core.wire._inbox import _MOST, Inbox

LONG = 60.0


def said(n: int) -> EventMessage:
    return EventMessage(types.JSONRPCResponse(jsonrpc="2.0", id=n, result={}))


async def waiting(task: asyncio.Task[object]) -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return not task.done()


async def test_it_gives_what_came_in_order() -> None:
    inbox = Inbox()
    events = [said(n) for n in range(3)]
    for event in events:
        await inbox.send(event)
    assert [await inbox.receive(LONG) for _ in events] == events


async def test_it_waits_for_what_comes() -> None:
    inbox = Inbox()
    task = asyncio.create_task(inbox.receive(LONG))
    assert await waiting(task)
    await inbox.send(event := said(1))
    async with asyncio.timeout(LONG):
        assert await task is event


async def test_a_silence_is_none_and_what_comes_later_is_not_lost() -> None:
    inbox = Inbox()
    assert await inbox.receive(0.001) is None
    await inbox.send(event := said(1))
    assert await inbox.receive(LONG) is event


async def test_a_cancelled_wait_loses_nothing() -> None:
    inbox = Inbox()
    task = asyncio.create_task(inbox.receive(LONG))
    assert await waiting(task)
    task.cancel()
    await inbox.send(event := said(1))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await inbox.receive(LONG) is event


async def test_who_says_too_much_waits_until_there_is_room() -> None:
    inbox = Inbox()
    for n in range(_MOST):
        await inbox.send(said(n))
    task = asyncio.create_task(inbox.send(said(_MOST)))
    assert await waiting(task)
    taken = [await inbox.receive(LONG)]
    async with asyncio.timeout(LONG):
        await task
        taken += [await inbox.receive(LONG) for _ in range(_MOST)]
    assert [event and event.message.id for event in taken] == list(range(_MOST + 1))  # type: ignore[union-attr]


async def test_who_takes_out_all_and_waits_again_is_told_of_what_comes_then() -> None:
    """Both sides wait in turn, and the one that was woken goes on only after the other waits again."""
    inbox = Inbox()

    async def put() -> None:
        for n in range(5 * _MOST):
            await inbox.send(said(n))
        inbox.close()

    task = asyncio.create_task(put())
    assert await waiting(task)
    async with asyncio.timeout(LONG):
        taken = [await inbox.receive(LONG) for _ in range(5 * _MOST)]
    with pytest.raises(anyio.EndOfStream):
        await inbox.receive(LONG)
    assert [event and event.message.id for event in taken] == list(range(5 * _MOST))  # type: ignore[union-attr]


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_closed_it_gives_what_it_has_and_then_ends(asynchronous: bool) -> None:
    inbox = Inbox()
    await inbox.send(event := said(1))
    if asynchronous:
        await inbox.aclose()
    else:
        inbox.close()
    assert await inbox.receive(LONG) is event
    with pytest.raises(anyio.EndOfStream):
        await inbox.receive(LONG)
    with pytest.raises(anyio.BrokenResourceError):
        await inbox.send(said(2))


async def test_closing_it_ends_every_wait() -> None:
    empty, full = Inbox(), Inbox()
    for n in range(_MOST):
        await full.send(said(n))
    tasks: list[asyncio.Task[object]] = [
        asyncio.create_task(empty.receive(LONG)),
        asyncio.create_task(full.send(said(_MOST))),
    ]
    assert all([await waiting(task) for task in tasks])
    empty.close()
    full.close()
    async with asyncio.timeout(LONG):
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in ended] == [anyio.EndOfStream, anyio.BrokenResourceError]
