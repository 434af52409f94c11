"""``masc encryption``: show, convert, rotate."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from masc_core.cli._common import common, console, open_kernel, print_json, run, succeed
from masc_core.cli._group import MascCommand

if TYPE_CHECKING:
    from masc_core.kernel import Kernel
    from masc_core.store.sealing import Migration, Progress

__all__ = ["encryption"]

Json = dict[str, Any]


@click.group()
def encryption() -> None:
    """Show and change how stored records are encrypted.

    Encryption is switched on with: masc call masc_encryption_enable
    """


@encryption.command(cls=MascCommand)
@common
def status(project: str | None, as_json: bool) -> None:
    """Show whether records are sealed, under which keys, and how far a conversion is."""
    _show(run(_in_room(project, _status)), as_json)


@encryption.command(cls=MascCommand)
@click.option(
    "--to", "to", type=click.Choice(["sealed", "plain"]),
    help="What records are to be; by default what a pending conversion makes of them, else sealed.",
)  # fmt: skip
@common
def migrate(to: str | None, project: str | None, as_json: bool) -> None:
    """Convert every record now, and wait for the end.

    Agents can go on working. Interrupted at any point, it loses nothing and goes on when it is started again. With --to
    sealed, encryption is switched on where it is off, with the key source used before or MASC_ENCRYPTION_KEY.
    """

    async def work(kernel: Kernel) -> Json:
        await _begin(kernel, to)
        return await _convert(kernel)

    _show(run(_in_room(project, work)), as_json)


@encryption.command(cls=MascCommand)
@common
def rotate(project: str | None, as_json: bool) -> None:
    """Take a new data key, seal every record under it and forget the keys before.

    Interrupted, it goes on with the next server, or with: masc encryption migrate. The master key stays; to change it, call
    masc_encryption_enable with another source.
    """

    async def work(kernel: Kernel) -> Json:
        from masc_plugin_encryption.local import masc_encryption_rotate

        await _local(kernel, masc_encryption_rotate)
        return await _convert(kernel)

    _show(run(_in_room(project, work)), as_json)


async def _in_room(project: str | None, work: Callable[[Kernel], Coroutine[Any, Any, Json]]) -> Json:
    async with open_kernel(project) as kernel:
        return await work(kernel)


async def _call(kernel: Kernel, tool: str, **arguments: Any) -> Json:
    from masc_core.kernel import local_client

    return dict(succeed(await kernel.call(tool, arguments, local_client())).structured)


async def _status(kernel: Kernel) -> Json:
    return await _call(kernel, "masc_encryption_status")


async def _local(kernel: Kernel, function: Callable[..., Any]) -> Json:
    """A call of what is declared in ``local``, through the whole pipeline."""
    from attrs import evolve

    from masc_core import call as calls
    from masc_core.contracts import contract_of
    from masc_core.kernel import local_client
    from masc_core.tools import declaration

    client = local_client()
    contract = contract_of(evolve(declaration(function, "encryption"), category="encryption", plugin="encryption"))
    call = calls.Call(contract, {}, client, kernel.bindings, await kernel.active(client))
    return dict(succeed(await calls.run(kernel, call)).structured)


async def _begin(kernel: Kernel, to: str | None) -> None:
    """Bring the room into a state in which there is something to convert, unless there is nothing."""
    from masc_plugin_encryption.errors import MigrationInProgress

    now = await _status(kernel)
    pending = now.get("migration")
    if pending is not None:
        if to is not None and pending["direction"] != {"sealed": "seal", "plain": "open"}[to]:
            raise MigrationInProgress(**{name: pending[name] for name in ("direction", "done", "total")})
    elif to == "plain":
        from masc_plugin_encryption.local import masc_encryption_open

        await _local(kernel, masc_encryption_open)
    elif now["state"] == "off":
        await _call(kernel, "masc_encryption_enable", key_source=now.get("key_source", "env"))


async def _convert(kernel: Kernel) -> Json:
    """Carry the conversion out; the status at its end. Raises the first record that could not be opened."""
    from masc_core.store.sealed import SealedDriver
    from masc_plugin_encryption.migration import Converter

    driver = kernel.start_room.driver
    assert isinstance(driver, SealedDriver)
    with _progress_bar() as report:
        converter = Converter(driver, report)
        while await converter.step():
            pass
    for unreadable in converter.unreadable:
        click.echo(f"left as it is: {unreadable}", err=True)
    if converter.unreadable:
        raise converter.unreadable[0]
    return await _status(kernel)


@contextmanager
def _progress_bar() -> Iterator[Callable[[Progress, Migration], None]]:
    """A bar on standard error, where somebody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    shown = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=shown, transient=True, disable=not shown.is_terminal) as bar:
        task = bar.add_task("records", total=None)

        def report(progress: Any, migration: Migration) -> None:
            words = {"seal": "sealing records", "open": "opening records"}
            total = max(migration.total, progress.done)
            bar.update(task, description=words[migration.direction], completed=progress.done, total=total)

        yield report


def _show(found: Json, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    out = console()
    out.print(f"encryption {found['state']}", style="bold")
    out.print(f"{found['sealed']} records sealed, {found['plain']} plain", markup=False)
    if (source := found.get("key_source")) is not None:
        at_hand = "at hand" if found["key_available"] else "not at hand"
        out.print(f"master key from {source}: {at_hand}", markup=False)
    if found["key_ids"]:
        marked = [f"{id} (active)" if id == found.get("active_key_id") else id for id in found["key_ids"]]
        out.print(f"data keys: {', '.join(marked)}", markup=False)
    if (pending := found.get("migration")) is not None:
        out.print(
            f"direction {pending['direction']}: {pending['done']} of {pending['total']} since {pending['started_at']}",
            markup=False,
        )
