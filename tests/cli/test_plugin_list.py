"""masc plugins list: everything that is installed, what is broken included."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cli_support import masc
from click.testing import CliRunner
from plugin_packages import HEAD, place
from plugin_site import Site

from masc_core.authoring.overview import rows
from masc_core.cli import main
from masc_core.errors import StartError
from masc_core.plugins import load

GREETING = HEAD + (
    '@tool(effect=READ, role=READER)\nasync def NAME_hello(ctx: Context) -> Note:\n    """Say hello."""\n'
    '    return Note("n", "hello")\n\n\n@hookimpl\ndef masc_tools(register):\n    register(NAME_hello)\n'
)


def test_broken_plugins_are_listed_by_name_and_hide_no_other(project: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    for good in ("alpha", "omega"):
        place(site, GREETING.replace("NAME", good), category=good)
    place(site, "import nosuch_module\n", category="lost")
    place(site, HEAD + "@hookimpl\ndef masc_nosuch():\n    pass\n", category="misspelt")
    place(site, GREETING.replace("NAME_hello", "masc_claim"), category="greedy")
    environment = {"PYTHONPATH": str(site)}
    rows = {row["name"]: row for row in masc(project, "plugins", "list", "--json", env=environment).json}
    assert {"core", "voting", "redaction"} <= set(rows)
    for good in ("alpha", "omega"):
        assert (rows[good]["problem"], rows[good]["tools"]) == (None, [f"{good}_hello"])
    for broken, words in (("lost", "nosuch_module"), ("misspelt", "masc_nosuch"), ("greedy", "masc_claim")):
        assert words in rows[broken]["problem"]
        assert (rows[broken]["tools"], rows[broken]["modes"], rows[broken]["tokens"]) == ([], [], 0)
    assert "masc_claim" in rows["core"]["tools"]
    said = masc(project, "plugins", "list", env=environment).out
    assert "broken: category misspelt of masc-misspelt 1.2: " in said
    assert said.index("omega") < said.index("broken: ")


@pytest.mark.parametrize(
    ("hook", "words"), [("async def masc_befor_call", "masc_before_call"), ("def masc_waited", "async")]
)
def test_a_guard_that_stops_every_start_is_listed_by_name_and_hides_nothing(
    hook: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path / "site")
    site.add("watch", f"@hookimpl\n    {hook}(ctx: Context) -> Any: ...", group="masc.guards")
    monkeypatch.syspath_prepend(str(site.path))
    monkeypatch.delitem(sys.modules, "watch", raising=False)
    found = {row["name"]: row["problem"] for row in rows() if row["problem"] or row["name"] == "core"}
    assert found.keys() == {"core", "watch"}
    assert found["core"] is None
    assert found["watch"].startswith("stops every start: ") and words in found["watch"]
    with pytest.raises(StartError, match="watch"):  # nobody knows what it would have refused
        load()


def test_modes_tokens_and_guards_are_told(project: Path) -> None:
    rows = {(row["kind"], row["name"]): row for row in masc(project, "plugins", "list", "--json").json}
    assert len(rows["category", "core"]["tools"]) == 16
    assert rows["category", "voting"]["modes"] == ["parallel", "full"]
    assert rows["category", "core"]["tokens"] > 0 and not rows["category", "core"]["estimated"]
    guard = rows["guard", "audit"]
    assert (guard["tools"], guard["tokens"]) == ([], 0)
    assert {"minimal", "full"} <= set(guard["modes"])
    assert "masc_in_commit" in guard["hooks"]


def test_commands_that_cannot_be_used_are_listed_and_nothing_steers_the_terminal(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path / "site")
    site.module("odd", "raise RuntimeError('no commands today :bug:')")
    site.points(
        "odd-\x1b[2J",
        "[masc.commands]\nhello = odd:hello\nhe\x1b[2Jllo = odd:hello\nserve = odd:serve\n[masc.plugins]\nodd = odd\n",
    )
    monkeypatch.syspath_prepend(str(site.path))
    problems = {(row["kind"], row["name"]): row["problem"] for row in rows() if row["problem"]}
    assert "no commands today" in problems["command", "hello"]
    assert problems["command", "serve"] == "takes the name of a command of MASC itself; rename it"
    said = CliRunner().invoke(main, ["plugins", "list", "--project", str(project)]).stdout
    assert "broken: command hello of odd-\\u001b[2J 1.2: cannot be imported" in said
    assert "no commands today :bug:" in said
    assert "\x1b" not in said
    assert problems["command", "he\x1b[2Jllo"] == "has a name that cannot be typed; use letters, digits, - and _"
    assert "\x1b" not in CliRunner().invoke(main, ["--help"], color=True).stdout
