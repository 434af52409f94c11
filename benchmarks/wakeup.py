"""How soon a masc_listen in one process returns after a masc_broadcast in another.

``python benchmarks/wakeup.py [--tries 100] [--json]`` measures three ways in turn, in one room: stdio to stdio, stdio to
HTTP, HTTP to stdio (who broadcasts comes first). The time runs from the call of masc_broadcast to the return of
masc_listen, so it contains the broadcast's own durable write. Before each broadcast the listener has waited for a
random time, so that no try is in step with the store's look at the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from common import MASC, http_server, json_option, make_room, masc_stdio, percentile, show, structured
from mcp.client.client import Client

BUDGET_MS = 100
WARM_UP = 3


async def wake_up(listener: Client, speaker: Client, last: int, idle: float) -> tuple[float, int]:
    """One try after message ``last``; milliseconds, and the number of the new message.

    Raises ``RuntimeError`` when the listener hears anything else.
    """
    listening = asyncio.create_task(structured(listener, "masc_listen", timeout=10, since_seq=last))
    await asyncio.sleep(random.uniform(idle / 2, idle))
    begun = time.perf_counter()
    saying = asyncio.create_task(structured(speaker, "masc_broadcast", message="wake up"))
    heard = await listening
    taken = (time.perf_counter() - begun) * 1000
    said = await saying
    if [message["seq"] for message in heard["messages"]] != [said["seq"]]:
        raise RuntimeError(f"heard {heard['messages']} instead of {said}")
    return taken, said["seq"]


async def measure(project: Path, tries: int, idle: float) -> list[dict[str, Any]]:
    """A row for each way."""
    await make_room(project, tasks=1)
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(
            http_server([*MASC, "--http", "--port", "0", "--project", str(project), "--mode", "standard"])
        )
        places = {"one": masc_stdio(project, "one"), "two": masc_stdio(project, "two"), "web": f"{url}?agent=web"}
        clients = {name: await stack.enter_async_context(Client(at)) for name, at in places.items()}
        ways = {"stdio to stdio": ("one", "two"), "stdio to http": ("one", "web"), "http to stdio": ("web", "two")}
        for client in clients.values():
            await structured(client, "masc_join")
        last = (await structured(clients["one"], "masc_messages"))["last_seq"]
        times: dict[str, list[float]] = {way: [] for way in ways}
        for i in range(tries + WARM_UP):
            for way, (speaker, listener) in ways.items():
                taken, last = await wake_up(clients[listener], clients[speaker], last, idle)
                if i >= WARM_UP:
                    times[way].append(taken)
    return [row(way, found) for way, found in times.items()]


def row(way: str, times: list[float]) -> dict[str, Any]:
    """Percentiles of one way."""
    figures = {f"p{percent}_ms": round(percentile(times, percent), 1) for percent in (50, 95)}
    return {"way": way, "tries": len(times), **figures, "max_ms": round(max(times), 1)}


@click.command(help=__doc__)
@click.option("--tries", default=100, show_default=True, type=click.IntRange(1, 5_000), help="Broadcasts of each way.")
@click.option("--idle", default=0.08, show_default=True, help="Seconds for which a listener waits at most.")
@json_option
def main(tries: int, idle: float, as_json: bool) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        rows = asyncio.run(measure(Path(scratch), tries, idle))
    show(rows, as_json)
    if not as_json:
        click.echo(f"budget: p95 under {BUDGET_MS} ms")


if __name__ == "__main__":
    main()
