"""uvicorn's protocol on httptools, within the bounds of :mod:`masc_core.wire._protocol`."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from masc_core.wire._limits import declared
from masc_core.wire._protocol import CONNECTION, MCP_PATH, Patience

if TYPE_CHECKING:
    from uvicorn._types import HTTPScope
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["HttpTools"]

_MAX_URL: Final = 8192

_STOPPING: Final = b"503 Service Unavailable"
"""For a request whose body has not come: nothing has been done for it, so it can be sent to whoever serves next."""

_keep_header = HttpToolsProtocol.on_header


class HttpTools(Patience, HttpToolsProtocol):
    """One connection."""

    _complete: bool = True
    _size: int = 0
    _unfinished: int = 0
    _stopping: bool = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.begun()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.heard(len(data))
        self._unfinished = 0 if self._complete else self._unfinished + len(data)
        if self._unfinished > self.limits.message:
            self.drop(b"413 Content Too Large")

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[CONNECTION] = self  # type: ignore[typeddict-unknown-key]
        self._complete = self.overdue = False
        self._size = self._unfinished = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > _MAX_URL:
            raise ValueError("the URL is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        # Those of a request that waits behind another, and those after a body, are counted here alone.
        self._size += len(name) + len(value)
        options = self.limits.options
        if self._size > options.max_headers or len(self.headers) >= options.max_header_count:
            raise ValueError("the headers are too long")
        # The parser leaves the optional white space after a value (RFC 9110, 5.5) to us.
        _keep_header(self, name, value.strip(b" \t"))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        begin = partial(super()._start_asgi_task, cycle, app)
        if not (cycle.more_body and not cycle.waiting_for_100_continue and self._worth_holding(cycle.scope)):
            begin()
        elif self._stopping:
            self.drop(_STOPPING)
        else:
            self.hold(begin)

    def _worth_holding(self, scope: HTTPScope) -> bool:
        # A message for MCP, with a small body; all others may be answered, or refused, without.
        message = scope["path"] == MCP_PATH and scope["method"] == "POST"
        return message and 0 < declared(scope["headers"]) <= self.limits.small_body

    def on_message_complete(self) -> None:
        self._complete = True
        super().on_message_complete()
        self.release()

    def shutdown(self) -> None:
        self._stopping = True
        if self._held is not None:
            self.drop(_STOPPING)
        else:
            super().shutdown()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.discarding():
            self.linger()

    def discarding(self) -> bool:
        # Once the next request begins, the incomplete one is another than the answered one.
        answered = self.cycle is not None and self.cycle.response_complete
        return answered and not self._complete and self.cycle.scope is self.scope
