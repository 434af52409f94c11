"""masc_portal_send: a task for the peer, or the answer to one of its tasks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from attrs import define, field

from masc_core.context import Context
from masc_core.errors import AgentNotFound, InvalidArgument
from masc_core.frozen import evolve
from masc_core.message_line import MessageFormat, message_line
from masc_core.store.driver import Key
from masc_core.tools import WORKER, WRITE, tool
from masc_core.values import ActorName, Bound, Message, Verbatim
from masc_plugin_portal.errors import PortalNotOpen, PortalTaskClosed, PortalTaskNotFound
from masc_plugin_portal.line import open_portal_with, other_agent, portal_tasks, portals, send, the_only_open_portal
from masc_plugin_portal.records import OPEN_STATUSES, PORTAL_TASKS, PORTALS, SENT, Portal, PortalTask, portal_key

__all__ = ["PortalSent", "masc_portal_send"]

PortalTaskId = Annotated[str, Bound(minLength=1, maxLength=128), Verbatim()]
_PORTAL_TASK_ID = re.compile(r"a2a-[0-9]{6,15}")
ResultStatus = Literal["completed", "failed"]


@define
class PortalSent:
    """The new task, or the one that was ended."""

    portal_task: PortalTask
    answered: str | None = None
    redacted: dict[str, int] | None = None
    _text: str = field(default="", init=False, repr=False)
    """No part of the result: what is not set on creation is not sent."""

    def masc_text(self, structured: Mapping[str, Any]) -> str:
        """The message in the form that was asked for."""
        return self._text


@tool(
    effect=WRITE,
    role=WORKER,
    errors=(AgentNotFound, PortalNotOpen, PortalTaskNotFound, PortalTaskClosed),
    examples=(
        {"agent_name": "claude", "to": "gemini", "message": "please review src/login.py"},
        {"agent_name": "gemini", "reply_to": "a2a-000001", "result_status": "completed", "message": "looks good"},
    ),
    keywords=(
        "message ask request hand task answer reply respond finish fail pass portal private line whisper; send write "
        "delegate report result outcome open tell return order agent show through off outsource forward transmit "
        "deliver mine counterpart link connect conversation chat peer partner something only two successful received "
        "subcontract"
    ),
    counter=SENT,
)
async def masc_portal_send(
    ctx: Context,
    message: Message,
    format: MessageFormat = "compact",
    to: ActorName | None = None,
    reply_to: PortalTaskId | None = None,
    result_status: ResultStatus | None = None,
) -> PortalSent:
    """Send a private task through a portal; with reply_to and result_status end a task you got, message being its result."""
    if result_status is not None and reply_to is None:
        raise InvalidArgument(
            field="result_status", reason="needs_reply_to", expected="needs reply_to, the task it ends"
        )
    await _read_ahead(ctx, to, reply_to)
    asked = None if reply_to is None else await _asked_of_caller(ctx, reply_to)
    peer = await _peer(ctx, to, asked)
    portal = await (the_only_open_portal(ctx) if peer is None else open_portal_with(ctx, peer))
    if asked is not None and asked.status not in OPEN_STATUSES:
        raise PortalTaskClosed(portal_task_id=asked.id, status=asked.status)
    if asked is not None and result_status is not None:
        sent = PortalSent(_ended(ctx, portal, asked, result_status, message), asked.id)
    else:
        sent = PortalSent(await _sent(ctx, portal, message, asked))
    sent._text = message_line(format, ctx.agent, portal.peer_of(ctx.agent), ctx.now, message)
    return sent


async def _read_ahead(ctx: Context, to: str | None, reply_to: str | None) -> None:
    """Read in one query what the call asks for on its way, as far as its arguments tell."""
    keys = []
    if to is not None:
        keys.append(Key(PORTALS.name, portal_key(ctx.agent, to)))
    if reply_to is not None and _PORTAL_TASK_ID.fullmatch(reply_to):
        keys.append(Key(PORTAL_TASKS.name, reply_to))
    if len(keys) > 1:
        await ctx.tx.peek(keys)


async def _asked_of_caller(ctx: Context, task_id: str) -> PortalTask:
    """The task, if it was sent to the caller; anybody else's is as good as missing."""
    task = await portal_tasks(ctx).find(task_id) if _PORTAL_TASK_ID.fullmatch(task_id) else None
    if task is None or task.to.lower() != ctx.agent.lower():
        raise PortalTaskNotFound(portal_task_id=task_id)
    return task


async def _peer(ctx: Context, to: str | None, asked: PortalTask | None) -> str | None:
    named = None if to is None else await other_agent(ctx, "to", to)
    if asked is None:
        return named
    if named is not None and named.lower() != asked.from_.lower():
        raise InvalidArgument(field="to", reason="not_sender", expected=f"must be {asked.from_}, who sent {asked.id}")
    return asked.from_


def _ended(ctx: Context, portal: Portal, task: PortalTask, status: ResultStatus, result: str) -> PortalTask:
    ended = portal_tasks(ctx).put(
        evolve(task, status=status, result=result, updated_at=ctx.now, seen_at=task.seen_at or ctx.now)
    )
    portals(ctx).put(portal.counting(task, ended))
    ctx.event("portal_task_finished", task.id, previous=task.status, status=status)
    return ended


async def _sent(ctx: Context, portal: Portal, message: str, asked: PortalTask | None) -> PortalTask:
    if asked is not None and asked.status == "pending":
        running = portal_tasks(ctx).put(evolve(asked, status="running", updated_at=ctx.now, seen_at=ctx.now))
        portal = portal.counting(asked, running)
    portal, task = await send(ctx, portal, message, asked.id if asked else None)
    portals(ctx).put(portal)
    return task
