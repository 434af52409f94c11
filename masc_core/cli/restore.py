"""``masc import`` and ``masc restore``: a room from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from masc_core.cli._common import common, open_kernel, print_json, run, succeed
from masc_core.cli._group import MascCommand

if TYPE_CHECKING:
    from masc_core.call import Outcome
    from masc_core.transfer.operations import Taken

__all__ = ["import_file", "restore"]


@click.command("import", cls=MascCommand)
@click.argument("file", type=click.Path(dir_okay=False, resolve_path=True, path_type=Path))
@click.option("--merge", is_flag=True, help="Add to a room what it lacks of the file's records.")
@common
def import_file(file: Path, merge: bool, project: str | None, as_json: bool) -> None:
    """Make the project's room what FILE has, an export or a backup, on whichever store is set.

    The room must be empty, or just reset and FILE the export that the reset made: then everything comes back. It happens
    entirely or not at all; a file that is damaged or holds anything that is not right is refused with its line. Versions,
    ids, log numbers and fences go on where they stood.

    With --merge the room may have records. Those of FILE that it lacks are added, equal ones are passed over, and if one
    differs, nothing is changed. Settings, credentials and the audit log stay those of the room.

    \b
    masc export room.jsonl
    MASC_STORAGE_TYPE=postgres MASC_POSTGRES_URL=postgresql://… masc import room.jsonl
    masc import --merge .masc/trash/20261121T080000Z/room.jsonl
    """
    _show(run(_import(project, file, merge)), as_json)


@click.command(cls=MascCommand)
@click.argument("file", type=click.Path(dir_okay=False, resolve_path=True, path_type=Path))
@click.option("--replace", is_flag=True, help="Put it in the place of what the room has now.")
@common
def restore(file: Path, replace: bool, project: str | None, as_json: bool) -> None:
    """Bring the room back from FILE, a backup.

    Into an empty room it goes as it is. With --replace it takes the place of a later state of the same room, in one step,
    and servers may go on: what was given out since (ids, log numbers, versions, fences) is not given out again, and the
    audit log stays and says that it was restored. A file of another room, or from before encryption was changed, is refused.
    """
    _show(run(_restore(project, file) if replace else _import(project, file, merge=False)), as_json)


async def _import(project: str | None, file: Path, merge: bool) -> dict[str, Any]:
    from masc_core.transfer.operations import take_in

    async with open_kernel(project) as kernel:
        return _facts(await take_in(kernel, file, merging=merge))


async def _restore(project: str | None, file: Path) -> dict[str, Any]:
    from masc_core.transfer.operations import restore as put_back

    async with open_kernel(project) as kernel:
        return _facts(await put_back(kernel, file))


def _facts(done: Outcome | Taken) -> dict[str, Any]:
    from masc_core.transfer.operations import Taken, facts

    return facts(done) if isinstance(done, Taken) else dict(succeed(done).structured)


def _show(taken: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(taken)
        return
    if "already" in taken:
        click.echo(
            f"{taken['records']} records of {taken['file']} were added to {taken['backend']}; "
            f"{taken['already']} were there already"
        )
    else:
        click.echo(f"{taken['records']} records of {taken['file']} are in {taken['backend']}")
    if taken["sealed"]:
        click.echo(f"they are encrypted; servers need the key from {taken.get('key_source')}")
