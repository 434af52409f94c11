"""Every kind of tampering with the raw file is found at its number, with its reason."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from audit_support import Raw, fault, hashed, log, verified

from masc_core.frozen import evolve
from masc_core.kernel import local_client
from masc_core.plugins import Registry
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app
from masc_plugin_audit.chain import ZEROS, Chain, Head, canonical
from masc_plugin_audit.exporting import COMMANDS
from masc_plugin_audit.keys import head_text, sign, signed_by
from masc_plugin_audit.reading import room_key
from masc_plugin_audit.records import KEYS
from masc_plugin_audit.verifying import Anchor


@pytest.fixture
async def app(tmp_path: Path, clock: ManualClock, registry: Registry) -> AsyncIterator[MascApp]:
    """A room on SQLite with some twenty entries."""
    async with masc_app(tmp_path, backend="sqlite", clock=clock, registry=registry) as app:
        for number in range(20):
            await app.call("masc_add_task", "claude", title=f"t{number}")
        yield app


@pytest.fixture
def raw(tmp_path: Path) -> Raw:
    return Raw(tmp_path)


async def test_an_empty_log_holds(masc: MascApp) -> None:
    await masc.kernel.start_room.connect(create=True)
    found = await verified(masc)
    assert (str(found.head), found.entries, found.key) == (f"0:{ZEROS}", 0, None)


async def test_a_log_that_nobody_touched_holds(masc: MascApp) -> None:
    for number in range(5):
        await masc.call("masc_add_task", "claude", title=f"t{number}")
    entries = await log(masc)
    found = await verified(masc)
    assert found.head == Head(len(entries), entries[-1]["hash"])
    assert (found.first, found.entries, found.warnings) == (1, len(entries), [])


async def test_the_hash_is_that_of_the_specification(app: MascApp) -> None:
    for entry in await log(app):
        assert hashed(entry) == canonical(entry)


@pytest.mark.parametrize(
    "fields",
    [
        {"at": "2020-01-01T00:00:00.000Z"},
        {"actor": "gemini"},
        {"role": "admin"},
        {"auth": "token"},
        {"tool": "masc_gc"},
        {"outcome": "forbidden"},
        {"source": "elsewhere"},
        {"subject": "task-999"},
        {"details": {}},
        {"on_behalf_of": "gemini"},
        {"prev": "1" * 64},
        {"hash": "1" * 64},
        {"hash": None},
        {"seq": 12},
        {"added": 1},
    ],
    ids=str,
)
async def test_any_altered_field_breaks_the_hash(app: MascApp, raw: Raw, fields: dict[str, Any]) -> None:
    raw.change(11, **fields)
    assert await fault(app) == (11, "hash")


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"hash":1}'])
async def test_a_ruined_entry_breaks_the_hash(app: MascApp, raw: Raw, body: bytes) -> None:
    raw.write(11, body)
    assert await fault(app) == (11, "hash")


async def test_another_spelling_of_the_same_entry_breaks_the_hash(app: MascApp, raw: Raw) -> None:
    twice = raw.body(11).replace(b'{"actor"', b'{"actor":"gemini","actor"', 1)
    assert orjson.loads(twice) == orjson.loads(raw.body(11))
    raw.write(11, twice)
    assert await fault(app) == (11, "hash")
    raw.write(11, raw.body(11).replace(b'"actor":"gemini",', b" ", 1))
    assert await fault(app) == (11, "hash")


async def test_an_entry_that_was_altered_with_its_hash_does_not_fit_the_next(app: MascApp, raw: Raw) -> None:
    raw.change(11, rehash=True, actor="gemini")
    assert await fault(app) == (12, "prev")


@pytest.mark.parametrize("fields", [{"details": [1]}, {"at": 5}, {"prev": None}, {"details": None}], ids=str)
async def test_an_entry_of_another_shape_is_found_even_with_its_hash(
    app: MascApp, raw: Raw, fields: dict[str, Any]
) -> None:
    raw.change(11, rehash=True, **fields)
    assert await fault(app) == (11, "hash")


async def test_a_changed_prev_with_its_hash_is_found_at_the_entry(app: MascApp, raw: Raw) -> None:
    raw.change(11, rehash=True, prev="1" * 64)
    assert await fault(app) == (11, "prev")


async def test_a_first_entry_with_another_beginning_is_found(app: MascApp, raw: Raw) -> None:
    raw.change(1, rehash=True, prev="1" * 64)
    assert await fault(app) == (1, "prev")


@pytest.mark.parametrize(("first", "last"), [(1, 1), (1, 5), (11, 11), (11, 15)])
async def test_removed_entries_are_found_at_the_first(app: MascApp, raw: Raw, first: int, last: int) -> None:
    raw.remove(first, last)
    assert await fault(app) == (first, "gap")


async def test_removed_entries_whose_gap_was_closed_are_found(app: MascApp, raw: Raw) -> None:
    raw.remove(11, 11)
    for seq in range(12, 22):
        raw.move(seq, seq - 1)
    assert await fault(app) == (11, "hash")


async def test_an_inserted_copy_is_found(app: MascApp, raw: Raw) -> None:
    copy = raw.body(11)
    for seq in range(21, 11, -1):
        raw.move(seq, seq + 1)
    raw.run("INSERT INTO entries (room, log, seq, indexed, body) VALUES (1, 'audit', 12, '', ?)", copy)
    assert await fault(app) == (12, "hash")


async def test_two_entries_that_changed_places_are_found(app: MascApp, raw: Raw) -> None:
    raw.move(11, 1000)
    raw.move(12, 11)
    raw.move(1000, 12)
    assert await fault(app) == (11, "hash")


async def test_a_log_that_was_rewritten_whole_is_found_with_an_anchor(app: MascApp, raw: Raw) -> None:
    anchor = Anchor(Head(15, orjson.loads(raw.body(15))["hash"]))
    prev = orjson.loads(raw.body(10))["hash"]
    for seq in range(11, 22):
        raw.change(seq, rehash=True, prev=prev, actor="gemini")
        prev = orjson.loads(raw.body(seq))["hash"]
    assert await fault(app) is None
    assert await fault(app, anchor) == (15, "hash")


async def test_two_anchors_that_contradict_each_other_are_found(app: MascApp, raw: Raw) -> None:
    head = (await verified(app)).head
    assert await fault(app, Anchor(head), Anchor(evolve(head, hash="1" * 64))) == (head.seq, "hash")


async def test_writing_goes_on_after_a_cut_and_the_place_is_found(app: MascApp, raw: Raw) -> None:
    raw.remove(19, 22)
    await app.call("masc_add_task", "claude", title="later")
    assert await fault(app) == (19, "gap")


async def test_writing_goes_on_after_a_ruined_entry(app: MascApp, raw: Raw) -> None:
    last = len(await log(app))
    raw.write(last, b"ruin")
    await app.call("masc_add_task", "claude", title="later")
    assert await fault(app) == (last, "hash")


async def test_a_whole_log_that_is_gone_is_found_with_an_anchor(app: MascApp, raw: Raw) -> None:
    head = (await verified(app)).head
    raw.remove(1, 1000)
    assert (await verified(app)).warnings
    assert await fault(app, Anchor(head)) == (1, "truncated")


async def test_a_head_is_signed_by_the_room(app: MascApp) -> None:
    head = (await verified(app)).head
    key = await room_key(app.kernel.start_room.driver)
    assert key is not None
    signature = sign(key, head_text(head))
    assert signed_by(key.public, head_text(head), signature)
    assert await fault(app, Anchor(head, signature)) is None
    assert await fault(app, Anchor(head, signature), key=key.public.upper()) is None
    assert await fault(app, Anchor(head, "0" * 128)) == (head.seq, "signature")
    other = Anchor(evolve(head, seq=head.seq - 1), signature)
    assert await fault(app, other) == (head.seq - 1, "signature")
    assert not signed_by(key.public, head_text(head), None)
    assert not signed_by("nonsense", head_text(head), signature)
    assert key.private not in repr(key)


async def test_another_key_than_the_expected_is_found(app: MascApp) -> None:
    head = (await verified(app)).head
    assert await fault(app, key="0" * 64) == (head.seq, "signature")


async def test_an_exchanged_key_is_found_at_the_entry_that_names_the_first(app: MascApp, raw: Raw) -> None:
    raw.run("DELETE FROM documents WHERE collection = ?", KEYS.name)
    assert await fault(app) == (2, "signature")
    await app.kernel.run(COMMANDS["masc_audit_key"], {}, local_client())
    assert await fault(app) == (2, "signature")


def test_a_chain_says_where_it_stands() -> None:
    chain = Chain(Head(4, "a" * 64), {})
    chain.ended()
    assert str(chain.head) == f"4:{'a' * 64}"
