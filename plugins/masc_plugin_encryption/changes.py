"""From one state of a room's encryption to the next: plain functions over the stored record. ``keys`` are the data keys
by id; each state is proven with its active one."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from masc_core.frozen import evolve
from masc_core.store.sealing import Encryption, Migration, Stretching
from masc_plugin_encryption.wrapping import check_of, new_key, proven, wrap

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
    return proven(_wrapped(state, master, keys, at), keys)


def renewed(state: Encryption, master: Master, keys: Keys, at: str) -> Encryption:
    """With a new data key, which seals from now on."""
    return proven(*_with_new_key(state, master, keys, at))


def sealing(state: Encryption, master: Master, keys: Keys, at: str, total: int) -> Encryption:
    """What is written is sealed from now on, and what is plain is to be."""
    keyed, keys = (_wrapped(state, master, keys, at), keys) if keys else _with_new_key(state, master, keys, at)
    return proven(evolve(keyed, state="converting", migration=Migration("seal", at, total, keyed.active)), keys)


def rotated(state: Encryption, master: Master, keys: Keys, at: str, total: int) -> Encryption:
    """With a new data key, under which everything is to be sealed again. Plain records are refused all the while."""
    keyed, keys = _with_new_key(state, master, keys, at)
    return proven(evolve(keyed, migration=Migration("seal", at, total, keyed.active)), keys)


def opening(state: Encryption, keys: Keys, at: str, total: int) -> Encryption:
    """What is written is plain from now on, and what is sealed is to be."""
    return proven(evolve(state, state="converting", migration=Migration("open", at, total)), keys)


def switched_off(state: Encryption, keys: Keys) -> Encryption:
    """What is written is plain from now on; what is sealed stays so, and its keys are kept."""
    return proven(evolve(state, state="off"), keys)


def finished(state: Encryption, keys: Keys, *, all_converted: bool) -> Encryption:
    """After a migration. Keys that nothing is sealed with any more are forgotten: whoever got hold of one could go on
    making records with it."""
    migration = state.migration
    if migration is not None and migration.direction == "seal":
        drop = all_converted and state.active == migration.target
        kept = [key for key in state.keys if key.id == state.active] if drop else state.keys
        return proven(evolve(state, state="on", migration=None, keys=kept), keys)
    if not all_converted:
        return proven(evolve(state, state="off", migration=None), keys)
    return Encryption("off", state.cluster, version=state.version)


def _wrapped(state: Encryption, master: Master, keys: Keys, at: str) -> Encryption:
    made = {key.id: key.created_at for key in state.keys}
    return evolve(
        state,
        source=master.source,
        stretching=master.stretching,
        check=check_of(master.key, state.cluster),
        keys=[wrap(master.key, state.cluster, id, key, made.get(id.hex(), at)) for id, key in keys.items()],
    )


def _with_new_key(state: Encryption, master: Master, keys: Keys, at: str) -> tuple[Encryption, Keys]:
    id, key = new_key()
    all_keys = {**keys, id: key}
    return evolve(_wrapped(state, master, all_keys, at), active=id.hex()), all_keys
