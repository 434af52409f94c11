"""Small HTTP answers, written without a framework because every request passes here."""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from starlette.types import Send

from masc_core.errors import InvalidToken, MascError, RateLimited, TokenExpired, Unauthenticated

__all__ = ["Headers", "challenge", "send_error", "send_json", "send_refusal"]

Headers = Iterable[tuple[bytes, bytes]]


async def send_json(send: Send, status: int, payload: object, headers: Headers = ()) -> None:
    """Send ``payload`` (JSON values, or bytes that already are JSON) as one response."""
    body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def send_error(send: Send, error: MascError, headers: Headers = ()) -> None:
    """Send one of our errors with its HTTP status as ``{"error": {code, message, retryable, details}}``."""
    await send_json(send, error.http, {"error": error.as_dict()}, headers)


async def send_refusal(send: Send, status: int, message: str, headers: Headers = ()) -> None:
    """Send a refusal that belongs to HTTP itself (wrong host, path, method) as a line of plain text.

    Its status says all a program needs; the codes of our errors are for what MASC decides.
    """
    body = message.encode() + b"\n"
    head = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


def challenge(error: MascError) -> Headers:
    """The headers that tell a client how to go on after a refusal: RFC 6750, and RFC 9110 on when to come again."""
    if isinstance(error, RateLimited):
        return [(b"retry-after", b"%d" % error.retry_after)]
    if not isinstance(error, Unauthenticated):
        return []
    words = b'Bearer realm="masc"'
    if isinstance(error, InvalidToken | TokenExpired):
        told = b"expired" if isinstance(error, TokenExpired) else b"unknown, replaced or revoked"
        words += b', error="invalid_token", error_description="the token is %b"' % told
    return [(b"www-authenticate", words)]
