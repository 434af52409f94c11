"""What tool lists cost: figures that are shipped, budgets that hold, and how lists are rendered."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import frozen
from jsonschema import Draft202012Validator

from masc_core import READ, READER, Context, hookimpl, tool
from masc_core.frozen import evolve
from masc_core.listing import PLAIN, Style, entry
from masc_core.modes import MODES, Modes
from masc_core.plugins import Registry, load
from masc_core.schema_files import default_directory, described
from masc_core.testing.app import MascApp, masc_app
from masc_core.tokens import FILE, TOKENIZER, Figures, counted, digest, figures_file, tokenizer

TERSE = Style(terse=True)
BUDGETS = {  # by mode: for a caller who is known, and who is not
    "minimal": (1_250, 1_500),
    "standard": (2_150, 2_600),
    "full": (4_800, 5_600),
    "lean": (450, 450),
}


@pytest.fixture(scope="module")
def first_party() -> Registry:
    return load(enabled=())


def test_the_shipped_figures_are_what_the_tokenizer_counts(first_party: Registry) -> None:
    shipped = (default_directory() / FILE).read_text(encoding="utf-8")
    assert shipped == figures_file(described(first_party).values()), "run: masc schemas --write"
    assert orjson.loads(shipped)["tokenizer"] == TOKENIZER


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("mode", [*MODES])
@pytest.mark.parametrize("style", [PLAIN, TERSE], ids=["full", "terse"])
def test_what_a_mode_costs_is_the_tokens_of_its_list(
    first_party: Registry, mode: str, known: bool, style: Style
) -> None:
    """Acceptance 2 of modes.md."""
    modes, count = Modes(first_party, style), tokenizer()
    categories = modes.resolve(modes.check(mode, (), "url")).categories
    cost = modes.cost(categories, known)
    assert cost.tokens == sum(count(counted(tool)) for tool in modes.listing(categories, known))
    assert not cost.estimated
    if mode in BUDGETS:
        assert cost.tokens <= BUDGETS[mode][not known]


@frozen
class Nothing:
    """An empty result."""


@tool(effect=READ, role=READER)
async def acme_look(ctx: Context) -> Nothing:
    """Look about."""
    return Nothing()


class Acme:
    """A plugin without figures."""

    @staticmethod
    @hookimpl
    def masc_tools(register: Any) -> None:
        register(acme_look)


async def test_a_plugin_without_figures_is_estimated_and_marked(tmp_path: Path) -> None:
    async with masc_app(tmp_path, extra=[("acme", Acme)]) as masc:
        rows = {row["name"]: row for row in (await masc.call("masc_get_config"))["categories"]}
        (listed,) = masc.kernel.modes.listing(("acme",), caller_known=False)
    assert rows["acme"]["estimated"] is True and rows["core"]["estimated"] is False
    assert rows["acme"]["tokens"] == -(-len(counted(listed).encode()) // 4)


def test_a_figure_of_another_contract_does_not_count(first_party: Registry) -> None:
    contract = first_party.contracts["masc_claim"]
    other = evolve_description(contract, "Claim it.")
    assert not Figures().cost(contract, caller_known=True).estimated
    assert Figures().cost(other, caller_known=True).estimated
    assert digest(contract) != digest(other)


def evolve_description(contract: Any, description: str) -> Any:
    import attrs

    return attrs.evolve(contract, tool=evolve(contract.tool, description=description))


def test_without_the_file_everything_is_estimated(first_party: Registry, tmp_path: Path) -> None:
    cost = Figures(tmp_path).cost(first_party.contracts["masc_claim"], caller_known=False)
    assert cost.estimated and cost.tokens > 0


def test_a_terse_list_costs_less_and_keeps_the_schemas(first_party: Registry) -> None:
    full, terse = Modes(first_party), Modes(first_party, TERSE)
    everything = full.installed
    assert terse.cost(everything, True).tokens < full.cost(everything, True).tokens
    for one, other in zip(full.listing(everything, True), terse.listing(everything, True), strict=True):
        assert {**one, "description": ""} == {**other, "description": ""}
        assert one["description"].startswith(other["description"].rstrip("."))
        assert len(other["description"].split()) >= 3


def test_schemas_of_results_are_listed_on_request_and_are_schemas(first_party: Registry) -> None:
    modes = Modes(first_party, Style(outputs=True))
    for listed in modes.listing(modes.installed, True) + modes.listing((), True):
        Draft202012Validator.check_schema(listed["outputSchema"])
        assert listed["outputSchema"]["type"] == "object"
    assert all("outputSchema" not in entry(c, True) for c in first_party.contracts.values())
    assert modes.cost(("core",), True).estimated


async def test_a_result_fits_the_listed_schema(masc: MascApp) -> None:
    modes = Modes(masc.kernel.registry, Style(outputs=True))
    schemas = {tool["name"]: tool["outputSchema"] for tool in modes.listing(modes.installed, False)}
    for name, arguments in (("masc_join", {}), ("masc_add_task", {"title": "Fix"}), ("masc_status", {})):
        result = await masc.call(name, "claude", **arguments)
        Draft202012Validator(schemas[name]).validate(result)
    lean = {tool["name"]: tool["outputSchema"] for tool in modes.listing((), False)}
    Draft202012Validator(lean["masc_call_read"]).validate(await masc.call("masc_tasks"))


def test_the_documents_have_the_figures() -> None:
    script = Path(__file__).parent.parent.parent / "docs" / "token_table.py"
    ran = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
