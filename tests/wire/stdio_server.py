"""The echo server over standard input and output, for tests that need a process; prints on purpose."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

from wire_support import Echo

from masc_core.wire.stdio import Deliveries, serve_stdio


async def main(trick: str) -> None:
    echo = Echo()
    echo.deliveries = Deliveries()
    if trick == "stubborn":
        echo._wait = _stubborn  # type: ignore[method-assign]
    if trick == "noisy":
        print("stray print")
        subprocess.run(["echo", "stray child"], check=True)
    watch = asyncio.create_task(_report(echo))
    print_later = asyncio.get_running_loop().call_soon(print, "stray print while serving")
    await serve_stdio(echo.server, max_line=10_000, deliveries=echo.deliveries)
    print_later.cancel()
    watch.cancel()
    if echo.cancelled.is_set():
        os.write(2, b"CANCELLED\n")


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
