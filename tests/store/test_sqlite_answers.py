"""Answers that SQLite's driver keeps over commits of its own are those that the file would give."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import pytest
from sqlite_fixtures import traced

from masc_core.store._sqlite_index import asked_by, made_wrong_by
from masc_core.store._sqlite_recent import _OUTLIVE
from masc_core.store.driver import Append, Delete, IndexEntry, Key, Put, Rewrite, Scan, Write
from masc_core.store.sqlite import SqliteDriver

STEPS, QUESTIONS = 400, 60
NAMES = ("by", "at")
VALUES = ("", "a", "ab", "b", "z", "\u00e4", "\uffff", "\U0001f600")
PLACES = ("things", "told")  # a collection and a log may have one name

Question = Callable[[SqliteDriver], Awaitable[object]]


def entries(chance: random.Random) -> tuple[IndexEntry, ...]:
    """Up to three index entries, some of them counted."""
    return tuple(
        IndexEntry(chance.choice(NAMES), chance.choice(VALUES), chance.choice(("", "1", "2")))
        for _ in range(chance.randrange(4))
    )


def some_scan(chance: random.Random) -> Scan:
    """Any range of an index or of the keys, any page of it."""
    low, high = chance.choice(VALUES), chance.choice((None, *VALUES))
    after = (chance.choice(VALUES), chance.choice(VALUES)) if chance.random() < 0.3 else None
    index = chance.choice(("", *NAMES))
    place = chance.choice(PLACES)
    return Scan(place, index, low, high, after, chance.choice((1, 3, 100)), reverse=chance.random() < 0.3)


def some_question(chance: random.Random) -> Question:
    """Anything that one can ask of a collection or log."""
    scan, place, name = some_scan(chance), chance.choice(PLACES), chance.choice(NAMES)
    group, value = chance.choice((None, "1", "2")), chance.choice(VALUES)
    page = chance.choice((1, 100))
    return chance.choice(
        [
            lambda driver: driver.scan(scan),
            lambda driver: driver.scan(scan),
            lambda driver: driver.count(place, name, group),
            lambda driver: driver.read_log(place, limit=page, reverse=True),
            lambda driver: driver.count_log(place, name, value),
            lambda driver: driver.heads([place]),
        ]
    )


def some_write(chance: random.Random) -> Write:
    """A change of one record, most of them small steps."""
    key = Key(chance.choice(PLACES), chance.choice(VALUES[1:]))
    body = str(chance.random()).encode()
    writes: list[Write] = [
        Put(key, body, entries(chance)),
        Put(key, body, entries(chance)),
        Delete(key),
        Append(chance.choice(PLACES), body, entries(chance)),
        Rewrite(key, body),
    ]
    return chance.choice(writes)


@pytest.mark.parametrize("seed", range(4))
async def test_kept_answers_are_those_of_the_file(two: tuple[SqliteDriver, SqliteDriver], seed: int) -> None:
    chance = random.Random(seed)
    first, second = two
    questions = [some_question(chance) for _ in range(QUESTIONS)]
    for _ in range(STEPS):
        await first.commit([], [some_write(chance) for _ in range(chance.randrange(1, 4))])
        for question in chance.sample(questions, 10):
            assert await question(first) == await question(second)  # which keeps nothing over another's commit


ONE = [("k", '[["by","b","1"]]', '[["by","c","1"]]')]
CONCERNED = {
    "the value it had": (Scan("things", "by", "b", "bb"), True),
    "the value it has": (Scan("things", "by", "c", None), True),
    "values between": (Scan("things", "by", "ba", "c"), False),
    "values above": (Scan("things", "by", "d", None), False),
    "another index": (Scan("things", "at", "", None), False),
    "its key": (Scan("things", "", "k", "l"), True),
    "other keys": (Scan("things", "", "l", None), False),
    "all keys": (Scan("things"), True),
}


@pytest.mark.parametrize(("scan", "wrong"), CONCERNED.values(), ids=CONCERNED)
def test_an_answer_is_dropped_where_the_document_was_or_is(scan: Scan, wrong: bool) -> None:
    assert made_wrong_by(ONE)(asked_by(scan)) == wrong


async def test_a_page_is_not_read_again_because_another_part_of_its_index_changed(
    two: tuple[SqliteDriver, SqliteDriver],
) -> None:
    first, _ = two
    todo, done = (Scan("things", "by", state, f"{state}z") for state in ("todo", "done"))
    await first.commit([], [Put(Key("things", "x"), b"1", (IndexEntry("by", "todo", "todo"),))])
    for scan in (todo, done):
        await first.scan(scan)
    await first.count("things", "at")
    asked = traced(first)
    await first.commit([], [Put(Key("things", "y"), b"1", (IndexEntry("by", "done", "done"),))])
    asked.clear()
    assert len(await first.scan(todo)) == 1
    await first.count("things", "at")
    assert asked == ["PRAGMA data_version"] * 2
    assert len(await first.scan(done)) == 1
    assert len(asked) == 4


async def test_what_was_asked_once_does_not_burden_every_commit(two: tuple[SqliteDriver, SqliteDriver]) -> None:
    first, _ = two
    often = Scan("things", "by", "todo", "todoz")
    for n in range(100):
        await first.scan(often)
        await first.scan(Scan("things", "by", f"once {n}", f"once {n}z"))
    await first.commit([], [Put(Key("things", "y"), b"1", (IndexEntry("by", "done", "done"),))])
    asked = traced(first)
    await first.scan(often)
    assert asked == ["PRAGMA data_version"]
    assert len(first._recent._results) <= _OUTLIVE
