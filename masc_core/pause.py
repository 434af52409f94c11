"""The pause switch: while a room is paused, no agent begins new work."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from masc_core.clock import timestamp
from masc_core.errors import InvalidArgument, NotInitialised
from masc_core.records import EVENTS, MESSAGES, ROOM_ID, ROOMS, Event, Message, Room
from masc_core.rooms import OpenRoom
from masc_core.store.collections import LogView, View
from masc_core.store.transaction import Transaction, transact
from masc_core.values import check_text

__all__ = ["MAX_REASON", "pause_room", "resume_room"]

MAX_REASON = 2_000
"""Characters of a reason."""


async def pause_room(room: OpenRoom, actor: str, reason: str = "") -> tuple[Room, bool]:
    """Pause a room; the record as it is then, and whether that was a change. A new reason for a pause is one.

    Raises :class:`NotInitialised` and, for a reason that is no text of at most 2,000 characters, :class:`InvalidArgument`.
    """
    line = " ".join(check_text("reason", reason).split())
    if len(line) > MAX_REASON:
        raise InvalidArgument(field="reason", reason="maxLength", expected=f"must have at most {MAX_REASON} characters")

    def change(record: Room, now: str) -> Room:
        if record.paused and (record.pause_reason or "") == line:
            return record
        return evolve(record, paused=True, pause_reason=line or None, paused_by=actor, paused_at=now)

    return await _change(room, actor, change, "room_paused", f"{actor} paused the room{': ' if line else ''}{line}")


async def resume_room(room: OpenRoom, actor: str) -> tuple[Room, bool]:
    """End a pause; the record as it is then, and whether there was one. Raises :class:`NotInitialised`."""

    def change(record: Room, _: str) -> Room:
        return evolve(record, paused=False, pause_reason=None, paused_by=None, paused_at=None)

    return await _change(room, actor, change, "room_resumed", f"{actor} resumed the room")


async def _change(
    room: OpenRoom, actor: str, change: Callable[[Room, str], Room], event: str, text: str
) -> tuple[Room, bool]:
    """One atomic change of the room's record, with its event and its message."""

    async def attempt(tx: Transaction) -> tuple[Room, bool]:
        rooms = View(ROOMS, tx)
        record = await rooms.find(ROOM_ID)
        if record is None:
            raise NotInitialised(path=str(room.base.path))
        now = timestamp(room.driver.clock.now())
        wanted = change(record, now)
        if wanted == record:
            return record, False
        LogView(EVENTS, tx).append(Event(event, now, actor, {"old": record.paused, "new": wanted.paused}, ROOM_ID))
        LogView(MESSAGES, tx).append(Message("system", "system", text, now))
        return rooms.put(wanted), True

    return await transact(room.driver, attempt)
