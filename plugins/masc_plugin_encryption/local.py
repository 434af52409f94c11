"""What only the person at the machine can do: declared like tools, so that it takes the same path, but offered to nobody."""

from __future__ import annotations

from masc_core import ADMIN, DESTRUCTIVE, WRITE, CallerUse, Context, tool
from masc_core.errors import InvalidArgument
from masc_core.frozen import frozen
from masc_core.records import ROOM_ID
from masc_core.store.sealing import ENCRYPTION, STATE_ID, Encryption
from masc_plugin_encryption.changes import Master, opening, rotated
from masc_plugin_encryption.errors import MigrationInProgress
from masc_plugin_encryption.locksmith import locksmith_of, sealed_of
from masc_plugin_encryption.records import refuse_during_migration, total_of

__all__ = ["Begun", "masc_encryption_open", "masc_encryption_rotate"]


@frozen
class Begun:
    """A conversion of records that is to be carried out now, or that there is nothing to do."""

    state: str
    changed: bool


@tool(effect=WRITE, role=ADMIN, caller=CallerUse.NONE, errors=(MigrationInProgress,))
async def masc_encryption_rotate(ctx: Context) -> Begun:
    """Take a new data key, wrap all anew, and begin to seal everything under it."""
    driver = sealed_of(ctx.tx)
    states = ctx.collection(ENCRYPTION)
    before = await states.find(STATE_ID) or Encryption()
    await refuse_during_migration(driver.inner, before)
    if before.state != "on" or before.source is None:
        raise InvalidArgument(field="state", reason="off", expected="there is no key to rotate while encryption is off")
    smith = locksmith_of(driver)
    master = Master(await smith.master(before), before.source, before.stretching)
    keys = smith.data_keys(before, master.key)
    after = states.put(rotated(before, master, keys, ctx.now, await total_of(driver)))
    ctx.event("encryption_changed", ROOM_ID, old=before.state, new=after.state, active_key_id=after.active)
    return Begun(after.state, changed=True)


@tool(effect=DESTRUCTIVE, role=ADMIN, caller=CallerUse.NONE, errors=(MigrationInProgress,))
async def masc_encryption_open(ctx: Context) -> Begun:
    """Begin to store everything in clear."""
    driver = sealed_of(ctx.tx)
    states = ctx.collection(ENCRYPTION)
    before = await states.find(STATE_ID) or Encryption()
    if before.migration is not None and before.migration.direction == "open":
        return Begun(before.state, changed=False)
    await refuse_during_migration(driver.inner, before)
    if not before.keys:
        return Begun(before.state, changed=False)
    driver.known.refuse()
    if driver.known.problem is not None:
        raise driver.known.problem
    after = states.put(opening(before, locksmith_of(driver).unwrapped, ctx.now, await total_of(driver)))
    ctx.event("encryption_changed", ROOM_ID, old=before.state, new=after.state)
    return Begun(after.state, changed=True)
