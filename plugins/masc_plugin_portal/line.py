"""The rules of the line between two agents: finding it, sending through it, closing it."""

from __future__ import annotations

from masc_core.agents import find_agent
from masc_core.context import Context
from masc_core.errors import InvalidArgument
from masc_core.frozen import evolve
from masc_core.store.collections import View
from masc_core.values import PERSON
from masc_plugin_portal.errors import PortalNotOpen, SeveralPortals
from masc_plugin_portal.records import (
    PORTAL_TASKS,
    PORTALS,
    SENT,
    ClosedReason,
    Portal,
    PortalTask,
    number_of,
    portal_key,
)

__all__ = [
    "close",
    "open_portal_with",
    "open_portals",
    "other_agent",
    "portal_tasks",
    "portals",
    "send",
    "the_only_open_portal",
]

NAMED_CANDIDATES = 50


def portals(ctx: Context) -> View[Portal]:
    """The room's portals in the present unit of work."""
    return ctx.collection(PORTALS)


def portal_tasks(ctx: Context) -> View[PortalTask]:
    """The room's portal tasks in the present unit of work."""
    return ctx.collection(PORTAL_TASKS)


async def open_portals(ctx: Context, name: str, limit: int = 100_000) -> list[Portal]:
    """The open portals of an agent, the one that was opened first first."""
    return await portals(ctx).scan("agent", name.lower(), "open", limit=limit)


async def other_agent(ctx: Context, field: str, given: str) -> str:
    """The name of the agent that ``given`` means, who is not the caller: an open portal's peer, else a known agent."""
    own = await portals(ctx).find(portal_key(ctx.agent, given))
    # A peer that was archived meanwhile is no known agent any more, but the line to it can still be used up and closed; a
    # person never was one.
    known = own is not None and (own.open or given.startswith(PERSON))
    name = own.peer_of(ctx.agent) if own is not None and known else (await find_agent(ctx, given)).name
    if name.lower() == ctx.agent.lower():
        raise InvalidArgument(field=field, reason="self", expected="must be another agent than yourself")
    return name


async def open_portal_with(ctx: Context, peer: str) -> Portal:
    """The caller's open portal with ``peer``. Raises :class:`PortalNotOpen`."""
    portal = await portals(ctx).find(portal_key(ctx.agent, peer))
    if portal is None or not portal.open:
        raise PortalNotOpen(peer=peer, closed_reason=portal.closed_reason if portal else None)
    return portal


async def the_only_open_portal(ctx: Context) -> Portal:
    """The portal that is meant when nobody is named.

    Raises :class:`SeveralPortals`, or :class:`PortalNotOpen` about the portal that was closed last.
    """
    found = await open_portals(ctx, ctx.agent, NAMED_CANDIDATES)
    if len(found) > 1:
        raise SeveralPortals(candidates=sorted(portal.peer_of(ctx.agent) for portal in found))
    if found:
        return await open_portal_with(ctx, found[0].peer_of(ctx.agent))
    closed = await portals(ctx).scan("agent", ctx.agent.lower(), "closed", limit=1, reverse=True)
    if closed:
        raise PortalNotOpen(peer=closed[0].peer_of(ctx.agent), closed_reason=closed[0].closed_reason)
    raise PortalNotOpen()


async def send(ctx: Context, portal: Portal, message: str, reply_to: str | None = None) -> tuple[Portal, PortalTask]:
    """Send a new task from the caller through an open portal that was read in this unit of work.

    The portal comes back counted, not yet written.
    """
    task = PortalTask(
        id=f"a2a-{await ctx.next_number(SENT):06d}",
        from_=ctx.agent,
        to=portal.peer_of(ctx.agent),
        message=message,
        status="pending",
        created_at=ctx.now,
        updated_at=ctx.now,
        reply_to=reply_to,
    )
    stored = await portal_tasks(ctx).add(task)
    linked = {"reply_to": reply_to} if reply_to else {}
    ctx.event("portal_task_sent", stored.id, **{"from": stored.from_, "to": stored.to}, **linked)
    return evolve(portal, task_count=portal.task_count + 1).counting(None, stored), stored


async def close(ctx: Context, portal: Portal, closed_by: str, reason: ClosedReason) -> list[str]:
    """Close an open portal for both; the ids of its tasks that were open and are canceled now, in order."""
    canceled = []
    for task in await _open_tasks(ctx, portal):
        # Who closed the portal knows; who was silent for so long that others did it may come back and ask.
        known = reason != "zombie" and task.from_.lower() == closed_by.lower()
        ended = portal_tasks(ctx).put(
            evolve(task, status="canceled", updated_at=ctx.now, result_seen_at=ctx.now if known else None)
        )
        portal = portal.counting(task, ended)
        canceled.append(ended.id)
    portals(ctx).put(evolve(portal, status="closed", closed_by=closed_by, closed_at=ctx.now, closed_reason=reason))
    ctx.event("portal_closed", portal.peer_of(closed_by), agents=portal.agents, reason=reason, canceled=len(canceled))
    return canceled


async def _open_tasks(ctx: Context, portal: Portal) -> list[PortalTask]:
    """Where the portal counts none, nobody looks for any: its record changes with each of its tasks."""
    found = list[PortalTask]()
    for receiver, waiting in zip(portal.agents, portal.waiting, strict=True):
        if waiting.pending or waiting.running:
            sender = portal.peer_of(receiver)
            found += await portal_tasks(ctx).scan("inbox", receiver.lower(), sender.lower())
    return sorted(found, key=lambda task: number_of(task.id))
