"""What the SQLite driver remembers for its commits is never older than the transaction that relies on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlite_fixtures import KEY, LOG, traced

from masc_core.store._sqlite_known import _LOGS, _ROWS
from masc_core.store.driver import (
    Absent,
    Append,
    Conflict,
    Delete,
    Document,
    IndexEntry,
    Key,
    Put,
    Remove,
    Rewrite,
    RewriteEntry,
    Scan,
    Version,
    Write,
)
from masc_core.store.sqlite import SqliteDriver
from masc_core.testing import ManualClock


def indexed(value: str) -> tuple[IndexEntry, ...]:
    """An index entry that is counted."""
    return (IndexEntry("by", value, value),)


def chained(seq: int, previous: bytes | None) -> bytes:
    """An entry that shows the one before."""
    return b"%d after %s" % (seq, previous or b"nothing")


async def state(driver: SqliteDriver) -> object:
    """Everything that a commit may have made wrong."""
    return (
        await driver.get([KEY]),
        await driver.scan(Scan("things")),
        [document.value for document in await driver.scan(Scan("things", "by"))],
        await driver.count("things", "by"),
        await driver.read_log(LOG),
        await driver.heads([LOG]),
        await driver.count(LOG, "by"),
    )


OTHERS: dict[str, list[Write]] = {
    "changes it": [Put(KEY, b"theirs", indexed("7")), Append(LOG, b"theirs", indexed("7"))],
    "removes it": [Delete(KEY), Remove(LOG, (1,))],
    "seals it": [Rewrite(KEY, b"sealed"), RewriteEntry(LOG, 1, b"sealed")],
    "adds others": [Put(Key("things", "z"), b"z", indexed("1")), Append("other", b"z"), Append(LOG, b"", ())],
}


@pytest.mark.parametrize("theirs", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("removed_and_made_again", [False, True])
async def test_a_commit_does_not_rely_on_what_another_process_has_changed(
    two: tuple[SqliteDriver, SqliteDriver], tmp_path: Path, theirs: list[Write], removed_and_made_again: bool
) -> None:
    first, second = two
    await first.commit([], [Put(KEY, b"2", indexed("2")), Append(LOG, chained, indexed("2"))])  # all of it is known
    await second.commit([], theirs)
    if removed_and_made_again:
        await second.commit([], [Delete(KEY)])
        await second.commit([Absent(KEY)], [Put(Key("things", "b"), b"b"), Put(KEY, b"again", indexed("8"))])
    await first.commit([], [Put(KEY, b"mine", indexed("3")), Append(LOG, chained, indexed("3"))])
    assert await state(first) == await state(second)
    async with SqliteDriver(tmp_path / "masc.db", ManualClock()) as fresh:
        found = await state(fresh)
        assert found == await state(first)
        (document,) = await fresh.get([KEY])
        assert document is not None and document.body == b"mine"
        entries = await fresh.read_log(LOG)
        before = entries[-2].body if len(entries) > 1 and entries[-2].seq == entries[-1].seq - 1 else b"nothing"
        assert entries[-1].body == chained(entries[-1].seq, before)


async def test_a_version_that_another_process_moved_on_is_a_conflict(two: tuple[SqliteDriver, SqliteDriver]) -> None:
    first, second = two
    await first.commit([Version(KEY, 1)], [Put(KEY, b"2")])
    await second.commit([Version(KEY, 2)], [Put(KEY, b"3")])
    with pytest.raises(Conflict) as conflict:
        await first.commit([Version(KEY, 2)], [Put(KEY, b"4")])
    assert conflict.value.current == {KEY: Document(KEY, 3, b"3")}


async def test_a_commit_looks_nothing_up_that_its_own_connection_has_left(
    two: tuple[SqliteDriver, SqliteDriver],
) -> None:
    first, _ = two
    writes: list[Write] = [Put(KEY, b"2", indexed("2")), Append(LOG, chained)]
    await first.commit([], writes)
    statements = traced(first)
    await first.commit([Version(KEY, 2)], writes)
    assert [statement.split()[0] for statement in statements] == [
        "BEGIN", "PRAGMA", "UPDATE", "INSERT", "INSERT", "COMMIT",
    ]  # fmt: skip


async def test_a_commit_that_was_refused_has_left_nothing(two: tuple[SqliteDriver, SqliteDriver]) -> None:
    first, second = two
    await first.commit([], [Append(LOG, chained)])
    with pytest.raises(ZeroDivisionError):
        await first.commit([], [Put(KEY, b"never"), Append(LOG, b"never"), Append("new", lambda *_: bytes([1 // 0]))])
    await first.commit([Version(KEY, 1)], [Put(KEY, b"2"), Append(LOG, chained)])
    assert await state(first) == await state(second)
    assert [entry.body for entry in await first.read_log(LOG)] == [b"1", b"2 after 1", b"3 after 2 after 1"]


OWN: dict[str, tuple[list[Write], bytes]] = {
    "another entry": ([Append(LOG, b"plain")], b"3 after plain"),
    "removed": ([Remove(LOG, (2,))], b"3 after nothing"),
    "sealed": ([RewriteEntry(LOG, 2, b"sealed")], b"3 after sealed"),
}


@pytest.mark.parametrize(("writes", "expected"), OWN.values(), ids=OWN)
@pytest.mark.parametrize("together", [False, True], ids=["commits", "one commit"])
async def test_the_newest_entry_of_a_chain_is_the_one_that_is_kept(
    two: tuple[SqliteDriver, SqliteDriver], writes: list[Write], expected: bytes, together: bool
) -> None:
    first, _ = two
    chain: list[Write] = [Append(LOG, chained)]
    if together:
        await first.commit([], [*chain, *writes, *chain])
    else:
        for some in (chain, writes, chain):
            await first.commit([], some)
    assert (await first.read_log(LOG))[-1].body.partition(b" ")[2] == expected.partition(b" ")[2]


OTHER = Key("things", "b")
SERIES: dict[str, tuple[list[Write], Document | None]] = {
    "written twice": ([Put(KEY, b"2", indexed("2")), Put(KEY, b"3", indexed("3"))], Document(KEY, 3, b"3")),
    "removed and made again": ([Delete(KEY), Put(KEY, b"2", indexed("2"))], Document(KEY, 2, b"2")),
    "made and removed": ([Put(OTHER, b"1", indexed("9")), Delete(OTHER)], Document(KEY, 1, b"1")),
    "removed twice": ([Delete(KEY), Delete(KEY)], None),
    "sealed at last": ([Put(KEY, b"2", indexed("2")), Rewrite(KEY, b"sealed")], Document(KEY, 2, b"sealed")),
    "sealed before": ([Rewrite(KEY, b"sealed"), Put(KEY, b"2", indexed("1"))], Document(KEY, 2, b"2")),
}


@pytest.mark.parametrize(("writes", "expected"), SERIES.values(), ids=SERIES)
@pytest.mark.parametrize("times", [1, 2])
async def test_what_one_commit_does_to_one_document_counts_one_after_another(
    two: tuple[SqliteDriver, SqliteDriver], writes: list[Write], expected: Document | None, times: int
) -> None:
    first, second = two
    (before,) = await first.get([KEY])
    for _ in range(times):
        await first.commit([], writes)
    found, other = await first.get([KEY, OTHER])
    assert other is None
    assert before is not None
    if found is None or expected is None:
        assert found is expected
    else:
        assert found.version == 1 + times * (expected.version - 1)
        assert found.body == expected.body
    assert await state(first) == await state(second)
    await first.commit([], [Put(OTHER, b"again"), Put(KEY, b"again")])  # the versions of what is gone are kept
    kept = {document.key: document.version for document in (await second.dump()).documents}
    assert len((await second.dump()).documents) == 2
    assert kept[OTHER] == (1 + times if writes[0].key == OTHER else 1)  # type: ignore[union-attr]


async def test_what_is_remembered_for_commits_is_bounded(two: tuple[SqliteDriver, SqliteDriver]) -> None:
    first, _ = two
    for start in range(0, 3 * _ROWS, _ROWS // 2):
        await first.commit([], [Put(Key("many", f"{start + n}"), b"") for n in range(_ROWS // 2)])
    for start in range(0, 3 * _LOGS, _LOGS // 2):
        await first.commit([], [Append(f"log {start + n}", chained) for n in range(_LOGS // 2)])
    known = first._recent._known
    assert len(known.rows) <= 2 * _ROWS
    assert len(known.lasts) <= 2 * _LOGS >= len(known.tails)
    await first.commit([], [Put(Key("large", "a"), b"", tuple(IndexEntry("by", f"{n:250}") for n in range(50)))])
    await first.commit([], [Append("large", lambda *_: bytes(20_000))])
    assert Key("large", "a") not in known.rows and "large" not in known.tails
    await first.commit([], [Append("large", lambda _, before: b"" if before is None else before[:3])])
    assert (await first.read_log("large"))[-1].body == bytes(3)


async def test_what_is_no_check_or_write_is_refused_and_not_passed_over(two: tuple[SqliteDriver, SqliteDriver]) -> None:
    first, _ = two

    class Odd(Put):
        """Looks like a write."""

    class Stricter(Version):
        """Looks like a check."""

    with pytest.raises(TypeError, match="is no write"):
        await first.commit([], [Odd(KEY, b"2")])
    with pytest.raises(TypeError, match="is no check"):
        await first.commit([Stricter(KEY, 7)], [Put(KEY, b"2")])
    assert await first.get([KEY]) == [Document(KEY, 1, b"1")]
