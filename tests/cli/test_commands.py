"""Every command but serve and demo: what it prints and how it ends."""

from __future__ import annotations

import asyncio
import getpass
from pathlib import Path

import orjson
import pytest
from cli_support import ENVIRONMENT, add_task, masc
from click.testing import CliRunner
from masc_forking import launcher
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters

from masc_core.cli import main

COMMANDS = ["serve", "demo", "status", "tools", "call", "mode", "pause", "resume", "schemas", "bench"]


def test_version_and_help(project: Path) -> None:
    import masc_core

    assert masc(project, "--version").out == f"masc {masc_core.__version__}\n"
    shown = masc(project, "--help").out
    assert all(command in shown for command in [*COMMANDS, "plugins"])


@pytest.mark.parametrize("command", [[c] for c in COMMANDS] + [["plugins", "list"]])
def test_each_command_explains_itself(project: Path, command: list[str]) -> None:
    ran = masc(project, *command, "--help")
    assert ran.status == 0
    assert "--project" in ran.out
    assert "--json" in ran.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuch"],
        ["status", "--nosuch"],
        ["call"],
        ["call", "masc_status", "{"],
        ["call", "masc_status", "[]"],
        ["schemas"],
        ["schemas", "--check", "--write"],
        ["serve", "--stdio", "--http"],
        ["serve", "--http", "--port", "70000"],
        ["serve", "--http", "--agent", "claude"],
        ["serve", "--http", "--trusted-proxy", "nosuch"],
        ["serve", "--http", "--port", "0", "--allowed-host", "http://a"],
    ],
)
def test_wrong_usage_is_2(project: Path, arguments: list[str]) -> None:
    ran = masc(project, *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert "Error:" in ran.err
    assert not (project / ".masc").exists()


def test_a_missing_project_is_one_sentence(project: Path) -> None:
    ran = masc(project, "status", "--project", "nosuch")
    assert ran.status == 1
    assert ran.err == "masc: nosuch is no directory; create it or choose another with --project\n"
    assert masc(project, "status", "--project", "nosuch", "--json").json["error"]["code"] == "start_failed"


def test_status_without_a_room_changes_nothing(project: Path) -> None:
    assert "No room" in masc(project, "status").out
    assert masc(project, "status", "--json").json == {"initialised": False, "path": str(project), "mode": "standard"}
    assert not (project / ".masc").exists()


def test_status_shows_the_room_from_below_and_by_name(project: Path, tmp_path: Path) -> None:
    task = add_task(project, "Fix [bold]login[/bold]")
    masc(project, "call", "masc_claim", orjson.dumps({"task_id": task}).decode(), "--agent", "claude")
    below = project / "src"
    below.mkdir()
    for ran in (masc(below, "status"), masc(tmp_path, "status", "--project", str(project))):
        assert ran.status == 0
        assert f"{task}  claimed" in ran.out
        assert "Fix [bold]login[/bold]" in ran.out
        assert "claude" in ran.out
        assert "\x1b" not in ran.out
    assert masc(project, "status", "--agent", "claude", "--json").json["caller"] == "claude"


def test_a_refused_claim(project: Path) -> None:
    task = add_task(project, "Fix login")
    arguments = orjson.dumps({"task_id": task}).decode()
    claimed = masc(project, "call", "masc_claim", arguments, "--agent", "claude")
    assert claimed.status == 0
    assert task in claimed.out
    refused = masc(project, "call", "masc_claim", arguments, "--agent", "gemini")
    assert (refused.status, refused.out) == (1, "")
    assert refused.err.startswith(f"task_already_claimed: {task} is held by claude")
    as_json = masc(project, "call", "masc_claim", arguments, "--agent", "gemini", "--json")
    assert (as_json.status, as_json.err) == (1, "")
    assert as_json.json["error"]["code"] == "task_already_claimed"
    assert as_json.json["error"]["details"] == {"task_id": task, "assignee": "claude"}


def test_call_reads_standard_input_and_acts_as_the_person(project: Path) -> None:
    ran = masc(project, "call", "masc_add_task", "-", "--json", stdin='{"title": "Grüße"}')
    assert ran.json["task"]["title"] == "Grüße"
    assert ran.json["task"]["created_by"] == f"human:{getpass.getuser()}"
    assert masc(project, "call", "masc_status", "--json", env={"MASC_AGENT": "claude"}).json["caller"] == "claude"


def test_call_of_an_unknown_tool_names_near_ones(project: Path) -> None:
    ran = masc(project, "call", "masc_clam")
    assert ran.status == 1
    assert ran.err.startswith("tool_not_found:")
    assert "masc_claim" in ran.err
    assert "masc_claim" in masc(project, "call", "masc_clam", "--json").json["error"]["details"]["suggestions"]


@pytest.mark.parametrize("name", ["a b", "system", "x" * 65])
@pytest.mark.parametrize(
    "command",
    [
        ["call", "masc_status"],
        ["status"],
        ["tools"],
        ["mode", "--suggest"],
        ["serve", "--stdio"],
        ["cost", "log", "--model", "m", "--input-tokens", "1", "--output-tokens", "1"],
    ],
)
def test_what_is_no_agent_name_is_wrong_usage(project: Path, command: list[str], name: str) -> None:
    ran = CliRunner().invoke(main, [*command, "--project", str(project), f"--agent={name}"])
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "--agent" in ran.stderr


async def _listed(project: Path, *options: str) -> bytes:
    """The array of tools/list as a real stdio server sends it."""
    command = [*launcher(), "serve", "--stdio", "--project", str(project), *options]
    server = StdioServerParameters(command=command[0], args=command[1:], env=ENVIRONMENT)
    async with Client(server, cache=None) as client:
        tools = (await client.list_tools()).tools
    return orjson.dumps([tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools])


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--mode", "minimal"],
        ["--mode", "full", "--agent", "claude"],
        ["--categories", "comm"],
        ["--mode", "lean"],
        ["--max-tokens", "1500"],
        ["--mode", "minimal", "--descriptions", "terse"],
        ["--mode", "lean", "--output-schemas", "--agent", "claude"],
    ],
)
async def test_tools_is_what_a_client_gets(project: Path, options: list[str]) -> None:
    ran = masc(project, "tools", "--json", *options)
    assert ran.status == 0
    assert ran.json == orjson.loads(await _listed(project, *options))
    assert all(list(tool["inputSchema"])[:2] == ["type", "properties"] for tool in ran.json), "as it is counted"
    asked = {"outputSchema"} if "--output-schemas" in options else set()
    assert set(ran.json[0]) == {"name", "description", "inputSchema", "annotations"} | asked


