"""masc plugins check: what it finds, and that nothing a plugin does reaches whoever checks it."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result
from docs_support import ROOT
from plugin_packages import HEAD, write_package

from masc_core.authoring.check import check
from masc_core.authoring.findings import Finding
from masc_core.authoring.package import installed, sources
from masc_core.cli import main

BAD = (
    HEAD
    + '''
@error
class Gone(Refused):
    code = "acme_gone"
    text = "gone"


@frozen
class Strange:
    value: complex


@tool(effect=READ, role=READER)
async def acme_peek(ctx: Context) -> Note:
    """Look at a note."""
    return await ctx.collection(NOTES).add(Note("n", "written"))


@tool(effect=WRITE, role=WORKER, examples=[{"note_id": "n"}])
async def acme_delete(ctx: Context, note_id: str) -> Note:
    """Delete a note."""
    raise Gone()


@tool(effect=DESTRUCTIVE, role=READER)
async def acme_empty(ctx: Context) -> Note:
    """Empty everything."""
    raise ValueError("a defect")


@tool(effect=READ, role=READER)
async def recall(ctx: Context, note_id: str) -> Note:
    """remembers WORDS"""
    return Note(note_id, "")


@tool(effect=READ, role=READER)
async def acme_strange(ctx: Context) -> Strange:
    """Give what JSON \x1b[2Jcannot say."""
    return Strange(1j)


@hookimpl
def masc_tools(register):
    print("a plugin may print")
    for function in (acme_peek, acme_delete, acme_empty, recall, acme_strange):
        register(function)
'''.replace("WORDS", "very much " * 90)
)
QUIET = HEAD + (
    '@tool(effect=READ, role=READER)\nasync def acme_hello(ctx: Context) -> Note:\n    """Say hello."""\n'
    '    return Note("n", "hello")\n\n\n@hookimpl\ndef masc_tools(register):\n    register(acme_hello)\n'
)


def found(package: Path, limit: float = 100) -> list[Finding]:
    """What the check has against a package."""
    return check(sources(package), limit=limit).findings


def run(*arguments: str) -> Result:
    """Run ``masc plugins check`` in this process."""
    return CliRunner().invoke(main, ["plugins", "check", *arguments])


def test_each_rule_finds_what_breaks_it_and_says_how_to_mend_it(tmp_path: Path) -> None:
    package = write_package(tmp_path / "package", BAD)
    file = package / "pyproject.toml"
    more = '[project.entry-points."masc.guards"]\nacme_watch = "acme_plugin.watch"\n\n[tool.hatch'
    file.write_text(file.read_text().replace('["masc"]', '["masc-other"]').replace("[tool.hatch", more, 1))
    (package / "src" / "acme_plugin" / "watch.py").write_text('"""Watches nothing."""\n')
    (package / "src" / "acme_plugin" / "py.typed").unlink()
    findings = found(package)
    assert len({(finding.rule, finding.where, finding.what) for finding in findings}) == len(findings)
    assert all(finding.mend for finding in findings)
    told = {(finding.rule, finding.where): finding.what for finding in findings}
    expected = {
        ("package", "pyproject.toml"): "masc is not among its dependencies",
        ("package", "src/acme_plugin"): "type checkers ignore its annotations",
        ("names", "recall"): "does not say whose it is",
        ("descriptions", "recall"): "no sentence",
        ("descriptions", "acme_strange"): "steer a terminal",
        ("tokens", "recall"): "it costs every conversation ",
        ("effects", "acme_peek"): "declares effect read and writes notes",
        ("effects", "acme_delete"): "its name says that it removes",
        ("effects", "acme_empty"): "whoever may only read may call it",
        ("examples", "recall"): "is refused: argument note_id: is required",
        ("examples", "acme_empty"): "fails: ValueError: a defect",
        ("contracts", "acme_delete"): "acme_gone, which is not declared",
        ("contracts", "acme_strange"): "complex",
        **{("docs", tool): "the README does not mention it" for tool in ("acme_peek", "recall", "acme_strange")},
    }
    for place, words in expected.items():
        assert words in told.get(place, ""), (place, findings)
    assert ("descriptions", "acme_peek") not in told
    assert sum(finding.rule == "descriptions" and finding.where == "recall" for finding in findings) == 2


def test_a_good_package_has_no_findings_and_its_contracts_are_compared_both_ways(tmp_path: Path) -> None:
    package = write_package(tmp_path / "package", QUIET)
    (package / "README.md").write_text("`acme_hello` says hello.\n")
    before = sorted(package.rglob("*"))
    ran = run(str(package), "--json")
    assert (ran.exit_code, orjson.loads(ran.stdout)["findings"]) == (0, [])
    assert sorted(package.rglob("*")) == before
    assert "acme_plugin" not in sys.modules
    written = run(str(package), "--write")
    assert (written.exit_code, written.stdout.splitlines()[0]) == (0, "wrote schemas/acme/acme_hello.json")
    contract = package / "schemas" / "acme" / "acme_hello.json"
    contract.write_text(contract.read_text().replace("Say hello", "Say goodbye"))
    (package / "schemas" / "acme" / "acme_gone.json").write_text("{}")
    ran = run(str(package))
    assert ran.exit_code == 1
    assert "contracts schemas/acme/acme_hello.json: it says something else than the code" in ran.stdout
    assert "contracts schemas/acme/acme_gone.json: no tool has this contract" in ran.stdout
    assert "masc plugins check PATH --write" in ran.stdout


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os\nos._exit(7)\n", "ended the process with status 7"),
        ("raise SystemExit(3)\n", "SystemExit"),
        ("raise RuntimeError('broken at import')\n", "broken at import"),
        ("import nosuch_module\n", "nosuch_module"),
        ("def masc_tools(:\n", "invalid syntax"),
        (HEAD + "@hookimpl\ndef masc_nosuch():\n    pass\n", "masc_nosuch"),
        (QUIET.replace("acme_hello", "masc_claim"), "takes tool masc_claim, which is plugin core's"),
        (QUIET.replace("return Note(", "raise SystemExit(  # "), "SystemExit"),
    ],
)
def test_a_plugin_that_breaks_its_process_is_a_finding(code: str, words: str, tmp_path: Path) -> None:
    findings = found(write_package(tmp_path / "package", code))
    said = [finding.what for finding in findings if finding.rule in {"load", "names", "examples"}]
    assert any(words in what for what in said), findings


def test_a_plugin_that_does_not_come_back_is_a_finding(tmp_path: Path) -> None:
    endless = write_package(tmp_path / "package", "import threading\nthreading.Event().wait()\n")
    assert ["did not come back within 3 seconds" in finding.what for finding in found(endless, 3)] == [True]


def test_a_taken_category_is_found(tmp_path: Path) -> None:
    findings = found(write_package(tmp_path / "package", QUIET, category="voting"))
    assert any(finding.rule == "names" and "voting" in finding.what for finding in findings), findings


def test_a_guard_is_examined_too(tmp_path: Path) -> None:
    code = (
        '"""A guard."""\n\nfrom masc_core import hookimpl\n\n\n@hookimpl\nasync def masc_before_call(ctx):\n    pass\n'
    )
    report = check(sources(write_package(tmp_path / "package", code, group="masc.guards")))
    assert (report.plugins, report.findings) == ([{"name": "acme", "kind": "guard"}], [])


@pytest.mark.parametrize("example", ["standup", "review"])
def test_the_examples_keep_to_the_rules(example: str) -> None:
    assert found(ROOT / "examples" / example) == []


def test_our_own_plugins_keep_to_the_rules() -> None:
    report = check(installed("masc"))
    assert report.findings == []
    assert len(report.plugins) >= 17


def test_commands_are_examined_too(tmp_path: Path) -> None:
    package = write_package(tmp_path / "package", QUIET + "\n\nnothing = 1\n")
    file = package / "pyproject.toml"
    points = 'serve = "acme_plugin:nothing"\naudit = "acme_plugin:nowhere"\n\n[tool.hatch'
    file.write_text(file.read_text().replace("[tool.hatch", f'[project.entry-points."masc.commands"]\n{points}'))
    told = {(finding.rule, finding.where): finding.what for finding in found(package)}
    assert told["names", "masc serve"] == "the command is taken by MASC itself"
    assert told["load", "masc serve"] == "is no click command: acme_plugin:nothing"
    assert told["names", "masc audit"] == "the command is taken by masc"
    assert "nowhere" in told["load", "masc audit"]


OFFERS = (
    QUIET.replace("tool\n)", "prompt, resource, tool\n)")
    + '''

@resource("acme://today", mime_type="markdown")
async def acme_today(ctx: Context) -> str:
    """What there is today."""
    raise RuntimeError("nothing today")


@prompt()
async def acme_plan(ctx: Context, focus: str) -> str:
    """Plan the day."""
    return len(focus)


async def page(request, visit): ...


@hookimpl
def masc_resources(register):
    register(acme_today)


@hookimpl
def masc_prompts(register):
    register(acme_plan)
'''
)
ROUTE = """

@hookimpl
def masc_routes(register):
    register("/{id:nosuch}", page, ["GET"])
"""


def test_resources_and_prompts_are_read_and_routes_compiled(tmp_path: Path) -> None:
    told = {(f.rule, f.where): f.what for f in found(write_package(tmp_path / "offers", OFFERS))}
    assert told["contracts", "acme://today"] == "'markdown' is no MIME type"
    assert told["examples", "acme_today"] == "a call with {} fails: RuntimeError: nothing today"
    assert "must give str, not int" in told["examples", "acme_plan"]
    (route,) = [f for f in found(write_package(tmp_path / "route", OFFERS + ROUTE)) if f.rule == "load"]
    assert "route '/{id:nosuch}' cannot be matched" in route.what


SHAPE = "it must be an object of tool names, each with a list of questions"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"acme_hello": ["greet"]}', []),
        ('{"acme_helo": ["greet"]}', ["no tool of this package has that name"]),
        ('["greet"]', [f"it cannot be used: {SHAPE}"]),
        ('{"acme_hello": "greet"}', [f"it cannot be used: {SHAPE}"]),
        ("{", ["it cannot be used: unexpected end of data: line 1 column 2 (char 1)"]),
    ],
)
def test_questions_that_no_search_can_use_are_found(content: str, told: list[str], tmp_path: Path) -> None:
    package = write_package(tmp_path / "asked", QUIET)
    (package / "src" / "acme_plugin" / "questions.json").write_text(content)
    assert [f.what for f in found(package) if f.rule == "questions"] == told


def test_questions_that_no_tool_is_beside_are_found(tmp_path: Path) -> None:
    package = write_package(tmp_path / "asked", QUIET)
    for place in ("src/acme_plugin/deep", "src/acme_plugin/data", ".venv/lib/other"):
        (package / place).mkdir(parents=True)
        (package / place / "questions.json").write_text('{"acme_hello": ["greet"]}')
    (package / "src" / "acme_plugin" / "deep" / "__init__.py").touch()
    (package / ".venv" / "lib" / "other" / "__init__.py").touch()
    told = [(f.where, f.what) for f in found(package) if f.rule == "questions"]
    assert told == [("acme_plugin.deep/questions.json", "no tool is declared in a module beside it")]


@pytest.mark.parametrize("content", [None, "[project", "[tool.x]\n", '[project]\nversion = "1"\n'])
def test_what_is_no_package_is_wrong_usage(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "pyproject.toml").write_text(content)
    ran = run(str(tmp_path))
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "pyproject.toml" in ran.stderr


def test_what_is_neither_directory_nor_installed_is_wrong_usage(tmp_path: Path) -> None:
    assert run(str(tmp_path / "nowhere")).exit_code == run("masc-nosuch").exit_code == run().exit_code == 2
    assert run("masc", "--write").exit_code == 2


def test_a_package_that_adds_nothing_and_one_without_its_module_are_found(tmp_path: Path) -> None:
    package = write_package(tmp_path / "package", QUIET)
    file = package / "pyproject.toml"
    complete = file.read_text()
    file.write_text(complete.replace('acme = "acme_plugin"', 'acme = "elsewhere"'))
    assert any("names module elsewhere" in finding.what for finding in found(package))
    file.write_text(complete.replace("masc.plugins", "other.plugins"))
    assert any("no entry point" in finding.what for finding in found(package))
