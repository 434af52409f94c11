"""A client in a process of its own, which somebody is going to kill; it tells what it does on standard output."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from .history import History
from .load import Board, Worker
from .servers import Endpoint, HttpServer, StdioServer


async def live(given: dict[str, Any]) -> None:
    """Work until the end."""
    place = Path(given["project"])
    endpoint: Endpoint
    if given["port"] is None:
        endpoint = StdioServer(place, given["environment"], sys.stderr, Path(given["pid_file"]))
    else:
        endpoint = HttpServer(place, given["environment"], sys.stderr)
        endpoint.by_way_of = given["port"]
    endpoint.up.set()
    board = Board(**given["board"])
    await Worker(given["label"], endpoint.connect, History(sys.stdout), board, given["seed"]).run()


if __name__ == "__main__":
    asyncio.run(live(json.loads(sys.stdin.readline())))
