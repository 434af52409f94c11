"""The HTTP routes of plugins, below ``/x/<category>``, so that they shadow neither each other nor MASC's own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.routing import Route as StarletteRoute
from starlette.types import Receive, Scope, Send

from masc_core.call import Outcome
from masc_core.errors import MascError
from masc_core.faults import told
from masc_core.frozen import frozen
from masc_core.identity import Client
from masc_core.interruption import stopped
from masc_core.kernel import Kernel
from masc_core.offers import Route
from masc_core.recognition import recognise
from masc_core.wire._app import Admit
from masc_core.wire._limits import Disconnected
from masc_core.wire._replies import challenge, send_error

__all__ = ["PREFIX", "plugin_routes"]

PREFIX = "/x"


@frozen
class _Visit:
    """A :class:`masc_core.offers.Visit` of one request."""

    agent: str | None
    _kernel: Kernel
    _client: Client

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> Outcome:
        outcome = await self._kernel.call(tool, arguments, self._client)
        for delivered in outcome.delivered:
            await delivered()
        return outcome


class _Endpoint:
    """One route, behind the check of the token that MCP requests pass."""

    def __init__(self, route: Route, kernel: Kernel, admit: Admit, visitor: Callable[[Request], Client]) -> None:
        self._route = route
        self._kernel = kernel
        self._admit = admit
        self._visitor = visitor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            self._kernel.registry.ensure_guarded()
            client = self._visitor(request)
            if (refusal := await self._admit(request)) is not None:
                return await send_error(send, refusal, challenge(refusal))
            known = (await recognise(self._kernel, client, alone=False)).client
            visit = _Visit(known.authenticated or known.agent, self._kernel, client)
            with self._noting():
                answer = await self._route.endpoint(request, visit)
                if not isinstance(answer, Response):
                    raise TypeError(f"it must give a Response, not {type(answer).__name__}")
        except MascError as error:
            return await send_error(send, error, challenge(error))
        with self._noting():
            await answer(scope, receive, send)

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        """Whatever goes wrong is the plugin's, and ends this request alone."""
        task = asyncio.current_task()
        try:
            yield
        except (MascError, ClientDisconnect, Disconnected):
            raise
        except BaseException as error:
            faults = self._kernel.registry.faults
            if stopped(error, task) or faults is None:
                raise
            faults.note(self._route.category, f"route {self._route.path} failed: {told(error)}")
            if isinstance(error, Exception):
                raise
            # It would end more than the request.
            raise RuntimeError(f"route {self._route.path} raised {told(error)}") from error


def plugin_routes(
    kernel: Kernel, routes: Iterable[Route], admit: Admit, visitor: Callable[[Request], Client]
) -> list[BaseRoute]:
    """The routes of plugins for :func:`masc_core.wire.http.build_app`."""
    return [
        StarletteRoute(
            f"{PREFIX}/{route.category}{route.path}",
            _Endpoint(route, kernel, admit, visitor),
            methods=list(route.methods),
        )
        for route in routes
    ]
