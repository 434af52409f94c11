"""The echo server over HTTP in a process of its own, for tests of signals."""

from __future__ import annotations

import asyncio
import sys

from wire_support import Echo

from masc_core.wire.http import HttpOptions, build_app, serve_http


async def main() -> None:
    echo = Echo()
    stopping = asyncio.Event()

    async def health() -> tuple[int, dict[str, str]]:
        return 200, {"status": "ok"}

    async def release() -> None:
        await stopping.wait()
        if "release" in sys.argv:
            echo.release.set()

    task = asyncio.create_task(release())
    options = HttpOptions(port=0, stop_timeout=1.0)
    app = build_app(echo.server, options, health=health)
    await serve_http(app, options, ready=lambda url: print(url, flush=True), stopping=stopping)
    task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
