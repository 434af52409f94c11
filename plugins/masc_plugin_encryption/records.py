"""What the tools share: arguments and the shape of a migration in results."""

from __future__ import annotations

from typing import Annotated

from masc_core import Bound, Context
from masc_core.frozen import frozen
from masc_core.store.driver import Driver
from masc_core.store.sealed import SealedDriver
from masc_core.store.sealing import Encryption
from masc_plugin_encryption.errors import MigrationInProgress
from masc_plugin_encryption.locksmith import sealed_of

__all__ = ["KeySource", "MigrationShown", "migration_shown", "refuse_during_migration", "sealed_in", "total_of"]

KeySource = Annotated[str, Bound(pattern="^(env|passphrase|generate|file:.+)$", maxLength=1000)]


@frozen
class MigrationShown:
    """A conversion of records that is under way."""

    direction: str
    done: int
    total: int
    started_at: str


async def migration_shown(inner: Driver, state: Encryption) -> MigrationShown | None:
    """How far the present migration is."""
    if (migration := state.migration) is None:
        return None
    from masc_plugin_encryption.migration import progress_of

    done = (await progress_of(inner, migration)).done
    return MigrationShown(migration.direction, min(done, migration.total), migration.total, migration.started_at)


async def refuse_during_migration(inner: Driver, state: Encryption) -> None:
    """Raise :class:`MigrationInProgress` while there is one."""
    if (shown := await migration_shown(inner, state)) is not None:
        raise MigrationInProgress(direction=shown.direction, done=shown.done, total=shown.total)


async def total_of(driver: SealedDriver) -> int:
    """How many records the room has."""
    contents = await driver.contents()
    return sum(contents.collections.values()) + sum(contents.logs.values())


async def sealed_in(ctx: Context) -> SealedDriver:
    """The room's sealing driver, from outside a unit of work."""

    async def found(work: Context) -> SealedDriver:
        return sealed_of(work.tx)

    return await ctx.transact(found)
