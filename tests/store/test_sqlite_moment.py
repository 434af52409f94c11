"""One look at SQLite's counter serves a unit of work for as long as that can make no difference to it."""

from __future__ import annotations

import asyncio

import pytest
from sqlite_fixtures import KEY, LOG, traced
from test_sqlite_recent import PAGE, QUESTIONS, Question

from masc_core.store import _sqlite_recent
from masc_core.store.driver import Append, Conflict, IndexEntry, Key, Put
from masc_core.store.sqlite import SqliteDriver
from masc_core.store.transaction import Transaction

Two = tuple[SqliteDriver, SqliteDriver]
LOOK = "PRAGMA data_version"
GUARD = Key("guards", "a")


def changed(body: bytes = b"2") -> list[Put | Append]:
    return [Put(KEY, body, (IndexEntry("by", "2", "2"),)), Put(GUARD, body), Append(LOG, body)]


async def remember(driver: SqliteDriver) -> None:
    for question in QUESTIONS.values():
        await question(driver)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look becomes too old by itself, however slow the machine."""
    monkeypatch.setattr(_sqlite_recent, "_FRESH", 60.0)


async def test_a_unit_of_work_looks_once(two: Two) -> None:
    first, _ = two
    await remember(first)
    asked = traced(first)
    unit = Transaction(first)
    for question in QUESTIONS.values():
        await question(unit.reading)  # type: ignore[arg-type]
    assert asked == [LOOK]


async def test_a_look_is_good_for_a_moment_only(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit of work that blocks, as in a process it waits for, may be told of something too."""
    first, second = two
    await remember(first)
    unit = Transaction(first)
    assert len(await unit.scan(PAGE)) == 1
    await second.commit([], changed())
    monkeypatch.setattr(_sqlite_recent, "_FRESH", -1.0)
    assert (await unit.scan(PAGE))[0].body == b"2"


async def test_the_next_unit_of_work_looks_again(two: Two) -> None:
    first, second = two
    await remember(first)
    assert len(await Transaction(first).scan(PAGE)) == 1
    await second.commit([], changed())
    (found,) = await Transaction(first).scan(PAGE)
    assert found.body == b"2"


async def test_so_does_who_asks_without_one(two: Two) -> None:
    first, second = two
    await remember(first)
    await Transaction(first).scan(PAGE)
    await second.commit([], changed())
    assert (await first.scan(PAGE))[0].body == b"2"


async def test_after_a_wait_a_unit_of_work_looks_again(two: Two) -> None:
    first, second = two
    await remember(first)
    unit = Transaction(first)
    await unit.scan(PAGE)
    await second.commit([], changed())
    await asyncio.sleep(0)  # the shortest wait there is
    assert (await unit.scan(PAGE))[0].body == b"2"
    assert len(await unit.reading.read_log(LOG)) == 2


@pytest.mark.parametrize("in_between", [[GUARD], [GUARD, KEY]], ids=["guard", "guard and another"])
async def test_what_is_read_after_a_guard_is_as_new_as_the_guard(two: Two, in_between: list[Key]) -> None:
    """A guard that is not remembered comes from the file, and may be newer than the look."""
    first, second = two
    await remember(first)
    unit = Transaction(first)
    assert len(await unit.reading.read_log(LOG)) == 1
    await second.commit([], changed())
    assert (await unit.get(in_between))[0] is not None
    assert (await unit.scan(PAGE))[0].body == b"2"
    assert len(await unit.reading.read_log(LOG)) == 2


NOT_REMEMBERED: dict[str, Question] = {
    "count": QUESTIONS["count"],
    "page": QUESTIONS["page"],
    "head": QUESTIONS["head"],
    "heads": lambda driver: driver.heads([LOG, "other"]),
    "no heads": lambda driver: driver.heads([]),
    "leases": lambda driver: driver.leases(["a"]),
    "watch": lambda driver: driver.watch({LOG: 1}),
}


@pytest.mark.parametrize("question", NOT_REMEMBERED.values(), ids=NOT_REMEMBERED)
@pytest.mark.parametrize("told", [True, False], ids=["by the unit", "beside it"])
async def test_so_is_what_is_read_after_any_answer_of_the_file(two: Two, question: Question, told: bool) -> None:
    first, second = two
    await first.read_log(LOG)
    unit = Transaction(first)
    assert len(await unit.reading.read_log(LOG)) == 1
    await second.commit([], changed())
    await question(unit.reading if told else unit.driver)  # type: ignore[arg-type]
    assert len(await unit.reading.read_log(LOG)) == 2


@pytest.mark.parametrize("question", NOT_REMEMBERED.values(), ids=NOT_REMEMBERED)
async def test_who_asks_without_a_unit_after_it_is_not_taken_for_it(two: Two, question: Question) -> None:
    first, second = two
    await first.read_log(LOG)
    await second.commit([], changed())
    unit = Transaction(first)
    await question(unit.reading)  # type: ignore[arg-type]
    assert len(await unit.reading.read_log(LOG)) == 2
    await second.commit([], [Append(LOG, b"3")])
    assert len(await first.read_log(LOG)) == 3


@pytest.mark.parametrize("question", [QUESTIONS["page"], QUESTIONS["count"], QUESTIONS["document"]])
async def test_while_a_commit_runs_another_connection_answers(
    two: Two, monkeypatch: pytest.MonkeyPatch, question: Question
) -> None:
    first, second = two
    await remember(first)
    unit = Transaction(first)
    assert len(await unit.reading.read_log(LOG)) == 1
    await second.commit([], changed())
    with monkeypatch.context() as during:
        during.setattr(first, "_committing", True)
        assert (await question(unit.reading)) is not None  # type: ignore[arg-type]
    assert len(await unit.reading.read_log(LOG)) == 2


async def test_a_commit_looks_for_itself(two: Two) -> None:
    first, second = two
    await remember(first)
    await first.commit([], [Put(GUARD, b"1")])
    unit = Transaction(first)
    await unit.get([GUARD])
    await second.commit([], changed())
    unit.put(GUARD, b"3")
    with pytest.raises(Conflict):
        await unit.commit()
    assert (await second.get([GUARD]))[0].body == b"2"  # type: ignore[union-attr]


async def test_an_own_commit_by_another_unit_of_work_is_seen(two: Two) -> None:
    first, _ = two
    await remember(first)
    unit = Transaction(first)
    await unit.scan(PAGE)
    await first.commit([], changed())
    assert (await unit.scan(PAGE))[0].body == b"2"
