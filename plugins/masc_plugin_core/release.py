"""What the board lets go of when an agent leaves or is taken for gone."""

from __future__ import annotations

from collections.abc import Mapping

from masc_core import Context, hookimpl
from masc_core.agents import still, unfinished_tasks
from masc_core.clock import parse_time, timestamp
from masc_core.frozen import evolve
from masc_core.records import Agent
from masc_plugin_core.board import line

__all__ = ["masc_agent_released"]


@hookimpl
async def masc_agent_released(ctx: Context, agent: Agent, keep_tasks: bool, reason: str) -> Mapping[str, list[str]]:
    """Return the agent's unfinished tasks to the board unless kept, and clear reservations for it."""
    await ctx.last_number("task")  # a task that is reserved for the agent meanwhile must not be overlooked
    for reserved in await ctx.tasks.scan("reserved", agent.name.lower()):
        ctx.tasks.put(evolve(reserved, reserved_for=None, updated_at=ctx.now))
    held = sorted(await unfinished_tasks(ctx, agent.name), key=lambda t: t.id)
    if keep_tasks:
        return {"tasks_kept": [await still(ctx, t.id) for t in held]}
    presence = (await ctx.presence.peek([agent.name.lower()]))[0]
    since = presence.last_seen if presence else timestamp(parse_time(ctx.now))
    text = f"{agent.name} left" if reason == "leave" else f"agent {agent.name} silent since {since}"
    told = None if reason == "leave" else agent.name
    locks: list[str] = []
    for task in held:
        freed = evolve(task, status="todo", assignee=None, claimed_at=None, started_at=None, updated_at=ctx.now)
        ctx.tasks.put(evolve(freed, log=line(ctx, task, text)))
        ctx.event("task_released", task.id, previous=task.status, status="todo", assignee=agent.name)
        ctx.system_message(f"{task.id} todo again, {text}: {task.title}", to=told)
        for part in await ctx.ask("masc_task_ended", ctx=ctx, task=task):
            locks += part.get("locks_released", ())
    return {"tasks_released": [t.id for t in held], "locks_released": locks}
