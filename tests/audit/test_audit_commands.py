"""``masc audit …`` as its users run it."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from audit_support import Raw
from cli_support import add_task, masc
from click.testing import CliRunner

from masc_core.cli import main

ZEROS = "0" * 64


@pytest.fixture
def room(project: Path) -> Path:
    """A project with a room and a few entries."""
    add_task(project, "one")
    add_task(project, "two")
    return project


def test_verify_prints_the_head_and_ends_with_0(room: Path) -> None:
    head = masc(room, "audit", "head").out.splitlines()[0]
    ran = masc(room, "audit", "verify")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == f"{head}\n4 entries hold, from 1 on\n"
    facts = masc(room, "audit", "verify", "--json").json
    assert (facts["ok"], facts["head"], facts["seq"], facts["entries"]) == (True, head, 4, 4)


def test_looking_leaves_no_entry(room: Path) -> None:
    before = masc(room, "audit", "verify").out
    for command in (["head"], ["key"], ["verify", "--json"]):
        assert masc(room, "audit", *command).status == 0
    assert masc(room, "audit", "verify").out == before


def test_a_bad_entry_is_named_and_the_end_is_1(room: Path) -> None:
    Raw(room).change(2, actor="gemini")
    ran = masc(room, "audit", "verify")
    assert ran.status == 1
    assert ran.out.startswith("2 hash: entry 2 was altered")
    ran = masc(room, "audit", "verify", "--json")
    assert ran.status == 1
    assert (ran.json["ok"], ran.json["seq"], ran.json["reason"]) == (False, 2, "hash")


def test_a_head_kept_elsewhere_finds_a_cut(room: Path) -> None:
    head, signature = masc(room, "audit", "head").out.split("\nsignature ")
    assert masc(room, "audit", "head", "--json").json["signature"] == signature.strip()
    Raw(room).remove(3, 4)
    cut = masc(room, "audit", "verify")
    assert cut.status == 0
    assert cut.err.startswith("warning: the store has counted 4 entries")
    ran = masc(room, "audit", "verify", "--expect", head)
    assert (ran.status, ran.out.split(":")[0]) == (1, "3 truncated")
    ran = masc(room, "audit", "verify", "--expect", f"{head}:{'0' * 128}")
    assert (ran.status, ran.out.split(":")[0]) == (1, "4 signature")


def test_the_head_of_a_ruined_end_is_refused(room: Path) -> None:
    Raw(room).write(4, b"ruin")
    ran = masc(room, "audit", "head")
    assert (ran.status, ran.out.split(":")[0]) == (1, "4 hash")


def test_an_export_verifies_anywhere(room: Path, tmp_path: Path) -> None:
    ran = masc(room, "audit", "export", "audit.jsonl")
    assert ran.status == 0
    assert ran.out.startswith("4 entries, from 1 to head 4:")
    assert (room / "audit.jsonl").stat().st_mode & 0o777 == 0o600
    key = masc(room, "audit", "key").out.strip()
    assert masc(room, "audit", "key", "--json").json == {"key": key}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    file = str(room / "audit.jsonl")
    sure = masc(elsewhere, "audit", "verify", "--file", file, "--key", key)
    assert (sure.status, sure.err) == (0, "")
    unsure = masc(elsewhere, "audit", "verify", "--file", file)
    assert unsure.status == 0 and f"warning: whoever wrote the file may have chosen its key, {key}" in unsure.err
    assert masc(elsewhere, "audit", "verify", "--file", file, "--expect", sure.out.splitlines()[0]).err == ""
    assert masc(elsewhere, "audit", "verify", "--file", file, "--key", ZEROS).status == 1
    assert list(elsewhere.iterdir()) == []
    again = masc(room, "audit", "export", "audit.jsonl")
    assert (again.status, again.err.split(":")[0]) == (1, "audit_file_unusable")
    assert masc(room, "audit", "export", "audit.jsonl", "--json").json["error"]["code"] == "audit_file_unusable"
    since = masc(room, "audit", "export", "none.jsonl", "--since", "2999-01-01", "--json").json
    assert since["entries"] == 0


def test_prune_moves_old_entries(room: Path) -> None:
    assert masc(room, "audit", "prune", "--before", "2001-01-01", "--export", "a").out == "no entries are that old\n"
    ran = masc(room, "audit", "prune", "--before", "2999-01-01T00:00:00+02:00", "--export", "old.jsonl")
    assert ran.status == 0
    assert "moved to" in ran.out
    assert masc(room, "audit", "verify").status == 0
    assert masc(room, "audit", "verify", "--file", "old.jsonl").status == 0
    assert not (room / "a").exists()


def test_a_log_that_does_not_hold_is_not_pruned(room: Path) -> None:
    Raw(room).change(2, actor="gemini")
    ran = masc(room, "audit", "prune", "--before", "2999-01-01", "--export", "old.jsonl", "--json")
    assert (ran.status, ran.json["error"]["code"]) == (1, "audit_broken")
    assert not (room / "old.jsonl").exists()


@pytest.mark.parametrize("command", [["verify"], ["head"], ["key"], ["export", "x"]])
def test_without_a_room_there_is_no_log(project: Path, command: list[str]) -> None:
    ran = masc(project, "audit", *command)
    assert (ran.status, ran.err.split(":")[0]) == (1, "not_initialised")
    assert not (project / ".masc").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "--expect", "7"],
        ["verify", "--expect", f"x:{ZEROS}"],
        ["verify", "--expect", f"7:{ZEROS}:12"],
        ["verify", "--key", "12"],
        ["verify", "--file", "nosuch"],
        ["verify", "--file", "."],
        ["export"],
        ["export", "x", "--since", "yesterday"],
        ["prune", "--before", "2001-01-01"],
        ["prune", "--before", "99999-01-01", "--export", "x"],
        ["nosuch"],
    ],
)
def test_wrong_usage_is_2(project: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.chdir(project)
    ran = CliRunner().invoke(main, ["audit", *arguments])
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "Error:" in ran.stderr


@pytest.mark.parametrize("command", ["verify", "head", "key", "export", "prune"])
def test_each_command_explains_itself(command: str) -> None:
    ran = CliRunner().invoke(main, ["audit", command, "--help"])
    assert ran.exit_code == 0
    assert "--project" in ran.stdout and "--json" in ran.stdout


def test_no_client_can_call_the_commands(room: Path) -> None:
    for name in ("masc_audit_export", "masc_audit_prune", "masc_audit_key"):
        ran = masc(room, "call", name, orjson.dumps({"file": "x"}).decode())
        assert (ran.status, ran.err.split(":")[0]) == (1, "tool_not_found")
