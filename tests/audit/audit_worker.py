"""A process of its own that adds tasks to a room: ``audit_worker.py PROJECT AGENT COUNT``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from masc_core.clock import SystemClock
from masc_core.testing.app import masc_app


async def main(project: Path, agent: str, count: int) -> None:
    """Add ``count`` tasks; every one must succeed."""
    async with masc_app(project, backend="sqlite", clock=SystemClock()) as app:
        for number in range(count):
            assert "task" in await app.call("masc_add_task", agent, title=f"{agent} {number}")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
