"""Exports and pruning: what is in the files, what stays in the room, what an interruption leaves."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from audit_support import LOADED, Raw, fault, log, verified

from masc_core.errors import MascError
from masc_core.kernel import local_client
from masc_core.plugins import Registry
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app
from masc_plugin_audit import exporting
from masc_plugin_audit.chain import Broken, Head
from masc_plugin_audit.errors import AuditFileUnusable
from masc_plugin_audit.exporting import COMMANDS
from masc_plugin_audit.verifying import Anchor, Verified, verify_file

LATER = "2033-01-01T00:00:00.000Z"


@pytest.fixture
async def app(tmp_path: Path, clock: ManualClock, registry: Registry) -> AsyncIterator[MascApp]:
    """A room on SQLite: ten calls, a day later ten more."""
    async with masc_app(tmp_path, backend="sqlite", clock=clock, registry=registry) as app:
        await add(app, 10)
        await clock.advance(86_400)
        await add(app, 10)
        yield app


async def add(app: MascApp, count: int) -> None:
    """Some entries."""
    for number in range(count):
        await app.call("masc_add_task", "claude", title=f"t{number}")


async def command(app: MascApp, name: str, **arguments: Any) -> Any:
    """The result of one of the commands' tools, or its error."""
    outcome = await app.kernel.run(COMMANDS[name], arguments, local_client())
    return outcome.error or outcome.structured


def checked(path: Path, *anchors: Anchor, key: str | None = None) -> Verified:
    return verify_file(path, anchors, key, lambda count: None)


def fault_in(path: Path, *anchors: Anchor, key: str | None = None) -> tuple[int, str] | None:
    try:
        checked(path, *anchors, key=key)
    except Broken as broken:
        return broken.seq, broken.reason
    return None


async def test_an_export_has_every_entry_and_verifies_by_itself(app: MascApp, tmp_path: Path) -> None:
    before = await log(app)
    file = tmp_path / "audit.jsonl"
    done = await command(app, "masc_audit_export", file=str(file))
    assert (done["entries"], done["first"], done["file"]) == (len(before), 1, str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    lines = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    assert lines[1:-1] == before
    found = checked(file, key=(await verified(app)).key)
    assert str(found.head) == done["head"] == lines[-1]["head"]
    assert (await log(app))[-1]["details"] | {"file": ""} == {
        "arguments": {"file": {"chars": len(str(file))}},
        "file": "",
        "entries": len(before),
        "head": done["head"],
    }
    assert list(tmp_path.glob(".*.part")) == []


async def test_an_export_can_begin_later(app: MascApp, tmp_path: Path) -> None:
    since = "2023-11-15T00:00:00.000Z"
    done = await command(app, "masc_audit_export", file=str(tmp_path / "a"), since=since)
    assert (done["entries"], done["first"]) == (10, 12)
    assert checked(tmp_path / "a").first == 12
    done = await command(app, "masc_audit_export", file=str(tmp_path / "b"), since=LATER)
    assert done["entries"] == 0
    assert checked(tmp_path / "b").head == Head(22, (await log(app))[21]["hash"])


async def test_a_file_that_exists_is_not_overwritten(app: MascApp, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    before = len(await log(app))
    error = await command(app, "masc_audit_export", file=str(tmp_path / "a"))
    assert isinstance(error, MascError) and error.code == "audit_file_unusable"
    assert (tmp_path / "a").read_text() == "mine"
    entries = await log(app)
    assert [(e["tool"], e["outcome"]) for e in entries[before:]] == [("masc_audit_export", "audit_file_unusable")]
    error = await command(app, "masc_audit_prune", file=str(tmp_path / "no" / "a"), before=LATER)
    assert isinstance(error, AuditFileUnusable)
    assert (await log(app))[0]["seq"] == 1


async def test_an_export_of_a_ruined_log_has_the_ruin(app: MascApp, tmp_path: Path) -> None:
    Raw(tmp_path).write(5, b"not json")
    await command(app, "masc_audit_export", file=str(tmp_path / "a"))
    assert fault_in(tmp_path / "a") == (5, "hash")


Edit = Callable[[list[bytes]], list[bytes]]


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda x: [*x[:5], x[5].replace(b"claude", b"gemini", 1), *x[6:]], (5, "hash")),
        (lambda x: [*x[:5], b"{}", *x[6:]], (5, "hash")),
        (lambda x: [*x[:5], b"ruin", *x[6:]], (5, "hash")),
        (lambda x: [*x[:5], *x[6:]], (5, "gap")),
        (lambda x: [*x[:5], x[6], x[5], *x[7:]], (5, "gap")),
        (lambda x: [*x[:6], x[5], *x[6:]], (6, "gap")),
        (lambda x: x[:-1], (22, "truncated")),
        (lambda x: x[:-4], (19, "truncated")),
        (lambda x: [*x[:-3], x[-1]], (20, "truncated")),
        (lambda x: x[:1], (1, "truncated")),
        (lambda x: x[1:], (1, "truncated")),
        (lambda x: [x[0].replace(b'"first":1', b'"first":2'), *x[1:]], (2, "gap")),
        (lambda x: [x[0].replace(b'"prev":"0', b'"prev":"1'), *x[1:]], (1, "prev")),
        (lambda x: [x[0].replace(b'"first":1', b'"first":"1"'), *x[1:]], (1, "truncated")),
        (lambda x: [*x[:-1], x[-1].replace(b'"exported_at":"2', b'"exported_at":"1')], (21, "signature")),
        (lambda x: [*x[:-1], x[-1].replace(b'"signature":"', b'"signature":"0')], (21, "signature")),
        (lambda x: [*x[:-1], x[-1].replace(b'"entries":21', b'"entries":20')], (21, "signature")),
        (lambda x: [*x, x[5]], (21, "signature")),
        (lambda x: [x[0], x[-1]], (1, "truncated")),
    ],
)
async def test_any_edit_of_an_export_is_found(
    app: MascApp, tmp_path: Path, edit: Edit, expected: tuple[int, str]
) -> None:
    file = tmp_path / "a"
    await command(app, "masc_audit_export", file=str(file))
    lines = file.read_bytes().splitlines()
    assert fault_in(file) is None
    edited = edit(lines)
    assert edited != lines
    file.write_bytes(b"\n".join(edited) + b"\n")
    assert fault_in(file) == expected


