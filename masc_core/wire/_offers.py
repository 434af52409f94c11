"""Lists as MCP carries them, and what plugins offer besides tools: resources and prompts."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions
from mcp.server.session import ServerSession
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    PromptsListChanged,
    ResourcesListChanged,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import X_MCP_HEADER_KEY
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from masc_core.contracts import Contract
from masc_core.errors import InternalError, Unauthenticated
from masc_core.frozen import frozen
from masc_core.identity import Client
from masc_core.kernel import Kernel
from masc_core.modes import Active, Modes
from masc_core.recognition import Recognised
from masc_core.wire._delivery import REFUSAL

__all__ = ["FIXED_TTL_MS", "STORED_TTL_MS", "Look", "Offers", "publish_changes", "schemas_with_headers", "send_changes"]

FIXED_TTL_MS = 3_600_000
STORED_TTL_MS = 30_000
_NO_RESOURCE = -32002
"""The code of the handshake era for a URI that leads nowhere."""

Request = ServerRequestContext[Any, Any]


@frozen
class Look:
    """Who asked for a list, and which categories exist for them."""

    known: Recognised
    active: Active
    version: str

    @property
    def client(self) -> Client:
        """The client, as its credential shows it."""
        return self.known.client

    def listed(self, name: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
        """The result of a list request, with how long and by whom it may be kept where the era has that."""
        if self.version not in MODERN_PROTOCOL_VERSIONS:
            return {name: entries}
        fixed = self.client.selection is not None
        private = self.client.token is not None or (self.known.auth and not fixed)
        return {
            name: entries,
            "ttlMs": FIXED_TTL_MS if fixed else STORED_TTL_MS,
            "cacheScope": "private" if private else "public",
            "resultType": "complete",
        }


class Offers:
    """Serves the resources and prompts of plugins. Reading one is a call, so that whatever holds for tools holds here."""

    def __init__(
        self,
        kernel: Kernel,
        look: Callable[[Request, str], Awaitable[Look]],
        client: Callable[[Request], Client],
    ) -> None:
        self._kernel = kernel
        self._look = look
        self._client = client

    @property
    def handlers(self) -> dict[str, Any]:
        """For the SDK's server, which declares the capabilities that it has handlers for."""
        registry = self._kernel.registry
        found: dict[str, Any] = {}
        if registry.resources:
            found |= {"on_list_resources": self._list_resources, "on_read_resource": self._read_resource}
        if registry.prompts:
            found |= {"on_list_prompts": self._list_prompts, "on_get_prompt": self._get_prompt}
        return found

    async def _list_resources(self, ctx: Request, params: types.PaginatedRequestParams | None) -> Any:
        look = await self._look(ctx, "resources/list")
        shown = [r for r in self._kernel.registry.resources.values() if _in_mode(r.contract, look)]
        return look.listed("resources", [resource.listed() for resource in shown])

    async def _list_prompts(self, ctx: Request, params: types.PaginatedRequestParams | None) -> Any:
        look = await self._look(ctx, "prompts/list")
        shown = [p for p in self._kernel.registry.prompts.values() if _in_mode(p.contract, look)]
        return look.listed("prompts", [prompt.listed() for prompt in shown])

    async def _read_resource(self, ctx: Request, params: types.ReadResourceRequestParams) -> Any:
        modern = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
        uri = str(params.uri)
        if (found := self._kernel.registry.resources.get(uri)) is None:
            code = types.INVALID_PARAMS if modern else _NO_RESOURCE
            raise MCPError(code, "no such resource; resources/list has those there are", {"uri": uri[:500]})
        given = await self._given(ctx, found.contract, {})
        result: dict[str, Any] = {"contents": [{"uri": found.uri, "mimeType": found.mime_type, **given}]}
        return {**result, "ttlMs": 0, "cacheScope": "private", "resultType": "complete"} if modern else result

    async def _get_prompt(self, ctx: Request, params: types.GetPromptRequestParams) -> Any:
        if (found := self._kernel.registry.prompts.get(params.name)) is None:
            raise MCPError(types.INVALID_PARAMS, "no such prompt; prompts/list has those there are")
        given = await self._given(ctx, found.contract, params.arguments or {})
        message = {"role": "user", "content": {"type": "text", "text": given["text"]}}
        result: dict[str, Any] = {"description": found.contract.tool.description, "messages": [message]}
        return {**result, "resultType": "complete"} if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS else result

    async def _given(self, ctx: Request, contract: Contract, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the call gives. Raises :class:`MCPError` with our error as its data when it is refused."""
        outcome = await self._kernel.run(contract, arguments, self._client(ctx))
        error = outcome.error
        if error is None:
            return {name: outcome.structured[name] for name in ("text", "blob") if name in outcome.structured}
        if ctx.request is not None and isinstance(error, Unauthenticated) and error.challenge:
            ctx.request.scope[REFUSAL] = error
        code = types.INTERNAL_ERROR if isinstance(error, InternalError) else types.INVALID_REQUEST
        raise MCPError(code, str(error), error.as_dict())


def _in_mode(contract: Contract, look: Look) -> bool:
    return contract.tool.category in look.active.categories


async def publish_changes(bus: InMemorySubscriptionBus, changing: NotificationOptions) -> None:
    """Announce on a stream that a mode has changed the lists."""
    await bus.publish(ToolsListChanged())
    if changing.resources_changed:
        await bus.publish(ResourcesListChanged())
    if changing.prompts_changed:
        await bus.publish(PromptsListChanged())


async def send_changes(session: ServerSession, changing: NotificationOptions) -> None:
    """As :func:`publish_changes`, to a session of the handshake era."""
    await session.send_tool_list_changed()
    if changing.resources_changed:
        await session.send_resource_list_changed()
    if changing.prompts_changed:
        await session.send_prompt_list_changed()


def schemas_with_headers(modes: Modes) -> Callable[[str], Mapping[str, Any] | None]:
    """The schemas, by name, of the tools that have arguments repeated as HTTP headers. The others, all but a plugin's, need
    not be looked through at every call."""

    plain: set[str] = set()

    def schema(name: str) -> Mapping[str, Any] | None:
        if name in plain or (listed := modes.input_schema(name)) is None:
            return None
        if X_MCP_HEADER_KEY in json.dumps(listed):
            return listed
        plain.add(name)
        return None

    return schema
