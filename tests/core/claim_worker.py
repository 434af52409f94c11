"""A process that claims and finishes tasks until none is left: ``python claim_worker.py PATH AGENT``. Prints the ids."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from masc_core.kernel import Kernel, local_client
from masc_core.plugins import load
from masc_core.rooms import Base
from masc_core.settings import Settings


async def main(path: Path, agent: str) -> None:
    """Claim until nothing is left."""
    async with Kernel(Base(path, may_create=False), load(), settings_of=lambda _: Settings()) as kernel:
        while True:
            outcome = await kernel.call("masc_claim_next", {}, local_client(agent))
            if outcome.error is not None and outcome.error.retryable:
                continue
            if "task" not in outcome.structured:
                return
            print(outcome.structured["task"]["id"], flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
