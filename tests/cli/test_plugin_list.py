"""masc plugins list: everything that is installed, what is broken included."""

from __future__ import annotations

from pathlib import Path

from cli_support import masc
from plugin_packages import HEAD, place

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


def test_modes_tokens_and_guards_are_told(project: Path) -> None:
    rows = {(row["kind"], row["name"]): row for row in masc(project, "plugins", "list", "--json").json}
    assert len(rows["category", "core"]["tools"]) == 16
    assert rows["category", "voting"]["modes"] == ["parallel", "full"]
    assert rows["category", "core"]["tokens"] > 0 and not rows["category", "core"]["estimated"]
    guard = rows["guard", "audit"]
    assert (guard["tools"], guard["tokens"]) == ([], 0)
    assert {"minimal", "full"} <= set(guard["modes"])
    assert "masc_in_commit" in guard["hooks"]
