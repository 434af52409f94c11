"""The tools of the demonstration server: one function for each that the conformance suite calls by name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPError

from tests.conformance.demo_inputs import INPUT_TOOLS

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="

Context = ServerRequestContext[Any, Any]
Handler = Callable[[Context, types.CallToolRequestParams], Awaitable[Any]]

bus = InMemorySubscriptionBus()


def text(value: str, *, failed: bool = False) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=value)], is_error=failed)


def _fixed(*content: types.ContentBlock) -> Handler:
    async def answer(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        return types.CallToolResult(content=list(content))

    return answer


def _embedded(uri: str, kind: str, value: str) -> types.EmbeddedResource:
    return types.EmbeddedResource(
        type="resource", resource=types.TextResourceContents(uri=uri, mime_type=kind, text=value)
    )


async def _logging(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.session.send_log_message("info", line, related_request_id=ctx.request_id)
        await asyncio.sleep(0.05)
    return text("Tool with logging executed successfully")


async def _progress(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    for done in (0, 50, 100):
        await ctx.session.report_progress(done, 100, f"Completed step {done} of 100")
        await asyncio.sleep(0.05)
    return text("done")


async def _failing(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    return text("This tool intentionally returns an error for testing", failed=True)


async def _sampling(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    prompt = types.SamplingMessage(
        role="user", content=types.TextContent(type="text", text=str((params.arguments or {}).get("prompt")))
    )
    result = await ctx.session.create_message([prompt], max_tokens=100, related_request_id=ctx.request_id)
    answer = result.content.text if isinstance(result.content, types.TextContent) else "no text"
    return text(f"LLM response: {answer}")


async def _elicit(ctx: Context, message: str, properties: dict[str, Any], required: list[str]) -> types.CallToolResult:
    schema = {"type": "object", "properties": properties, "required": required}
    result = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
    return text(f"Elicitation completed: action={result.action}, content={json.dumps(result.content or {})}")


async def _elicitation(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    message = str((params.arguments or {}).get("message"))
    properties = {"username": {"type": "string"}, "email": {"type": "string"}}
    return await _elicit(ctx, message, properties, ["username", "email"])


async def _defaults(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    properties = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return await _elicit(ctx, "Please review the form", properties, [])


async def _enums(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    titled = [{"const": f"value{n}", "title": f"Option {n}"} for n in (1, 2, 3)]
    plain = ["option1", "option2", "option3"]
    properties = {
        "untitledSingle": {"type": "string", "enum": plain},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {"type": "string", "enum": plain, "enumNames": ["Option One", "Option Two", "Option Three"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }
    return await _elicit(ctx, "Please select options", properties, [])


async def _reconnection(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    if ctx.close_sse_stream is not None:
        await ctx.close_sse_stream()
    await asyncio.sleep(0.1)
    return text("Reconnection test completed")


async def _missing_capability(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    capabilities = ctx.session.client_capabilities
    if capabilities is None or capabilities.sampling is None:
        data: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(-32021, "this tool needs the client capability sampling", data)
    return text("sampling is declared")


async def _tools_changed(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    await bus.publish(ToolsListChanged())
    return text("announced")


async def _prompts_changed(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    await bus.publish(PromptsListChanged())
    return text("announced")


_IMAGE = types.ImageContent(type="image", data=PNG, mime_type="image/png")

TOOLS: dict[str, Handler] = {
    "test_simple_text": _fixed(types.TextContent(type="text", text="This is a simple text response for testing.")),
    "test_image_content": _fixed(_IMAGE),
    "test_audio_content": _fixed(types.AudioContent(type="audio", data=WAV, mime_type="audio/wav")),
    "test_embedded_resource": _fixed(_embedded("test://embedded-resource", "text/plain", "An embedded resource.")),
    "test_multiple_content_types": _fixed(
        types.TextContent(type="text", text="Multiple content types test:"),
        _IMAGE,
        _embedded("test://mixed-content-resource", "application/json", '{"test": "data", "value": 123}'),
    ),
    "test_tool_with_logging": _logging,
    "test_logging_tool": _logging,
    "test_tool_with_progress": _progress,
    "test_error_handling": _failing,
    "test_sampling": _sampling,
    "test_elicitation": _elicitation,
    "test_elicitation_sep1034_defaults": _defaults,
    "test_elicitation_sep1330_enums": _enums,
    "test_reconnection": _reconnection,
    "test_missing_capability": _missing_capability,
    "test_streaming_elicitation": _progress,
    "test_trigger_tool_change": _tools_changed,
    "test_trigger_prompt_change": _prompts_changed,
    "test_custom_headers": _fixed(types.TextContent(type="text", text="the headers agree with the arguments")),
    "json_schema_2020_12_tool": _fixed(types.TextContent(type="text", text="the schema is kept")),
    **INPUT_TOOLS,
}

SCHEMAS: dict[str, dict[str, Any]] = {
    "test_sampling": {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]},
    "test_elicitation": {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]},
    "test_custom_headers": {
        "type": "object",
        "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
        "required": ["region"],
    },
    "json_schema_2020_12_tool": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            }
        },
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
}
