"""The SDK's server with what it leaves to us: list changes announced on every transport, and less work for each call."""

from __future__ import annotations

import logging
import os
from functools import cached_property
from typing import Any, Final

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, SERVER_INFO_META_KEY
from mcp_types.methods import serialize_server_result, validate_client_request
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

__all__ = ["McpServer"]

_log = logging.getLogger(__name__)
_CALL: Final = "tools/call"


class McpServer(Server[Any]):
    """As the SDK's. ``changing`` says which lists may change.

    Its handler of tools/call returns a new dictionary for each call. With ``in_shape`` that is all that its protocol version
    wants of a result, and JSON.
    """

    def __init__(self, name: str, changing: NotificationOptions, *, in_shape: bool, **options: Any) -> None:
        super().__init__(name, **options)
        self._changing = changing
        self._in_shape = in_shape
        # Spans of OpenTelemetry take time in each call, also where nobody collects them.
        if not any(name.startswith("OTEL_EXPORTER") or name == "OTEL_TRACES_EXPORTER" for name in os.environ):
            self.middleware.clear()

    def create_initialization_options(
        self, notification_options: NotificationOptions | None = None, *arguments: Any, **options: Any
    ) -> InitializationOptions:
        """As the SDK's, which the session manager of HTTP calls without saying what may change."""
        return super().create_initialization_options(notification_options or self._changing, *arguments, **options)

    @property
    def server_info_stamp(self) -> dict[str, Any]:
        """As the SDK's, whose copy is deep for the sake of icons; we have none."""
        return self._stamp.copy()

    @cached_property
    def _stamp(self) -> dict[str, Any]:
        return self.server_info.model_dump(by_alias=True, mode="json", exclude_none=True)

    async def answer_calls(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Innermost middleware: tools/call as the SDK would handle it, but that a result which is known to be in shape is not
        checked against every field of the protocol, nor copied, which takes longer than to make it."""
        entry = self.get_request_handler(_CALL)
        if ctx.method != _CALL or ctx.request_id is None or entry is None or not _opened(ctx):
            return await call_next(ctx)
        version, given = ctx.protocol_version, ctx.params or {}
        validate_client_request(_CALL, version, given)
        result: Any = await entry.handler(ctx, entry.params_type.model_validate(given, by_name=False))
        if not self._in_shape or "content" not in result:  # without, it sends the client to its user
            result = _shaped(version, result)
        if version in MODERN_PROTOCOL_VERSIONS:
            result["_meta"] = {SERVER_INFO_META_KEY: self._stamp}
        return result  # type: ignore[no-any-return]


def _opened(ctx: ServerRequestContext[Any, Any]) -> bool:
    """The client has said who it is, or need not."""
    return ctx.session._connection.initialize_accepted


def _shaped(version: str, result: dict[str, Any]) -> dict[str, Any]:
    try:
        return serialize_server_result(_CALL, version, result)
    except ValueError:  # not as the protocol has it, or no JSON
        # Left to the SDK, some of these would be told to be the client's fault.
        _log.exception("a tool gave an invalid result")
        raise MCPError(INTERNAL_ERROR, "the tool gave an invalid result") from None
