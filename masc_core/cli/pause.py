"""``masc pause`` and ``masc resume``: the person's switch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from masc_core.cli._common import common, open_kernel, print_json, run, succeed
from masc_core.cli._group import MascCommand
from masc_core.render import printable

__all__ = ["pause", "resume"]


@click.command(cls=MascCommand)
@click.option("--reason", default="", help="Agents whose claim is refused are told.")
@common
def pause(reason: str, project: str | None, as_json: bool) -> None:
    """Let no agent begin new work: claiming and starting are refused with the reason; everything else goes on."""
    _report(run(_switch(project, True, reason)), as_json)


@click.command(cls=MascCommand)
@common
def resume(project: str | None, as_json: bool) -> None:
    """Let agents begin work again."""
    _report(run(_switch(project, False, "")), as_json)


async def _switch(project: str | None, paused: bool, reason: str) -> Mapping[str, Any]:
    from masc_core.kernel import local_client
    from masc_core.pause import pause_room, resume_room

    async with open_kernel(project) as kernel:
        person = local_client()
        outcome = await (pause_room(kernel, person, reason) if paused else resume_room(kernel, person))
        return succeed(outcome).structured


def _report(switched: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(switched)
        return
    paused = switched["paused"]
    state = f"paused by {switched['paused_by']} at {switched['paused_at']}" if paused else "running"
    reason = f": {printable(switched['pause_reason'])}" if "pause_reason" in switched else ""
    click.echo(f"{'' if switched['changed'] else 'already '}{state}{reason}")
