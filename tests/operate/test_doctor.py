"""masc doctor finds what is wrong, says how to mend it, and mends what is safe."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from pathlib import Path
from typing import Any

import orjson
import pytest
from cli_support import Ran, add_task, masc
from operate_support import Places
from redis_server import free_port

from masc_core.clock import SystemClock
from masc_core.store.driver import Acquire, Append, Write
from masc_core.store.sqlite import SqliteDriver

KEY = "a1" * 32


def found(ran: Ran) -> dict[str, tuple[str, bool]]:
    """Severity and whether it is mended, by code."""
    assert ran.status in {0, 1}, ran
    report = ran.json
    assert report["ok"] == (ran.status == 0)
    assert all(finding["what"] and finding["mend"] for finding in report["findings"])
    return {f["code"]: (f["severity"], f["fixed"]) for f in report["findings"]}


def doctor(project: Path, *arguments: str, **env: str) -> Ran:
    return masc(project, "doctor", "--json", *arguments, env=env)


def commit(project: Path, *writes: Write) -> None:
    async def work() -> None:
        async with SqliteDriver(project / ".masc" / "masc.db", SystemClock()) as driver:
            await driver.commit([], writes)

    asyncio.run(work())


def call(project: Path, tool: str, **arguments: Any) -> Any:
    agent = str(arguments.pop("agent", "claude"))
    ran = masc(project, "call", tool, orjson.dumps(arguments).decode(), "--agent", agent, "--json")
    assert ran.status == 0, ran
    return ran.json


def test_a_sound_room_gets_a_clean_bill_and_is_left_as_it_is(project: Path) -> None:
    ran = doctor(project)
    assert found(ran) == {}
    assert ran.json["facts"]["room"] is False
    assert not (project / ".masc").exists()
    add_task(project, "Fix login")
    masc(project, "export", str(project / "before"))
    ran = doctor(project)
    assert found(ran) == {}
    facts = ran.json["facts"]
    assert (facts["room"], facts["store"], facts["schema"], facts["encryption"]) == (True, "sqlite", 1, "off")
    assert facts["audit_entries"] >= 1
    assert abs(facts["clock_difference_s"]) < 2
    assert {"attrs", "mcp", "click"} <= set(facts["packages"])
    assert facts["plugins"]["guard audit"] == facts["masc"]
    assert found(doctor(project, "--fix")) == {}
    shown = masc(project, "doctor")
    assert shown.status == 0
    assert "all is well" in shown.out


def test_what_others_could_read_is_closed(project: Path) -> None:
    add_task(project, "Fix login")
    secrets = project / ".masc" / "secrets"
    secrets.mkdir()
    (secrets / "token-claude").write_text("x")
    (project / ".masc").chmod(0o755)
    (secrets / "token-claude").chmod(0o644)
    ran = doctor(project)
    assert found(ran) == {"readable_by_others": ("error", False)}
    assert stat.S_IMODE((project / ".masc").stat().st_mode) == 0o755
    assert "chmod go=" in masc(project, "doctor").out
    assert found(doctor(project, "--fix")) == {"readable_by_others": ("error", True)}
    assert [stat.S_IMODE(p.stat().st_mode) & 0o077 for p in (project / ".masc", secrets, secrets / "token-claude")] == [
        0
    ] * 3
    assert found(doctor(project)) == {}


def test_what_a_killed_server_left_is_cleared(project: Path) -> None:
    add_task(project, "Fix login")
    file = project / ".masc" / "server.json"
    file.write_text('{"pid": 4194304, "url": "http://127.0.0.1:1/mcp"}')
    file.chmod(0o600)
    commit(project, Acquire("sweep", "pid 4194304", 3600), Acquire("mine", f"pid {os.getpid()}", 3600))
    assert found(doctor(project)) == {"server_file_stale": ("warning", False), "lease_orphaned": ("warning", False)}
    assert found(doctor(project, "--fix")) == {
        "server_file_stale": ("warning", True),
        "lease_orphaned": ("warning", True),
    }
    assert found(doctor(project)) == {}
    assert doctor(project).json["facts"]["leases"] == 1
    file.write_text(f'{{"pid": {os.getpid()}}}')
    assert doctor(project).json["facts"]["server_pid"] == os.getpid()


def test_settings_that_stop_the_start_are_named(project: Path) -> None:
    add_task(project, "Fix login")
    (project / ".masc" / "config.toml").write_text("[health]\nzombie_second = 60\n")
    ran = doctor(project)
    assert found(ran) == {"settings_invalid": ("error", False)}
    assert "zombie_seconds" in ran.json["findings"][0]["what"]


def test_a_damaged_file_is_found(project: Path) -> None:
    add_task(project, "Fix login")
    path = project / ".masc" / "masc.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'entry_index'").fetchone()[0]
    db.close()
    content = bytearray(path.read_bytes())
    content[2048 * (root - 1) : 2048 * (root - 1) + 40] = b"\xff" * 40
    path.write_bytes(content)
    assert found(doctor(project))["store_damaged"] == ("error", False)


def test_a_store_that_does_not_answer_and_one_that_is_not_ours(project: Path) -> None:
    url = f"postgresql://masc:password@127.0.0.1:{free_port()}/masc"
    ran = doctor(project, MASC_STORAGE_TYPE="postgres", MASC_POSTGRES_URL=url)
    assert found(ran) == {"store_unreachable": ("error", False)}
    assert "password" not in ran.out
    assert ran.json["facts"]["store"] == "postgres"
    add_task(project, "Fix login")
    with sqlite3.connect(project / ".masc" / "masc.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    ran = doctor(project)
    assert found(ran)["store_unreachable"] == ("error", False)
    assert "schema 99" in ran.out


def test_worktrees_that_lost_their_checkout_or_their_owner(project: Path) -> None:
    import subprocess

    run = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(project)]
    subprocess.run([*run, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    for task in ("left", "kept", "gone"):
        call(project, "masc_worktree_create", task_id=task, agent="codex" if task == "left" else "claude")
    call(project, "masc_leave", agent="codex")
    place = project / ".worktrees"
    subprocess.run([*run, "worktree", "add", "-q", str(place / "foreign")], check=True)
    assert "worktree_missing" not in found(doctor(project))
    import shutil

    shutil.rmtree(place / "claude-gone")
    ran = doctor(project)
    assert found(ran) == {
        "worktree_missing": ("warning", False),
        "worktree_orphaned": ("warning", False),
        "worktree_unmanaged": ("warning", False),
    }
    assert {f["what"].split()[0] for f in ran.json["findings"]} == {
        str(place / name) for name in ("claude-gone", "codex-left", "foreign")
    }
    fixed = found(doctor(project, "--fix"))
    assert (fixed["worktree_missing"][1], fixed["worktree_orphaned"][1]) == (True, False)
    assert call(project, "masc_agents")["agents"][0]["worktree"] == str(place / "claude-kept")
    assert "worktree_missing" not in found(doctor(project))
    assert (place / "codex-left").is_dir()


def test_a_worktree_that_another_machine_may_have_is_not_forgotten(project: Path, places: Places) -> None:
    """Two machines with a common store and one path, as containers have it, and this one lacks the checkout."""
    import shutil
    import subprocess

    run = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(project)]
    subprocess.run([*run, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    shared = places.environment("redis")
    made = masc(project, "call", "masc_worktree_create", '{"task_id": "t"}', "--agent", "claude", env=shared)
    assert made.status == 0, made
    shutil.rmtree(project / ".worktrees" / "claude-t")
    for arguments in ((), ("--fix",)):
        ran = doctor(project, *arguments, **shared)
        assert found(ran)["worktree_missing"] == ("warning", False)
        assert "another machine" in ran.out


def test_a_conversion_left_half_done_is_carried_to_its_end(project: Path) -> None:
    add_task(project, "Fix login")
    masc(project, "call", "masc_encryption_enable", env={"MASC_ENCRYPTION_KEY": KEY})
    assert found(doctor(project)) == {"encryption_key_missing": ("error", False)}
    ran = doctor(project, MASC_ENCRYPTION_KEY=KEY)
    assert found(ran) == {"encryption_half_done": ("warning", False)}
    assert found(doctor(project, "--fix", MASC_ENCRYPTION_KEY=KEY)) == {"encryption_half_done": ("warning", True)}
    ran = doctor(project, MASC_ENCRYPTION_KEY=KEY)
    assert found(ran) == {}
    assert ran.json["facts"]["encryption"] == "on"


def test_an_audit_log_that_was_altered_is_found(project: Path) -> None:
    add_task(project, "Fix login")
    commit(project, Append("audit", b'{"seq":99}'))
    assert found(doctor(project)) == {"audit_broken": ("error", False)}


def test_a_plugin_that_cannot_be_imported_is_named(project: Path, tmp_path: Path) -> None:
    info = tmp_path / "site" / "acme-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[masc.plugins]\nacme = acme_masc\n")
    (tmp_path / "site" / "acme_masc.py").write_text("import no_such_module\n")
    ran = doctor(project, PYTHONPATH=str(tmp_path / "site"))
    assert found(ran) == {"plugin_failed": ("error", False)}
    assert "acme" in ran.json["findings"][0]["what"]
    assert "no_such_module" in ran.json["findings"][0]["what"]


@pytest.mark.parametrize(
    ("program", "code"), [(None, "git_missing"), ("echo git version 2.20.1", "git_old"), ("exit 1", "git_missing")]
)
def test_a_git_that_is_missing_or_old(project: Path, tmp_path: Path, program: str | None, code: str) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    if program is not None:
        (programs / "git").write_text(f"#!/bin/sh\n{program}\n")
        (programs / "git").chmod(0o755)
    assert found(doctor(project, PATH=str(programs))) == {code: ("warning", False)}
