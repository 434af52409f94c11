"""masc_encryption_status: whether records are sealed, and how far a conversion is."""

from __future__ import annotations

from masc_core import READ, READER, Context, MascError, tool
from masc_core.frozen import frozen
from masc_core.store.envelope import VERSION
from masc_core.store.sealing import Encryption
from masc_plugin_encryption.locksmith import Locksmith, locksmith_of, sealed_of
from masc_plugin_encryption.records import MigrationShown, migration_shown
from masc_plugin_encryption.sources import ENV

__all__ = ["EncryptionStatus", "masc_encryption_status"]


@frozen
class EncryptionStatus:
    """Result of masc_encryption_status; ``sealed`` and ``plain`` count records."""

    state: str
    key_available: bool
    key_ids: list[str]
    envelope_version: int
    sealed: int
    plain: int
    key_source: str | None = None
    active_key_id: str | None = None
    migration: MigrationShown | None = None


@tool(
    effect=READ,
    role=READER,
    keywords=(
        "key conversion migration finish encrypt store; status available check secure unread already yet left state "
        "algorithm comes off work data database record storage disk rest plain progress safe protected scrambled far "
        "converted re-encryption"
    ),
)
async def masc_encryption_status(ctx: Context) -> EncryptionStatus:
    """Show whether stored records are encrypted, with which keys, and how far a conversion is."""
    from masc_plugin_encryption.migration import census

    driver = sealed_of(ctx.tx)
    known = await driver.reload()
    state = known.state
    sealed, plain = await census(driver)
    return EncryptionStatus(
        state=state.state,
        key_available=await _available(locksmith_of(driver), state) if known.problem is None else False,
        key_ids=[key.id for key in state.keys],
        envelope_version=VERSION,
        sealed=sealed,
        plain=plain,
        key_source=state.source,
        active_key_id=state.active,
        migration=await migration_shown(driver.inner, state),
    )


async def _available(locksmith: Locksmith, state: Encryption) -> bool:
    """The room's key is at hand; where it has none, the one that masc_encryption_enable would take."""
    if state.keys:
        return True
    try:
        await locksmith.sources.read(ENV, None)
    except MascError:
        return False
    return True
