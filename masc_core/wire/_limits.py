"""Reading a request body within bounds of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from starlette.types import Message, Receive, Scope

from masc_core.errors import PayloadTooLarge

__all__ = ["Disconnected", "declared", "read_body", "replay"]


class Disconnected(Exception):
    """The client left before its request was complete."""


async def read_body(scope: Scope, receive: Receive, *, limit: int, timeout: float | None) -> bytes:
    """The whole body, at most ``limit`` bytes, within ``timeout`` seconds (None: it has arrived already).

    Raises PayloadTooLarge as soon as the size is known to be over the limit, without reading further, TimeoutError
    for a body that does not end in time, and Disconnected.
    """
    if declared(scope["headers"]) > limit:
        raise PayloadTooLarge(limit_bytes=limit)
    if timeout is None:
        return await _collect(receive, limit)
    async with asyncio.timeout(timeout):
        return await _collect(receive, limit)


async def _collect(receive: Receive, limit: int) -> bytes:
    body, more = await _part(receive)
    if more:
        parts = bytearray(body)
        while more and len(parts) <= limit:
            body, more = await _part(receive)
            parts += body
        body = bytes(parts)
    if len(body) > limit:
        raise PayloadTooLarge(limit_bytes=limit)
    return body


def replay(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives ``body`` once and then what the connection has to say, such as a disconnect."""
    first: Message | None = {"type": "http.request", "body": body, "more_body": False}

    async def next_message() -> Message:
        nonlocal first
        if first is None:
            return await receive()
        message, first = first, None
        return message

    return next_message


async def _part(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] != "http.request":
        raise Disconnected
    return message.get("body", b""), message.get("more_body", False)


def declared(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """The size of a body as its headers have it; 0 where they do not say."""
    for name, value in headers:
        if name == b"content-length":
            # The HTTP parser has refused anything but digits already.
            return int(value) if value.isdigit() else 0
    return 0
