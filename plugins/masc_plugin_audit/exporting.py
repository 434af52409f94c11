"""The tools behind ``masc audit export``, ``prune`` and ``key``: in no list, on the path of every call."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import orjson

from masc_core import ADMIN, DESTRUCTIVE, WRITE, Bound, CallerUse, Context, index, tool
from masc_core.contracts import contract_of
from masc_core.frozen import evolve, frozen
from masc_core.store.driver import Driver
from masc_core.tools import declaration
from masc_plugin_audit.chain import ZEROS, Broken, Chain, Head, checked
from masc_plugin_audit.errors import AuditBroken
from masc_plugin_audit.export_file import Writer
from masc_plugin_audit.keys import make_key, pruned_text, sign
from masc_plugin_audit.reading import CHECKPOINT, checkpoint, entries
from masc_plugin_audit.recording import append
from masc_plugin_audit.records import AUDIT, SigningKey

__all__ = ["COMMANDS", "Exported", "Pruned", "PublicKey"]

REMOVED_AT_ONCE = 2000
"""Entries one unit of work removes: other processes wait for it."""
_STEP = 1000

File = Annotated[str, Bound(minLength=1, maxLength=4096)]
Time = Annotated[str, Bound(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]


@frozen
class PublicKey:
    """The public part of the room's signing key, 64 hex digits."""

    key: str


@frozen
class Exported:
    """What a file now has."""

    file: str
    entries: int
    first: int
    head: str
    """``SEQ:HASH`` of the last entry."""


@frozen
class Pruned:
    """What went from the room, and the file that has it now; no file where nothing was old enough."""

    entries: int
    removed_head: str | None = None
    file: str | None = None


@tool(effect=WRITE, role=ADMIN, caller=CallerUse.NONE, creates_room="never", start_room=True)
async def masc_audit_key(ctx: Context) -> PublicKey:
    """Give the public part of the room's signing key, which is made where there is none."""
    return PublicKey((await _own_key(ctx)).public)


@tool(effect=WRITE, role=ADMIN, caller=CallerUse.NONE, creates_room="never", start_room=True, transactional=False)
async def masc_audit_export(ctx: Context, file: File, since: Time | None = None) -> Exported:
    """Write the log, or its newer part, to a file."""
    driver, key = await ctx.transact(_driver_and_key)
    with Writer(Path(file), key) as writer:
        await _copy(ctx, driver, writer, since or "")
        writer.finish(ctx.now)
        head = str(writer.head)
        told = {"file": file[-300:], "entries": writer.entries, "head": head}

        async def note(work: Context) -> None:
            append(work, "ok", told)

        # The entry first: no file gets its name without one.
        await ctx.transact(note, concludes=True)
        writer.publish()
    return Exported(file, writer.entries, writer.head.seq - writer.entries + 1, head)


@tool(effect=DESTRUCTIVE, role=ADMIN, caller=CallerUse.NONE, creates_room="never", start_room=True, transactional=False)
async def masc_audit_prune(ctx: Context, before: Time, file: File) -> Pruned:
    """Move the beginning of the log to a file."""
    driver, key = await ctx.transact(_driver_and_key)
    try:
        await _finish_removal(ctx, driver)
        with Writer(Path(file), key) as writer:
            await _copy_old(ctx, driver, writer, before)
            if not writer.entries:
                await ctx.transact(_note_nothing, concludes=True)
                return Pruned(0)
            writer.finish(ctx.now)
            writer.publish()
    except Broken as broken:
        raise AuditBroken(seq=broken.seq, reason=broken.reason) from broken
    await _remove(ctx, writer, key, file)
    await _finish_removal(ctx, driver)
    return Pruned(writer.entries, str(writer.head), file)


async def _own_key(ctx: Context) -> SigningKey:
    key, made = await make_key(ctx)
    if made:
        append(ctx, "ok", {"signing_key": key.public})
    return key


async def _driver_and_key(work: Context) -> tuple[Driver, SigningKey]:
    return work.tx.driver, await _own_key(work)


async def _note_nothing(work: Context) -> None:
    append(work, "ok", {"entries": 0})


async def _copy(ctx: Context, driver: Driver, writer: Writer, since: str) -> None:
    """Copy what is there, good or bad: an export is also what one keeps of a log that was tampered with."""
    before, begun = Head(0, ZEROS), False
    told = _Reports(ctx)
    async for seq, body in entries(driver):
        told.one_more()
        entry = _parsed(body)
        if not begun and str(entry.get("at", since)) < since:
            before = Head(seq, str(entry.get("hash")))
            continue
        if not begun:
            begun = True
            prev = entry.get("prev")
            writer.begin(Head(seq - 1, prev if isinstance(prev, str) else before.hash))
        writer.add(seq, body, str(entry.get("hash")))
        await told.now_and_then()
    if not begun:
        writer.begin(before)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        entry = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return entry if isinstance(entry, dict) else {}


async def _copy_old(ctx: Context, driver: Driver, writer: Writer, before: str) -> None:
    """Copy the entries from the first on to the last one that only older ones precede. Raises :class:`Broken`."""
    start = await checkpoint(driver)
    chain = Chain(start.removed if start is not None else Head(0, ZEROS), {})
    writer.begin(chain.head)
    told = _Reports(ctx)
    async for seq, body in entries(driver, chain.head.seq):
        if str(checked(seq, body)["at"]) >= before:
            return
        writer.add(seq, body, chain.follow(seq, body)["hash"])
        told.one_more()
        await told.now_and_then()


async def _remove(ctx: Context, writer: Writer, key: SigningKey, file: str) -> None:
    """Write down that the exported entries go, and let the first of them go in the same change."""
    removed = writer.head
    told = {
        "removed_through": removed.seq,
        "removed_hash": removed.hash,
        "entries": writer.entries,
        "signature": sign(key, pruned_text(removed)),
        "file": file[-300:],
    }

    async def change(work: Context) -> None:
        append(work, "ok", told, index=[index(CHECKPOINT, removed.seq)])
        first = removed.seq - writer.entries + 1
        work.log(AUDIT).remove(range(first, min(removed.seq + 1, first + REMOVED_AT_ONCE)))

    await ctx.transact(change, concludes=True)


async def _finish_removal(ctx: Context, driver: Driver) -> None:
    """Remove what a checkpoint says is removed, also after an interruption."""
    if (start := await checkpoint(driver)) is None:
        return
    while 0 < (first := (await driver.heads([AUDIT.name]))[0].first) <= start.removed.seq:
        seqs = range(first, min(start.removed.seq + 1, first + REMOVED_AT_ONCE))

        async def part(work: Context, seqs: range = seqs) -> None:
            work.log(AUDIT).remove(seqs)

        await ctx.transact(part)


class _Reports:
    """Tells a waiting person how far it is, now and then."""

    def __init__(self, ctx: Context) -> None:
        self._progress = ctx.call.progress
        self._start = time.monotonic()
        self._count = 0

    def one_more(self) -> None:
        self._count += 1

    async def now_and_then(self) -> None:
        if self._progress is not None and self._count % _STEP == 0:
            await self._progress(time.monotonic() - self._start, None, str(self._count))


COMMANDS = {
    function.__name__: contract_of(evolve(declaration(function, "audit"), category="audit", plugin="audit"))
    for function in (masc_audit_key, masc_audit_export, masc_audit_prune)
}
"""Their contracts, by name."""
