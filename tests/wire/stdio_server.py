"""The echo server over standard input and output, for tests that need a process; prints on purpose."""

from __future__ import annotations

import asyncio
import os
import sys

from wire_support import Echo

from masc_core.wire.stdio import Deliveries, serve_stdio


async def main(trick: str) -> None:
    echo = Echo()
    echo.deliveries = Deliveries()
    if trick == "stubborn":
        echo._wait = _stubborn  # type: ignore[method-assign]
    stopping = asyncio.Event()
    watches = [asyncio.create_task(_report(echo)), asyncio.create_task(_release(echo, stopping, trick))]
    asyncio.get_running_loop().call_soon(print, "stray print while serving")
    await serve_stdio(echo.server, max_line=10_000, deliveries=echo.deliveries, stopping=stopping)
    for watch in watches:
        watch.cancel()
    if echo.cancelled.is_set():
        os.write(2, b"CANCELLED\n")


async def _release(echo: Echo, stopping: asyncio.Event, trick: str) -> None:
    await stopping.wait()
    if trick == "release":
        echo.release.set()


async def _report(echo: Echo) -> None:
    await echo.delivered.wait()
    os.write(2, b"DELIVERED\n")


async def _stubborn() -> None:
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            os.write(2, b"RESISTING\n")


if __name__ == "__main__":
    runner = asyncio.run
    if "uvloop" in sys.argv:
        import uvloop

        runner = uvloop.run
    runner(main(sys.argv[1]))
