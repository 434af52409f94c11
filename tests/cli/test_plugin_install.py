"""masc plugins install and uninstall, in an environment of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from plugin_packages import HEAD, Environment, write_package, write_wheel

from masc_core.cli import main

GOOD = HEAD + (
    "@tool(effect=WRITE, role=WORKER)\nasync def acme_note(ctx: Context, text: Title) -> Note:\n"
    '    """Keep a note."""\n    return await ctx.collection(NOTES).add(Note("n", text))\n\n\n'
    "@hookimpl\ndef masc_tools(register):\n    register(acme_note)\n\n\n"
    "@hookimpl\ndef masc_records(register):\n    register(NOTES)\n"
)


def test_a_plugin_comes_works_and_goes(environment: Environment, tmp_path: Path) -> None:
    package = write_package(tmp_path / "package", GOOD)
    (tmp_path / "project").mkdir()
    installed = environment.masc(tmp_path, "plugins", "install", str(package), "--yes")
    assert (installed.status, installed.err) == (0, "")
    assert "installed masc-acme 1.2\n  category acme\n" in installed.out
    listed = {row["name"]: row for row in environment.masc(tmp_path, "plugins", "list", "--json").json}
    row = listed["acme"]
    assert row.pop("load_ms") > 0 and row.pop("tokens") > 0
    assert row == {
        "name": "acme", "kind": "category", "distribution": "masc-acme", "version": "1.2", "categories": ["acme"],
        "tools": ["acme_note"], "hooks": ["masc_records", "masc_tools"], "modes": ["full"], "estimated": True,
        "problem": None, "faulty": None,
    }  # fmt: skip
    arguments = ["acme_note", '{"text": "hi"}', "--agent", "ada", "--project", "project", "--json"]
    assert environment.masc(tmp_path, "call", *arguments).json["text"] == "hi"
    gone = environment.masc(tmp_path, "plugins", "uninstall", "acme", "--yes", "--json")
    assert gone.json == {
        "distributions": [{"name": "masc-acme", "version": "1.2"}], "added": [],
        "removed": [{"kind": "category", "name": "acme", "distribution": "masc-acme", "problem": None}],
    }  # fmt: skip


def test_a_plugin_that_does_not_load_is_installed_and_said_to_be_broken(
    environment: Environment, tmp_path: Path
) -> None:
    package = write_package(tmp_path / "package", "import nosuch_module\n")
    file = package / "pyproject.toml"
    points = '[project.entry-points."masc.commands"]\nhello = "acme_plugin:hello"\n\n[tool.hatch'
    file.write_text(file.read_text().replace("[tool.hatch", points))
    ran = environment.masc(tmp_path, "plugins", "install", str(package), "--yes")
    assert ran.status == 1
    assert "command hello is broken: cannot be imported" in ran.out
    assert "category acme is broken: " in ran.out
    assert "nosuch_module" in ran.out
    assert "broken: category acme of masc-acme 1.2: " in environment.masc(tmp_path, "plugins", "list").out


def test_a_plugin_that_wants_another_masc_does_not_get_it(environment: Environment, tmp_path: Path) -> None:
    package = write_package(tmp_path / "package", GOOD)
    write_wheel(environment.wheels, "masc", "1000")
    file = package / "pyproject.toml"
    file.write_text(file.read_text().replace('"masc"]', '"masc>999"]'))
    ran = environment.masc(tmp_path, "plugins", "install", str(package), "--yes")
    assert ran.status == 1
    assert ran.err.startswith("masc: pip install failed and changed nothing: ")
    assert "masc>999" in ran.err
    assert list(environment.path.rglob("masc_acme*")) == []


def test_without_pip_it_says_how_to_get_it(environment: Environment, tmp_path: Path) -> None:
    package = write_package(tmp_path / "package", GOOD)
    script = "import sys; sys.modules['pip'] = None; from masc_core.cli import main; main()"
    ran = environment.run(tmp_path, "-c", script, "plugins", "install", str(package), "--yes")
    assert ran.status == 1
    assert "has no pip; add it with" in ran.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["uninstall", "masc"], "part of MASC itself"),
        (["uninstall", "MASC"], "part of MASC itself"),
        (["uninstall", "core"], "part of MASC itself"),
        (["uninstall", "click"], "no plugin of MASC"),
        (["uninstall", "masc-nosuch"], "no distribution masc-nosuch"),
        (["uninstall", "--", "--all"], "'--all' is no distribution"),
        (["install", "--", "--index-url=http://evil.example"], "neither a distribution nor a path"),
        (["install", ""], "neither a distribution nor a path"),
    ],
)
def test_what_is_refused_before_pip_is_asked(arguments: list[str], words: str) -> None:
    ran = CliRunner().invoke(main, ["plugins", arguments[0], "--yes", *arguments[1:]])
    assert ran.exit_code == 1
    assert words in ran.stderr


def test_whoever_says_no_gets_nothing(tmp_path: Path) -> None:
    package = write_package(tmp_path / "package", GOOD)
    ran = CliRunner().invoke(main, ["plugins", "install", str(package)], input="n\n")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert f"{package} will run with your rights" in ran.stderr
