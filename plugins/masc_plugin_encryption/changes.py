"""From one state of a room's encryption to the next: plain functions over the stored record."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from masc_core.frozen import evolve
from masc_core.store.sealing import Encryption, Migration, Stretching
from masc_plugin_encryption.wrapping import check_of, new_key, wrap

__all__ = ["Master", "finished", "opening", "renewed", "rotated", "sealing", "switched_off", "under"]

Keys = Mapping[bytes, bytes]


@frozen(repr=False)
class Master:
    """A master key and where the next start finds it."""

    key: bytes
    source: str
    stretching: Stretching | None = None


def under(state: Encryption, master: Master, keys: Keys, at: str) -> Encryption:
    """The same data keys, wrapped by another master key."""
    made = {key.id: key.created_at for key in state.keys}
    return evolve(
        state,
        source=master.source,
        stretching=master.stretching,
        check=check_of(master.key, state.cluster),
        keys=[wrap(master.key, state.cluster, id, key, made.get(id.hex(), at)) for id, key in keys.items()],
    )


def renewed(state: Encryption, master: Master, keys: Keys, at: str) -> Encryption:
    """With a new data key, which seals from now on."""
    id, key = new_key()
    return evolve(under(state, master, {**keys, id: key}, at), active=id.hex())


def sealing(state: Encryption, master: Master, keys: Keys, at: str, total: int) -> Encryption:
    """What is written is sealed from now on, and what is plain is to be."""
    keyed = under(state, master, keys, at) if keys else renewed(state, master, keys, at)
    return evolve(keyed, state="converting", migration=Migration("seal", at, total, keyed.active))


def rotated(state: Encryption, master: Master, keys: Keys, at: str, total: int) -> Encryption:
    """With a new data key, under which everything is to be sealed again. Plain records are refused all the while."""
    keyed = renewed(state, master, keys, at)
    return evolve(keyed, migration=Migration("seal", at, total, keyed.active))


def opening(state: Encryption, at: str, total: int) -> Encryption:
    """What is written is plain from now on, and what is sealed is to be."""
    return evolve(state, state="converting", migration=Migration("open", at, total))


def switched_off(state: Encryption) -> Encryption:
    """What is written is plain from now on; what is sealed stays so, and its keys are kept."""
    return evolve(state, state="off")


def finished(state: Encryption, *, all_converted: bool) -> Encryption:
    """After a migration. Keys that nothing is sealed with any more are forgotten: whoever got hold of one could go on
    making records with it."""
    migration = state.migration
    if migration is not None and migration.direction == "seal":
        drop = all_converted and state.active == migration.target
        keys = [key for key in state.keys if key.id == state.active] if drop else state.keys
        return evolve(state, state="on", migration=None, keys=keys)
    if not all_converted:
        return evolve(state, state="off", migration=None)
    return Encryption("off", state.cluster, version=state.version)
