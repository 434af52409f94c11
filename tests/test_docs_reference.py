"""The reference says of everything there is what it is for, and its examples give the answers that it shows."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from docs_support import DOCUMENTS, ROOT, blocks, text_of
from masc_docs import GENERATED, with_generated
from masc_docs.errors import known
from masc_docs.examples import DIRECTORY, files, play, steps_of
from masc_docs.hooks import specified
from masc_docs.markdown import registry
from masc_docs.settings import meanings, rows, sections
from masc_docs.tools import kind
from pictures import DIRECTORY as DRAWN
from pictures import PICTURES
from record_examples import stale

from masc_core.schema_files import described

CATEGORIES = [*registry().categories, "lean"]
PAGES = [document for document in DOCUMENTS if document.startswith("docs/")]
TEXTS = ["CHANGELOG.md", "CONTRIBUTING.md", "README.md", "SECURITY.md", "schemas/README.md", *PAGES]
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_VARIABLE = re.compile(r"\b(?:MASC_[A-Z_]+[A-Z]|ME_ROOT|DATABASE_URL|REDIS_URL)\b")
_URL = re.compile(r"https?://[a-z0-9.-]+(?::\d+)?(?:/\S*)?\Z")


@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
async def test_the_examples_of_a_category_give_the_answers_that_are_shown(path: Path) -> None:
    recorded = steps_of(path)
    assert await play(recorded) == recorded, "see whether the change is meant, then run python docs/record_examples.py"


async def test_an_answer_that_changed_is_recorded_anew(tmp_path: Path) -> None:
    good, bad = DIRECTORY / "discovery.json", tmp_path / "discovery.json"
    bad.write_text(good.read_text(encoding="utf-8").replace("python", "rust", 1), encoding="utf-8")
    found = await stale([good, bad])
    assert found.keys() == {bad}
    bad.write_text(found[bad], encoding="utf-8")
    assert await stale([bad]) == {}


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_page_of_tools_has_each_tool_of_its_category_with_an_example(category: str) -> None:
    page = with_generated(text_of(f"docs/tools/{category}.md"))
    steps = [step for step in steps_of(DIRECTORY / f"{category}.json") if not step.get("setup")]
    names = {name for name, contract in described(registry()).items() if contract.tool.category == category}
    assert {step["tool"] for step in steps} == names
    assert set(re.findall(r"^## (\w+)$", page, re.MULTILINE)) == names
    assert page.count("**Example.**") == len(steps)


def test_no_document_asks_for_what_nobody_generates_and_everything_generated_is_asked_for() -> None:
    asked = set(re.findall(r"<!-- generated: (\w+)", "".join(map(text_of, PAGES))))
    assert asked == GENERATED.keys()
    assert not any("<!-- generated:" in with_generated(text_of(page)) for page in PAGES)


@pytest.mark.parametrize("name", specified())
def test_a_hook_says_when_it_fires_who_calls_it_and_since_when(name: str) -> None:
    text = " ".join((specified()[name].__doc__ or "").split())
    assert re.search(r"\b(Called|Awaited)\b.*\b(by|serving processes)\b", text), text
    assert re.search(r"New in \d+\.\d+\.", text), text
    section = GENERATED["hooks"]().partition(f"### {name}\n")[2].partition("### ")[0]
    assert f"def {name}(" in section
    assert ": '" not in section  # annotations are shown as they are written


@pytest.mark.parametrize("name", sections())
def test_each_setting_of_a_section_has_a_meaning(name: str) -> None:
    found = list(rows(name, sections()[name]))
    assert found
    assert all(meaning.endswith(".") for *_, meaning in found), found
    assert len(meanings(sections()[name])) == len(found)


def test_the_reference_of_settings_shows_bounds_defaults_and_variables() -> None:
    page = GENERATED["settings"]()
    assert "| `zombie_seconds` | 60 to 86,400 | `300` |" in page
    assert "| `type` | `sqlite`, `postgres`, `redis`, `memory` | `sqlite` |" in page
    assert "`MASC_ZOMBIE_THRESHOLD_SEC` says it too." in page


def test_every_variable_that_the_code_reads_is_documented_and_no_other() -> None:
    table = text_of("docs/configuration.md").partition("## The environment")[2]
    assert set(_VARIABLE.findall(table)) == set(_read())


def _read() -> Iterator[str]:
    """The names of variables among the strings of the code, but for messages and docstrings that speak of them."""
    for path in [*(ROOT / "masc_core").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]:
        if "testing" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _VARIABLE.fullmatch(node.value):
                yield node.value


def test_every_error_code_is_explained_and_those_said_to_be_everybodys_exist() -> None:
    page = with_generated(text_of("docs/errors.md"))
    assert set(re.findall(r"^### (\w+)$", page, re.MULTILINE)) == known().keys()
    declared = {error.code for contract in described(registry()).values() for error in contract.tool.errors}
    assert declared <= known().keys()
    assert set(re.findall(r"\[(\w+)\]\(#\1\)", page)) <= known().keys()


def test_the_refusal_that_is_shown_is_one_that_was_recorded() -> None:
    (block,) = blocks("docs/errors.md", "json")
    assert json.loads(block.text) in [step.get("result") for step in steps_of(DIRECTORY / "core.json")]


def test_the_guards_are_those_that_are_loaded() -> None:
    page = with_generated(text_of("docs/guards.md"))
    names = [plugin.name for plugin in registry().plugins if plugin.guard]
    assert re.findall(r"^\| \[(\w+)\]", page, re.MULTILINE) == names
    assert all(f"## {name}\n" in page for name in names)


def test_the_pictures_are_those_that_are_drawn_and_shown() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in DRAWN.iterdir()} == {
        f"{name}.svg": draw().svg() for name, draw in PICTURES.items()
    }, "run python docs/pictures.py"
    shown = re.findall(r"!\[[^\]]{20,}\]\(pictures/(\w+)\.svg\)", "".join(map(text_of, PAGES)))
    assert sorted(shown) == sorted(PICTURES)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 5}, "integer, 1 to 5"),
        ({"type": "integer", "minimum": 1}, "integer, at least 1"),
        ({"type": "array", "items": {"type": "string", "maxLength": 64}}, "list of string, up to 64 characters"),
        ({"enum": ["a", "b"], "type": "string"}, '`"a"` or `"b"`'),
        ({"anyOf": [{"type": "string"}, {"type": "object"}]}, "string or object"),
        (
            {"type": "object", "properties": dict.fromkeys("abcdefgh")},
            "object: `a`, `b`, `c`, `d`, `e`, `f` and 2 more",
        ),
        ({}, "any JSON"),
    ],
)
def test_a_schema_in_words(schema: dict[str, object], words: str) -> None:
    assert kind(schema) == words


@pytest.mark.parametrize("document", TEXTS)
def test_links_lead_somewhere(document: str) -> None:
    """Those inside the documentation are also checked by its build; these are the ones a reader of the files follows."""
    for target in _links(document):
        if target.startswith("http"):
            assert _URL.match(target), target
            continue
        path, _, anchor = target.partition("#")
        found = (ROOT / document).parent / path if path else ROOT / document
        assert found.exists(), f"{document}: {target}"
        if anchor:
            assert anchor in _anchors(found), f"{document}: {target}"


def test_a_link_that_leads_nowhere_would_be_found() -> None:
    assert _anchors(ROOT / "docs" / "modes.md") >= {"what-a-mode-costs", "lean-every-tool-for-the-price-of-five"}
    assert not _URL.match("https:/masc.example.org")


def _links(document: str) -> list[str]:
    return _LINK.findall(_FENCED.sub("", with_generated(text_of(document)) if document in PAGES else text_of(document)))


@cache
def _anchors(path: Path) -> set[str]:
    """The anchors that GitHub and MyST make of headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", with_generated(path.read_text(encoding="utf-8"))), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
