"""JSON-RPC messages in and out of bytes, where the SDK would be too lenient or too vague."""

from __future__ import annotations

from typing import Any, TypeGuard

import mcp_types as types
import orjson
import pydantic_core
from pydantic import ValidationError

__all__ = ["dump", "parse", "request_id", "rpc_error"]


def rpc_error(code: int, message: str, data: Any = None, request_id: str | int | None = None) -> bytes:
    """A JSON-RPC error response; without data unless some is given."""
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return orjson.dumps({"jsonrpc": "2.0", "id": request_id, "error": error})


def parse(text: bytes) -> types.JSONRPCMessage | bytes:
    """One JSON-RPC message, or the error response (−32700 or −32600) to what is none."""
    try:
        value = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError:
        return rpc_error(types.PARSE_ERROR, "this is not JSON in UTF-8")
    if isinstance(value, dict) and "method" in value and "id" in value and not _is_id(value["id"]):
        # The SDK would take a request with an impossible id for a notification and leave its sender waiting.
        return rpc_error(types.INVALID_REQUEST, "the id of a request is a string or an integer")
    try:
        message: types.JSONRPCMessage = types.jsonrpc_message_adapter.validate_python(value, by_name=False)
    except ValidationError:
        wrong = "this is not a single JSON-RPC 2.0 request, notification or response"
        return rpc_error(types.INVALID_REQUEST, wrong, request_id=_id_of(value))
    return message


def dump(message: types.JSONRPCMessage) -> bytes:
    """A message as JSON."""
    return message.model_dump_json(by_alias=True, exclude_unset=True).encode()


def request_id(text: bytes) -> str | int | None:
    """The id in a JSON-RPC message that is not worth parsing further, or None."""
    try:
        return _id_of(pydantic_core.from_json(text))
    except ValueError:
        return None


def _id_of(value: Any) -> str | int | None:
    found = value.get("id") if isinstance(value, dict) else None
    if not _is_id(found):
        return None
    return found if isinstance(found, str) or -(2**53) < found < 2**53 else None


def _is_id(value: Any) -> TypeGuard[str | int]:
    return isinstance(value, str | int) and not isinstance(value, bool)
