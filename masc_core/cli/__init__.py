"""The command line. Each command is a module that is imported when the command runs, so that ``masc serve`` starts fast."""

from __future__ import annotations

import click

from masc_core.cli._group import LazyGroup

__all__ = ["main"]

_COMMANDS = {
    "serve": "masc_core.cli.serve:serve",
    "demo": "masc_core.cli.demo:demo",
    "status": "masc_core.cli.status:status",
    "tools": "masc_core.cli.tools:tools",
    "call": "masc_core.cli.call:call",
    "mode": "masc_core.cli.mode:mode",
    "pause": "masc_core.cli.pause:pause",
    "resume": "masc_core.cli.pause:resume",
    "export": "masc_core.cli.export:export",
    "import": "masc_core.cli.restore:import_file",
    "backup": "masc_core.cli.export:backup",
    "restore": "masc_core.cli.restore:restore",
    "doctor": "masc_core.cli.doctor:doctor",
    "db": "masc_core.cli.db:db",
    "plugins": "masc_core.cli.plugins:plugins",
    "schemas": "masc_core.cli.schemas:schemas",
    "bench": "masc_core.cli.bench:bench",
}


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from masc_core import __version__

        click.echo(f"masc {__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, commands_at=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Several coding agents, one project, no collisions.

    MASC serves a room that belongs to a project: a task board, messages, file locks, git worktrees. Agents connect over
    MCP; the commands below are for the person at the machine.

    \b
    masc demo                                     see it work, in a temporary repository
    masc serve --stdio --project . --agent NAME   what an MCP client starts
    masc serve --http                             one server for several clients
    masc status                                   who is here, who does what

    The room is that of the repository you are in, also from inside a linked worktree; --project DIR names another.
    Exit status: 0 done, 1 refused or failed (the error's code is printed), 2 wrong usage.
    """
    if ctx.invoked_subcommand != "serve":  # a server logs as its settings say
        from masc_core.cli._lines import log_plainly

        log_plainly()
