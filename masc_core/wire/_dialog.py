"""Forms for the user behind a client, as each protocol era carries them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from masc_core.dialog import Answer, Dialog, InputRequired

__all__ = ["dialog_of", "input_required_result"]

_FIRST_VERSION: Final = "2025-06-18"
"""The oldest protocol version with forms."""

Request = ServerRequestContext[Any, Any]


def dialog_of(ctx: Request, params: types.CallToolRequestParams) -> Dialog | None:
    """How to ask the user behind a request, if its client declared forms."""
    if not _shows_forms(ctx.session.client_capabilities):
        return None
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
        given = (params.input_responses or {}).items()
        answers = {key: _answer(result) for key, result in given if isinstance(result, types.ElicitResult)}
        return Dialog(state=params.request_state, answers=answers)
    if ctx.protocol_version < _FIRST_VERSION or not ctx.session.can_send_request:
        return None

    async def ask(message: str, schema: Mapping[str, Any]) -> Answer:
        try:
            return _answer(await ctx.session.elicit_form(message, dict(schema), related_request_id=ctx.request_id))
        except (MCPError, ValidationError):
            # The client refused, could not or answered what is no answer: its user decided nothing.
            return Answer("cancel")

    return Dialog(ask)


def input_required_result(asked: InputRequired) -> dict[str, Any]:
    """The result that sends a client of the stateless era to its user."""
    return {"resultType": "input_required", "inputRequests": dict(asked.requests), "requestState": asked.state}


def _shows_forms(declared: types.ClientCapabilities | None) -> bool:
    # Older versions know one kind of elicitation, declared by an empty object.
    elicitation = declared.elicitation if declared is not None else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _answer(result: types.ElicitResult) -> Answer:
    return Answer(result.action, result.content or {})
