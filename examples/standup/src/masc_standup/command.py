"""``masc standup``."""

from __future__ import annotations

import click

from masc_core.commands import MascCommand, call_as_person, common, run

__all__ = ["standup"]


@click.command(cls=MascCommand)
@click.option("--hours", type=int, metavar="N", help="How far to look back; by default as config.toml says.")
@common
def standup(hours: int | None, project: str | None, as_json: bool) -> None:
    """Show what everybody did, and what is in the way."""
    run(call_as_person(project, "standup_today", {"hours": hours}, as_json))
