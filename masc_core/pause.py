"""The pause switch: while a room is paused, no agent begins new work.

Two tools of the kernel's own, in no list and under no name a client could call: the person's switch takes the path of
every call, guards included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from masc_core.call import Outcome
from masc_core.context import Context
from masc_core.contracts import contract_of
from masc_core.frozen import evolve, frozen
from masc_core.identity import Client
from masc_core.records import ROOM_ID, Room
from masc_core.tools import ADMIN, WRITE, CallerUse, declaration, tool
from masc_core.values import Comment

if TYPE_CHECKING:
    from masc_core.kernel import Kernel

__all__ = ["Switched", "pause_room", "resume_room"]


@frozen
class Switched:
    """How the switch stands, and whether that is a change."""

    paused: bool
    changed: bool
    paused_by: str | None = None
    paused_at: str | None = None
    pause_reason: str | None = None


async def pause_room(kernel: Kernel, client: Client, reason: str = "") -> Outcome:
    """Pause the start room for ``client``, a person's; the outcome is :class:`Switched`. A new reason is a change.

    Refused with `not_initialised`, with `invalid_argument` for a reason that is no text of at most 2,000 characters, and
    with whatever a guard says.
    """
    return await _call(kernel, client, "masc_pause", reason=reason)


async def resume_room(kernel: Kernel, client: Client) -> Outcome:
    """End a pause for ``client``, a person's; the outcome is :class:`Switched`. Refused as :func:`pause_room` is."""
    return await _call(kernel, client, "masc_resume")


async def _call(kernel: Kernel, client: Client, name: str, **arguments: str) -> Outcome:
    return await kernel.run(_CONTRACTS[name], arguments, client)


@tool(effect=WRITE, role=ADMIN, caller=CallerUse.NONE, idempotent=True, creates_room="never", start_room=True)
async def masc_pause(ctx: Context, reason: Comment = "") -> Switched:
    """Let no agent begin new work."""
    room, line = _present(ctx), " ".join(reason.split())
    if room.paused and (room.pause_reason or "") == line:
        return _switched(room, changed=False)
    said = f"paused the room{': ' if line else ''}{line}"
    wanted = evolve(room, paused=True, pause_reason=line or None, paused_by=ctx.actor, paused_at=ctx.now)
    return _switch(ctx, room, wanted, "room_paused", said)


@tool(effect=WRITE, role=ADMIN, caller=CallerUse.NONE, idempotent=True, creates_room="never", start_room=True)
async def masc_resume(ctx: Context) -> Switched:
    """Let agents begin work again."""
    room = _present(ctx)
    if not room.paused:
        return _switched(room, changed=False)
    wanted = evolve(room, paused=False, pause_reason=None, paused_by=None, paused_at=None)
    return _switch(ctx, room, wanted, "room_resumed", "resumed the room")


def _present(ctx: Context) -> Room:
    assert ctx.room is not None  # the tools need a room
    return ctx.room


def _switch(ctx: Context, before: Room, wanted: Room, event: str, said: str) -> Switched:
    ctx.event(event, ROOM_ID, old=before.paused, new=wanted.paused)
    ctx.system_message(f"{ctx.actor} {said}")
    ctx.save_room(wanted)
    return _switched(wanted, changed=True)


def _switched(room: Room, *, changed: bool) -> Switched:
    return Switched(room.paused, changed, room.paused_by, room.paused_at, room.pause_reason)


_CONTRACTS = {
    function.__name__: contract_of(evolve(declaration(function, "masc_core"), category="core", plugin="masc_core"))
    for function in (masc_pause, masc_resume)
}
