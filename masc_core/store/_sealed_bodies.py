"""Bodies on their way into a store and out of it, as the state of the room's encryption says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import field, frozen

from masc_core.errors import MascError, RecordUnreadable
from masc_core.store.driver import (
    MAX_BODY,
    SEALED,
    Absent,
    Append,
    Check,
    Document,
    LateBody,
    LogEntry,
    Put,
    Rewrite,
    RewriteEntry,
    Version,
    Write,
)
from masc_core.store.envelope import Keyring
from masc_core.store.sealing import CLEAR, STATE_KEY, Encryption

__all__ = ["Known", "none_sealed", "opened_document", "opened_entry", "stored_form"]


@frozen(eq=False)
class Known:
    """The state of the room's encryption as this process last saw it."""

    state: Encryption
    keys: Keyring
    problem: MascError | None = None
    """Why the keys are not at hand."""
    at: float = 0.0
    version: int = field(init=False)
    """Of the state's document; 0 while there is none."""
    check: Check = field(init=False)
    """What holds as long as this is the state."""
    seals: bool = field(init=False)
    """What is written is sealed."""
    plain: bool = field(init=False)
    """Nothing was ever sealed, or nothing is any more."""

    @version.default
    def _its_version(self) -> int:
        return self.state.version

    @check.default
    def _its_check(self) -> Check:
        return Version(STATE_KEY, self.version) if self.version else Absent(STATE_KEY)

    @seals.default
    def _whether_it_seals(self) -> bool:
        return self.state.seals

    @plain.default
    def _whether_it_is_plain(self) -> bool:
        return self.state.state == "off" and self.keys.empty

    def refuse(self) -> None:
        """Raise what keeps this process from reading or writing."""
        if self.problem is not None and self.state.needs_key:
            # The same error many times over: without this, each raising would lengthen its traceback.
            raise self.problem.with_traceback(None)


def opened_document(known: Known, document: Document) -> Document:
    """The document in plain. Raises :class:`RecordUnreadable`."""
    key, version, body, value = document
    if body.startswith(SEALED):
        return Document(key, version, known.keys.open(body, key), value)
    if known.state.state == "on" and key[0] not in CLEAR:
        raise RecordUnreadable(collection=key[0], key=key[1], reason="plaintext_refused")
    return document


def opened_entry(known: Known, log: str, seq: int, body: bytes) -> bytes:
    """A log entry's body in plain. Raises :class:`RecordUnreadable`."""
    if body.startswith(SEALED):
        return known.keys.open_entry(body, log, seq)
    if known.state.state == "on":
        raise RecordUnreadable(collection=log, key=str(seq), reason="plaintext_refused")
    return body


def stored_form(known: Known, writes: Sequence[Write]) -> Sequence[Write]:
    """The writes with their bodies as they are stored. Raises ``ValueError`` for a body that is too large or looks sealed."""
    if not known.plain:
        return [_stored(known, write) for write in writes]
    for write in writes:
        if (type(write) is Put or type(write) is Append) and not callable(body := write.body):
            if body.startswith(SEALED):
                _bounded(body)
        elif type(write) is Rewrite or type(write) is RewriteEntry:
            _bounded(write.body)
    return writes


def _stored(known: Known, write: Write) -> Write:
    if isinstance(write, Put | Rewrite):
        body = _bounded(write.body)
        if not known.seals or write.key[0] in CLEAR:
            return write
        body = known.keys.seal(body, write.key)
        return Put(write.key, body, write.index) if isinstance(write, Put) else Rewrite(write.key, body)
    if isinstance(write, Append):
        if not callable(write.body):
            _bounded(write.body)
        if known.seals or (callable(write.body) and not known.keys.empty):
            return Append(write.log, _late(known, write.log, write.body), write.index)
    elif isinstance(write, RewriteEntry):
        body = _bounded(write.body)
        if known.seals:
            return RewriteEntry(write.log, write.seq, known.keys.seal_entry(body, write.log, write.seq))
    return write


def _late(known: Known, log: str, body: bytes | LateBody) -> LateBody:
    """A body made inside the commit, because what seals it covers its number."""

    def make(seq: int, previous: bytes | None) -> bytes:
        made = body
        if callable(made):
            before = None if previous is None else opened_entry(known, log, seq - 1, previous)
            made = _bounded(made(seq, before))
        return known.keys.seal_entry(made, log, seq) if known.seals else made

    return make


def none_sealed(records: Iterable[Document | LogEntry | None]) -> bool:
    """Whether all that is found can be handed out as it is."""
    return not [found for found in records if found is not None and found.body.startswith(SEALED)]


def _bounded(body: bytes) -> bytes:
    if len(body) > MAX_BODY:
        raise ValueError(f"body of {len(body)} bytes is over {MAX_BODY} bytes")
    if body.startswith(SEALED):
        raise ValueError("a body that begins with the mark of sealed ones would be taken for one")
    return body
