"""masc_encryption_enable: from now on everything is sealed; or the master key is another one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from attrs import field

from masc_core import ADMIN, WRITE, CallerUse, Context, tool
from masc_core.errors import InvalidArgument, StorageBusy
from masc_core.frozen import frozen
from masc_core.records import ROOM_ID
from masc_core.secret_files import Deliver, Delivered, deliver_secret
from masc_core.store.sealed import SealedDriver
from masc_core.store.sealing import ENCRYPTION, STATE_ID, Encryption
from masc_plugin_encryption.changes import Master, sealing, under
from masc_plugin_encryption.errors import (
    EncryptionKeyInvalid,
    EncryptionKeyMissing,
    EncryptionKeyWrong,
    MigrationInProgress,
)
from masc_plugin_encryption.locksmith import Locksmith, locksmith_of
from masc_plugin_encryption.records import (
    KeySource,
    MigrationShown,
    migration_shown,
    refuse_during_migration,
    sealed_in,
    total_of,
)
from masc_plugin_encryption.sources import ENV, FILE, KEY_BYTES, KEY_VARIABLE, PASSPHRASE, new_stretching
from masc_plugin_encryption.wrapping import fits

__all__ = ["Enabled", "masc_encryption_enable"]

GENERATE = "generate"


@frozen
class Enabled:
    """Result of masc_encryption_enable."""

    state: str
    key_source: str
    active_key_id: str
    changed: bool
    key: str | None = field(default=None, repr=False)
    key_path: str | None = None
    migration: MigrationShown | None = None


@tool(
    effect=WRITE,
    role=ADMIN,
    idempotent=True,
    caller=CallerUse.NONE,
    transactional=False,
    errors=(EncryptionKeyMissing, EncryptionKeyInvalid, EncryptionKeyWrong, MigrationInProgress),
    examples=({"key_source": "generate"}, {"key_source": "file:/etc/masc/key"}),
    keywords=(
        "start protect aes passphrase file key encrypt database store; room enable message everything change rotate "
        "different rewrap secret unread hide contents lock away turn begin scramble credential keyfile replace master "
        "data record storage disk rest plain activate new secure outsiders ciphertext"
    ),
)
async def masc_encryption_enable(ctx: Context, key_source: KeySource = ENV, deliver: Deliver | None = None) -> Enabled:
    """Encrypt all stored records, or change the key; key_source: env, passphrase, file:PATH or generate (a new one)."""
    driver = await sealed_in(ctx)
    state = (await driver.reload()).state
    locksmith = locksmith_of(driver)
    master = await _master(locksmith, state, key_source, ctx.base)
    if key_source != GENERATE:
        return await _enable(ctx, driver, master, Delivered())
    await refuse_during_migration(driver.inner, state)
    handed = await deliver_secret(ctx, "encryption-key", ctx.settings.cluster, master.key.hex(), deliver)
    locksmith.keep(master.key)
    try:
        enabled = await _enable(ctx, driver, master, handed)
        ctx.warn(
            "key_needed", f"only this process has the key: set {KEY_VARIABLE} to it for every other and the next start"
        )
        return enabled
    except BaseException:
        await handed.withdraw()
        raise


async def _master(locksmith: Locksmith, state: Encryption, key_source: str, base: Path) -> Master:
    """The master key that is asked for. Raises :class:`EncryptionKeyMissing` and :class:`EncryptionKeyInvalid`."""
    sources = locksmith.sources
    if key_source == GENERATE:
        return Master(os.urandom(KEY_BYTES), ENV)
    if key_source == PASSPHRASE:
        if state.source == PASSPHRASE and state.stretching is not None:
            same = await sources.read(PASSPHRASE, state.stretching)
            if fits(same, state.cluster, state.check):
                return Master(same, PASSPHRASE, state.stretching)
        stretching = new_stretching()
        return Master(await sources.read(PASSPHRASE, stretching), PASSPHRASE, stretching)
    if key_source.startswith(FILE):
        key_source = _absolute(key_source, base)
    elif key_source != ENV:  # a pattern lets a line break at the end pass
        expected = "must be env, passphrase, generate or file:PATH"
        raise InvalidArgument(field="key_source", reason="pattern", expected=expected)
    return Master(await sources.read(key_source, None), key_source)


def _absolute(key_source: str, base: Path) -> str:
    """A file source that means the same file to every process: paths are relative to the room's base directory."""
    return f"{FILE}{base / Path(key_source.removeprefix(FILE)).expanduser()}"


async def _enable(ctx: Context, driver: SealedDriver, master: Master, handed: Delivered) -> Enabled:
    total = await total_of(driver)

    async def change(work: Context) -> tuple[Encryption, Encryption]:
        states = work.collection(ENCRYPTION)
        before = await states.find(STATE_ID) or Encryption(cluster=work.settings.cluster)
        after = await _changed(driver, before, master, work.now, total)
        if after != before:
            after = states.put(after)
            work.event(
                "encryption_changed", ROOM_ID, old=before.state, new=after.state, key_source=after.source,
                active_key_id=after.active,
            )  # fmt: skip
        return before, after

    before, after = await ctx.transact(change, concludes=True)
    if after != before and before.keys:
        # Best effort: what was wrapped by the key before is no use to its holder once it is gone from the files.
        with suppress(StorageBusy):
            await driver.scrub()
    assert after.source is not None
    assert after.active is not None
    return Enabled(
        state=after.state,
        key_source=after.source,
        active_key_id=after.active,
        changed=after != before,
        key=handed.value,
        key_path=handed.path,
        migration=await migration_shown(driver.inner, after),
    )


async def _changed(driver: SealedDriver, before: Encryption, master: Master, now: str, total: int) -> Encryption:
    same = fits(master.key, before.cluster, before.check) and master.source == before.source
    if same and before.state != "off" and before.seals:
        return before
    await refuse_during_migration(driver.inner, before)
    keys = locksmith_of(driver).data_keys(before, master.key)
    if before.state == "on":
        return under(before, master, keys, now)
    return sealing(before, master, keys, now, total)
