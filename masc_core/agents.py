"""Agents: who is known, who is live, joining, leaving, being taken for dead.

*Known* means there is a record; *live* means neither inactive nor a zombie. A zombie is an agent that has not left and
whose last call and announced silence are both over; the clean-up makes it inactive.
"""

from __future__ import annotations

import difflib
import secrets
from collections.abc import Mapping, Sequence

from attrs import field

from masc_core.clock import parse_time, plus
from masc_core.context import Context
from masc_core.errors import AgentNotFound, AmbiguousAgent
from masc_core.frozen import evolve, frozen
from masc_core.records import Agent, AgentMeta, AgentStatus, Presence, Task, held_by

__all__ = [
    "Released",
    "agent_status",
    "agents_with_status",
    "clean_zombie",
    "current_task_after",
    "find_agent",
    "is_live",
    "is_zombie",
    "live_agents",
    "match_agent",
    "name_meant",
    "recorded_status",
    "release",
    "still",
    "unfinished_tasks",
]

PRESENCE_SECONDS = 5.0
"""How far a recorded presence may lag."""


def is_zombie(agent: Agent, presence: Presence | None, now: str, threshold: float) -> bool:
    """Not inactive, and past both last_seen + threshold (seconds) and alive_until."""
    if agent.left_at or presence is None:
        return False
    return now > plus(presence.last_seen, threshold) and now > (presence.alive_until or "")


def is_live(agent: Agent, presence: Presence | None, now: str, threshold: float) -> bool:
    """Neither inactive nor a zombie."""
    return not agent.left_at and not is_zombie(agent, presence, now, threshold)


def idle_seconds(presence: Presence, now: str) -> int:
    """Whole seconds since the agent's last call."""
    return max(0, int(parse_time(now) - parse_time(presence.last_seen)))


async def unfinished_tasks(ctx: Context, name: str) -> list[Task]:
    """The agent's claimed and in-progress tasks, most recently claimed first."""
    return sorted(await ctx.tasks.scan("assignee", held_by(name)), key=lambda t: t.claimed_at or "", reverse=True)


def recorded_status(ctx: Context, agent: Agent, presence: Presence | None) -> AgentStatus:
    """The derived status, ``zombie`` included, from the two records alone: who has unfinished tasks has a current one."""
    if agent.left_at:
        return "inactive"
    if is_zombie(agent, presence, ctx.now, ctx.settings.health.zombie_seconds):
        return "zombie"
    if presence is not None and presence.listening and any(until > ctx.now for until in presence.listening.values()):
        return "listening"
    return "active" if agent.current_task is None else "busy"


async def agent_status(ctx: Context, agent: Agent, presence: Presence | None) -> AgentStatus:
    """As :func:`recorded_status`, having looked at the board too."""
    status = recorded_status(ctx, agent, presence)
    if status == "active" and await ctx.tasks.scan("assignee", held_by(agent.name), limit=1):
        return "busy"
    return status


async def agents_with_status(
    ctx: Context, include_inactive: bool = False
) -> list[tuple[Agent, Presence | None, AgentStatus]]:
    """Live agents by name, then zombies, then (if asked for) inactive ones."""
    states = ["present", "inactive"] if include_inactive else ["present"]
    agents = [agent for state in states for agent in await ctx.agents.scan("state", state)]
    presences = await ctx.presence.peek([a.name.lower() for a in agents])
    rows = [(a, p, recorded_status(ctx, a, p)) for a, p in zip(agents, presences, strict=True)]
    if "active" in [status for _, _, status in rows]:
        # One look for all: on a database each is a round trip.
        held = await ctx.tasks.count("assignee")
        rows = [(a, p, "busy" if s == "active" and held.get(held_by(a.name)) else s) for a, p, s in rows]
    order = {"zombie": 1, "inactive": 2}
    return sorted(rows, key=lambda row: (order.get(row[2], 0), row[0].name.lower()))


async def live_agents(ctx: Context) -> list[Agent]:
    """Every live agent, by name."""
    return [a for a, _, status in await agents_with_status(ctx) if status not in {"zombie", "inactive"}]


async def find_agent(ctx: Context, name: str) -> Agent:
    """The known agent that ``name`` means: its name, else the only live agent of that requested name or type.

    Raises :class:`AmbiguousAgent` when several fit and :class:`AgentNotFound`, with the nearest names, when none does.
    """
    found = await match_agent(ctx, name)
    if found is not None:
        return found
    known = [a.name for state in ("present", "inactive") for a in await ctx.agents.scan("state", state, limit=500)]
    raise AgentNotFound(agent=name, candidates=difflib.get_close_matches(name, known, n=5, cutoff=0.4))


