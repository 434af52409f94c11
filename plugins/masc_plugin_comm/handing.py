"""Answers on their way: an agent that asks again at once must not get what it was just given."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from masc_core.context import Context

__all__ = ["after_earlier_answers", "handing_over"]

PATIENCE = 1.0
"""Seconds after which an answer counts as lost: its transport has dropped it without a word."""


class Handing:
    """The answers of this process that move an agent's read position once they are delivered."""

    def __init__(self) -> None:
        self._under_way: dict[str, dict[asyncio.Event, float]] = {}

    def begin(self, agent: str) -> Callable[[], None]:
        """An answer for an agent is made; what is given ends it."""
        event = asyncio.Event()
        self._under_way.setdefault(agent, {})[event] = asyncio.get_running_loop().time() + PATIENCE

        def over() -> None:
            event.set()
            self._forget(agent, event)

        return over

    async def settled(self, agent: str) -> None:
        """Wait until no answer for an agent is under way."""
        # Real time: how long a transport takes does not follow the room's clock.
        now = asyncio.get_running_loop().time
        for event, until in list(self._under_way.get(agent, {}).items()):
            try:
                async with asyncio.timeout(max(0.0, until - now())):
                    await event.wait()
            except TimeoutError:
                self._forget(agent, event)

    def _forget(self, agent: str, event: asyncio.Event) -> None:
        waiting = self._under_way.get(agent, {})
        waiting.pop(event, None)
        if not waiting:
            self._under_way.pop(agent, None)


def handing_over(ctx: Context, delivered: Callable[[], Awaitable[None]]) -> None:
    """Await ``delivered`` once the answer was handed to the transport, before the caller's next look."""
    over = ctx.remember(Handing).begin(ctx.agent.lower())

    async def told() -> None:
        try:
            await delivered()
        finally:
            over()

    ctx.delivered.append(told)


async def after_earlier_answers(ctx: Context) -> None:
    """Wait for what earlier answers to the caller move when they are delivered: its next request can overtake that."""
    await ctx.remember(Handing).settled(ctx.agent.lower())
