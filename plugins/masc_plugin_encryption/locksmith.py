"""Finds a room's keys for the sealing driver, and remembers in this process what must not be asked for twice."""

from __future__ import annotations

from collections.abc import Mapping

from masc_core.errors import MascError, RecordUnreadable
from masc_core.store.envelope import Keyring
from masc_core.store.sealed import SealedDriver
from masc_core.store.sealing import ENCRYPTION, STATE_ID, Encryption
from masc_core.store.transaction import Transaction
from masc_plugin_encryption.errors import EncryptionKeyMissing, EncryptionKeyWrong
from masc_plugin_encryption.sources import ENV, Sources, shown
from masc_plugin_encryption.wrapping import fits, is_proven, scope_of, unwrap

__all__ = ["Locksmith", "locksmith_of", "sealed_of"]


class Locksmith:
    """The keys of one room in one process. Called by the :class:`SealedDriver` whenever the room's state has changed."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self.sources = Sources(environ)
        self._generated: list[bytes] = []
        self._data: dict[bytes, bytes] = {}
        self._master: bytes | None = None

    def __repr__(self) -> str:
        return f"Locksmith({len(self._data)} keys)"

    async def __call__(self, state: Encryption, starting: bool) -> Keyring:
        """The room's keys. Raises what is wrong with the source at the start, :class:`EncryptionKeyMissing` later on, and
        :class:`RecordUnreadable` for a state that nobody with these keys has written."""
        known = [bytes.fromhex(key.id) for key in state.keys]
        if not known:
            self._data, self._master = {}, None
            return Keyring({}, known=(), active=None, scope=scope_of(state.cluster))
        try:
            master = await self.master(state)
            self._data, self._master = self._unwrapped(master, state), master
        except MascError as error:
            if starting:
                raise
            raise EncryptionKeyMissing(source=shown(state.source or ENV)) from error
        if not is_proven(state, self._data):
            raise RecordUnreadable(collection=ENCRYPTION.name, key=STATE_ID, reason="bad_tag")
        active = bytes.fromhex(state.active) if state.active else None
        return Keyring(self._data, known=known, active=active, scope=scope_of(state.cluster))

    def keep(self, master: bytes) -> None:
        """Use a key that this process generated, which no source has yet, if the room comes to have it."""
        self._generated.append(master)

    @property
    def unwrapped(self) -> Mapping[bytes, bytes]:
        """The data keys by id; those of the state that was read last."""
        return self._data

    @property
    def held(self) -> frozenset[str]:
        """The master keys this process holds, as 64 hex digits: what no text may show."""
        masters = [*self._generated, *([self._master] if self._master else [])]
        return frozenset(master.hex() for master in masters)

    async def master(self, state: Encryption) -> bytes:
        """The master key of a room that has one. Raises :class:`EncryptionKeyMissing`, ``Invalid`` or ``Wrong``."""
        for generated in self._generated:
            if fits(generated, state.cluster, state.check):
                return generated
        source = state.source or ENV
        master = await self.sources.read(source, state.stretching)
        if not fits(master, state.cluster, state.check):
            raise EncryptionKeyWrong(source=shown(source))
        return master

    def data_keys(self, state: Encryption, master: bytes) -> dict[bytes, bytes]:
        """The data keys: unwrapped by ``master`` where it is the room's, else those unwrapped before.

        Raises :class:`EncryptionKeyWrong` when one is not at hand.
        """
        if state.keys and fits(master, state.cluster, state.check):
            return self._unwrapped(master, state)
        wanted = [bytes.fromhex(key.id) for key in state.keys]
        if any(id not in self._data for id in wanted):
            raise EncryptionKeyWrong(source=shown(state.source or ENV))
        return {id: self._data[id] for id in wanted}

    def _unwrapped(self, master: bytes, state: Encryption) -> dict[bytes, bytes]:
        try:
            return unwrap(master, state.cluster, state.keys)
        except ValueError:
            raise EncryptionKeyWrong(source=shown(state.source or ENV)) from None


def sealed_of(tx: Transaction) -> SealedDriver:
    """The sealing driver under a unit of work."""
    driver = tx.driver
    assert isinstance(driver, SealedDriver), "the guard puts it round every room's driver"
    return driver


def locksmith_of(driver: SealedDriver) -> Locksmith:
    """Who finds the keys of a room."""
    assert isinstance(driver.unlock, Locksmith)
    return driver.unlock
