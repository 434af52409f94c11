"""Sealed drivers with keys of the test's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import orjson

from masc_core.convert import unstructure
from masc_core.errors import Refused, error
from masc_core.frozen import evolve
from masc_core.store.driver import Absent, Conflict, Driver, Put, Version
from masc_core.store.envelope import Keyring
from masc_core.store.sealed import SealedDriver
from masc_core.store.sealing import STATE_KEY, Encryption, Migration, WrappedKey, state_of

KEYS: Mapping[bytes, bytes] = {bytes([n]) * 8: bytes([n + 1]) * 32 for n in range(17, 21)}
FIRST, SECOND = list(KEYS)[:2]


@error
class Locked(Refused):
    code = "locked"
    text = "locked"


class Vault:
    """Gives the keys of the test, while it is open, to the room called ``room``."""

    def __init__(self, room: str = "default") -> None:
        self.room = room
        self.open = True
        self.asked = 0

    async def __call__(self, state: Encryption, starting: bool) -> Keyring:
        self.asked += 1
        if state.keys and not self.open:
            raise Locked()
        ids = [bytes.fromhex(key.id) for key in state.keys]
        active = bytes.fromhex(state.active) if state.active else None
        return Keyring({id: KEYS[id] for id in ids}, known=ids, active=active, scope=(state.cluster, self.room))


def state(mode: str, *ids: bytes, direction: Any = "seal", cluster: str = "test") -> Encryption:
    """A state whose first key is the active one."""
    keys = [WrappedKey(id.hex(), "", "") for id in ids]
    migration = Migration(direction, "now", 0) if mode == "converting" else None
    active = ids[0].hex() if ids else None
    return Encryption(mode, cluster, "env", keys=keys, active=active, migration=migration)  # type: ignore[arg-type]


async def store_state(driver: Driver, wanted: Encryption) -> None:
    """Put a state into the store, whatever is there."""
    (present,) = await driver.get([STATE_KEY])
    body = unstructure(evolve(wanted, version=0))
    body.pop("version", None)
    check = Version(STATE_KEY, present.version) if present else Absent(STATE_KEY)
    await driver.commit([check], [Put(STATE_KEY, orjson.dumps(body))])


class OwningDriver(SealedDriver):
    """Opens and closes the driver inside, and puts a first state there."""

    def __init__(self, inner: Driver, vault: Vault, first: Encryption | None = None, **given: Any) -> None:
        super().__init__(inner, vault, **given)
        self._first = first

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        if self._first is not None and state_of((await self.inner.get([STATE_KEY]))[0]).version == 0:
            try:
                await store_state(self.inner, self._first)
            except Conflict:
                pass
        return await super().__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        await self.inner.__aexit__(kind, error, trace)


def random_word() -> str:
    """32 characters that are nowhere else."""
    return os.urandom(16).hex()
