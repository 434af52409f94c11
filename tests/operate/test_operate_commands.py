"""Backup, restore, export and import as people run them."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from cli_support import ENVIRONMENT, add_task, masc
from operate_support import Places
from redis_server import RedisServer

KEY = "a1" * 32


def call(project: Path, tool: str, env: dict[str, str] | None = None, **arguments: Any) -> Any:
    ran = masc(project, "call", tool, orjson.dumps(arguments).decode(), "--agent", "claude", "--json", env=env)
    assert ran.status == 0, ran
    return ran.json


def status(project: Path, env: dict[str, str] | None = None) -> dict[str, Any]:
    """masc status --json but for what names the store."""
    found = dict(masc(project, "status", "--json", env=env).json)
    assert found.pop("round_trip_ms") > 0
    found.pop("backend")
    return found


def test_from_sqlite_to_postgresql_to_redis_and_the_same_status(project: Path, places: Places) -> None:
    for n in range(3):
        add_task(project, f"task {n}")
    call(project, "masc_claim", task_id="task-001")
    call(project, "masc_lock", file_path="src/a.py")
    call(project, "masc_broadcast", message="hello")
    before = status(project)
    env: dict[str, str] | None = None
    contents: list[tuple[str, bytes]] = []
    for store in ("sqlite", "postgres", "redis"):
        if store != "sqlite":
            env = places.environment(store)
            taken = masc(project, "import", f"{contents[0][0]}", "--json", env=env)
            assert (taken.status, taken.json["backend"]) == (0, store), taken
        ran = masc(project, "export", f"to-{store}.jsonl", "--json", env=env)
        assert ran.status == 0, ran
        contents.append((ran.json["file"], Path(ran.json["file"]).read_bytes()))
        assert status(project, env) == before
        assert masc(project, "audit", "verify", env=env).status == 0
    assert contents[0][1] == contents[1][1] == contents[2][1]
    assert call(project, "masc_add_task", env, title="next")["task"]["id"] == "task-004"
    again = masc(project, "import", contents[0][0], env=env)
    assert (again.status, again.err.partition(":")[0]) == (1, "room_not_empty")


@pytest.mark.parametrize("command", [("import",), ("restore",), ("restore", "--replace")])
def test_a_redis_user_without_the_rights_is_told_which(
    project: Path, places: Places, redis_server: RedisServer, command: tuple[str, ...]
) -> None:
    add_task(project, "task")
    file = masc(project, "export", "room.jsonl", "--json").json["file"]
    env, user = places.environment("redis"), secrets.token_hex(4)
    if "--replace" in command:
        assert masc(project, "import", file, env=env).status == 0
    redis_server.ask("ACL", "SETUSER", user, "on", ">pw", "allkeys", "allchannels", "+@all", "-rename")
    clerk = env | {"MASC_REDIS_URL": redis_server.url.replace("//", f"//{user}:pw@")}
    refused = masc(project, *command, file, env=clerk)
    assert (refused.status, refused.err.partition(":")[0]) == (1, "storage_rights_missing"), refused
    assert "may not run RENAME" in refused.err and "+rename" in refused.err
    redis_server.ask("ACL", "DELUSER", user)


def test_a_default_name_and_what_people_see(project: Path) -> None:
    assert masc(project, "export").err.startswith("not_initialised:")
    assert not (project / ".masc").exists()
    add_task(project, "Fix login")
    ran = masc(project, "export")
    assert ran.status == 0
    (file,) = (project / ".masc" / "exports").iterdir()
    assert str(file) in ran.out
    assert ran.out.startswith(f"{len(file.read_bytes().splitlines()) - 2} records, {file.stat().st_size} bytes")
    assert masc(project, "backup").status == 2
    assert masc(project, "import", "nowhere").err.startswith("export_file_unusable:")
    (project / "bad").write_bytes(file.read_bytes()[:-10])
    for command in (["import", "bad"], ["restore", "bad"], ["restore", "--replace", "bad"]):
        ran = masc(project, *command, "--json", env={"MASC_CLUSTER_NAME": "x"})
        assert (ran.status, ran.json["error"]["code"]) == (1, "export_invalid"), command


def test_an_encrypted_room_needs_its_key_again(project: Path) -> None:
    env = {"MASC_ENCRYPTION_KEY": KEY}
    add_task(project, "a secret word")
    call(project, "masc_encryption_enable", env)
    assert masc(project, "encryption", "migrate", env=env).status == 0
    ran = masc(project, "backup", "room.backup", env=env)
    assert "encrypted as they are stored" in ran.out
    for file in project.glob(".masc/masc.db*"):
        file.unlink()
    ran = masc(project, "restore", "room.backup")
    assert ran.status == 0, ran
    assert "servers need the key from env" in ran.out
    assert masc(project, "status").err.startswith("encryption_key_missing:")
    assert "a secret word" in masc(project, "status", env=env).out


def killed(project: Path, env: dict[str, str], where: str, *command: str) -> None:
    """Run a command that is killed at a point of it."""
    worker = [sys.executable, str(Path(__file__).with_name("restore_worker.py")), where, *command]
    worker += ["--project", str(project)]
    ended = subprocess.run(worker, cwd=project, env={**ENVIRONMENT, **env}, capture_output=True, timeout=60)
    assert ended.returncode == -signal.SIGKILL, ended


@pytest.mark.parametrize("store", ["sqlite", "postgres", "redis"])
def test_a_restore_that_is_killed_leaves_the_old_room_or_the_new(store: str, project: Path, places: Places) -> None:
    env = places.environment(store)
    call(project, "masc_init", env)
    for n in range(3):
        call(project, "masc_add_task", env, title=f"old {n}")
    assert masc(project, "backup", "old", env=env).status == 0
    call(project, "masc_add_task", env, title="new")
    for where, left in (("decided", 4), ("half_written", 4), ("all_but_the_end", 4), ("done", 3)):
        killed(project, env, where, "restore", "--replace", "old")
        tasks = sorted(task["id"] for task in call(project, "masc_tasks", env)["tasks"])
        assert tasks == [f"task-00{n}" for n in range(1, left + 1)], where
    assert masc(project, "audit", "verify", env=env).status == 0
    assert call(project, "masc_add_task", env, title="next")["task"]["id"] == "task-005"
    assert masc(project, "doctor", "--json", env=env).json["ok"] is True


@pytest.mark.parametrize("store", ["sqlite", "postgres", "redis"])
def test_an_import_that_is_killed_is_run_again(store: str, project: Path, places: Places) -> None:
    env = places.environment(store)
    call(project, "masc_init", env)
    for n in range(3):
        call(project, "masc_add_task", env, title=f"task {n}")
    file = call(project, "masc_reset", env, confirm=True)["export_path"]
    masc(project, "call", "masc_add_task", '{"title":"new"}', "--agent", "gemini", env=env)
    for where, left in (("decided", 1), ("half_written", 1), ("all_but_the_end", 1), ("done", 4)):
        killed(project, env, where, "import", "--merge", file)
        assert masc(project, "status", "--json", env=env).json["tasks_by_status"] == {"todo": left}, where
    again = masc(project, "import", "--merge", file, env=env)
    assert "0 records" in again.out, again
    assert "were there already" in again.out
    tasks = sorted((task["id"], task["title"]) for task in call(project, "masc_tasks", env)["tasks"])
    assert tasks == [("task-001", "task 0"), ("task-002", "task 1"), ("task-003", "task 2"), ("task-004", "new")]
    assert masc(project, "audit", "verify", env=env).status == 0
    assert masc(project, "doctor", "--json", env=env).json["ok"] is True


def test_a_reset_is_taken_back_by_a_plain_import(project: Path) -> None:
    add_task(project, "Fix login")
    file = call(project, "masc_reset", confirm=True)["export_path"]
    taken = masc(project, "import", file, "--json")
    assert (taken.status, taken.json["already"]) == (0, 0), taken
    assert taken.json["records"] > 0
    again = masc(project, "import", file)
    assert again.err.startswith("room_not_empty:")
    assert "--merge" in again.err
