"""What the SQLite driver remembers of the file is never older than the question."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlite_fixtures import INDEX, KEY, LOG, traced

from masc_core.store._sqlite_recent import _RESULTS
from masc_core.store.driver import Append, Delete, IndexEntry, Key, Put, Remove, Rewrite, RewriteEntry, Scan
from masc_core.store.sqlite import SqliteDriver

PAGE = Scan("things", "by", "", None, None, 10)

Question = Callable[[SqliteDriver], Awaitable[object]]
QUESTIONS: dict[str, Question] = {
    "document": lambda driver: driver.get([KEY]),
    "missing document": lambda driver: driver.get([Key("things", "b"), KEY]),
    "page": lambda driver: driver.scan(PAGE),
    "count": lambda driver: driver.count("things", "by"),
    "log": lambda driver: driver.read_log(LOG),
    "scan of the log": lambda driver: driver.scan_log(Scan(LOG, "by", "", None, None, 10)),
    "head": lambda driver: driver.heads([LOG]),
    "entries of an index": lambda driver: driver.count_log(LOG, "by", "1"),
    "end of the log": lambda driver: driver.read_log(LOG, reverse=True, limit=1),
}
CHANGES = {
    "put": [
        Put(KEY, b"2", (IndexEntry("by", "2", "2"),)),
        Put(Key("things", "b"), b"3", INDEX),
        Append(LOG, b"more", INDEX),
    ],
    "delete": [Delete(KEY), Put(Key("things", "b"), b"3"), Remove(LOG, (1,))],
    "rewrite": [
        Rewrite(KEY, b"sealed"),
        RewriteEntry(LOG, 1, b"sealed"),
        Put(Key("things", "b"), b"x", INDEX),
        Append(LOG, b"", INDEX),
    ],
    "large": [
        Put(KEY, b"2" * 20_000, ()),
        Put(Key("things", "b"), b"", (IndexEntry("by", "9", "9"),)),
        Append(LOG, b"2" * 200_000, INDEX),
    ],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@pytest.mark.parametrize("changer", [0, 1], ids=["own", "another's"])
async def test_an_answer_follows_every_commit(
    two: tuple[SqliteDriver, SqliteDriver], question: Question, change: list[Put], changer: int
) -> None:
    first, second = two
    before = await question(first)
    assert await question(first) == before  # remembered now
    await two[changer].commit([], change)
    after = await question(first)
    assert after == await question(second) != before
    assert await question(first) == after


async def test_a_repeated_question_is_not_put_to_the_file(two: tuple[SqliteDriver, SqliteDriver]) -> None:
    first, _ = two
    for question in QUESTIONS.values():
        await question(first)
    asked = traced(first)
    for question in QUESTIONS.values():
        await question(first)
    assert set(asked) == {"PRAGMA data_version"}


ALONE: dict[str, tuple[Put | Delete | Rewrite | Append | Remove | RewriteEntry, set[str]]] = {
    "put": (Put(KEY, b"2", (IndexEntry("by", "2", "2"),)), {"document", "missing document", "page", "count"}),
    "delete": (Delete(KEY), {"document", "missing document", "page", "count"}),
    "rewrite": (Rewrite(KEY, b"sealed"), {"document", "missing document", "page"}),
    "append": (Append(LOG, b"2", INDEX), {"log", "end of the log", "scan of the log", "head", "entries of an index"}),
    "remove": (Remove(LOG, (1,)), {"log", "end of the log", "scan of the log", "head", "entries of an index"}),
    "rewrite entry": (RewriteEntry(LOG, 1, b"sealed"), {"log", "end of the log", "scan of the log"}),
}


@pytest.mark.parametrize(("write", "changed"), ALONE.values(), ids=ALONE)
async def test_a_write_of_its_own_changes_the_answers_it_concerns(
    two: tuple[SqliteDriver, SqliteDriver], write: Put, changed: set[str]
) -> None:
    first, _ = two
    before = {name: await question(first) for name, question in QUESTIONS.items()}
    await first.commit([], [write])
    after = {name: await question(first) for name, question in QUESTIONS.items()}
    assert {name for name in QUESTIONS if before[name] != after[name]} == changed


async def test_a_commit_of_its_own_leaves_the_answers_that_it_does_not_concern(
    two: tuple[SqliteDriver, SqliteDriver],
) -> None:
    first, _ = two
    for question in QUESTIONS.values():
        await question(first)
    await first.commit([], [Put(Key("others", "a"), b"1", INDEX), Append("others", b"1")])
    asked = traced(first)
    for question in QUESTIONS.values():
        await question(first)
    assert set(asked) == {"PRAGMA data_version"}


async def test_what_is_asked_often_outlives_what_was_asked_once(two: tuple[SqliteDriver, SqliteDriver]) -> None:
    first, _ = two
    await first.scan(PAGE)
    for n in range(_RESULTS * 3):
        await first.scan(Scan("things", "by", str(n), None, None, 10))
        await first.scan(PAGE)
    asked = traced(first)
    await first.scan(PAGE)
    assert asked == ["PRAGMA data_version"]
    assert len(first._recent._results) == _RESULTS


async def test_answers_belong_to_who_asked(two: tuple[SqliteDriver, SqliteDriver]) -> None:
    first, _ = two
    page, counts, entries = await first.scan(PAGE), await first.count("things", "by"), await first.read_log(LOG)
    for answer in (page, counts, entries, await first.scan(PAGE), await first.read_log(LOG)):
        answer.clear()
    assert len(await first.scan(PAGE)) == len(await first.read_log(LOG)) == 1
    (await first.count("things", "by")).clear()
    assert await first.count("things", "by") == {"1": 1}


async def test_documents_of_one_answer_are_of_one_state(two: tuple[SqliteDriver, SqliteDriver], tmp_path: Path) -> None:
    """A remembered document is not answered beside one that is loaded later."""
    first, second = two
    other = Key("things", "b")
    await second.commit([], [Put(other, b"1")])
    await first.get([KEY])
    asked: list[str] = []

    def between(statement: str) -> None:
        if not asked:  # right after the look, before anything is loaded
            asked.append(statement)
            with contextlib.closing(sqlite3.connect(tmp_path / "masc.db")) as db, db:
                db.execute("UPDATE documents SET body = x'32', version = version + 1")

    assert first._writer is not None
    first._writer.set_trace_callback(lambda statement: None if "data_version" in statement else between(statement))
    found = await first.get([KEY, other])
    assert asked and [document.body for document in found if document] in ([b"1", b"1"], [b"2", b"2"])
