"""masc_cleanup_zombies, and the clean-up that the sweep and masc_gc share."""

from __future__ import annotations

from masc_core.agents import Released, agents_with_status, clean_zombie
from masc_core.context import Context
from masc_core.frozen import frozen
from masc_core.records import Agent, Presence
from masc_core.tools import DESTRUCTIVE, WORKER, CallerUse, tool

__all__ = ["Cleaned", "Cleanup", "clean_all", "masc_cleanup_zombies", "zombie_names"]


@frozen
class Cleaned:
    """One zombie and what it held."""

    agent: str
    last_seen: str
    tasks_released: list[str]
    locks_released: list[str]
    portals_closed: list[str]
    worktrees: list[str]


@frozen
class Cleanup:
    """The zombies that were cleaned up."""

    cleaned: list[Cleaned]
    count: int


@tool(
    effect=DESTRUCTIVE,
    role=WORKER,
    idempotent=True,
    caller=CallerUse.NONE,
    auto_join=False,
    transactional=False,
    keywords=(
        "dead remove evict hold process respond not orphan dead block agent; cleaned kick reaped sweep clear silent "
        "gone lost free reclaim recover task lock work still inactive unreachable offline time timeout came abandon "
        "stuck expel session wipe lingering leftover throw take give_back mine freed since hangs behind unlock hours "
        "fix"
    ),
)
async def masc_cleanup_zombies(ctx: Context) -> Cleanup:
    """Release what silent agents hold; worktrees stay."""
    cleaned = await clean_all(ctx)
    return Cleanup(cleaned, len(cleaned))


async def zombie_names(work: Context) -> list[str]:
    """The present zombies, by name."""
    return [agent.name for agent, _, status in await agents_with_status(work) if status == "zombie"]


async def clean_all(ctx: Context) -> list[Cleaned]:
    """Clean every zombie, each in an atomic change of its own that looks again whether it is one still."""
    cleaned = [await _clean(ctx, name) for name in await ctx.transact(zombie_names)]
    return [c for c in cleaned if c is not None]


async def _clean(ctx: Context, name: str) -> Cleaned | None:
    async def change(work: Context) -> tuple[Agent, Presence, Released] | None:
        return await clean_zombie(work, name)

    if (done := await ctx.transact(change, concludes=True)) is None:
        return None
    agent, presence, released = done
    return Cleaned(
        agent=agent.name,
        last_seen=presence.last_seen,
        tasks_released=released.tasks_released,
        locks_released=released.locks_released,
        portals_closed=released.portals_closed,
        worktrees=released.worktrees,
    )
