"""Which directory is the room, when it comes to be, and whose room a call means."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from postgres_fixtures import local_stores

from masc_core.errors import StartError
from masc_core.identity import Client
from masc_core.kernel import Kernel
from masc_core.plugins import Registry
from masc_core.rooms import Base, find_base, resolve_base
from masc_core.testing import MascApp


def git(*arguments: str, cwd: Path) -> None:
    """Run git with an identity."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with one commit."""
    path = tmp_path / "repo"
    path.mkdir()
    git("init", "-q", cwd=path)
    git("commit", "-q", "--allow-empty", "-m", "first", cwd=path)
    return path


def test_the_base_is_the_git_top_level(repository: Path) -> None:
    (repository / "a" / "b").mkdir(parents=True)
    assert resolve_base(repository / "a" / "b", explicit=False) == Base(repository, may_create=True)


def test_the_nearest_directory_with_a_room_goes_before_the_top_level(repository: Path) -> None:
    (repository / "a" / "b").mkdir(parents=True)
    (repository / "a" / ".masc").mkdir()
    assert resolve_base(repository / "a" / "b", explicit=False).path == repository / "a"


def test_linked_worktrees_share_the_room_of_the_main_checkout(repository: Path) -> None:
    linked = repository.parent / "linked"
    git("worktree", "add", "-q", str(linked), cwd=repository)
    (linked / "sub").mkdir()
    assert resolve_base(linked / "sub", explicit=False) == Base(repository, may_create=True)
    inside = repository / ".worktrees" / "x"
    git("worktree", "add", "-q", "-b", "x", str(inside), cwd=repository)
    assert resolve_base(inside, explicit=False).path == repository


def test_without_git_the_directory_itself_is_the_base(tmp_path: Path) -> None:
    assert resolve_base(tmp_path, explicit=False) == Base(tmp_path, may_create=False)
    assert resolve_base(tmp_path, explicit=True) == Base(tmp_path, may_create=True)


def test_project_then_environment_choose_the_base(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
    environ = {"MASC_BASE_PATH": str(tmp_path / "b"), "ME_ROOT": str(tmp_path / "c")}
    assert find_base(str(tmp_path / "a"), environ).path == tmp_path / "a"
    assert find_base(None, environ).path == tmp_path / "b"
    assert find_base(None, {"ME_ROOT": environ["ME_ROOT"]}).path == tmp_path / "c"
    with pytest.raises(StartError, match="nosuch"):
        find_base(str(tmp_path / "nosuch"), {})


def test_a_git_file_of_garbage_is_no_worktree(tmp_path: Path) -> None:
    (tmp_path / ".git").write_bytes(b"\xff\xfe\0")
    assert resolve_base(tmp_path, explicit=False).path == tmp_path


def client(binding: str = "session:a") -> Client:
    """A client that can be recognised."""
    return Client(transport="http", source="test", bindings=(binding,))


async def test_only_a_writing_call_that_is_accepted_makes_the_room(repository: Path, registry: Registry) -> None:
    async with Kernel(Base(repository, may_create=True), registry) as kernel:
        for tool, arguments in (
            ("masc_status", {}),
            ("masc_get_config", {}),
            ("masc_tasks", {}),
            ("masc_add_task", {"title": "T", "priority": 6}),
            ("masc_add_task", {"title": "T", "agent_name": "a b"}),
            ("masc_claim", {"task_id": "task-001"}),
        ):
            await kernel.call(tool, arguments, client())
            assert not (repository / ".masc").exists(), tool
        outcome = await kernel.call("masc_add_task", {"title": "T"}, client())
        assert outcome.error is None
    assert (repository / ".masc" / ".gitignore").read_text() == "*\n"
    assert (repository / ".masc").stat().st_mode & 0o777 == 0o700


async def test_without_git_only_init_makes_the_room(tmp_path: Path, registry: Registry) -> None:
    async with Kernel(Base(tmp_path, may_create=False), registry) as kernel:
        for tool in ("masc_add_task", "masc_tasks", "masc_switch_mode"):
            arguments = {"masc_add_task": {"title": "T"}, "masc_switch_mode": {"mode": "full"}}.get(tool, {})
            outcome = await kernel.call(tool, arguments, client())
            assert outcome.structured["error"]["details"] == {"path": str(tmp_path)}
            assert outcome.structured["error"]["code"] == "not_initialised"
        status = (await kernel.call("masc_status", {}, client())).structured
        assert status["initialised"] is False
        made = (await kernel.call("masc_init", {"agent_name": "claude"}, client())).structured
        assert (made["created"], made["agent"]["agent"]) == (True, "claude")
        again = (await kernel.call("masc_init", {}, client())).structured
        assert again["created"] is False


@local_stores
async def test_set_room_holds_for_one_binding_alone(masc: MascApp, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    await masc.call("masc_add_task", title="here")
    mine, theirs = client("session:a"), client("session:b")
    chosen = await masc.outcome("masc_set_room", mine, path=str(other))
    # tmp_path has a room on sqlite, and rooms are looked for upwards
    assert chosen.structured["initialised"] is (chosen.structured["path"] == str(tmp_path))
    (other / ".masc").mkdir()
    chosen = await masc.outcome("masc_set_room", mine, path=str(other))
    assert chosen.structured == {"path": str(other), "room": "default", "initialised": False}
    await masc.outcome("masc_add_task", mine, title="there")
    assert [t["title"] for t in (await masc.outcome("masc_tasks", mine)).structured["tasks"]] == ["there"]
    assert [t["title"] for t in (await masc.outcome("masc_tasks", theirs)).structured["tasks"]] == ["here"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("a\0b", "characters"),
        ("\0", "characters"),
        ("a\ud800", "characters"),
        ("", "minLength"),
        ("x" * 501, "maxLength"),
        (3, "type"),
        (["."], "type"),
    ],
)
@pytest.mark.parametrize("tool", ["masc_set_room", "masc_start"])
async def test_what_is_no_path_is_refused_with_its_own_reason(
    masc: MascApp, tool: str, path: object, reason: str
) -> None:
    outcome = await masc.outcome(tool, client("session:a"), path=path)
    error = outcome.structured["error"]
    assert (error["code"], error["details"]["field"], error["details"]["reason"]) == (
        "invalid_argument",
        "path",
        reason,
    )


async def test_set_room_refuses_strangers_files_and_places_not_allowed(masc: MascApp, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert (await masc.error("masc_set_room", path=str(tmp_path)))["code"] == "binding_required"
    for path in (str(tmp_path / "file"), str(tmp_path / "nosuch"), "", 3, "a\0"):
        outcome = await masc.outcome("masc_set_room", client(), path=path)
        assert outcome.structured["error"]["code"] == "invalid_argument"
    masc.kernel.allow_rooms = [tmp_path / "allowed"]
    outcome = await masc.outcome("masc_set_room", client(), path=str(tmp_path))
    assert outcome.structured["error"]["code"] == "path_not_allowed"


async def test_a_room_with_bad_settings_is_an_argument_refused(repository: Path, registry: Registry) -> None:
    bad = repository.parent / "bad"
    (bad / ".masc").mkdir(parents=True)
    (bad / ".masc" / "config.toml").write_text("[lock]\n")
    async with Kernel(Base(repository, may_create=True), registry) as kernel:
        outcome = await kernel.call("masc_set_room", {"path": str(bad)}, client())
        assert outcome.structured["error"]["code"] == "invalid_argument"
        assert client().bindings[0] not in kernel.bindings.rooms
