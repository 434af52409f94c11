"""What plugins may import is what the documents list, and the examples import nothing else of MASC."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

from masc_core.hookspecs import MascHooks

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))


def documented() -> dict[str, list[str]]:
    """The names of docs/api.md, by module, in the order of the page."""
    sections = re.split(r"^## `([\w.]+)`$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    rows = re.compile(r"^\| `(\w+)` \| \S.* \|$", re.MULTILINE)
    return {module: rows.findall(text) for module, text in zip(sections[1::2], sections[2::2], strict=True)}


def foreign(source: str) -> list[str]:
    """What a module imports of MASC that is not public, as ``module.name``."""
    public = {f"{module}.{name}" for module, names in documented().items() for name in names}
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0].startswith(
            ("masc_core", "masc_plugin_")
        ):
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.partition(".")[0].startswith(("masc_core", "masc_plugin_"))]
    return [name for name in found if name not in public]


@pytest.mark.parametrize("module", documented())
def test_the_documents_list_every_public_name_and_no_other(module: str) -> None:
    names = documented()[module]
    assert sorted(names) == sorted(importlib.import_module(module).__all__)
    assert names == sorted(names, key=str.lower)


def test_the_public_modules_are_these() -> None:
    assert list(documented()) == [
        "masc_core",
        "masc_core.errors",
        "masc_core.commands",
        "masc_core.testing",
        "masc_core.store.driver",
    ]


def test_a_public_name_is_there_to_be_imported() -> None:
    for module, names in documented().items():
        for name in names:
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


def test_the_types_of_a_hook_s_arguments_are_public() -> None:
    public = {name for names in documented().values() for name in names}
    known = {"Any", "Callable", "Literal", "None", "Sequence", "bool", "dict", "str", "type"}
    hooks = [hook for name, hook in vars(MascHooks).items() if name.startswith("masc_")]
    texts = [str(p.annotation) for hook in hooks for p in [*inspect.signature(hook).parameters.values()][1:]]
    used = {word for text in texts for word in re.findall(r"\w+", re.sub(r"""(['"])\w+\1""", "", text))}
    assert {"Context", "OpenRoom"} < used <= known | public


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_examples_import_public_names_only(path: Path) -> None:
    assert foreign(path.read_text(encoding="utf-8")) == []


def test_there_are_examples() -> None:
    assert {path.relative_to(ROOT / "examples").parts[0] for path in EXAMPLES} == {"review", "standup"}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("from masc_core.kernel import Kernel", ["masc_core.kernel.Kernel"]),
        ("def f():\n    import masc_core.kernel", ["masc_core.kernel"]),
        ("from masc_core import kernel", ["masc_core.kernel"]),
        ("from masc_core import *", ["masc_core.*"]),
        ("import masc_core", ["masc_core"]),
        ("from masc_plugin_core.tasks import masc_done", ["masc_plugin_core.tasks.masc_done"]),
        ("import masc_standup\nfrom masc_standup.notes import NOTES", []),
        ("from masc_core import tool\nfrom masc_core.testing import ManualClock", []),
    ],
)
def test_what_is_not_public_is_found_out(source: str, names: list[str]) -> None:
    assert foreign(source) == names