async def test_an_export_is_checked_against_a_key_and_anchors(app: MascApp, tmp_path: Path) -> None:
    file = tmp_path / "a"
    await command(app, "masc_audit_export", file=str(file))
    entries = await log(app)
    assert fault_in(file, key="0" * 64) == (21, "signature")
    assert fault_in(file, Anchor(Head(7, entries[6]["hash"]))) is None
    assert fault_in(file, Anchor(Head(7, "1" * 64))) == (7, "hash")
    assert fault_in(file, Anchor(Head(22, entries[21]["hash"]))) == (22, "truncated")


@pytest.mark.parametrize("content", [b"", b"hello\n", b"{}\n", b"[1]\n", b"\0" * 2_000_000])
def test_a_file_that_is_no_export_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(AuditFileUnusable):
        checked(tmp_path / "a")


async def test_pruning_moves_the_beginning_to_a_file_and_verification_goes_on(
    app: MascApp, tmp_path: Path, clock: ManualClock
) -> None:
    before = await log(app)
    file = tmp_path / "old.jsonl"
    done = await command(app, "masc_audit_prune", before="2023-11-15T00:00:00.000Z", file=str(file))
    assert done == {"entries": 11, "removed_head": f"11:{before[10]['hash']}", "file": str(file)}
    assert file.stat().st_mode & 0o777 == 0o600
    left = await log(app)
    assert left[:-1] == before[11:]
    assert left[-1]["details"]["removed_through"] == 11
    assert left[-1]["details"]["removed_hash"] == before[10]["hash"]
    found = await verified(app, key=(await verified(app)).key)
    assert (found.first, found.entries) == (12, len(left))
    assert checked(file, Anchor(Head(11, before[10]["hash"]))).entries == 11
    assert await fault(app, Anchor(Head(11, before[10]["hash"]))) is None
    assert await fault(app, Anchor(Head(11, "1" * 64))) == (11, "hash")
    assert await fault(app, Anchor(Head(5, before[4]["hash"]))) == (5, "truncated")
    await add(app, 3)
    await command(app, "masc_audit_prune", before=LATER, file=str(tmp_path / "more"))
    assert (await verified(app)).entries == 1
    assert checked(tmp_path / "more").first == 12


async def test_pruning_what_is_not_old_enough_changes_nothing(app: MascApp, tmp_path: Path) -> None:
    before = await log(app)
    done = await command(app, "masc_audit_prune", before="2001-01-01T00:00:00.000Z", file=str(tmp_path / "a"))
    assert done == {"entries": 0}
    after = await log(app)
    assert after[:-1] == before and after[-1]["tool"] == "masc_audit_prune"
    assert not (tmp_path / "a").exists()