async def match_agent(ctx: Context, name: str) -> Agent | None:
    """As :func:`find_agent`, with ``None`` when nothing fits."""
    if (exact := await ctx.agents.find(name.lower())) is not None:
        return exact
    fitting: set[str] = set()
    for by in ("requested", "type"):
        for agent in await ctx.agents.scan(by, name.lower()):
            presence = (await ctx.presence.peek([agent.name.lower()]))[0]
            if is_live(agent, presence, ctx.now, ctx.settings.health.zombie_seconds):
                fitting.add(agent.name)
    if len(fitting) > 1:
        raise AmbiguousAgent(agent=name, candidates=sorted(fitting))
    # Read, not only scanned: an agent that leaves meanwhile fits no longer.
    return await ctx.agents.find(fitting.pop().lower()) if fitting else None


async def name_meant(ctx: Context, name: str) -> str:
    """As :func:`find_agent`, its name alone; ``name`` itself when nothing fits: who is known no more has left traces.

    Raises :class:`AmbiguousAgent` when several fit.
    """
    found = await match_agent(ctx, name)
    return found.name if found is not None else name


@frozen
class Released:
    """What an agent let go of."""

    tasks_released: list[str] = field(factory=list)
    tasks_kept: list[str] = field(factory=list)
    locks_released: list[str] = field(factory=list)
    portals_closed: list[str] = field(factory=list)
    worktrees: list[str] = field(factory=list)


def _merged(parts: Sequence[Mapping[str, object]]) -> Released:
    lists: dict[str, list[str]] = {}
    for part in parts:
        for name, values in part.items():
            assert isinstance(values, list)
            known = lists.setdefault(name, [])
            known += [value for value in values if value not in known]
    return Released(**lists)


async def release(ctx: Context, agent: Agent, reason: str, keep_tasks: bool = False) -> Released:
    """Make the agent inactive and let every category release what it holds, in the present unit of work.

    ``reason`` is ``leave`` or ``zombie``.
    """
    answers = await ctx.ask("masc_agent_released", ctx=ctx, agent=agent, keep_tasks=keep_tasks, reason=reason)
    released = _merged(answers)
    left = evolve(
        agent,
        left_at=ctx.now,
        left_reason="zombie" if reason == "zombie" else "leave",
        current_task=agent.current_task if keep_tasks else None,
        bindings=[],
    )
    ctx.agents.put(left)
    ctx.event(f"agent_{reason}", agent.name, tasks=released.tasks_released, locks=released.locks_released)
    verb = "left" if reason == "leave" else "was silent and is taken for gone"
    told = None if reason == "leave" else agent.name
    ctx.system_message(f"{agent.name} {verb}; released {', '.join(released.tasks_released) or 'no tasks'}", to=told)
    return released


async def clean_zombie(ctx: Context, name: str) -> tuple[Agent, Presence, Released] | None:
    """Clean up one agent if it is a zombie still; ``None`` when it is not."""
    agent = await ctx.agents.find(name.lower())
    presence = await ctx.presence.find(name.lower())
    if agent is None or presence is None or not is_zombie(agent, presence, ctx.now, ctx.settings.health.zombie_seconds):
        return None
    return agent, presence, await release(ctx, agent, "zombie")


async def current_task_after(ctx: Context, agent_name: str, ended: str) -> None:
    """Set the agent's current task after task ``ended`` is no longer its own: its most recently claimed unfinished one."""
    agent = await ctx.agents.find(agent_name.lower())
    if agent is None or agent.current_task != ended:
        return
    rest = [t.id for t in await unfinished_tasks(ctx, agent_name) if t.id != ended]
    ctx.agents.put(evolve(agent, current_task=await still(ctx, rest[0]) if rest else None))


async def still(ctx: Context, task_id: str) -> str:
    """The id of a task that was scanned, which from now on must be unchanged at commit: who gives it up at the same moment
    need not change the agent's record."""
    return (await ctx.tasks.get(task_id)).id


def new_meta(client: str | None, pid: int | None, hostname: str | None, known: Agent | None) -> AgentMeta:
    """Client facts for a fresh membership, with a new session id of 8 hex digits; the worktree of who had the name stays."""
    worktree = known.meta.worktree if known is not None else None
    return AgentMeta(secrets.token_hex(4), pid, hostname, client, worktree)