def test_tools_shows_and_prices_a_mode(project: Path) -> None:
    assert "mode standard: " in masc(project, "tools").out
    priced = masc(project, "tools", "--mode", "minimal", "--cost")
    assert "tokens" in priced.out
    costs = masc(project, "tools", "--mode", "minimal", "--cost", "--json").json
    assert costs["total"]["tools"] == len(costs["tools"]) == sum(c["tools"] for c in costs["categories"])
    assert costs["total"]["tokens"] == sum(tool["tokens"] for tool in costs["tools"])


def test_mode_suggests_what_to_leave_out(project: Path) -> None:
    assert "nothing to suggest" in masc(project, "mode", "--suggest").out
    asyncio.run(_used(project, "masc_who", 25))
    ran = masc(project, "mode", "--suggest", "--agent", "claude")
    assert "this room never used worktree, health" in ran.out and "this agent never used worktree, health" in ran.out
    assert "masc mode custom --categories core,comm" in ran.out and "prompt cache" in ran.out
    config = masc(project, "mode", "--suggest", "--json").json
    unused = [row for row in config["categories"] if row["name"] in config["advice"]["room"]["unused"]]
    assert config["advice"]["room"]["saves_tokens"] == sum(row["tokens"] for row in unused)
    assert masc(project, "mode", "minimal", "--suggest").status == 2


async def _used(project: Path, tool: str, times: int) -> None:
    """Call a tool over stdio; the server writes what it counted when it ends."""
    command = [*launcher(), "serve", "--stdio", "--project", str(project), "--agent", "claude"]
    async with Client(
        StdioServerParameters(command=command[0], args=command[1:], env=ENVIRONMENT), cache=None
    ) as client:
        await client.call_tool("masc_join", {})
        for _ in range(times):
            await client.call_tool(tool, {})


def test_mode_takes_a_budget(project: Path) -> None:
    masc(project, "call", "masc_init")
    config = masc(project, "mode", "budget", "--max-tokens", "1600", "--json").json
    assert (config["mode"], config["max_tokens"], config["order"]) == ("budget", 1600, "value")
    assert config["tool_tokens"] <= 1600
    assert masc(project, "mode", "--max-tokens", "1700", "--json").json["max_tokens"] == 1700


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--mode", "nosuch"], "minimal, solo"),
        (["--categories", "nosuch"], "core, comm"),
        (["--mode", "minimal", "--categories", "comm"], "goes with mode custom, not minimal"),
        (["--mode", "custom"], "--categories"),
        (["--mode", "budget"], "--max-tokens"),
        (["--mode", "budget", "--max-tokens", "100"], "from 200 to 100000"),
        (["--max-tokens", "200"], "mode lean"),
        (["--mode", "minimal", "--max-tokens", "2000"], "goes with mode budget"),
    ],
)
@pytest.mark.parametrize("command", [["tools"], ["tools", "--json"], ["serve", "--stdio"], ["serve", "--http"]])
def test_a_mode_that_cannot_be_is_wrong_usage(project: Path, command: list[str], options: list[str], said: str) -> None:
    ran = CliRunner().invoke(main, [*command, "--project", str(project), *options])
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert said in ran.stderr
    assert not (project / ".masc").exists()