async def test_a_log_that_does_not_hold_is_not_pruned(app: MascApp, tmp_path: Path) -> None:
    Raw(tmp_path).change(5, actor="gemini")
    error = await command(app, "masc_audit_prune", before=LATER, file=str(tmp_path / "a"))
    assert isinstance(error, MascError)
    assert (error.code, error.details) == ("audit_broken", {"seq": 5, "reason": "hash"})
    assert (await log(app))[0]["seq"] == 1
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({"removed_through": 12}, "hash"), ({"removed_hash": "1" * 64}, "hash"), ({"signature": "0" * 128}, "hash")],
)
async def test_an_altered_checkpoint_is_found(
    app: MascApp, tmp_path: Path, fields: dict[str, object], expected: str
) -> None:
    await command(app, "masc_audit_prune", before="2023-11-15T00:00:00.000Z", file=str(tmp_path / "a"))
    entry = (await log(app))[-1]
    raw = Raw(tmp_path)
    raw.change(entry["seq"], details=entry["details"] | fields)
    assert await fault(app) == (entry["seq"], expected)
    raw.change(entry["seq"], rehash=True, details=entry["details"] | fields)
    assert await fault(app) == (entry["seq"], "signature")
    raw.change(entry["seq"], rehash=True, details={})
    assert await fault(app) == (entry["seq"], "hash")


async def test_more_removed_than_the_checkpoint_says_is_found(app: MascApp, tmp_path: Path) -> None:
    await command(app, "masc_audit_prune", before="2023-11-15T00:00:00.000Z", file=str(tmp_path / "a"))
    Raw(tmp_path).remove(12, 13)
    assert await fault(app) == (12, "gap")


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from masc_core.kernel import local_client
from masc_core.testing.app import masc_app
from masc_plugin_audit import exporting

async def main(project, file, where):
    exporting.REMOVED_AT_ONCE = 3
    real = getattr(exporting, where)
    calls = []

    async def killed(*arguments):
        calls.append(1)
        if where == "_remove" or len(calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return await real(*arguments)

    setattr(exporting, where, killed)
    async with masc_app(Path(project), backend="sqlite") as app:
        arguments = {"before": "2033-01-01T00:00:00.000Z", "file": file}
        await app.kernel.run(exporting.COMMANDS["masc_audit_prune"], arguments, local_client())

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("where", ["_remove", "_finish_removal"])
async def test_pruning_that_was_killed_loses_nothing_and_can_go_on(app: MascApp, tmp_path: Path, where: str) -> None:
    before = await log(app)
    file = tmp_path / "old"
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(file), where])
    assert done.returncode == -signal.SIGKILL
    left = await log(app)
    if where == "_remove":  # the export is complete and nothing is removed
        assert left == before
    else:  # the checkpoint and the first removals are one change
        assert [e["seq"] for e in left] == list(range(4, 24))
    assert checked(file).entries == len(before)
    assert await fault(app) is None
    await add(app, 1)
    assert await fault(app) is None
    await command(app, "masc_audit_prune", before=LATER, file=str(tmp_path / "again"))
    assert await fault(app) is None
    assert {e["tool"] for e in await log(app)} <= {"masc_audit_prune", LOADED}
    assert checked(tmp_path / "again").first == (1 if where == "_remove" else 22)


async def test_tampering_with_what_an_interrupted_removal_left_is_found(
    app: MascApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "REMOVED_AT_ONCE", 3)

    async def nothing(*_: object) -> None:
        return None

    monkeypatch.setattr(exporting, "_finish_removal", nothing)
    await command(app, "masc_audit_prune", before=LATER, file=str(tmp_path / "a"))
    assert (await log(app))[0]["seq"] == 4
    assert await fault(app) is None
    raw = Raw(tmp_path)
    prev = orjson.loads(raw.body(4))["prev"]
    kept = {seq: raw.body(seq) for seq in range(4, 23)}
    for seq in kept:  # the whole rest anew, with hashes that fit
        raw.change(seq, rehash=True, prev=prev, source="elsewhere")
        prev = orjson.loads(raw.body(seq))["hash"]
    assert await fault(app) == (21, "hash")
    for seq, body in kept.items():
        raw.write(seq, body)
    raw.remove(8, 8)
    assert await fault(app) == (8, "gap")


async def test_an_entry_that_cannot_be_read_is_named(app: MascApp, monkeypatch: pytest.MonkeyPatch) -> None:
    from masc_core.errors import RecordUnreadable

    driver = app.kernel.start_room.driver
    real = driver.read_log
    reason = "bad_tag"

    async def sealed(log: str, after: int = 0, limit: int = 100, reverse: bool = False) -> Any:
        found = await real(log, after, limit, reverse)
        if any(entry.seq == 9 for entry in found):
            raise RecordUnreadable(collection=log, key="9", reason=reason)
        return found

    monkeypatch.setattr(driver, "read_log", sealed)
    assert await fault(app) == (9, "hash")
    reason = "no_key"
    with pytest.raises(RecordUnreadable):
        await fault(app)
