"""Does the log hold? In the room, and in an export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attrs import field

from masc_core.frozen import frozen
from masc_core.store.driver import Driver
from masc_plugin_audit.chain import ZEROS, Broken, Chain, Head, checked
from masc_plugin_audit.export_file import read_export
from masc_plugin_audit.keys import head_text, pruned_text, signed_by
from masc_plugin_audit.reading import Checkpoint, Progress, checkpoint, entries, newest, room_key
from masc_plugin_audit.records import AUDIT

__all__ = ["Anchor", "Verified", "verify_file", "verify_room"]

_STEP = 1000


@frozen
class Anchor:
    """A head that was kept elsewhere."""

    head: Head
    signature: str | None = None


@frozen
class Verified:
    """The log holds: its last entry, and how many entries were followed from which on."""

    head: Head
    first: int
    entries: int
    key: str | None
    """The public part of the signing key."""
    warnings: list[str] = field(factory=list)


async def verify_room(driver: Driver, anchors: Sequence[Anchor], key: str | None, progress: Progress) -> Verified:
    """Follow the room's log from its first kept entry to its last. Raises :class:`Broken`."""
    while True:
        start = await checkpoint(driver)
        try:
            return await _follow(driver, start, anchors, key, progress)
        except Broken:
            # A beginning that was removed meanwhile looks like a gap.
            if await checkpoint(driver) == start:
                raise


async def _follow(
    driver: Driver, start: Checkpoint | None, anchors: Sequence[Anchor], key: str | None, progress: Progress
) -> Verified:
    stored = await room_key(driver)
    public = stored.public if stored is not None else None
    if key is not None and public != key.lower():
        head = await newest(driver)
        raise Broken(head.seq, "signature", f"the room signs with another key: {public or 'it has none yet'}")
    chain, first, last = await _beginning(driver, start, public)
    for anchor in anchors:
        _check_anchor(anchor, chain, first, public)
    count = 0
    async for seq, body in entries(driver, chain.head.seq):
        entry = chain.follow(seq, body)
        made = entry["details"].get("signing_key")
        if made is not None and made != public:
            raise Broken(seq, "signature", f"the room's signing key is not the one that entry {seq} names")
        count += 1
        if count % _STEP == 0:
            progress(count)
    chain.ended()
    warnings = []
    if chain.head.seq < last:
        warnings.append(
            f"the store has counted {last} entries and the last kept is {chain.head.seq}: the end was cut off"
        )
    return Verified(chain.head, first, count, public, warnings)


async def _beginning(driver: Driver, start: Checkpoint | None, public: str | None) -> tuple[Chain, int, int]:
    """A chain that stands before the first entry to follow, that entry's number, and the last number given out."""
    head = (await driver.heads([AUDIT.name]))[0]
    if start is not None and not signed_by(public or "", pruned_text(start.removed), start.signature):
        raise Broken(
            start.seq, "signature", f"entry {start.seq} says that entries were removed; the room did not sign it"
        )
    before = start.removed if start is not None else Head(0, ZEROS)
    if head.first == 0 or head.first > before.seq:
        return Chain(before, {}), before.seq + 1, head.last
    # A removal that was interrupted: what is left of it must still lead to what was written down.
    if head.first == 1:
        left = Head(0, ZEROS)
    else:
        left = Head(head.first - 1, await _claimed_prev(driver, head.first))
    return Chain(left, {before.seq: before.hash} if before.seq else {}), head.first, head.last


async def _claimed_prev(driver: Driver, seq: int) -> str:
    async for number, body in entries(driver, seq - 1):
        return str(checked(number, body)["prev"])
    return ZEROS


def _check_anchor(anchor: Anchor, chain: Chain, first: int, public: str | None) -> None:
    head = anchor.head
    if anchor.signature is not None and not signed_by(public or "", head_text(head), anchor.signature):
        raise Broken(head.seq, "signature", f"the signature of head {head.seq} is not by this key")
    if head == chain.head or head == Head(0, ZEROS):
        return
    if head.seq == chain.head.seq:
        raise Broken(head.seq, "hash", f"entry {head.seq} had another hash when it was kept than when it was removed")
    if head.seq < first:
        raise Broken(
            head.seq, "truncated", f"entry {head.seq} is not kept, the log begins at {first}; verify its export"
        )
    if chain.anchors.setdefault(head.seq, head.hash) != head.hash:
        raise Broken(head.seq, "hash", f"entry {head.seq} has another hash than the one that was kept")


def verify_file(path: Path, anchors: Sequence[Anchor], key: str | None, progress: Progress) -> Verified:
    """Follow an export. Raises :class:`Broken`, and :class:`AuditFileUnusable` for a file that cannot be read."""
    export = read_export(path)
    header = export.header
    chain = Chain(Head(header.first - 1, header.prev), {})
    public = (key or header.key).lower()
    for anchor in anchors:
        _check_anchor(anchor, chain, header.first, public)
    count = 0
    for seq, body in export.entries():
        chain.follow(seq, body)
        count += 1
        if count % _STEP == 0:
            progress(count)
    chain.ended()
    export.check_end(chain.head, public)
    unknown = f"whoever wrote the file may have chosen its key, {public}; give the room's own with --key"
    return Verified(chain.head, header.first, count, public, [] if key or anchors else [unknown])
