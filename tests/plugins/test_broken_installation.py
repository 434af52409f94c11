"""Real servers and commands in an environment with several broken plugins at once."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import httpx
import pytest
from cli_support import ENVIRONMENT, MASC, masc
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from plugin_site import Site

GOOD = """
    @tool(effect=READ, role=READER, needs_room=False)
    async def good_tool(ctx: Context) -> Answer:
        \"\"\"Say that all is well.\"\"\"
        return Answer()

    @tool(effect=WRITE, role=WORKER)
    async def good_breaks(ctx: Context) -> Answer:
        \"\"\"Break.\"\"\"
        sys.exit(3)

    @hookimpl
    def masc_tools(register: Any) -> None:
        register(good_tool)
        register(good_breaks)

    @hookimpl
    async def masc_status(ctx: Context) -> Any:
        raise RuntimeError("half of a hook")
"""
BROKEN = {
    "imports": "import no_such_module",
    "exits": "import os\n    os.write(1, b'stray bytes\\n')\n    sys.exit(4)",
    "registers": "@hookimpl\n    def masc_tools(register: Any) -> None:\n        raise RuntimeError('no tools today')",
    "guards": "@hookimpl\n    async def masc_authenticate(ctx: Context) -> Any:\n        return {'caller': 'root'}",
    "takes": GOOD.replace("good_tool", "masc_claim"),
}


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment in which they are installed."""
    site = Site(tmp_path / "site")
    site.add("good", GOOD)
    for name, source in BROKEN.items():
        site.add(name, source)
    site.module("commands", "import no_such_module")
    site.points("cmds", "[masc.commands]\nhello = commands:hello\nnumber = commands2:number\nauth = commands:hello\n")
    site.module("commands2", "print('stray words')\n    number = 3")
    return {"PYTHONPATH": str(site.path)}


async def test_a_stdio_server_works_among_broken_plugins(project: Path, env: dict[str, str], tmp_path: Path) -> None:
    arguments = [*MASC[1:], "serve", "--stdio", "--project", str(project), "--agent", "ada", "--mode", "full"]
    server = StdioServerParameters(command=MASC[0], args=arguments, env={**ENVIRONMENT, **env})
    with (tmp_path / "log").open("w+") as log:
        async with Client(stdio_client(server, errlog=log), mode="legacy") as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            assert ("good_tool" in names, names.count("masc_claim")) == (True, 1)
            said = await client.call_tool("good_tool", {})
            assert said.structured_content == {"text": "fine"}
            broken = await client.call_tool("good_breaks", {})
            assert (broken.structured_content or {})["error"]["code"] == "internal_error"
            started = await client.call_tool("masc_start", {"task_title": "Fix login"})
            assert (started.structured_content or {})["task"]["assignee"] == "ada"
            status = await client.call_tool("masc_status", {})
            assert not status.is_error
        log.seek(0)
        text = log.read()
    assert all(f"plugin {name} " in text for name in BROKEN)
    assert "plugin good: hook masc_status failed: RuntimeError('half of a hook')" in text
    assert "stray bytes" in text  # and not where the protocol is


def test_an_http_server_works_among_broken_plugins_and_its_health_names_them(
    project: Path, env: dict[str, str]
) -> None:
    command = [*MASC, "serve", "--project", str(project), "--port", "0", "--json"]
    with subprocess.Popen(command, env={**ENVIRONMENT, **env}, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            url = json.loads(next(line for line in lines if line.startswith("{")))["url"]
            health = httpx.get(url.replace("/mcp", "/health"), timeout=20)
            assert (health.status_code, health.json()["status"]) == (200, "degraded")
            assert health.json()["plugins"] == {"failed": sorted(BROKEN)}
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
            assert process.returncode == 0
        finally:
            if process.poll() is None:
                process.kill()


def test_a_broken_guard_is_named_by_every_refused_call(project: Path, tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    site.add("watch", "import no_such_module", group="masc.guards")
    ran = masc(project, "call", "masc_init", "--json", env={"PYTHONPATH": str(site.path)})
    assert (ran.status, ran.json["error"]["code"], ran.json["error"]["details"]) == (
        1,
        "guard_broken",
        {"guard": "watch"},
    )
    assert not (project / ".masc").exists()


def test_what_a_command_logs_of_a_plugin_steers_no_terminal(project: Path, tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    hook = "@hookimpl\n    async def masc_before_call(ctx: Context) -> Any:\n        raise RuntimeError('a\\x1b[2Jb')"
    site.add("watch", hook, group="masc.guards")
    ran = masc(project, "call", "masc_init", env={"PYTHONPATH": str(site.path)})
    assert (ran.status, "RuntimeError: a\\u001b[2Jb" in ran.err, "\x1b" in ran.err) == (1, True, False), ran


def test_a_broken_command_breaks_no_other_and_doctor_names_all(project: Path, env: dict[str, str]) -> None:
    shown = masc(project, "--help", env=env)
    assert shown.status == 0
    assert shown.out.count("(broken; run it to see why)") == 2
    assert masc(project, "auth", "--help", env=env).status == 0
    for name, why in (("hello", "no_such_module"), ("number", "is no click command")):
        ran = masc(project, name, "--any", "thing", env=env)
        assert (ran.status, why in ran.err, f"command {name} of cmds" in ran.err) == (1, True, True), ran
    found = [f["what"] for f in masc(project, "doctor", "--json", env=env).json["findings"]]
    for name in (*BROKEN, "hello", "number"):
        assert any(f" {name} (" in what for what in found), (name, found)
