"""``masc export`` and ``masc backup``: the whole room in one file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from masc_core.cli._common import common, open_kernel, print_json, run, succeed
from masc_core.cli._group import MascCommand

if TYPE_CHECKING:
    from masc_core.kernel import Kernel

__all__ = ["backup", "export"]


@click.command(cls=MascCommand)
@click.argument("file", type=click.Path(resolve_path=True, path_type=Path), required=False)
@common
def export(file: Path | None, project: str | None, as_json: bool) -> None:
    """Write the whole room to FILE as JSON lines, for masc import on any store.

    FILE is a new one that only you can read; by default it is in .masc/exports/. It has every record with its version,
    archived ones, the audit log, counters, locks and leases, as they were at one moment; agents can go on working. Records
    of an encrypted room stay encrypted in it. The format is in docs/operating.md.
    """
    _show(run(_write(project, file, compress=False)), as_json)


@click.command(cls=MascCommand)
@click.argument("file", type=click.Path(resolve_path=True, path_type=Path))
@common
def backup(file: Path, project: str | None, as_json: bool) -> None:
    """Write the whole room to FILE, compressed, for masc restore.

    It is what masc export writes, and works on any store while servers write. An encrypted room stays encrypted: keep its
    key too, elsewhere. Settings and key files are not in it.
    """
    _show(run(_write(project, file, compress=True)), as_json)


async def _write(project: str | None, file: Path | None, *, compress: bool) -> dict[str, Any]:
    from masc_core.transfer.operations import write_out

    async with open_kernel(project) as kernel:
        target = file if file is not None else _default(kernel)
        return dict(succeed(await write_out(kernel, target, compress=compress)).structured)


def _default(kernel: Kernel) -> Path:
    """A new name in ``.masc/exports/``, which is made where there is a room's directory."""
    directory = kernel.start_room.directory / "exports"
    if directory.parent.is_dir():
        directory.mkdir(mode=0o700, exist_ok=True)
    return directory / f"{datetime.now(UTC):%Y%m%dT%H%M%S}Z.jsonl"


def _show(written: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(written)
        return
    form = ", encrypted as they are stored" if written["sealed"] else ""
    click.echo(f"{written['records']} records{form}, {written['bytes']} bytes, are in {written['file']}")
