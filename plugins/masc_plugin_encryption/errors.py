"""What can be wrong with a key, and when encryption cannot be changed."""

from __future__ import annotations

from masc_core.errors import MascError, Refused, error

__all__ = ["EncryptionKeyInvalid", "EncryptionKeyMissing", "EncryptionKeyWrong", "MigrationInProgress"]


@error
class EncryptionKeyMissing(Refused):
    code = "encryption_key_missing"
    text = "this room is encrypted or is to be, and {source} holds no key for it; set it and start again"
    source: str


@error
class EncryptionKeyInvalid(MascError):
    code = "encryption_key_invalid"
    http = 400
    text = "the key of {source} is unusable: {reason}"
    source: str
    reason: str


@error
class EncryptionKeyWrong(Refused):
    code = "encryption_key_wrong"
    text = "the key of {source} does not open this room; give the one it was encrypted with"
    source: str


@error
class MigrationInProgress(Refused):
    code = "migration_in_progress"
    retryable = True
    text = (
        "records are being converted (direction {direction}, {done} of {total}); try again when that is over, or finish it "
        "with: masc encryption migrate"
    )
    direction: str
    done: int
    total: int
