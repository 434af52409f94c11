"""masc_encryption_disable: new records are plain; what is sealed stays readable while the key is there."""

from __future__ import annotations

from masc_core import ADMIN, DESTRUCTIVE, CallerUse, Context, tool
from masc_core.frozen import frozen
from masc_core.records import ROOM_ID
from masc_core.store.sealing import ENCRYPTION, STATE_ID, Encryption
from masc_plugin_encryption.errors import MigrationInProgress
from masc_plugin_encryption.locksmith import locksmith_of, sealed_of
from masc_plugin_encryption.records import refuse_during_migration

__all__ = ["Disabled", "masc_encryption_disable"]


@frozen
class Disabled:
    """Result of masc_encryption_disable; ``sealed`` counts the records that still are."""

    state: str
    sealed: int
    changed: bool


@tool(
    effect=DESTRUCTIVE,
    role=ADMIN,
    idempotent=True,
    caller=CallerUse.NONE,
    errors=(MigrationInProgress,),
    keywords=(
        "disable stop plain longer encrypt store; new leave readable open revert unseal undo turn cease data "
        "not clear henceforth"
    ),
)
async def masc_encryption_disable(ctx: Context) -> Disabled:
    """Stop encrypting new records; old ones stay encrypted until `masc encryption migrate --to plain`."""
    from masc_plugin_encryption.changes import switched_off
    from masc_plugin_encryption.migration import census

    driver = sealed_of(ctx.tx)
    states = ctx.collection(ENCRYPTION)
    before = await states.find(STATE_ID) or Encryption()
    await refuse_during_migration(driver.inner, before)
    sealed, _ = await census(driver)
    if before.state == "off":
        return Disabled("off", sealed, changed=False)
    states.put(switched_off(before, locksmith_of(driver).unwrapped))
    ctx.event("encryption_changed", ROOM_ID, old=before.state, new="off")
    return Disabled("off", sealed, changed=True)
