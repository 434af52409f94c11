"""``masc audit``: verify, keep and thin out the audit log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from masc_core.cli._common import common, open_kernel, print_json, run, succeed
from masc_core.cli._group import MascCommand

if TYPE_CHECKING:
    from masc_core.call import Progress as CallProgress
    from masc_core.kernel import Kernel
    from masc_core.store.driver import Driver
    from masc_plugin_audit.chain import Broken
    from masc_plugin_audit.reading import Progress
    from masc_plugin_audit.verifying import Anchor, Verified

__all__ = ["audit"]

_LONG = 20_000
"""Entries from which on a bar shows how far the work is."""


def _time(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A date or time, as a timestamp of MASC's; without a zone it is UTC."""
    from masc_core.clock import timestamp

    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return timestamp(moment.timestamp())
    except (ValueError, OverflowError):
        hint = "write 2026-01-31 or 2026-01-31T12:00:00Z"
        raise click.BadParameter(f"{value!r} is no date; {hint}", ctx, param) from None


def _anchors(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[Anchor]:
    """Each ``SEQ:HASH``, or ``SEQ:HASH:SIGNATURE``."""
    from masc_plugin_audit.chain import Head
    from masc_plugin_audit.keys import HEX_KEY, HEX_SIGNATURE
    from masc_plugin_audit.verifying import Anchor

    anchors = []
    for value in values:
        seq, _, rest = value.strip().partition(":")
        hash, _, signature = rest.partition(":")
        fits = seq.isascii() and seq.isdecimal() and len(seq) < 19 and HEX_KEY.match(hash)
        if not fits or (signature and not HEX_SIGNATURE.match(signature)):
            raise click.BadParameter(f"{value!r} is no SEQ:HASH as masc audit head prints it", ctx, param)
        anchors.append(Anchor(Head(int(seq), hash.lower()), signature.lower() or None))
    return anchors


def _public_key(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """64 hex digits."""
    from masc_plugin_audit.keys import HEX_KEY

    if value is not None and not HEX_KEY.match(value):
        raise click.BadParameter(f"{value!r} is no key; it is the 64 hex digits that masc audit key prints", ctx, param)
    return value.lower() if value else None


@click.group()
def audit() -> None:
    """Verify, export and prune the room's audit log.

    The log has an entry for every change and every refusal, each with the hash of the one before. Nothing in MASC changes
    or removes entries but prune, which writes them to a file first.
    """


@audit.command("verify", cls=MascCommand)
@click.option(
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An export instead of the room.",
)
@click.option(
    "--expect", "anchors", metavar="SEQ:HASH", multiple=True, callback=_anchors, help="A head that was kept elsewhere."
)
@click.option("--key", metavar="KEY", callback=_public_key, help="The public key the log must be signed with.")
@common
@click.pass_context
def verify(
    ctx: click.Context, /, file: Path | None, anchors: list[Anchor], key: str | None, project: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Check that no entry was altered, removed, added or moved.

    Prints the head and exits with status 0, or prints the first bad entry with the reason (gap, hash, prev, truncated,
    signature) and exits with status 1. Entries cut off at the end are noticed only with --expect and a head that was kept
    where the one who cut could not reach it. An export is checked without its room.

    \b
    masc audit verify
    masc audit verify --file audit.jsonl
    """
    from masc_plugin_audit.chain import Broken

    try:
        verified = _verified_file(file, anchors, key) if file else run(_verified_room(project, anchors, key))
    except Broken as broken:
        _show_broken(broken, as_json)
        ctx.exit(1)
    _show_verified(verified, as_json)


def _verified_file(file: Path, anchors: list[Anchor], key: str | None) -> Verified:
    from masc_plugin_audit.verifying import verify_file

    with _bar("verifying", file.stat().st_size // 400) as progress:
        return verify_file(file, anchors, key, progress)


async def _verified_room(project: str | None, anchors: list[Anchor], key: str | None) -> Verified:
    from masc_plugin_audit.verifying import verify_room

    async with _room(project) as (_, driver):
        with _bar("verifying", await _count(driver)) as progress:
            return await verify_room(driver, anchors, key, progress)


def _show_verified(verified: Verified, as_json: bool) -> None:
    head = verified.head
    if as_json:
        facts = {"ok": True, "head": str(head), "seq": head.seq, "hash": head.hash, "first": verified.first}
        print_json({**facts, "entries": verified.entries, "key": verified.key, "warnings": verified.warnings})
        return
    click.echo(head)
    click.echo(f"{verified.entries} entries hold, from {verified.first} on" if verified.entries else "no entries")
    for warning in verified.warnings:
        click.echo(f"warning: {warning}", err=True)


def _show_broken(broken: Broken, as_json: bool) -> None:
    if as_json:
        print_json({"ok": False, "seq": broken.seq, "reason": broken.reason, "message": str(broken)})
    else:
        click.echo(f"{broken.seq} {broken.reason}: {broken}")


@audit.command("head", cls=MascCommand)
@common
@click.pass_context
def head(ctx: click.Context, /, project: str | None, as_json: bool) -> None:
    """Print the last entry's SEQ:HASH and its signature, for safe keeping elsewhere.

    Give it to masc audit verify --expect later: then a log that was rewritten or cut off is noticed. With the signature
    appended, SEQ:HASH:SIGNATURE, verify checks that too.
    """
    from masc_plugin_audit.chain import Broken

    try:
        found = run(_head(project))
    except Broken as broken:
        _show_broken(broken, as_json)
        ctx.exit(1)
    if as_json:
        print_json(found)
    else:
        click.echo(f"{found['head']}\nsignature {found['signature']}")


async def _head(project: str | None) -> Mapping[str, Any]:
    from masc_plugin_audit.keys import head_text, sign
    from masc_plugin_audit.reading import newest, room_key

    async with _room(project) as (kernel, driver):
        await _command(kernel, "masc_audit_key")
        found, key = await newest(driver), await room_key(driver)
        assert key is not None  # the command has made it
        signature = sign(key, head_text(found))
        facts = {"head": str(found), "seq": found.seq, "hash": found.hash}
        return {**facts, "signature": signature, "key": key.public}


@audit.command("key", cls=MascCommand)
@common
def key(project: str | None, as_json: bool) -> None:
    """Print the public part of the key that signs heads and exports."""
    found = run(_key(project))
    if as_json:
        print_json(found)
    else:
        click.echo(found["key"])


async def _key(project: str | None) -> Mapping[str, Any]:
    async with _room(project) as (kernel, _):
        return await _command(kernel, "masc_audit_key")


@audit.command("export", cls=MascCommand)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--since", metavar="TIME", callback=_time, help="Only entries from this date or time on.")
@common
def export(file: Path, since: str | None, project: str | None, as_json: bool) -> None:
    """Write the log to FILE, a new one that only you can read: JSON lines with a signed end.

    An entry of the log says that it was exported.
    """
    arguments = {"file": str(file.absolute()), **({"since": since} if since else {})}
    done = run(_long(project, "exporting", "masc_audit_export", arguments))
    if as_json:
        print_json(done)
    else:
        click.echo(f"{done['entries']} entries, from {done['first']} to head {done['head']}, are in {done['file']}")


@audit.command("prune", cls=MascCommand)
@click.option("--before", metavar="DATE", callback=_time, required=True, help="Entries older than this go.")
@click.option("--export", "file", metavar="FILE", type=click.Path(path_type=Path), required=True, help="Where they go.")
@common
def prune(before: str, file: Path, project: str | None, as_json: bool) -> None:
    """Move old entries to FILE, a new one, and leave a checkpoint entry from which verification continues.

    Nothing is removed before FILE is complete, nor where the log does not hold. After an interruption a further prune
    removes what was left.
    """
    arguments = {"before": before, "file": str(file.absolute())}
    done = run(_long(project, "pruning", "masc_audit_prune", arguments))
    if as_json:
        print_json(done)
    elif not done["entries"]:
        click.echo("no entries are that old")
    else:
        click.echo(f"{done['entries']} entries, to {done['removed_head']}, moved to {done['file']}")


async def _long(project: str | None, what: str, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    async with _room(project) as (kernel, driver):
        with _bar(what, await _count(driver)) as progress:

            async def report(_: float, __: float | None, count: str | None) -> None:
                progress(int(count or 0))

            return await _command(kernel, name, arguments, report)


async def _command(
    kernel: Kernel, name: str, arguments: Mapping[str, Any] | None = None, progress: CallProgress | None = None
) -> Mapping[str, Any]:
    from masc_core.kernel import local_client
    from masc_plugin_audit.exporting import COMMANDS

    return succeed(await kernel.run(COMMANDS[name], arguments or {}, local_client(), progress)).structured


@asynccontextmanager
async def _room(project: str | None) -> AsyncIterator[tuple[Kernel, Driver]]:
    """The project's room. Raises :class:`NotInitialised` where there is none."""
    from masc_core.errors import NotInitialised

    async with open_kernel(project) as kernel:
        if await kernel.room_record() is None:
            raise NotInitialised(path=str(kernel.start_room.base.path))
        yield kernel, kernel.start_room.driver


async def _count(driver: Driver) -> int:
    from masc_plugin_audit.records import AUDIT

    first, last = (await driver.heads([AUDIT.name]))[0]
    return last - first + 1 if first else 0


@contextmanager
def _bar(what: str, total: int) -> Iterator[Progress]:
    """A bar on standard error, where somebody looks and the work is long."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if total < _LONG or not console.is_terminal:
        yield lambda count: None
        return
    with Bar(console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.update(task, completed=min(count, total))
