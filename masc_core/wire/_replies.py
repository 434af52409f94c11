"""Small HTTP answers, written without a framework because every request passes here."""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from starlette.types import Send

from masc_core.errors import MascError

__all__ = ["Headers", "send_error", "send_json", "send_refusal"]

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


async def send_refusal(send: Send, status: int, code: str, message: str, headers: Headers = ()) -> None:
    """Send a refusal that belongs to HTTP itself (wrong path, method, host) in the shape of our errors."""
    error = {"code": code, "message": message, "retryable": False, "details": {}}
    await send_json(send, status, {"error": error}, headers)
