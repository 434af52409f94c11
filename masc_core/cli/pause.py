"""``masc pause`` and ``masc resume``: the person's switch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from masc_core.cli._common import common, open_kernel, print_json, run
from masc_core.cli._group import MascCommand
from masc_core.errors import NotInitialised

if TYPE_CHECKING:
    from masc_core.records import Room

__all__ = ["pause", "resume"]


@click.command(cls=MascCommand)
@click.option("--reason", default="", help="Agents whose claim is refused are told.")
@common
def pause(reason: str, project: str | None, as_json: bool) -> None:
    """Let no agent begin new work: claiming and starting are refused with the reason; everything else goes on."""
    _report(*run(_switch(project, True, reason)), as_json)


@click.command(cls=MascCommand)
@common
def resume(project: str | None, as_json: bool) -> None:
    """Let agents begin work again."""
    _report(*run(_switch(project, False, "")), as_json)


async def _switch(project: str | None, paused: bool, reason: str) -> tuple[Room, bool]:
    from masc_core.kernel import local_client
    from masc_core.pause import pause_room, resume_room

    async with open_kernel(project) as kernel:
        room = kernel.start_room
        if not await room.connect(create=False):
            raise NotInitialised(path=str(room.base.path))
        person = local_client().person or "anonymous"
        return await (pause_room(room, person, reason) if paused else resume_room(room, person))


def _report(room: Room, changed: bool, as_json: bool) -> None:
    if as_json:
        facts = {"paused_by": room.paused_by, "paused_at": room.paused_at, "pause_reason": room.pause_reason}
        present = {name: value for name, value in facts.items() if value is not None}
        print_json({"paused": room.paused, "changed": changed, **present})
        return
    state = f"paused by {room.paused_by} at {room.paused_at}" if room.paused else "running"
    reason = f": {room.pause_reason}" if room.pause_reason else ""
    click.echo(f"{'' if changed else 'already '}{state}{reason}")
