"""The log as bytes, entry by entry, in bounded memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from masc_core.errors import RecordUnreadable
from masc_core.frozen import frozen
from masc_core.store.collections import LogView, View
from masc_core.store.driver import Driver
from masc_core.store.transaction import Transaction
from masc_plugin_audit.chain import ZEROS, Broken, Head, checked
from masc_plugin_audit.records import AUDIT, KEY_ID, KEYS, SigningKey

__all__ = ["Checkpoint", "Progress", "checkpoint", "entries", "newest", "room_key"]

BATCH = 500
CHECKPOINT = "checkpoint"
"""The index of the entries that stand for a removed beginning, by the last removed number."""

Progress = Callable[[int], None]
"""Told how many entries were read so far."""


@frozen
class Checkpoint:
    """A removed beginning of the log: its last entry, and the entry that says so."""

    removed: Head
    signature: str
    seq: int


async def entries(driver: Driver, after: int = 0) -> AsyncIterator[tuple[int, bytes]]:
    """Every entry above ``after`` with its body; empty where that cannot be unsealed."""
    while True:
        try:
            batch = await driver.read_log(AUDIT.name, after, BATCH)
        except RecordUnreadable:
            async for entry in _singly(driver, after):
                after = entry[0]
                yield entry
            continue
        if not batch:
            return
        for seq, body in batch:
            yield seq, body
        after = batch[-1].seq


async def _singly(driver: Driver, after: int) -> AsyncIterator[tuple[int, bytes]]:
    """The entries of a batch in which one cannot be unsealed."""
    for _ in range(BATCH):
        try:
            one = await driver.read_log(AUDIT.name, after, 1)
        except RecordUnreadable as error:
            # Without the key nothing is known of the entry; everything else is a sign that it was altered.
            if error.reason == "no_key" or not error.key.isdecimal() or int(error.key) <= after:
                raise
            after = int(error.key)
            yield after, b""
            continue
        if not one:
            return
        after = one[0].seq
        yield after, one[0].body


async def newest(driver: Driver) -> Head:
    """The last entry's number and hash, 0 and zeros for an empty log. Raises :class:`Broken` for an altered one."""
    try:
        last = await driver.read_log(AUDIT.name, 0, 1, reverse=True)
    except RecordUnreadable as error:
        raise _altered(error) from error
    if not last:
        return Head(0, ZEROS)
    return Head(last[0].seq, checked(last[0].seq, last[0].body)["hash"])


async def checkpoint(driver: Driver) -> Checkpoint | None:
    """What stands for the removed beginning, or ``None`` where nothing was removed. Raises :class:`Broken`."""
    try:
        found = await LogView(AUDIT, Transaction(driver)).scan(CHECKPOINT, limit=1, reverse=True)
    except RecordUnreadable as error:
        raise _altered(error) from error
    if not found:
        return None
    seq = found[0].seq
    stored = await driver.read_log(AUDIT.name, seq - 1, 1)
    told = checked(seq, stored[0].body)["details"]
    through, hash = told.get("removed_through"), told.get("removed_hash")
    if type(through) is not int or not isinstance(hash, str):
        raise Broken(seq, "hash", f"entry {seq} was altered: it does not say what was removed")
    return Checkpoint(Head(through, hash), str(told.get("signature")), seq)


def _altered(error: RecordUnreadable) -> Exception:
    if error.reason == "no_key" or not error.key.isdecimal():
        return error
    return Broken(int(error.key), "hash", f"entry {error.key} was altered and cannot be read ({error.reason})")


async def room_key(driver: Driver) -> SigningKey | None:
    """The room's signing key, if one was made."""
    return await View(KEYS, Transaction(driver)).find(KEY_ID)
