"""What the documents show is run."""

from __future__ import annotations

import tomllib
import types
from pathlib import Path

import click
import pytest
from docs_support import DOCUMENTS, Block, Reader, accept, blocks, commands_in, inline_commands, text_of

from masc_core.errors import MascError
from masc_core.plugins import load
from masc_core.settings import Settings, load_settings
from masc_core.testing.app import masc_app

LANGUAGES = {"sh", "toml", "json", "python", "{toctree}", "{eval-rst}"}
"""Each has a test below, but the tables of contents and what Sphinx generates: the documentation's build checks these."""

NOT_RUN = {
    ("README.md", "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/masc demo"),
    ("README.md", ".venv/bin/pip install tox && .venv/bin/tox -qq run -e ci,examples"),
    ("README.md", "masc checkpoint pending"),
    (
        "docs/performance.md",
        "masc bench --clients 1,8 --calls 200 --tool masc_tasks --arguments '{\"limit\": 1}' \\",
    ),
    (
        "docs/performance.md",
        "npm install @modelcontextprotocol/server-filesystem @modelcontextprotocol/server-memory "
        "@modelcontextprotocol/server-everything",
    ),
    ("docs/quickstart.md", "python3 -m venv .venv"),
    (
        "docs/deploy/index.md",
        'export MASC_CLUSTER_NAME=acme MASC_PUBLIC_HOST=masc.example.org POSTGRES_PASSWORD="$(openssl rand -hex 24)"',
    ),
    (
        "docs/scale.md",
        "python benchmarks/scale_teams.py --seconds 2 --sizes 100,1000,10000,100000 --results scale.jsonl --plot scale.png",
    ),
    (
        "docs/storage.md",
        "export MASC_STORAGE_TYPE=postgres MASC_POSTGRES_URL=postgresql://masc@db.example/masc MASC_CLUSTER_NAME=acme",
    ),
    ("docs/performance.md", "python benchmarks/split.py --plot split.svg"),
    ("docs/storage.md", "python benchmarks/faults.py --only kill --cycles 200 --seconds 1500"),
}
"""All that is exempt, by document and first line; each block says why."""

OTHERS = {"mcp_servers", "project", "build-system", "tool"}
"""What TOML that is not a room's settings begins with: that of a client, and of a plugin's package."""

every_document = pytest.mark.parametrize("document", DOCUMENTS)


def of(*languages: str) -> list[Block]:
    """The blocks of these languages in all documents."""
    return [block for document in DOCUMENTS for language in languages for block in blocks(document, language)]


def settings_blocks() -> list[Block]:
    """The blocks of ``.masc/config.toml``."""
    return [block for block in of("toml") if tomllib.loads(block.text).keys().isdisjoint(OTHERS)]


@every_document
def test_every_fence_is_of_a_language_that_is_tested(document: str) -> None:
    assert {block.language for block in blocks(document)} <= LANGUAGES
    assert len(blocks(document)) * 2 == sum(line.lstrip().startswith("```") for line in text_of(document).splitlines())


def test_what_is_not_run_is_listed_here_and_says_why() -> None:
    exempt = [block for document in DOCUMENTS for block in blocks(document) if block.not_run is not None]
    assert {(block.document, block.first_line) for block in exempt} == NOT_RUN
    assert all(block.language == "sh" for block in exempt)


@pytest.mark.parametrize("document", sorted({block.document for block in of("sh")}))
def test_the_shell_blocks_of_a_document_work_one_after_the_other(document: str, tmp_path: Path) -> None:
    with Reader.at(tmp_path) as reader:
        for block in blocks(document, "sh"):
            if block.not_run is None:
                reader.run(block)


@pytest.mark.parametrize(
    "text", ["masc nosuch\n", "masc serve --stdio\nfalse\nmasc tools\n", "claude x -- masc serve --tdio\n"]
)
def test_a_block_that_does_not_work_is_found_out(text: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError), Reader.at(tmp_path) as reader:
        reader.run(Block("-", "sh", text, None))


@pytest.mark.parametrize("block", of("toml", "json"), ids=lambda block: f"{block.document}:{block.first_line}")
def test_configuration_parses_and_its_command_is_one_we_take(block: Block) -> None:
    for words in commands_in(block):
        accept(words)


@pytest.mark.parametrize("block", settings_blocks(), ids=lambda block: f"{block.document}:{block.first_line}")
def test_settings_that_are_shown_are_taken(block: Block, tmp_path: Path) -> None:
    (tmp_path / ".masc").mkdir()
    (tmp_path / ".masc" / "config.toml").write_text(block.text, encoding="utf-8")
    assert load_settings(tmp_path, {}, load(enabled=()).sections) != Settings(cluster=tmp_path.name)


def test_the_clients_of_the_readme_are_told_what_to_start() -> None:
    found = [words for block in of("toml", "json") if block.document == "README.md" for words in commands_in(block)]
    assert [words[-1] for words in found] == ["codex", "gemini"]


@every_document
def test_the_commands_in_running_text_are_ones_we_take(document: str) -> None:
    for words in inline_commands(document):
        accept(words)


@pytest.mark.parametrize("words", [["masc", "nosuch"], ["masc", "serve", "--tdio"], ["masc", "plugins", "lst"]])
def test_a_command_we_do_not_take_is_found_out(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        accept(words)


@pytest.mark.parametrize("block", of("python"), ids=lambda block: f"{block.document}:{block.first_line}")
def test_python_runs_and_a_plugin_loads(block: Block) -> None:
    module = run_python(block)
    if any(name.startswith("masc_") for name in vars(module)):
        registry = load(extra=[("acme", module)])
        assert ("acme" in registry.categories) is hasattr(module, "masc_tools")


async def test_the_plugin_of_the_readme_works(tmp_path: Path) -> None:
    (block,) = blocks("README.md", "python")
    async with masc_app(tmp_path, extra=[("acme", run_python(block))]) as masc:
        task = (await masc.call("masc_add_task", "claude", title="Fix login"))["task"]
        assert await masc.call("acme_age", task_id=task["id"]) == {"created_at": task["created_at"]}


def run_python(block: Block) -> types.ModuleType:
    """A python block as the module it would be."""
    module = types.ModuleType("masc_acme")
    # The handler's annotations are strings to the contract, so the module must be where they are looked up.
    exec(compile(block.text, block.document, "exec"), module.__dict__)
    return module


def test_the_error_codes_of_the_quickstart_are_ours() -> None:
    load()
    known = {cls.code for cls in _subclasses(MascError)}
    rows = text_of("docs/quickstart.md").partition("## When something is refused")[2]
    codes = {line.split("`")[1] for line in rows.splitlines() if line.startswith("| `")}
    assert "start_failed" in codes
    assert codes <= known


def _subclasses(cls: type[MascError]) -> set[type[MascError]]:
    return {cls}.union(*(_subclasses(below) for below in cls.__subclasses__()))
