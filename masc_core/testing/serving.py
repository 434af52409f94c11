"""A room under test on HTTP, for clients that are none of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from masc_core.kernel import Kernel
from masc_core.wire.http import HttpOptions, kernel_app, serve_http
from masc_core.wire.mcp import Adapter

__all__ = ["served"]

_BOUND_SECONDS = 20.0


@asynccontextmanager
async def served(kernel: Kernel) -> AsyncIterator[str]:
    """Serve a kernel at a free port of this machine, as ``masc serve --http`` does; gives the base URL."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stopping = asyncio.Event()
    options = HttpOptions(port=0, stop_timeout=1.0)
    async with Adapter(kernel, transport="http") as adapter:
        app = kernel_app(kernel, adapter, options)
        serving = asyncio.create_task(serve_http(app, options, ready=ready.set_result, stopping=stopping))
        serving.add_done_callback(
            lambda _: ready.cancel()
        )  # one that cannot begin is never ready; why, it raises below
        try:
            async with asyncio.timeout(_BOUND_SECONDS):
                url = await ready
            yield url
        finally:
            stopping.set()
            await serving
