"""masc_who: who is here, and who might be waiting for a nudge."""

from __future__ import annotations

from typing import Literal

from masc_core.agents import agents_with_status, idle_seconds
from masc_core.context import Context
from masc_core.frozen import frozen
from masc_core.records import AgentStatus
from masc_core.tools import READ, READER, tool

__all__ = ["Present", "Who", "masc_who"]

WORKING_SECONDS = 60
NUDGE_SECONDS = 120

Mark = Literal["listening", "working", "idle", "zombie"]


@frozen
class Present:
    """One agent that has not left."""

    name: str
    status: AgentStatus
    mark: Mark
    idle_seconds: int
    current_task: str | None = None


@frozen
class Who:
    """The agents that have not left: live ones by name, then zombies."""

    agents: list[Present]
    count: int
    nudge: list[str]
    """Live, not listening and idle for more than two minutes."""


@tool(
    effect=READ,
    role=READER,
    keywords=(
        "who online present presence here alive activate busy somebody moment agent free around idle; help time spare "
        "inactive asleep listening team right now show work alone nudge long log available status current everyone "
        "nothing slacking quiet responsive attendance live room connect"
    ),
)
async def masc_who(ctx: Context) -> Who:
    """Show who is here and what each is doing."""
    present = [
        Present(agent.name, status, _mark(status, idle), idle, agent.current_task)
        for agent, presence, status in await agents_with_status(ctx)
        for idle in [idle_seconds(presence, ctx.now) if presence is not None else 0]
    ]
    quiet = [p.name for p in present if p.mark in {"working", "idle"} and p.idle_seconds > NUDGE_SECONDS]
    return Who(present, len(present), quiet)


def _mark(status: AgentStatus, idle: int) -> Mark:
    if status == "zombie":
        return "zombie"
    if status == "listening":
        return "listening"
    return "working" if idle <= WORKING_SECONDS else "idle"
