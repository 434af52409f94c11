"""Tools and a prompt that ask the client for more before they finish (multi round-trip requests, 2026-07-28)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError

_KEY = secrets.token_bytes(32)

Context = ServerRequestContext[Any, Any]
Handler = Callable[[Context, types.CallToolRequestParams], Awaitable[Any]]
Asked = dict[str, Any]


def _form(message: str, field: str, kind: str = "string") -> dict[str, Any]:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return {
        "method": "elicitation/create",
        "params": {"mode": "form", "message": message, "requestedSchema": schema},
    }


def _sample(question: str, tokens: int) -> dict[str, Any]:
    message = {"role": "user", "content": {"type": "text", "text": question}}
    return {"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": tokens}}


NAME = _form("What is your name?", "name")
ROOTS: dict[str, Any] = {"method": "roots/list", "params": {}}


def _ask(requests: Asked, state: str | None = None) -> types.InputRequiredResult:
    body: dict[str, Any] = {"resultType": "input_required", "inputRequests": requests}
    if state is not None:
        body["requestState"] = _sealed(state)
    return types.InputRequiredResult.model_validate(body, by_name=False)


def _text(value: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=value)])


def _sealed(state: str) -> str:
    return f"{state}.{hmac.new(_KEY, state.encode(), hashlib.sha256).hexdigest()}"


def _opened(sealed: str | None) -> str:
    state = (sealed or "").rpartition(".")[0]
    if sealed is None or not hmac.compare_digest(_sealed(state).encode(), sealed.encode()):
        raise MCPError(types.INVALID_PARAMS, "requestState is missing or was changed")
    return state


def _one_round(requests: Asked, done: str, state: str | None = None) -> Handler:
    async def call(ctx: Context, params: types.CallToolRequestParams) -> Any:
        given = params.input_responses or {}
        if params.request_state is not None and state is not None:
            _opened(params.request_state)
        if not all(key in given for key in requests):
            return _ask(requests, state)
        if state is not None:
            _opened(params.request_state)
        return _text(f"{done}: {', '.join(sorted(requests))}")

    return call


async def _multi_round(ctx: Context, params: types.CallToolRequestParams) -> Any:
    given = params.input_responses or {}
    state = _opened(params.request_state) if params.request_state is not None else ""
    if state == "round-2" and "step2" in given:
        return _text("both steps are done")
    if state == "round-1" and "step1" in given:
        return _ask({"step2": _form("Step 2: What is your favorite color?", "color")}, "round-2")
    return _ask({"step1": _form("Step 1: What is your name?", "name")}, "round-1")


async def _capabilities(ctx: Context, params: types.CallToolRequestParams) -> Any:
    declared = ctx.session.client_capabilities
    requests: Asked = {}
    if declared is not None and declared.sampling is not None:
        requests["question"] = _sample("What is the capital of France?", 100)
    if declared is not None and declared.elicitation is not None:
        requests["user_name"] = NAME
    return _ask(requests) if requests and not params.input_responses else _text("nothing more to ask")


async def input_prompt(ctx: Context, params: types.GetPromptRequestParams) -> Any:
    """The prompt that needs a context from the user first."""
    if "user_context" not in (params.input_responses or {}):
        return _ask({"user_context": _form("What context should the prompt use?", "context")})
    content = types.TextContent(type="text", text="A prompt with context.")
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=content)])


_CONFIRM = {"confirm": _form("Please confirm", "ok", "boolean")}

INPUT_TOOLS: dict[str, Handler] = {
    "test_input_required_result_elicitation": _one_round({"user_name": NAME}, "Hello"),
    "test_input_required_result_sampling": _one_round(
        {"capital_question": _sample("What is the capital of France?", 100)}, "answered"
    ),
    "test_input_required_result_list_roots": _one_round({"client_roots": ROOTS}, "roots"),
    "test_input_required_result_request_state": _one_round(_CONFIRM, "state-ok", "confirm"),
    "test_input_required_result_multiple_inputs": _one_round(
        {"user_name": NAME, "greeting": _sample("Generate a greeting", 50), "client_roots": ROOTS}, "all", "multiple"
    ),
    "test_input_required_result_multi_round": _multi_round,
    "test_input_required_result_tampered_state": _one_round(_CONFIRM, "intact", "tamper"),
    "test_input_required_result_capabilities": _capabilities,
}
