"""JSON-RPC messages in and out of bytes, where the SDK would be too lenient or too vague."""

from __future__ import annotations

import json
import re
from typing import Any, TypeGuard

import mcp_types as types
import orjson
import pydantic_core
from pydantic import ValidationError

_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATES = re.compile("[\ud800-\udfff]")

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
        value = _load(text)
    except ValueError:
        return rpc_error(types.PARSE_ERROR, "this is not JSON in UTF-8")
    if isinstance(value, dict) and "method" in value and "id" in value and not _is_id(value["id"]):
        # The SDK would take a request with an impossible id for a notification and leave its sender waiting.
        return rpc_error(types.INVALID_REQUEST, "the id of a request is a string or an integer")
    if _HALF.search(text) and not _utterable(value):
        wrong = "half a surrogate pair is no text"
        return rpc_error(types.INVALID_REQUEST, wrong, request_id=_id_of(value))
    try:
        message: types.JSONRPCMessage = types.jsonrpc_message_adapter.validate_python(value, by_name=False)
    except ValidationError:
        wrong = "this is not a single JSON-RPC 2.0 request, notification or response"
        return rpc_error(types.INVALID_REQUEST, wrong, request_id=_id_of(value))
    return message


def _load(text: bytes) -> Any:
    """Raises ValueError."""
    try:
        return pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError:
        if not _HALF.search(text):
            raise
    # Half a pair of surrogates is JSON, though no text, and what cuts strings makes them: the argument is refused by name.
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError from error


def _utterable(value: Any) -> bool:
    """Whether what an answer may repeat can be written. Arguments are the tool's business, which says what is wrong."""
    params = value.get("params") if isinstance(value, dict) else None
    if isinstance(params, dict) and value.get("method") == "tools/call":
        value = {**value, "params": {name: given for name, given in params.items() if name != "arguments"}}
    return not _SURROGATES.search(json.dumps(value, ensure_ascii=False))


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def dump(message: types.JSONRPCMessage) -> bytes:
    """A message as JSON."""
    return message.model_dump_json(by_alias=True, exclude_unset=True).encode()


def request_id(text: bytes) -> str | int | None:
    """The id in a JSON-RPC message that is not worth parsing further, or None."""
    try:
        return _id_of(_load(text))
    except ValueError:
        return None


def _id_of(value: Any) -> str | int | None:
    found = value.get("id") if isinstance(value, dict) else None
    if not _is_id(found):
        return None
    return found if isinstance(found, str) or -(2**53) < found < 2**53 else None


def _is_id(value: Any) -> TypeGuard[str | int]:
    if isinstance(value, str):
        return not _SURROGATES.search(value)
    return isinstance(value, int) and not isinstance(value, bool)
