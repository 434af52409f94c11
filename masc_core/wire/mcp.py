"""The kernel as an MCP server: one adapter for stdio and HTTP, both protocol eras.

Translates requests into :meth:`Kernel.call` and outcomes into tool results, and tells clients when a stored mode has
changed their tool list.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

import masc_core
from masc_core.call import Outcome, failure
from masc_core.errors import MascError, ToolNotFound
from masc_core.identity import Client, process_binding
from masc_core.kernel import Kernel
from masc_core.modes import Selection
from masc_core.records import EVENTS
from masc_core.store.collections import LogView
from masc_core.store.transaction import Transaction
from masc_core.values import agent_name
from masc_core.wire._delivery import DELIVERED
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
Missing a tool? masc_get_config lists the modes, masc_switch_mode turns categories on."""

FIXED_TTL_MS = 3_600_000
STORED_TTL_MS = 30_000
HEALTH_SECONDS = 2.0
_UNCONNECTED_SECONDS = 1.0

Request = ServerRequestContext[Any, Any]


class Adapter:
    """Serves one kernel to MCP clients. Use it as an async context manager around the transport.

    On stdio ``agent`` and ``selection`` are the process's; on HTTP ``selection`` is the default that a URL overrides.
    """

    def __init__(
        self,
        kernel: Kernel,
        *,
        transport: str,
        agent: str | None = None,
        selection: Selection | None = None,
        deliveries: Deliveries | None = None,
    ) -> None:
        self._kernel = kernel
        self._deliveries = deliveries
        self._selection = selection
        self._process = process_binding()
        self._stdio = self._process_client(agent) if transport == "stdio" else None
        self._sessions: dict[int, tuple[ServerSession, Client]] = {}
        self._bus = InMemorySubscriptionBus()
        self._listen = ListenHandler(self._bus)
        # Streams of clients whose endpoint fixes the mode: acknowledged, and never told of a change.
        self._listen_fixed = ListenHandler(InMemorySubscriptionBus())
        self._interest = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None
        self.server = self._build()

    @property
    def initialization(self) -> InitializationOptions:
        """What the handshake answers."""
        return self.server.create_initialization_options(NotificationOptions(tools_changed=True))

    def _build(self) -> Server[Any]:
        schemas = {
            name: contract.listed(caller_known=False) for name, contract in self._kernel.registry.contracts.items()
        }
        server: Server[Any] = Server(
            "masc",
            version=masc_core.__version__,
            title="MASC",
            instructions=INSTRUCTIONS,
            # Without it the SDK runs tools/list on every call over modern HTTP.
            get_tool_input_schema=schemas.get,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_subscriptions_listen=self._subscribe,
        )
        if not any(name.startswith("OTEL_EXPORTER") or name == "OTEL_TRACES_EXPORTER" for name in os.environ):
            server.middleware.clear()
        create = server.create_initialization_options
        # The HTTP session manager asks the server itself; list changes are announced there too.
        server.create_initialization_options = (  # type: ignore[method-assign]
            lambda options=None, *a, **k: create(options or NotificationOptions(tools_changed=True), *a, **k)
        )
        advertise_every_version(server)
        return server

    async def __aenter__(self) -> Self:
        self._watcher = asyncio.create_task(self._watch_mode())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listen.close()
        self._listen_fixed.close()
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher

    # --- requests

    async def _list_tools(self, ctx: Request, params: types.PaginatedRequestParams | None) -> Any:
        client = self._client(ctx)
        tools = await self._kernel.list_tools(client)
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return {"tools": tools}
        ttl = FIXED_TTL_MS if client.selection is not None else STORED_TTL_MS
        return {"tools": tools, "ttlMs": ttl, "cacheScope": "public", "resultType": "complete"}

    async def _call_tool(self, ctx: Request, params: types.CallToolRequestParams) -> Any:
        try:
            client = self._client(ctx)
            outcome = await self._kernel.call(params.name, params.arguments or {}, client, _progress(ctx))
        except ToolNotFound as error:
            raise MCPError(types.INVALID_PARAMS, str(error)) from None
        except MascError as error:
            outcome = failure(error)
        for callback in outcome.delivered:
            self._after_delivery(ctx, callback)
        return _tool_result(outcome, ctx.protocol_version)

    async def _subscribe(self, ctx: Request, params: types.SubscriptionsListenRequestParams) -> Any:
        fixed = self._client(ctx).selection is not None
        self._interest.set()
        return await (self._listen_fixed if fixed else self._listen)(ctx, params)

    def _after_delivery(self, ctx: Request, callback: Callable[[], Awaitable[None]]) -> None:
        if ctx.request is not None:
            ctx.request.scope.setdefault(DELIVERED, []).append(callback)
        elif self._deliveries is not None and ctx.request_id is not None:
            self._deliveries.add(ctx.request_id, callback)

    # --- who calls

    def _process_client(self, agent: str | None) -> Client:
        bindings = ([f"agent:{agent.lower()}"] if agent else []) + [self._process]
        return Client("stdio", "stdio", agent, tuple(bindings), self._selection, pid=os.getppid())

    def _client(self, ctx: Request) -> Client:
        """The client behind a request. Raises :class:`InvalidAgentName` and :class:`InvalidArgument`."""
        client = self._stdio if ctx.request is None and self._stdio is not None else self._http_client(ctx)
        if client.program is None and (params := ctx.session.client_params) is not None:
            client.program = f"{params.client_info.name} {params.client_info.version}"[:120]
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            self._remember(ctx.session, client)
        return client

    def _http_client(self, ctx: Request) -> Client:
        request: HttpRequest = ctx.request  # type: ignore[assignment]  # every HTTP message carries its request
        query = request.query_params
        agent = query.get("agent") or request.headers.get("x-masc-agent")
        bindings: list[str] = []
        if agent:
            bindings.append(f"agent:{agent_name('agent', agent).lower()}")
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS and (session := request.headers.get("mcp-session-id")):
            bindings.append(f"session:{session}@{self._process.removeprefix('process:')}")
        source = request.client.host if request.client else "http"
        return Client("http", source, agent or None, tuple(bindings), self._query_selection(query) or self._selection)

    def _query_selection(self, query: Mapping[str, str]) -> Selection | None:
        mode, categories = query.get("mode"), [c for c in query.get("categories", "").split(",") if c]
        if mode is None and not categories:
            return None
        return self._kernel.modes.check(mode, categories, "url")

    def check_query(self, query: Mapping[str, str]) -> str | None:
        """The sentence that refuses a URL's parameters, or ``None`` when they can be served."""
        try:
            self._query_selection(query)
            if "agent" in query:
                agent_name("agent", query["agent"])
        except MascError as error:
            return str(error)
        return None

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
        before = kernel.modes.resolve(kernel.modes.stored(await kernel.room_record())).categories
        position: int | None = None
        while not kernel.stopping.is_set():
            if not await kernel.start_room.connect(create=False):
                await kernel.start_room.clock.sleep(_UNCONNECTED_SECONDS)
                continue
            with contextlib.suppress(MascError):  # an unreachable store is the calls' business; here we go on looking
                log = LogView(EVENTS, Transaction(kernel.start_room.driver))
                if position is None:
                    position = (await log.ends())[1]
                fresh = await log.read(position)
                if any(event.type == "mode_switched" for event in fresh):
                    after = kernel.modes.resolve(kernel.modes.stored(await kernel.room_record())).categories
                    if after != before:
                        before = after
                        await self._announce()
                if fresh:
                    position = fresh[-1].seq
                else:
                    await kernel.start_room.wait({EVENTS.name: position}, FIXED_TTL_MS / 1000)

    async def _announce(self) -> None:
        await self._bus.publish(ToolsListChanged())
        for session, client in list(self._sessions.values()):
            if client.selection is None:
                await session.send_tool_list_changed()

    # --- health

    async def health(self) -> tuple[int, dict[str, Any]]:
        """Status and body of GET /health: 503 and degraded when the store does not answer within 2 s."""
        body = {"status": "ok", "version": masc_core.__version__}
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                await self._kernel.room_record()
        except (MascError, TimeoutError):
            return 503, {**body, "status": "degraded"}
        return 200, body


def _tool_result(outcome: Outcome, version: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "content": [{"type": "text", "text": outcome.text}],
        "structuredContent": outcome.structured,
        "isError": outcome.error is not None,
    }
    if version in MODERN_PROTOCOL_VERSIONS:
        result["resultType"] = "complete"
    return result


def _progress(ctx: Request) -> Callable[[float, float | None, str | None], Awaitable[None]] | None:
    if not ctx.meta or ctx.meta.get("progress_token") is None:
        return None

    async def report(elapsed: float, total: float | None, text: str | None) -> None:
        await ctx.session.report_progress(elapsed, total, text)

    return report