def test_mode_shows_and_switches(project: Path) -> None:
    assert masc(project, "mode", "--json").json["mode_source"] == "default"
    assert not (project / ".masc").exists()
    switched = masc(project, "mode", "solo", "--json").json
    assert (switched["mode"], switched["changed"]) == ("solo", True)
    assert "mode solo (from room)" in masc(project, "mode").out
    custom = masc(project, "mode", "--categories", "comm", "--json").json
    assert custom["enabled_categories"] == ["core", "comm"]
    assert "custom → standard" in masc(project, "mode", "inherit").out
    refused = masc(project, "mode", "nosuch")
    assert refused.status == 1
    assert refused.err.startswith("invalid_argument:")


def test_pause_stops_claims_until_resume(project: Path) -> None:
    refused = masc(project, "pause")
    assert refused.status == 1
    assert refused.err.startswith("not_initialised:")
    task = add_task(project, "Fix login")
    arguments = orjson.dumps({"task_id": task}).decode()
    paused = masc(project, "pause", "--reason", "deploying", "--json").json
    assert (paused["paused"], paused["changed"], paused["pause_reason"]) == (True, True, "deploying")
    assert masc(project, "pause", "--reason", "deploying").out.startswith("already paused by human:")
    assert "paused: deploying" in masc(project, "status").out
    claim = masc(project, "call", "masc_claim", arguments, "--agent", "claude")
    assert claim.status == 1
    assert claim.err.startswith("room_paused:")
    assert masc(project, "resume").out == "running\n"
    assert masc(project, "resume", "--json").json == {"paused": False, "changed": False}
    assert masc(project, "call", "masc_claim", arguments, "--agent", "claude").status == 0
    texts = masc(project, "call", "masc_messages", '{"include_system": true}').out
    assert "paused the room: deploying" in texts
    assert "resumed the room" in texts
    long = masc(project, "pause", "--reason", "x" * 2001)
    assert long.status == 1
    assert long.err.startswith("invalid_argument:")


def test_schemas_check_and_write(project: Path) -> None:
    missing = masc(project, "schemas", "--check", "contracts")
    assert missing.status == 1
    assert "masc schemas --write contracts" in missing.err
    assert masc(project, "schemas", "--write", "contracts").status == 0
    assert masc(project, "schemas", "--check", "contracts").status == 0
    (project / "contracts/core/masc_claim.json").write_text("{}")
    (project / "contracts/core/masc_old.json").write_text("{}")
    (project / "contracts/core/masc_join.json").unlink()
    ran = masc(project, "schemas", "--check", "contracts", "--json")
    assert ran.status == 1
    problems = {d["path"]: d["problem"] for d in ran.json["differences"]}
    assert problems == {
        "core/masc_claim.json": "changed",
        "core/masc_join.json": "missing",
        "core/masc_old.json": "orphan",
    }
    assert masc(project, "schemas", "--write", "contracts").status == 0
    assert not (project / "contracts/core/masc_old.json").exists()


def test_nothing_that_is_shown_steers_the_terminal(project: Path) -> None:
    steering = {"\x1b": r"\u001b", "\u202e": r"\u202e"}
    add_task(project, "Fix \u202elogin")
    masc(project, "call", "masc_lock", '{"file_path": "a\u202eb.py"}', "--agent", "claude")
    runner = CliRunner()

    def shown(*command: str) -> str:
        ran = runner.invoke(main, [*command, "--project", str(project)])
        assert not steering.keys() & set(ran.output), ran.output
        return ran.output

    assert r"why\u001b[2K\u202e" in shown("pause", "--reason", "why\x1b[2K\u202e")
    status = shown("status")
    assert r"Fix \u202elogin" in status
    assert r"a\u202eb.py" in status
    assert r"paused: why\u001b[2K\u202e" in status
    refused = shown("call", "masc_lock", '{"file_path": "a\u202eb.py"}', "--agent", "gemini")
    assert refused.startswith("file_locked: ")
    assert r"a\u202eb.py" in refused
