"""What a plugin adds besides tools, hooks and commands: modes, resources, prompts, HTTP routes.

::

    @resource("standup://today", mime_type="text/markdown")
    async def standup_today(ctx: Context) -> str:
        \"\"\"What everybody said today.\"\"\"

    @prompt()
    async def standup_plan(ctx: Context, focus: str) -> str:
        \"\"\"Plan the day from what was said.\"\"\"

A resource and a prompt are read by a call like any reading tool's: the same caller, guards and mode.
"""

from __future__ import annotations

import base64
import functools
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from masc_core.contracts import Contract, contract_of
from masc_core.errors import StartError
from masc_core.frozen import evolve, frozen
from masc_core.tools import READ, READER, CallerUse, declaration, tool

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from masc_core.call import Outcome

__all__ = ["METHODS", "Endpoint", "Offered", "Prompt", "Resource", "Route", "Visit", "prompt", "resource"]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
"""What a route may answer."""
_OFFER = "__masc_offer__"
_URI = re.compile(r"[a-z][a-z0-9+.-]*:[\x21-\x7e]+\Z")
_PATH = re.compile(r"/[\x21-\x7e]*\Z")
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


@frozen
class Given:
    """What a resource or a prompt came to; bytes as base64."""

    text: str | None = None
    blob: str | None = None


@frozen
class Resource:
    """Something to be read under a URI."""

    uri: str
    mime_type: str
    contract: Contract

    def listed(self) -> dict[str, Any]:
        """Its entry in resources/list."""
        shown = self.contract.tool
        return {"uri": self.uri, "name": shown.name, "description": shown.description, "mimeType": self.mime_type}


@frozen
class Prompt:
    """A message for the user to send, made from arguments."""

    contract: Contract

    def listed(self) -> dict[str, Any]:
        """Its entry in prompts/list."""
        tool, schema = self.contract.tool, self.contract.input
        required = schema.get("required", ())
        arguments = [{"name": name, "required": name in required} for name in schema["properties"]]
        return {"name": tool.name, "description": tool.description, "arguments": arguments}


class Visit(Protocol):
    """Who asks for a route, and what may be done for them."""

    @property
    def agent(self) -> str | None:
        """The agent of the token that came with the request, else the one its ``?agent=`` names, if any."""

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> Outcome:
        """Call a tool on the visitor's behalf, in whatever mode; guards see it as any call. Raises :class:`ToolNotFound`;
        a refusal is in the outcome."""


Endpoint = Callable[["Request", Visit], Awaitable["Response"]]


@frozen
class Route:
    """An HTTP route of a category; ``path`` is below ``/x/<category>``."""

    category: str
    path: str
    endpoint: Endpoint
    methods: tuple[str, ...]


@frozen
class Offered:
    """What was declared with ``@resource`` or ``@prompt``; ``uri`` is empty for a prompt."""

    uri: str = ""
    mime_type: str = ""


def resource(uri: str, *, mime_type: str = "text/plain") -> Callable[[F], F]:
    """Declare ``async def name(ctx) -> str`` (or ``bytes``) a resource; registering it is the hook ``masc_resources``.

    The function's name is the resource's, its docstring the description.
    """
    return _declare(Offered(uri, mime_type))


def prompt() -> Callable[[F], F]:
    """Declare ``async def name(ctx, …) -> str`` a prompt; registering it is the hook ``masc_prompts``.

    What it gives is sent as the user's message. Its parameters are text, annotated as those of tools; MCP knows no others.
    """
    return _declare(Offered())


def _declare(offered: Offered) -> Callable[[F], F]:
    def declare(function: F) -> F:
        setattr(function, _OFFER, offered)
        return function

    return declare


def as_resource(function: Callable[..., Any], plugin: str) -> Resource:
    """The resource that ``plugin`` registers. Raises :class:`StartError` for what is none."""
    offered = getattr(function, _OFFER, None)
    if not isinstance(offered, Offered) or not offered.uri:
        raise StartError(message=f"plugin {plugin}: {_name(function)} is no resource; decorate it with @resource(…)")
    if not _URI.match(offered.uri):
        raise StartError(message=f"plugin {plugin}: {offered.uri!r} is no URI for a resource; use scheme:…")
    if not isinstance(offered.mime_type, str):
        raise TypeError(f"the mime_type of {offered.uri} must be text, not {offered.mime_type!r}")
    contract = _contract(function, plugin, (str, bytes))
    if contract.input["properties"]:
        raise StartError(message=f"plugin {plugin}: resource {contract.tool.name} takes no argument but ctx")
    return Resource(offered.uri, offered.mime_type, contract)


def as_prompt(function: Callable[..., Any], plugin: str) -> Prompt:
    """The prompt that ``plugin`` registers. Raises :class:`StartError` for what is none."""
    offered = getattr(function, _OFFER, None)
    if not isinstance(offered, Offered) or offered.uri:
        raise StartError(message=f"plugin {plugin}: {_name(function)} is no prompt; decorate it with @prompt()")
    made = Prompt(_contract(function, plugin, (str,)))
    for name, schema in made.contract.input["properties"].items():
        if schema.get("type") != "string":
            raise StartError(message=f"plugin {plugin}: argument {name} of prompt {_name(function)} must be text (str)")
    return made


def as_route(category: str, path: str, endpoint: Endpoint, methods: Sequence[str]) -> Route:
    """The route that a plugin registers. Raises :class:`StartError` for what is none, ``ValueError`` for a path that no
    request can match."""
    from starlette.routing import compile_path

    if not isinstance(path, str) or not _PATH.match(path):
        raise StartError(message=f"plugin {category}: route {path!r} must begin with / and hold visible ASCII")
    if not inspect.iscoroutinefunction(endpoint):
        raise StartError(message=f"plugin {category}: the endpoint of route {path} must be an async function")
    if unknown := [m for m in methods if m not in METHODS]:
        raise StartError(
            message=f"plugin {category}: route {path} knows no method {unknown[0]!r}; use one of {METHODS}"
        )
    try:
        compile_path(path)
    except (AssertionError, ValueError) as error:
        raise ValueError(f"route {path!r} cannot be matched: {error}") from error
    return Route(category, path, endpoint, tuple(methods))


def _contract(function: Callable[..., Any], plugin: str, kinds: tuple[type, ...]) -> Contract:
    """The contract of the reading tool that stands for a resource or prompt and is offered to nobody as a tool."""
    if not inspect.iscoroutinefunction(function):
        raise StartError(message=f"plugin {plugin}: {_name(function)} must be an async function")

    @functools.wraps(function)
    async def give(*given: Any, **arguments: Any) -> Given:
        found = await function(*given, **arguments)
        if not isinstance(found, kinds):
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise TypeError(f"{_name(function)} of plugin {plugin} must give {wanted}, not {type(found).__name__}")
        if isinstance(found, bytes):
            return Given(blob=base64.b64encode(found).decode())
        return Given(text=str(found))

    give.__annotations__ = {**function.__annotations__, "return": Given}
    declared = declaration(tool(effect=READ, role=READER, caller=CallerUse.NONE)(give), plugin)
    return contract_of(evolve(declared, category=plugin, plugin=plugin))


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", repr(function))
