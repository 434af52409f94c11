"""``masc demo``: the main job on real input."""

from __future__ import annotations

import click

from masc_core.cli._common import common, console, print_json, run
from masc_core.cli._group import MascCommand

__all__ = ["demo"]


@click.command(cls=MascCommand)
@click.option("--keep", is_flag=True, help="Leave the temporary repository there and say where it is.")
@common
def demo(keep: bool, project: str | None, as_json: bool) -> None:
    """Watch two agents share a repository, and see each promise checked.

    In a temporary git repository it starts a real HTTP server and a real stdio server on one room and drives a scripted
    agent through each with the official MCP client: tasks with dependencies, a race for one claim, worktrees, commits,
    locks, messages, a switch of mode. It ends with what each call took, what each mode costs, and which promises were
    kept; if one was not, with exit status 1. Your own project is not touched.
    """
    from masc_core.demo import Narrator, play, show

    out = console()
    report = run(play(Narrator(None if as_json else out), keep=keep))
    if as_json:
        print_json(report.as_dict())
    else:
        show(out, report)
    if not report.kept:
        click.get_current_context().exit(1)
