"""Where a master key comes from: environment, file, passphrase. No value read here ever gets into a message."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from masc_core.store.sealing import Stretching
from masc_plugin_encryption.errors import EncryptionKeyInvalid, EncryptionKeyMissing

__all__ = [
    "ENV",
    "FILE",
    "KEY_BYTES",
    "KEY_VARIABLE",
    "PASSPHRASE",
    "PASSPHRASE_VARIABLE",
    "Sources",
    "parse_key",
    "shown",
]

KEY_BYTES = 32
ENV, PASSPHRASE, FILE = "env", "passphrase", "file:"
KEY_VARIABLE, PASSPHRASE_VARIABLE = "MASC_ENCRYPTION_KEY", "MASC_ENCRYPTION_PASSPHRASE"
SHORTEST_PASSPHRASE = 12
PASSES, MEMORY, SALT_BYTES = 3, 256 * 1024 * 1024, 16
_MOST_PASSES, _MOST_MEMORY, _LEAST_MEMORY = 16, 2**30, 8192
_LARGEST_FILE = 4096

_HEX = re.compile(r"[0-9A-Fa-f]{64}\Z")
_STANDARD = re.compile(r"[A-Za-z0-9+/]{43}=?\Z")
_URL_SAFE = re.compile(r"[A-Za-z0-9_-]{43}=?\Z")
FORMATS = "it must be 64 hex digits, or base64 of 32 bytes"


def parse_key(text: str, source: str) -> bytes:
    """The 32 bytes written as 64 hex digits, or as 44 or 43 characters of standard or URL-safe base64.

    Raises :class:`EncryptionKeyInvalid` for everything else.
    """
    if _HEX.match(text):
        return bytes.fromhex(text)
    if _STANDARD.match(text) or _URL_SAFE.match(text):
        return base64.b64decode(text.rstrip("=") + "=", altchars=b"-_" if _URL_SAFE.match(text) else b"+/")
    raise EncryptionKeyInvalid(source=shown(source), reason=FORMATS)


def shown(source: str) -> str:
    """A source as messages name it: the variable or the file."""
    return {ENV: KEY_VARIABLE, PASSPHRASE: PASSPHRASE_VARIABLE}.get(source, source.removeprefix(FILE))


class Sources:
    """Reads master keys. A passphrase is stretched once for each salt: it takes most of a second."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._stretched: dict[tuple[Stretching, bytes], bytes] = {}

    async def read(self, source: str, stretching: Stretching | None) -> bytes:
        """The master key of a source; ``stretching`` belongs to a passphrase.

        Raises :class:`EncryptionKeyMissing` and :class:`EncryptionKeyInvalid`.
        """
        if source == ENV:
            return parse_key(self._value(KEY_VARIABLE, source), source)
        if source == PASSPHRASE:
            passphrase = self._value(PASSPHRASE_VARIABLE, source)
            if len(passphrase) < SHORTEST_PASSPHRASE:
                raise EncryptionKeyInvalid(
                    source=shown(source), reason=f"it is shorter than {SHORTEST_PASSPHRASE} characters"
                )
            if stretching is None:
                raise EncryptionKeyInvalid(source=shown(source), reason="its parameters are not stored")
            return await self._stretch(passphrase.encode(errors="surrogateescape"), stretching)
        return parse_key(await asyncio.to_thread(read_key_file, Path(source.removeprefix(FILE))), source)

    def _value(self, variable: str, source: str) -> str:
        if not (value := self._environ.get(variable)):
            raise EncryptionKeyMissing(source=shown(source))
        return value

    async def _stretch(self, passphrase: bytes, how: Stretching) -> bytes:
        known = (how, hashlib.sha256(passphrase).digest())
        if known not in self._stretched:
            self._stretched[known] = await asyncio.to_thread(_argon2id, passphrase, how)
        return self._stretched[known]


def new_stretching() -> Stretching:
    """Parameters for a new passphrase, with a salt of its own."""
    return Stretching(base64.b64encode(os.urandom(SALT_BYTES)).decode(), PASSES, MEMORY)


def _argon2id(passphrase: bytes, how: Stretching) -> bytes:
    from nacl.pwhash import argon2id

    # The parameters come from the store, which is not trusted to ask for any amount of work.
    sound = how.algorithm == "argon2id" and 1 <= how.passes <= _MOST_PASSES
    try:
        salt = base64.b64decode(how.salt, validate=True)
    except ValueError:
        salt = b""
    if not sound or not _LEAST_MEMORY <= how.memory <= _MOST_MEMORY or len(salt) != SALT_BYTES:
        raise EncryptionKeyInvalid(source=shown(PASSPHRASE), reason="its stored parameters are out of bounds")
    return argon2id.kdf(KEY_BYTES, passphrase, salt, opslimit=how.passes, memlimit=how.memory)


def read_key_file(path: Path) -> str:
    """The one line of a key file. Raises :class:`EncryptionKeyMissing` when there is none or it is empty, and
    :class:`EncryptionKeyInvalid` when it cannot be read, others can read it, or it holds anything else."""
    source = str(path)
    try:
        # Not blocking: a named pipe would hold the start for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise EncryptionKeyMissing(source=source) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no usable path"
        raise EncryptionKeyInvalid(source=source, reason=f"it cannot be read ({reason})") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise EncryptionKeyInvalid(source=source, reason="it is no regular file")
        if os.name == "posix" and status.st_mode & 0o077:
            raise EncryptionKeyInvalid(source=source, reason="group or others may use it; chmod 600")
        text = os.read(descriptor, _LARGEST_FILE).decode("ascii")
    except (OSError, ValueError):
        raise EncryptionKeyInvalid(source=source, reason=FORMATS) from None
    finally:
        os.close(descriptor)
    line = text.removesuffix("\n").removesuffix("\r")
    if not line:
        raise EncryptionKeyMissing(source=source)
    return line
