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
from masc_plugin_health.retention import DAY, LastRun, RetentionSettings, delete_archived, overdue
from masc_plugin_health.zombies import clean_all, zombie_names

__all__ = ["Collected", "archive_agents", "keep_within", "masc_gc"]

SHOWN_TASKS = 100
MOST_AGENTS = 100
"""In one unit of work; each is three writes."""
MOST_ROUNDS = 20
"""Units of work in one sweep, which others wait for; the next one goes on."""

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
    deleted: dict[str, int] | None = None
    """What was in the archive for longer than the room's settings let it, by kind."""


@define
class _Sum:
    """The answers of all categories, added up."""

    archived: Counter[str] = field(factory=Counter)
    locks_removed: int = 0
    tasks: list[str] = field(factory=list)
    unread: Counter[str] = field(factory=Counter)
    """Messages to agents who had not read them, by agent."""

    @property
    def some(self) -> bool:
        """There was anything at all."""
        return bool(self.archived or self.locks_removed)

    def add(self, parts: Sequence[Mapping[str, Any]]) -> bool:
        """Add one round; whether it gave anything."""
        some = False
        for part in parts:
            for name, value in part.items():
                some = some or bool(value)
                if name == "tasks":
                    self.tasks += value
                elif name == "unread":
                    self.unread.update(value)
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
        "collect cleaned remove old finish item maintenance archive week clutter everything end; garbage cleanup tidy task "
        "vote message housekeeping prune wipe compact expiring older day preview dry run move away sweep record "
        "declutter stuff things junk trash leftover entries reduce size trim vacuum retention long ago routine stale "
        "remove data board full lying around month lighten shrink lean slim"
    ),
)
async def masc_gc(ctx: Context, days: Days = 7, dry_run: bool = False) -> Collected:
    """Archive what ended more than days ago; dry_run only shows it."""
    if dry_run:
        zombies = await ctx.transact(zombie_names)
    else:
        zombies = [cleaned.agent for cleaned in await clean_all(ctx)]
    total, _ = await _archive_old(ctx, days, dry_run, bool(zombies))
    for agent, count in sorted(total.unread.items()):
        if agent not in zombies:
            ctx.warn("unread_archived", f"{agent} had not read {count} of the messages")
    deleted, _ = await delete_archived(ctx, dry_run)
    archived, tasks = dict(sorted(total.archived.items())), total.tasks[:SHOWN_TASKS]
    return Collected(dry_run, days, zombies, archived, total.locks_removed, tasks, deleted or None)


async def keep_within(ctx: Context) -> bool:
    """Archive and delete what the room's settings say, as far as one sweep should; whether that was anything."""
    if not overdue(ctx):
        return False
    days, some, complete = ctx.settings.of(RetentionSettings).archive_days, False, True
    if days is not None:
        total, complete = await _archive_old(ctx, days, rounds=MOST_ROUNDS)
        some = total.some
    deleted, all_deleted = await delete_archived(ctx, False, MOST_ROUNDS)
    if complete and all_deleted:
        ctx.remember(LastRun).at = ctx.clock.monotonic()
    return some or bool(deleted)


async def _archive_old(
    ctx: Context, days: int, dry_run: bool = False, zombies: bool = False, rounds: int | None = None
) -> tuple[_Sum, bool]:
    """Ask all categories, in at most so many units of work, until nothing is left; what there was, and whether all of it."""
    total, before, left, complete = _Sum(), ctx.after(-days * DAY), rounds, False

    async def part(work: Context) -> list[Mapping[str, Any]]:
        return await work.ask("masc_gc", ctx=work, before=before, dry_run=dry_run)

    while not complete and (left is None or left > 0):
        complete = not total.add(await ctx.transact(part, concludes=True)) or dry_run
        left = left and left - 1
    if not dry_run and (zombies or total.some):
        await ctx.transact(_record_run(days, total), concludes=True)
    return total, complete


def _record_run(days: int, total: _Sum) -> Any:
    async def record(work: Context) -> None:
        work.event("gc_run", days=days, archived=dict(total.archived), locks_removed=total.locks_removed)
        for agent, count in sorted(total.unread.items()):
            text = (
                f"{count} unread messages to {agent}, over {days} days old, went to the archive; masc export has them"
            )
            work.system_message(text, to=agent)

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
