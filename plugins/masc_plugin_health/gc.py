"""masc_gc: archive what ended long ago, asking every category for its part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from attrs import define, field

from masc_core.agents import unfinished_tasks
from masc_core.context import Context
from masc_core.convert import unstructure
from masc_core.frozen import frozen
from masc_core.records import ARCHIVE, Agent, Archived
from masc_core.tools import ADMIN, DESTRUCTIVE, CallerUse, tool
from masc_core.values import Bound
from masc_plugin_health.zombies import clean_all, zombie_names

__all__ = ["Collected", "archive_agents", "masc_gc"]

SHOWN_TASKS = 100
MOST_AGENTS = 100
"""In one unit of work; each is three writes."""
DAY = 86_400

Days = Annotated[int, Bound(minimum=1, maximum=3650)]


@frozen
class Collected:
    """What went to the archive, or would."""

    dry_run: bool
    days: int
    zombies: list[str]
    archived: dict[str, int]
    locks_removed: int
    tasks: list[str]


@define
class _Sum:
    """The answers of all categories, added up."""

    archived: Counter[str] = field(factory=Counter)
    locks_removed: int = 0
    tasks: list[str] = field(factory=list)

    def add(self, parts: Sequence[Mapping[str, Any]]) -> bool:
        """Add one round; whether it gave anything."""
        some = False
        for part in parts:
            for name, value in part.items():
                some = some or bool(value)
                if name == "tasks":
                    self.tasks += value
                elif name == "locks_removed":
                    self.locks_removed += value
                elif value:
                    self.archived[name] += value
        return some


@tool(
    effect=DESTRUCTIVE,
    role=ADMIN,
    idempotent=True,
    caller=CallerUse.NONE,
    transactional=False,
    keywords=(
        "run garbage collect collection clean tidy old older finished items archived housekeeping "
        "preview move away purge weeks days archive sweep records"
    ),
)
async def masc_gc(ctx: Context, days: Days = 7, dry_run: bool = False) -> Collected:
    """Archive what ended more than days ago; dry_run only shows it."""
    before = ctx.after(-days * DAY)
    if dry_run:
        zombies = await ctx.transact(zombie_names)
    else:
        zombies = [cleaned.agent for cleaned in await clean_all(ctx)]

    async def part(work: Context) -> list[Mapping[str, Any]]:
        return await work.ask("masc_gc", ctx=work, before=before, dry_run=dry_run)

    total = _Sum()
    while total.add(await ctx.transact(part, concludes=True)) and not dry_run:
        pass
    if not dry_run and (zombies or total.archived or total.locks_removed):
        await ctx.transact(_record_run(days, total), concludes=True)
    return Collected(
        dry_run, days, zombies, dict(sorted(total.archived.items())), total.locks_removed, total.tasks[:SHOWN_TASKS]
    )


def _record_run(days: int, total: _Sum) -> Any:
    async def record(work: Context) -> None:
        work.event("gc_run", days=days, archived=dict(total.archived), locks_removed=total.locks_removed)

    return record


async def archive_agents(ctx: Context, before: str, dry_run: bool) -> Mapping[str, int]:
    """Archive inactive agents that left before ``before`` and hold no task; their presence goes with them."""
    gone: list[Agent] = []
    for agent in await ctx.agents.scan("state", "inactive"):
        if agent.left_at and agent.left_at < before and not await unfinished_tasks(ctx, agent.name):
            gone.append(agent)
            if len(gone) == MOST_AGENTS and not dry_run:
                break
    if not dry_run:
        for agent in gone:
            await _archive(ctx, agent)
    return {"agent": len(gone)}


async def _archive(ctx: Context, agent: Agent) -> None:
    # An agent can be archived again after a later stay, so its name alone is no id.
    stay = f"{agent.name.lower()}:{agent.joined_at}"
    await ctx.collection(ARCHIVE).add(Archived("agent", stay, ctx.now, unstructure(agent)))
    ctx.agents.delete(agent)
    if (presence := await ctx.presence.find(agent.name.lower())) is not None:
        ctx.presence.delete(presence)
