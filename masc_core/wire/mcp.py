"""The kernel as an MCP server: one adapter for stdio and HTTP, both protocol eras.

Translates requests into :meth:`Kernel.call` and outcomes into tool results, and tells clients when a stored mode has
changed their tool list.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

import mcp_types as types
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

import masc_core
from masc_core.call import failure
from masc_core.credentials import ProcessToken
from masc_core.errors import InvalidArgument, MascError, RecordUnreadable, ToolNotFound, Unauthenticated, Unauthorized
from masc_core.frozen import evolve
from masc_core.identity import Client, process_binding
from masc_core.kernel import Kernel
from masc_core.modes import Selection
from masc_core.recognition import note_stranger, recognise
from masc_core.records import EVENTS
from masc_core.store.collections import LogView
from masc_core.store.transaction import Transaction
from masc_core.values import agent_name
from masc_core.wire._delivery import DELIVERED, REFUSAL, unbreakable
from masc_core.wire._dialog import dialog_of, input_required_result
from masc_core.wire._health import HealthPage
from masc_core.wire._offers import FIXED_TTL_MS, Look, Offers, publish_changes, schemas_with_headers, send_changes
from masc_core.wire._results import progress_of, tool_result
from masc_core.wire._server import McpServer
from masc_core.wire._source import Network, bearer, is_loopback, source_of
from masc_core.wire.stdio import Deliveries
from masc_core.wire.versions import advertise_every_version

if TYPE_CHECKING:
    from starlette.requests import Request as HttpRequest

__all__ = ["INSTRUCTIONS", "Adapter"]

INSTRUCTIONS = """\
MASC is the shared room of all coding agents on this project: a task board, messages, file locks and git worktrees.
Begin: masc_start with task_title for work you bring, or masc_join and then masc_claim_next for work that waits.
Before you edit: claim the task (a claim is exclusive), make a worktree with masc_worktree_create, or masc_lock shared files.
While you work: read masc_messages or wait in masc_listen; tell others with masc_broadcast, @name reaches one of them.
When done: masc_done, then masc_claim_next. When you stop for good: masc_leave.
masc_status shows who does what. If a call fails, its error has a stable code and the next step.
Missing a tool? masc_get_config lists the modes, masc_switch_mode turns categories on. If masc_find_tools is all you see, find
every tool named here with it, and have it called by masc_call_read or masc_call_write."""

AGENT_HEADER = "X-MASC-Agent"
_UNCONNECTED_SECONDS = 1.0
_FREE = frozenset({"initialize", "server/discover", "ping"})
"""Requests that need no token even where one is required."""
_LOOKING = frozenset({"tools/call", "tools/list", "resources/list", "resources/read", "prompts/list", "prompts/get"})
"""Requests whose handlers look at the credential with what they read anyway."""

Request = ServerRequestContext[Any, Any]


class Adapter:
    """Serves one kernel to MCP clients. Use it as an async context manager around the transport.

    On stdio ``agent``, ``selection``, ``token`` and ``room_secret`` are the process's; on HTTP ``selection`` is the default
    that a URL overrides, ``exposed`` the address where other machines reach the server, if they do, and
    ``trusted_proxies`` are those whose ``X-Forwarded-For`` counts.
    """

    def __init__(
        self,
        kernel: Kernel,
        *,
        transport: str,
        agent: str | None = None,
        selection: Selection | None = None,
        deliveries: Deliveries | None = None,
        token: ProcessToken | None = None,
        room_secret: str | None = None,
        exposed: str | None = None,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self._kernel = kernel
        self.deliveries = deliveries
        self._selection = selection
        self._process = process_binding()
        self._token = token or ProcessToken()
        self._exposed = exposed
        self._proxies = tuple(trusted_proxies)
        self._stdio = self._process_client(agent, room_secret) if transport == "stdio" else None
        self._endpoint = lru_cache(maxsize=256)(self._read_endpoint)
        self._sessions: dict[int, tuple[ServerSession, Client]] = {}
        # Streams by the agent whose token they came with; empty for those without.
        self._streams: dict[str, tuple[InMemorySubscriptionBus, ListenHandler]] = {}
        # What was listed last for each of them.
        self._shown: dict[str, tuple[str, ...]] = {}
        # Streams of clients whose endpoint fixes the mode: acknowledged, and never told of a change.
        self._listen_fixed = ListenHandler(InMemorySubscriptionBus())
        self._interest = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None
        registry = kernel.registry
        self._changing = NotificationOptions(bool(registry.prompts), bool(registry.resources), tools_changed=True)
        self.server = self._build()
        self.health = HealthPage(kernel).read
        """Status and body of ``GET /health``."""

    @property
    def initialization(self) -> InitializationOptions:
        """What the handshake answers."""
        return self.server.create_initialization_options()

    def _build(self) -> Server[Any]:
        server = McpServer(
            "masc",
            self._changing,
            # What tools of others return has been checked by nobody.
            in_shape=self._kernel.registry.faults is None,
            version=masc_core.__version__,
            title="MASC",
            instructions=INSTRUCTIONS,
            # Without it the SDK runs tools/list on every call over modern HTTP.
            get_tool_input_schema=schemas_with_headers(self._kernel.modes),
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_subscriptions_listen=self._subscribe,
            **Offers(self._kernel, self._look, self._client).handlers,
        )
        if self._stdio is None:
            server.middleware.append(self._admitting)
        server.middleware.append(server.answer_calls)
        advertise_every_version(server)
        return server

    async def __aenter__(self) -> Self:
        self._watcher = asyncio.create_task(self._watch_mode())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, listen in self._streams.values():
            listen.close()
        self._listen_fixed.close()
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher

    # --- requests

    async def _admitting(self, ctx: Request, call_next: CallNext) -> HandlerResult:
        """Let HTTP refuse a request for its credential before it is handled; calls and lists look for themselves."""
        if ctx.request_id is not None and ctx.method not in _LOOKING and ctx.request is not None:
            free = ctx.method in _FREE
            client = self._http_client(ctx.request, ctx.protocol_version)
            if (refusal := await self._refusal(client, ctx.method, free)) is not None:
                ctx.request.scope[REFUSAL] = refusal
                raise MCPError(types.INVALID_REQUEST, str(refusal))
        return await call_next(ctx)

    async def admit(self, request: HttpRequest) -> MascError | None:
        """What an HTTP request without a message is refused with for want of a credential."""
        return await self._refusal(self._http_client(request, ""), request.method, free=False)

    async def _refusal(self, client: Client, asked: str, free: bool) -> MascError | None:
        """What is wrong with a client's credential; ``free`` requests need none."""
        try:
            known = await recognise(self._kernel, client)
        except MascError as error:
            return error
        await note_stranger(self._kernel, client, asked, known.refused)
        if known.refused is None and client.token is None and not free and (known.required or self._exposed):
            return Unauthorized(reason="missing_token", challenge=True)
        return known.refused

    async def _list_tools(self, ctx: Request, params: types.PaginatedRequestParams | None) -> Any:
        look = await self._look(ctx, "tools/list")
        if look.client.selection is None:
            self._shown[_whose(look.client)] = look.active.categories
        return look.listed("tools", self._kernel.modes.listing(look.active.categories, look.client.caller_known))

    async def _look(self, ctx: Request, asked: str) -> Look:
        """Who asks for a list, and which categories exist for them."""
        reading = await self._kernel.reading()
        known = await recognise(self._kernel, self._client(ctx), reading)
        await note_stranger(self._kernel, known.client, asked, known.refused)
        if ctx.request is not None and known.refused is not None:
            ctx.request.scope[REFUSAL] = known.refused
        return Look(known, await self._kernel.active(known.client, reading), ctx.protocol_version)

    async def _call_tool(self, ctx: Request, params: types.CallToolRequestParams) -> Any:
        try:
            client = self._client(ctx)
            asking = dialog_of(ctx, params)
            outcome = await self._kernel.call(params.name, params.arguments or {}, client, progress_of(ctx), asking)
        except ToolNotFound as error:
            raise MCPError(types.INVALID_PARAMS, str(error)) from None
        except MascError as error:
            outcome = failure(error)
        if ctx.request is not None and isinstance(outcome.error, Unauthenticated) and outcome.error.challenge:
            ctx.request.scope[REFUSAL] = outcome.error
        if outcome.input_required is not None:
            return input_required_result(outcome.input_required)
        for callback in outcome.delivered:
            self._after_delivery(ctx, unbreakable(callback))
        return tool_result(outcome, ctx.protocol_version)

    async def _subscribe(self, ctx: Request, params: types.SubscriptionsListenRequestParams) -> Any:
        client = (await recognise(self._kernel, self._client(ctx))).client
        self._interest.set()
        if client.selection is not None:
            return await self._listen_fixed(ctx, params)
        bus = InMemorySubscriptionBus()
        _, listen = self._streams.setdefault(_whose(client), (bus, ListenHandler(bus)))
        return await listen(ctx, params)

    def _after_delivery(self, ctx: Request, callback: Callable[[], Awaitable[None]]) -> None:
        if ctx.request is not None:
            ctx.request.scope.setdefault(DELIVERED, []).append(callback)
        elif self.deliveries is not None and ctx.request_id is not None:
            self.deliveries.add(ctx.request_id, callback)

    # --- who calls

    def _process_client(self, agent: str | None, room_secret: str | None) -> Client:
        bindings = ([f"agent:{agent.lower()}"] if agent else []) + [self._process]
        facts: dict[str, Any] = {"pid": os.getppid(), "room_secret": room_secret, "adopt": self._token.adopt}
        return Client("stdio", "stdio", agent, tuple(bindings), self._selection, **facts)

    def _client(self, ctx: Request) -> Client:
        """The client behind a request. Raises :class:`InvalidAgentName` and :class:`InvalidArgument`."""
        if ctx.request is None and self._stdio is not None:
            client = self._stdio
            client.token = self._token.current()
        else:
            assert ctx.request is not None  # every HTTP message carries its request
            client = self._http_client(ctx.request, ctx.protocol_version)
        if client.program is None and (params := ctx.session.client_params) is not None:
            client.program = f"{params.client_info.name} {params.client_info.version}"[:120]
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            self._remember(ctx.session, client)
        return client

    def visitor(self, request: HttpRequest) -> Client:
        """The client behind a request for a plugin's route, whom no mode keeps from a tool.

        Raises :class:`InvalidAgentName` and :class:`InvalidArgument`.
        """
        client = self._http_client(request, MODERN_PROTOCOL_VERSIONS[-1])
        return evolve(client, selection=self._kernel.modes.check("full", (), "url"))

    def _http_client(self, request: HttpRequest, version: str) -> Client:
        scope, headers = request.scope, request.headers
        agent, selection = self._endpoint(scope["query_string"])
        agent = agent or headers.get(AGENT_HEADER)
        bindings: tuple[str, ...] = (f"agent:{agent_name('agent', agent).lower()}",) if agent else ()
        if version not in MODERN_PROTOCOL_VERSIONS and (session := headers.get("mcp-session-id")):
            bindings += (f"session:{session}@{self._process.removeprefix('process:')}",)
        peer = scope.get("client")
        source = source_of(peer[0] if peer else "http", headers, self._proxies)
        return Client(
            "http",
            source,
            agent or None,
            bindings,
            selection or self._selection,
            token=bearer(headers),
            remote=not is_loopback(source),
            exposed=self._exposed,
        )

    def _read_endpoint(self, query: bytes) -> tuple[str | None, Selection | None]:
        """The agent and the mode that a URL names."""
        params = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
        return params.get("agent"), self._query_selection(params)

    def _query_selection(self, query: Mapping[str, str]) -> Selection | None:
        mode, categories = query.get("mode"), [c for c in query.get("categories", "").split(",") if c]
        max_tokens = query.get("max_tokens")
        if mode is None and not categories and max_tokens is None:
            return None
        return self._kernel.modes.check(mode, categories, "url", None if max_tokens is None else _whole(max_tokens))

    def check_endpoint(self, query: Mapping[str, str], agent: str | None = None) -> None:
        """Refuse a URL's parameters and an ``X-MASC-Agent`` header that cannot be served.

        Raises :class:`InvalidArgument` and :class:`InvalidAgentName`.
        """
        self._query_selection(query)
        if "agent" in query:
            agent_name("agent", query["agent"])
        if agent is not None:
            agent_name(AGENT_HEADER, agent)

    # --- list changes

    def _remember(self, session: ServerSession, client: Client) -> None:
        """Keep a handshake-era session for list changes until its connection closes."""
        connection = session._connection
        key = id(connection)
        if key in self._sessions:
            return
        self._sessions[key] = (session, client)
        self._interest.set()
        closing = [b for b in client.bindings if b.startswith("session:")]
        self._kernel.bindings.sessions.update(closing)

        def forget() -> None:
            self._sessions.pop(key, None)
            for binding in closing:
                self._kernel.bindings.close_session(binding)

        connection.exit_stack.callback(forget)

    async def _watch_mode(self) -> None:
        """Follow the start room's events and announce a stored mode that changes a client's list."""
        await self._interest.wait()
        kernel = self._kernel
        started = False
        position: int | None = None
        while not kernel.stopping.is_set():
            try:
                if not started:
                    self._shown.setdefault("", await self._stored_categories())
                    started = True
                if not await kernel.start_room.connect(create=False):
                    await kernel.start_room.clock.sleep(_UNCONNECTED_SECONDS)
                    continue
                log = LogView(EVENTS, Transaction(kernel.start_room.driver))
                if position is None:
                    position = (await log.ends())[1]
                fresh = await log.read(position)
                if any(event.type == "mode_switched" for event in fresh):
                    await self._announce()
                if fresh:
                    position = fresh[-1].seq
                else:
                    await kernel.start_room.wait({EVENTS.name: position}, FIXED_TTL_MS / 1000)
            except MascError as error:
                # An unreachable store or a record that cannot be opened is the calls' business; here we go on looking,
                # past what cannot be read, and never without a pause: reading may not give way to anybody.
                position = None if isinstance(error, RecordUnreadable) else position
                await kernel.start_room.clock.sleep(_UNCONNECTED_SECONDS)

    async def _stored_categories(self) -> tuple[str, ...]:
        """What the room's stored mode shows."""
        kernel = self._kernel
        return kernel.modes.resolve(kernel.modes.stored(await kernel.room_record())).categories

    async def _announce(self) -> None:
        """Tell everybody whose list has changed, and nobody else."""
        before, self._shown = self._shown, {}
        changed: dict[str, bool] = {}
        sessions = [(session, client) for session, client in self._sessions.values() if client.selection is None]
        # Not their attempt: an old token of a session that only listens must not count as a failed one.
        known = [(s, (await recognise(self._kernel, client, alone=False)).client) for s, client in sessions]
        for client in [Client("http", "", authenticated=name or None) for name in {"", *self._streams}] + [
            client for _, client in known
        ]:
            whose = _whose(client)
            if whose not in changed:
                self._shown[whose] = (await self._kernel.active(client)).categories
                changed[whose] = self._shown[whose] != before.get(whose, before.get(""))
        for whose, (bus, _) in list(self._streams.items()):
            if changed[whose]:
                await publish_changes(bus, self._changing)
        for session, client in known:
            if changed[_whose(client)]:
                await send_changes(session, self._changing)


def _whole(text: str) -> int:
    """A number of a URL. Raises :class:`InvalidArgument` for what is none."""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidArgument(field="max_tokens", reason="type", expected="must be a whole number")
    return int(text)


def _whose(client: Client) -> str:
    """Whose tool list a client gets: an authenticated agent's, or, empty, everybody's."""
    return (client.authenticated or "").lower()
