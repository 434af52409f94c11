"""``masc db upgrade``: the schema of a shared store."""

from __future__ import annotations

import click

from masc_core.cli._common import common, print_json, run
from masc_core.cli._group import MascCommand

__all__ = ["db"]


@click.group()
def db() -> None:
    """Look after the room's store."""


@db.command(cls=MascCommand)
@common
def upgrade(project: str | None, as_json: bool) -> None:
    """Make or bring forward the schema of a shared store.

    Run it with MASC_POSTGRES_URL naming a role that may create the schema, once for a new database and after each
    upgrade of MASC that asks for it. It is one transaction, keeps a copy of older tables, and does nothing where there is
    nothing to do. SQLite upgrades itself.
    """
    done = run(_upgrade(project))
    if as_json:
        print_json({"done": done})
    else:
        click.echo(done)


async def _upgrade(project: str | None) -> str:
    from masc_core.plugins import load
    from masc_core.rooms import find_base
    from masc_core.settings import load_settings
    from masc_core.store.opening import upgrade_store

    return await upgrade_store(load_settings(find_base(project).path, sections=load().sections))
