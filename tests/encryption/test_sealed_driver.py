"""The sealing driver: what is stored, what is refused, and how processes follow a change of state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sealed_support import FIRST, KEYS, SECOND, Locked, OwningDriver, Vault, random_word, state, store_state

from masc_core.errors import RecordUnreadable
from masc_core.store.driver import (
    MAX_BODY,
    SEALED,
    Append,
    Conflict,
    Document,
    IndexEntry,
    Key,
    LogEntry,
    Put,
    Rewrite,
    RewriteEntry,
    Scan,
    Version,
)
from masc_core.store.envelope import Keyring, as_json, is_sealed, key_id
from masc_core.store.memory import MemoryDatabase, MemoryDriver
from masc_core.store.sealed import SealedDriver
from masc_core.store.sealing import STATE_KEY, USAGE
from masc_core.testing import ManualClock

A, B = Key("things", "a"), Key("things", "b")


@pytest.fixture
def database() -> MemoryDatabase:
    return MemoryDatabase()


@pytest.fixture
def make(database: MemoryDatabase) -> Callable[..., OwningDriver]:
    def made(room: str = "default", vault: Vault | None = None, first: Any = None, **given: Any) -> OwningDriver:
        inner = MemoryDriver(ManualClock(), database=database, room=room)
        return OwningDriver(inner, vault or Vault(room), first, **given)

    return made


@pytest.fixture
async def driver(make: Callable[..., OwningDriver]) -> AsyncIterator[OwningDriver]:
    async with make(first=state("on", FIRST)) as driver:
        yield driver


async def refused(reading: Awaitable[object]) -> tuple[str, str, str]:
    """Collection, key and reason of a read that must fail."""
    with pytest.raises(RecordUnreadable) as caught:
        await reading
    return caught.value.collection, caught.value.key, caught.value.reason


async def body_of(driver: SealedDriver, key: Key) -> bytes:
    (document,) = await driver.inner.get([key])
    assert document is not None
    return document.body


async def test_what_is_stored_is_sealed_and_names_stay_clear(driver: OwningDriver) -> None:
    word = random_word().encode()
    await driver.commit([], [Put(A, word, (IndexEntry("by", "value"),)), Append("log", word)])
    (found,) = await driver.inner.scan(Scan("things", "by"))
    (entry,) = await driver.inner.read_log("log")
    for body in (found.body, entry.body):
        assert is_sealed(body)
        assert word not in body
        assert key_id(body) == FIRST
        assert len(body) == len(word) + 5 + 1 + 8 + 12 + 16
    assert (found.key, found.value) == (A, "value")
    assert (await driver.get([A]))[0] == found._replace(body=word, value="")
    assert await driver.read_log("log") == [LogEntry(1, word)]


async def test_equal_bodies_are_never_sealed_alike(driver: OwningDriver) -> None:
    seen = set()
    for _ in range(50):
        await driver.commit([], [Put(A, b"same")])
        seen.add(await body_of(driver, A))
    assert len(seen) == 50


async def test_every_flipped_byte_is_refused_and_the_rest_of_the_room_works(driver: OwningDriver) -> None:
    await driver.commit([], [Put(A, b'{"a": 1}'), Put(B, b"fine"), Append("log", b"entry"), Append("log", b"fine")])
    whole, entry = await body_of(driver, A), (await driver.inner.read_log("log"))[0].body
    reasons = set()
    for position in range(len(whole)):
        broken = bytearray(whole)
        broken[position] ^= 0x01
        await driver.inner.commit([], [Rewrite(A, bytes(broken))])
        collection, key, reason = await refused(driver.get([A]))
        assert (collection, key) == ("things", "a")
        reasons.add(reason)
        assert (await refused(driver.scan(Scan("things"))))[1] == "a"
        assert (await driver.get([B]))[0] is not None
    assert reasons == {"plaintext_refused", "bad_tag", "unknown_key_id"}  # mark, version and text, key id
    for position in range(len(entry)):
        broken = bytearray(entry)
        broken[position] ^= 0x80
        await driver.inner.commit([], [RewriteEntry("log", 1, bytes(broken))])
        assert (await refused(driver.read_log("log")))[:2] == ("log", "1")
        assert await driver.read_log("log", after=1) == [LogEntry(2, b"fine")]


@pytest.mark.parametrize("length", range(0, 60, 7))
async def test_a_truncated_body_is_refused(driver: OwningDriver, length: int) -> None:
    await driver.commit([], [Put(A, b"x" * 20)])
    whole = await body_of(driver, A)
    await driver.inner.commit([], [Rewrite(A, whole[:length])])
    assert (await refused(driver.get([A])))[2] in {"bad_tag", "plaintext_refused", "unknown_key_id"}
    assert isinstance(as_json(whole[:length]), dict)


async def test_swapped_bodies_do_not_open(driver: OwningDriver) -> None:
    await driver.commit(
        [], [Put(A, b"1"), Put(B, b"2"), Append("log", b"1"), Append("log", b"2"), Append("other", b"1")]
    )
    a, b = await body_of(driver, A), await body_of(driver, B)
    one, two = (e.body for e in await driver.inner.read_log("log"))
    await driver.inner.commit(
        [], [Rewrite(A, b), Rewrite(B, a), RewriteEntry("log", 1, two), RewriteEntry("log", 2, one)]
    )
    await driver.inner.commit([], [RewriteEntry("other", 1, one)])
    assert await refused(driver.get([A])) == ("things", "a", "bad_tag")
    assert await refused(driver.get([B])) == ("things", "b", "bad_tag")
    assert await refused(driver.read_log("log", 1)) == ("log", "2", "bad_tag")
    assert await refused(driver.read_log("other")) == ("other", "1", "bad_tag")


@pytest.mark.parametrize(
    ("target", "key"),
    [(Key("more", "a"), "a"), (Key("thing", "sa"), "sa"), (Key("thingsa", ""), ""), (Key("log", "1"), "1")],
)
async def test_a_body_replayed_in_another_place_does_not_open(driver: OwningDriver, target: Key, key: str) -> None:
    await driver.commit([], [Put(A, b"1"), Append("log", b"1")])
    source = (await driver.inner.read_log("log"))[0].body if target.collection == "log" else await body_of(driver, A)
    await driver.inner.commit([], [Put(target, source)])
    assert await refused(driver.get([target])) == (target.collection, key, "bad_tag")


@pytest.mark.parametrize("other", [("other", "test"), ("default", "elsewhere")])
async def test_a_body_copied_to_another_room_does_not_open(
    driver: OwningDriver, make: Callable[..., OwningDriver], other: tuple[str, str]
) -> None:
    """Also where the other room happens to have the same data key."""
    room, cluster = other
    await driver.commit([], [Put(A, b"1")])
    body = await body_of(driver, A)
    apart = MemoryDriver(ManualClock(), database=MemoryDatabase(), room=room)
    async with OwningDriver(apart, Vault(room), state("on", FIRST, cluster=cluster)) as there:
        await there.inner.commit([], [Put(A, body)])
        assert await refused(there.get([A])) == ("things", "a", "bad_tag")
    async with make(room="third", first=state("on", SECOND)) as there:
        await there.inner.commit([], [Put(A, body)])
        assert await refused(there.get([A])) == ("things", "a", "unknown_key_id")


async def test_a_planted_plain_record_is_refused_while_on(driver: OwningDriver) -> None:
    await driver.commit([], [Put(B, b"fine"), Append("log", b"fine")])
    await driver.inner.commit([], [Put(A, b"planted", (IndexEntry("by", "v"),)), Append("log", b"planted")])
    assert await refused(driver.get([B, A])) == ("things", "a", "plaintext_refused")
    assert await refused(driver.scan(Scan("things", "by"))) == ("things", "a", "plaintext_refused")
    assert await refused(driver.read_log("log")) == ("log", "2", "plaintext_refused")
    assert await driver.read_log("log", limit=1) == [LogEntry(1, b"fine")]
    with pytest.raises(RecordUnreadable):  # nor does it come back through a conflict
        await driver.commit([Version(A, 7)], [])


@pytest.mark.parametrize("mode", ["converting", "off"])
async def test_both_kinds_are_read_while_converting_and_off(make: Callable[..., OwningDriver], mode: str) -> None:
    async with make(first=state("on", FIRST)) as driver:
        await driver.commit([], [Put(A, b"sealed"), Append("log", b"sealed")])
        await store_state(driver, state(mode, FIRST))
        await driver.inner.commit([], [Put(B, b"plain"), Append("log", b"plain")])
        assert [d.body for d in await driver.scan(Scan("things"))] == [b"sealed", b"plain"]
        assert [e.body for e in await driver.read_log("log")] == [b"sealed", b"plain"]
        await driver.commit([], [Put(B, b"written")])
        assert is_sealed(await body_of(driver, B)) is (mode == "converting")


async def test_a_room_off_with_its_key_gone_gives_no_key(make: Callable[..., OwningDriver]) -> None:
    vault = Vault()
    async with make(first=state("on", FIRST)) as driver:
        await driver.commit([], [Put(A, b"sealed")])
        await store_state(driver, state("off", FIRST))
        vault.open = False
        async with make(vault=vault) as locked:
            assert await refused(locked.get([A])) == ("things", "a", "no_key")
            await locked.commit([], [Put(B, b"plain")])
            assert (await locked.get([B]))[0] is not None
            foreign = await body_of(driver, A)
            await driver.inner.commit([], [Rewrite(A, foreign.replace(FIRST, SECOND))])
            assert await refused(locked.get([A])) == ("things", "a", "unknown_key_id")


async def test_a_process_without_the_key_answers_so_before_its_next_call(make: Callable[..., OwningDriver]) -> None:
    vault = Vault()
    async with make() as one, make(vault=vault, fresh=0) as two:
        await two.commit([], [Put(A, b"plain")])
        vault.open = False
        await store_state(one, state("converting", FIRST))
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: two.get([A]),
            lambda: two.scan(Scan("things")),
            lambda: two.read_log("log"),
            lambda: two.scan_log(Scan("log", "by")),
            lambda: two.commit([], [Put(A, b"more")]),
        ]
        for call in calls:
            with pytest.raises(Locked):
                await call()
        assert (await two.get([STATE_KEY]))[0] is not None
        assert await body_of(one, A) == b"plain"


async def test_a_write_under_an_outdated_state_is_repeated_under_the_new_one(make: Callable[..., OwningDriver]) -> None:
    async with make(fresh=1000) as one, make(fresh=1000) as two:
        await two.get([A])
        await store_state(one, state("on", FIRST))
        await two.commit([], [Put(A, b"sealed"), Append("log", b"sealed")])
        assert is_sealed(await body_of(one, A))
        await store_state(one, state("on", SECOND, FIRST))
        await two.commit([Version(A, 1)], [Put(A, b"again")])
        assert key_id(await body_of(one, A)) == SECOND
        assert (await one.get([A]))[0].body == b"again"  # type: ignore[union-attr]


READS: dict[str, Callable[[OwningDriver], Awaitable[list[Document] | list[LogEntry]]]] = {
    "scan": lambda driver: driver.scan(Scan("things")),
    "log": lambda driver: driver.read_log("log"),
    "scan of the log": lambda driver: _entries(driver.scan_log(Scan("log", "by"))),
}


async def _entries(found: Awaitable[list[tuple[str, LogEntry]]]) -> list[LogEntry]:
    return [entry for _, entry in await found]


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("before", ["off", "on"])
async def test_a_read_that_meets_another_state_looks_again(
    make: Callable[..., OwningDriver],
    before: str,
    read: Callable[[OwningDriver], Awaitable[list[Document] | list[LogEntry]]],
) -> None:
    """Sealed bodies in a room that was plain, a new key, plain bodies in a room that was sealed."""
    async with make(fresh=1000, first=state("on", FIRST) if before == "on" else None) as one, make(fresh=1000) as two:
        await two.get([A])
        await store_state(one, state("on", SECOND, FIRST) if before == "off" else state("off", FIRST))
        await one.commit([], [Put(A, b"new"), Append("log", b"new", (IndexEntry("by", "x"),))])
        assert [found.body for found in await read(two)] == [b"new"]


async def test_a_conflict_brings_opened_records_and_never_the_state(make: Callable[..., OwningDriver]) -> None:
    async with make(first=state("on", FIRST)) as one, make(fresh=1000) as two:
        await one.commit([], [Put(A, b"now")])
        await store_state(one, state("on", SECOND, FIRST))
        with pytest.raises(Conflict) as caught:
            await two.commit([Version(A, 7)], [Put(B, b"")])
        assert list(caught.value.current) == [A]
        assert caught.value.current[A].body == b"now"  # type: ignore[union-attr]
        with pytest.raises(Conflict) as caught:  # who checks the state itself is told
            await two.commit([Version(STATE_KEY, 99)], [])
        assert list(caught.value.current) == [STATE_KEY]


async def test_concurrent_writers_and_changes_of_state_lose_nothing(make: Callable[..., OwningDriver]) -> None:
    async with make() as one, make() as two, make() as changer:

        async def write(driver: OwningDriver, name: str) -> None:
            for n in range(40):
                await driver.commit([], [Append("log", f"{name}{n}".encode()), Put(Key("things", f"{name}{n}"), b"x")])
                await asyncio.sleep(0)

        async def change() -> None:
            for wanted in [state("converting", FIRST), state("on", FIRST), state("on", SECOND, FIRST)] * 3:
                await store_state(changer, wanted)
                for _ in range(5):
                    await asyncio.sleep(0)

        await store_state(changer, state("converting", FIRST))
        await asyncio.gather(write(one, "a"), write(two, "b"), change())
        entries = {e.body.decode() for e in await one.read_log("log", limit=1000)}
        assert entries == {f"{name}{n}" for name in "ab" for n in range(40)}
        assert len(await two.scan(Scan("things"))) == 80


async def test_a_body_with_the_mark_of_sealed_ones_is_not_taken(make: Callable[..., OwningDriver]) -> None:
    async with make() as plain, make(room="two", first=state("on", FIRST)) as sealed:
        for driver in (plain, sealed):
            for write in (
                Put(A, SEALED + b"x"),
                Append("log", SEALED),
                RewriteEntry("log", 1, SEALED),
                Rewrite(A, SEALED),
            ):
                with pytest.raises(ValueError, match="mark"):
                    await driver.commit([], [write])


async def test_the_largest_body_fits_sealed_and_one_byte_more_does_not(driver: OwningDriver) -> None:
    await driver.commit([], [Put(A, bytes(MAX_BODY)), Append("log", bytes(MAX_BODY))])
    assert (await driver.get([A]))[0].body == bytes(MAX_BODY)  # type: ignore[union-attr]
    for write in (Put(A, bytes(MAX_BODY + 1)), Append("log", lambda seq, previous: bytes(MAX_BODY + 1))):
        with pytest.raises(ValueError, match="over"):
            await driver.commit([], [write])


async def test_a_late_body_sees_the_entry_before_in_clear(driver: OwningDriver) -> None:
    def chained(seq: int, previous: bytes | None) -> bytes:
        return (previous or b"") + str(seq).encode()

    await driver.commit([], [Append("log", chained), Append("log", chained)])
    await store_state(driver, state("off", FIRST))
    await driver.commit([], [Append("log", chained)])
    assert [e.body for e in await driver.read_log("log")] == [b"1", b"12", b"123"]
    assert [is_sealed(e.body) for e in await driver.inner.read_log("log")] == [True, True, False]


async def test_seals_are_counted_over_processes_and_a_key_wears_out(make: Callable[..., OwningDriver]) -> None:
    async with make(first=state("on", FIRST), step=1, most_seals=5) as one, make(step=1, most_seals=5) as two:
        for n, driver in enumerate([one, two, one, two, one]):
            assert not driver.exhausted
            await driver.commit([], [Put(A, b"x")])
            assert driver.exhausted is (n == 4)
        (usage,) = await one.inner.scan(Scan(USAGE.name))
        assert usage.key.id == FIRST.hex()
        await store_state(one, state("on", SECOND, FIRST))
        assert not one.exhausted


@settings(max_examples=60)
@given(
    body=st.binary(max_size=300), collection=st.text(max_size=20), id=st.text(max_size=20), seq=st.integers(1, 2**63)
)
def test_what_is_sealed_opens_in_its_place_and_nowhere_else(body: bytes, collection: str, id: str, seq: int) -> None:
    ring = Keyring(KEYS, known=list(KEYS), active=FIRST, scope=("c", "r"))
    sealed, entry = ring.seal(body, Key(collection, id)), ring.seal_entry(body, collection, seq)
    assert ring.open(sealed, Key(collection, id)) == body
    assert ring.open_entry(entry, collection, seq) == body
    attempts: tuple[Callable[[], bytes], ...] = (
        lambda: ring.open(sealed, Key(collection + "x", id)),
        lambda: ring.open(sealed, Key(collection, id + "x")),
        lambda: ring.open(entry, Key(collection, str(seq))),
        lambda: ring.open_entry(entry, collection, seq + 1),
        lambda: Keyring(KEYS, known=list(KEYS), active=FIRST, scope=("c", "s")).open(sealed, Key(collection, id)),
        lambda: Keyring(KEYS, known=list(KEYS), active=FIRST, scope=("cr", "")).open(sealed, Key(collection, id)),
    )
    for attempt in attempts:
        with pytest.raises(RecordUnreadable):
            attempt()


def test_the_key_id_is_part_of_what_the_tag_covers() -> None:
    """Also where two ids stand for one key."""
    ring = Keyring({FIRST: KEYS[FIRST], SECOND: KEYS[FIRST]}, known=[FIRST, SECOND], active=FIRST, scope=("c", "r"))
    sealed = ring.seal(b"body", A)
    assert ring.open(sealed, A) == b"body"
    with pytest.raises(RecordUnreadable, match="bad_tag"):
        ring.open(sealed.replace(FIRST, SECOND), A)


async def test_a_state_that_makes_no_sense_is_corrupt_not_ignored(make: Callable[..., OwningDriver]) -> None:
    async with make() as driver:
        for body in (
            b"{}x",
            b'{"state": "maybe"}',
            b'{"state": "on"}',
            b'{"keys": [{"id": "zz"}]}',
            b'{"active": "00"}',
        ):
            await driver.inner.commit([], [Put(STATE_KEY, body)])
            with pytest.raises(RecordUnreadable, match="encryption state"):
                await driver.reload()


def test_keys_do_not_show_in_representations() -> None:
    assert repr(Keyring(KEYS, known=list(KEYS), active=FIRST, scope=())) == "Keyring(4 of 4 keys)"
