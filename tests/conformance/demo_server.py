"""A demonstration server for the public MCP conformance suite, mounted in the HTTP application MASC ships.

The suite calls tools, resources and prompts of its own invention. They are of no use to anybody else, so they live
here; what is under test is everything around them. Run ``python -m tests.conformance.demo_server`` to serve it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from itertools import count
from typing import Any

import mcp_types as types
from mcp.server.caching import CacheHint
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.server.subscriptions import ListenHandler
from mcp.shared.exceptions import MCPError

from masc_core.wire.http import HttpOptions, McpApp, build_app, serve_http
from masc_core.wire.versions import advertise_every_version
from tests.conformance.demo_inputs import Context, input_prompt
from tests.conformance.demo_tools import PNG, SCHEMAS, TOOLS, bus

_TEMPLATE = re.compile(r"test://template/([^/]+)/data")
_ANY_OBJECT: dict[str, Any] = {"type": "object", "properties": {}}
_HINTED = ("tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read")


def schema_of(name: str) -> dict[str, Any] | None:
    """The input schema of a tool."""
    return SCHEMAS.get(name, _ANY_OBJECT) if name in TOOLS else None


async def list_tools(ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    """Every tool, in declaration order."""
    entries = [
        types.Tool(name=name, description=f"Conformance: {name}", input_schema=SCHEMAS.get(name, _ANY_OBJECT))
        for name in TOOLS
    ]
    return types.ListToolsResult(tools=entries)


async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> Any:
    """Run a tool."""
    if (tool := TOOLS.get(params.name)) is None:
        raise MCPError(types.INVALID_PARAMS, f"unknown tool {params.name}")
    return await tool(ctx, params)


async def list_resources(ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
    """The three fixed resources."""
    kinds = {"static-text": "text/plain", "static-binary": "image/png", "watched-resource": "text/plain"}
    entries = [types.Resource(name=name, uri=f"test://{name}", mime_type=kind) for name, kind in kinds.items()]
    return types.ListResourcesResult(resources=entries)


async def list_templates(
    ctx: Context, params: types.PaginatedRequestParams | None
) -> types.ListResourceTemplatesResult:
    """The one template."""
    entry = types.ResourceTemplate(
        name="template", uri_template="test://template/{id}/data", mime_type="application/json"
    )
    return types.ListResourceTemplatesResult(resource_templates=[entry])


async def read_resource(ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
    """The contents of a resource."""
    uri = str(params.uri)
    if uri == "test://static-binary":
        blob = types.BlobResourceContents(uri=uri, mime_type="image/png", blob=PNG)
        return types.ReadResourceResult(contents=[blob])
    if found := _TEMPLATE.fullmatch(uri):
        kind = "application/json"
        value = json.dumps({"id": found[1], "templateTest": True, "data": f"Data for ID: {found[1]}"})
    elif uri in ("test://static-text", "test://watched-resource"):
        kind, value = "text/plain", f"This is the content of {uri}."
    else:
        raise MCPError(types.INVALID_PARAMS, "Resource not found", {"uri": uri})
    return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, mime_type=kind, text=value)])


async def list_prompts(ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
    """Every prompt."""

    def entry(name: str, *arguments: str) -> types.Prompt:
        return types.Prompt(
            name=name,
            description=f"Conformance: {name}",
            arguments=[types.PromptArgument(name=argument, required=True) for argument in arguments],
        )

    prompts = [
        entry("test_simple_prompt"),
        entry("test_prompt_with_arguments", "arg1", "arg2"),
        entry("test_prompt_with_embedded_resource", "resourceUri"),
        entry("test_prompt_with_image"),
        entry("test_input_required_result_prompt"),
    ]
    return types.ListPromptsResult(prompts=prompts)


async def get_prompt(ctx: Context, params: types.GetPromptRequestParams) -> Any:
    """A prompt with its arguments filled in."""
    given = params.arguments or {}
    if params.name == "test_input_required_result_prompt":
        return await input_prompt(ctx, params)
    contents: dict[str, list[Any]] = {
        "test_simple_prompt": [_text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments": [
            _text(f"Prompt with arguments: arg1='{given.get('arg1')}', arg2='{given.get('arg2')}'")
        ],
        "test_prompt_with_embedded_resource": [
            types.EmbeddedResource(
                type="resource",
                resource=types.TextResourceContents(
                    uri=given.get("resourceUri", "test://none"), mime_type="text/plain", text="Embedded."
                ),
            ),
            _text("Please process the embedded resource above."),
        ],
        "test_prompt_with_image": [
            types.ImageContent(type="image", data=PNG, mime_type="image/png"),
            _text("Please analyze the image above."),
        ],
    }
    if params.name not in contents:
        raise MCPError(types.INVALID_PARAMS, f"unknown prompt {params.name}")
    messages = [types.PromptMessage(role="user", content=content) for content in contents[params.name]]
    return types.GetPromptResult(messages=messages)


async def complete(ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
    """Suggestions for a prompt's argument."""
    return types.CompleteResult(completion=types.Completion(values=["paris", "park"], total=2, has_more=False))


async def nothing(ctx: Context, params: Any) -> types.EmptyResult:
    """Accept a request that needs no answer."""
    return types.EmptyResult()


def _text(value: str) -> types.TextContent:
    return types.TextContent(type="text", text=value)


class Events(EventStore):
    """The last thousand events, for clients that resume a stream."""

    def __init__(self) -> None:
        self._events: dict[str, tuple[str, types.JSONRPCMessage | None]] = {}
        self._ids = count(1)

    async def store_event(self, stream_id: str, message: types.JSONRPCMessage | None) -> str:
        """See EventStore."""
        event_id = str(next(self._ids))
        self._events[event_id] = (stream_id, message)
        if len(self._events) > 1000:
            del self._events[next(iter(self._events))]
        return event_id

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        """See EventStore."""
        if last_event_id not in self._events:
            return None
        stream = self._events[last_event_id][0]
        for event_id, (own, message) in list(self._events.items()):
            if own == stream and int(event_id) > int(last_event_id) and message is not None:
                await send_callback(EventMessage(message, event_id))
        return stream


def build_server() -> Server[Any]:
    """The demonstration server."""
    server: Server[Any] = Server(
        "conformance-demo",
        version="1.0.0",
        instructions="Demonstration tools for the conformance suite.",
        cache_hints={method: CacheHint(ttl_ms=60_000, scope="public") for method in _HINTED},  # type: ignore[misc]
        get_tool_input_schema=schema_of,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_subscribe_resource=nothing,
        on_unsubscribe_resource=nothing,
        on_subscriptions_listen=ListenHandler(bus),
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
    )
    server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, nothing)
    advertise_every_version(server)
    return server


def build(options: HttpOptions) -> McpApp:
    """The demonstration server in the application MASC ships."""

    async def health() -> tuple[int, dict[str, Any]]:
        return 200, {"status": "ok", "version": "demo"}

    return build_app(build_server(), options, health=health, events=Events(), retry_interval=100)


async def main(port: int) -> None:
    """Serve on ``port`` and print the address."""
    options = HttpOptions(port=port, stop_timeout=2)
    await serve_http(build(options), options, ready=lambda url: print(url, flush=True), stopping=asyncio.Event())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(main(parser.parse_args().port))
