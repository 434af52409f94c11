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


def separated(path: Path) -> Path:
    """A git repository whose git directory lies elsewhere, with one commit."""
    main = path / "main"
    main.mkdir(parents=True)
    git("init", "-q", f"--separate-git-dir={path / 'elsewhere.git'}", str(main), cwd=path)
    git("commit", "-q", "--allow-empty", "-m", "first", cwd=main)
    return main


def test_a_git_directory_that_names_the_main_checkout_is_followed(tmp_path: Path) -> None:
    main, linked = separated(tmp_path), tmp_path / "linked"
    git("worktree", "add", "-q", str(linked), cwd=main)
    assert resolve_base(main, explicit=False).path == main
    for value in (str(main), "../main"):
        git("config", "core.worktree", value, cwd=main)
        assert resolve_base(linked, explicit=False) == Base(main, may_create=True)


def test_a_git_directory_that_names_nothing_makes_no_second_room(tmp_path: Path) -> None:
    main, linked = separated(tmp_path), tmp_path / "linked"
    git("worktree", "add", "-q", str(linked), cwd=main)
    for explicit in (False, True):
        with pytest.raises(StartError, match=r"linked is a linked worktree.*git config core\.worktree.*--project"):
            resolve_base(linked, explicit=explicit)
    git("config", "core.worktree", str(tmp_path / "gone"), cwd=main)
    with pytest.raises(StartError, match="linked is a linked worktree"):
        resolve_base(linked, explicit=False)
    (linked / ".masc").mkdir()
    assert resolve_base(linked, explicit=False).path == linked


def test_a_worktree_inside_the_main_checkout_finds_it(tmp_path: Path) -> None:
    main = separated(tmp_path)
    inside = main / ".worktrees" / "x"
    git("worktree", "add", "-q", str(inside), cwd=main)
    assert resolve_base(inside, explicit=False).path == main


def test_worktrees_beside_a_hidden_bare_repository_share_a_room(repository: Path) -> None:
    around = repository.parent / "around"
    git("clone", "-q", "--bare", str(repository), str(around / ".bare"), cwd=repository)
    (around / ".git").write_text("gitdir: ./.bare\n")
    for name in ("one", "two"):
        git("worktree", "add", "-q", "-b", name, str(around / name), cwd=around)
        assert resolve_base(around / name, explicit=False).path == around


def test_worktrees_of_a_bare_repository_share_the_room_of_one_of_them(repository: Path) -> None:
    bare = repository.parent / "bare.git"
    git("clone", "-q", "--bare", str(repository), str(bare), cwd=repository)
    one, two = repository.parent / "one", repository.parent / "two"
    for linked in (one, two):
        git("worktree", "add", "-q", "-b", linked.name, str(linked), cwd=bare)
    assert resolve_base(two, explicit=False).path == two
    (one / ".masc").mkdir()
    assert resolve_base(two, explicit=False).path == one


def test_a_linked_worktree_of_a_submodule_shares_the_submodules_room(repository: Path) -> None:
    outer = repository.parent / "outer"
    outer.mkdir()
    git("init", "-q", cwd=outer)
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repository), "sub", cwd=outer)
    linked = repository.parent / "linked"
    git("worktree", "add", "-q", str(linked), cwd=outer / "sub")
    assert resolve_base(linked, explicit=False).path == outer / "sub"
    (outer / ".masc").mkdir()
    assert resolve_base(outer / "sub", explicit=False).path == outer
    assert resolve_base(linked, explicit=False).path == outer


async def test_a_client_is_told_of_a_worktree_whose_main_checkout_is_unknown(tmp_path: Path, masc: MascApp) -> None:
    main, linked = separated(tmp_path / "x"), tmp_path / "x" / "linked"
    git("worktree", "add", "-q", str(linked), cwd=main)
    if (tmp_path / ".masc").exists():
        pytest.skip("the directory above has a room, which counts")
    outcome = await masc.outcome("masc_set_room", client(), path=str(linked))
    assert outcome.structured["error"]["code"] == "invalid_argument"
    assert "core.worktree" in outcome.structured["error"]["message"]


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


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("open_to", [0o755, 0o770, 0o701])
async def test_a_new_room_is_for_its_owner_alone(
    repository: Path, registry: Registry, link: bool, open_to: int
) -> None:
    directory = repository / ".masc"
    place = repository.parent / "place" if link else directory
    place.mkdir()
    place.chmod(open_to)
    if link:
        directory.symlink_to(place)
    async with Kernel(Base(repository, may_create=True), registry) as kernel:
        assert place.stat().st_mode & 0o777 == open_to
        assert (await kernel.call("masc_add_task", {"title": "T"}, client())).error is None
        assert place.stat().st_mode & 0o777 == 0o700


def _odd(directory: Path, kind: str) -> None:
    if kind == "file":
        directory.touch()
    else:
        directory.symlink_to({"dangling": directory.parent / "gone", "loop": directory}[kind])


@pytest.mark.parametrize(
    ("kind", "said"), [("file", "is a file"), ("dangling", "is a link to nothing"), ("loop", "is a link to nothing")]
)
def test_what_stands_in_a_rooms_place_stops_the_start(repository: Path, kind: str, said: str) -> None:
    _odd(repository / ".masc", kind)
    with pytest.raises(StartError, match=rf"\.masc {said}.*move it away"):
        resolve_base(repository, explicit=True)


def test_a_room_out_of_reach_is_not_replaced_by_one_above(tmp_path: Path) -> None:
    (tmp_path / ".masc").mkdir()
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "a" / ".masc").symlink_to(tmp_path / "gone")
    with pytest.raises(StartError, match="link to nothing"):
        resolve_base(below, explicit=False)


@pytest.mark.parametrize("kind", ["file", "dangling"])
async def test_what_comes_to_stand_in_a_rooms_place_later_refuses_the_call(
    repository: Path, registry: Registry, kind: str
) -> None:
    async with Kernel(Base(repository, may_create=True), registry) as kernel:
        _odd(repository / ".masc", kind)
        outcome = await kernel.call("masc_add_task", {"title": "T"}, client())
        assert outcome.error is not None
        assert ".masc is a" in str(outcome.error)
        assert "move it away" in str(outcome.error)


@pytest.mark.parametrize(
    ("kind", "said"), [("file", "not one of MASC's|not a database"), ("dangling", "link to nothing"), ("loop", "link")]
)
async def test_what_stands_in_a_stores_place_stops_the_start(
    repository: Path, registry: Registry, kind: str, said: str
) -> None:
    (repository / ".masc").mkdir()
    store = repository / ".masc" / "masc.db"
    _odd(store, kind)
    if kind == "file":
        store.write_text("no database\n" * 100)
    with pytest.raises(StartError, match=rf"masc\.db.*({said})"):
        async with Kernel(Base(repository, may_create=True), registry):
            pass


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
