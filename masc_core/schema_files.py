"""The contracts as files: ``schemas/<category>/<tool>.json``, written from the code and compared with it both ways."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

import masc_core
from masc_core import tokens
from masc_core.contracts import Contract
from masc_core.errors import StartError
from masc_core.frozen import frozen
from masc_core.plugins import Registry

__all__ = [
    "Difference",
    "compare",
    "compare_contracts",
    "contract_file",
    "default_directory",
    "described",
    "write",
    "write_contracts",
]


@frozen
class Difference:
    """One file that does not say what the code says."""

    path: str
    """Relative to the directory, such as ``core/masc_claim.json``."""
    problem: str
    """``missing``, ``orphan`` or ``changed``."""


def default_directory(writing: bool = False) -> Path:
    """``schemas/`` of the checkout; of an installed MASC the copy that came with it, which is for reading only.

    Raises :class:`StartError` where there is none, or none to write.
    """
    package = Path(masc_core.__file__).parent
    if (package.parent / "pyproject.toml").is_file():
        return package.parent / "schemas"
    if not writing and (package / "_schemas").is_dir():
        return package / "_schemas"
    raise StartError(message="this MASC runs from no checkout; say which directory to use: masc schemas … DIR")


def contract_file(contract: Contract) -> str:
    """The text of a tool's contract file."""
    tool = contract.tool
    content: Mapping[str, Any] = {
        "name": tool.name,
        "category": tool.category,
        "description": tool.description,
        "role": tool.role.label,
        "effect": tool.effect.value,
        "idempotent": tool.idempotent,
        "limit": tool.limit,
        "auto_join": tool.auto_join,
        "caller": tool.caller.value,
        "open_world": tool.open_world,
        "errors": [error.code for error in contract.errors],
        "input": contract.input,
        "output": contract.output,
        "examples": list(tool.examples),
        **({"keywords": tool.keywords} if tool.keywords else {}),
    }
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def described(registry: Registry, category: str | None = None) -> dict[str, Contract]:
    """Every tool that has a contract file: those of one category, or all plugins' and the kernel's own.

    Raises :class:`StartError` for a category whose plugin was left out: its tools are not known.
    """
    from masc_core.lean import contracts

    if category is None:
        return {**registry.contracts, **contracts()}
    for plugin in registry.plugins:
        if plugin.name == category and plugin.problem is not None:
            raise StartError(message=f"plugin {category}: {plugin.problem}")
    return {name: contract for name, contract in registry.contracts.items() if contract.tool.category == category}


def _wanted(contracts: Iterable[Contract]) -> dict[str, str]:
    return {f"{c.tool.category}/{c.tool.name}.json": contract_file(c) for c in contracts}


def _present(directory: Path) -> Iterable[str]:
    found = (path.relative_to(directory).as_posix() for path in directory.rglob("*.json"))
    return (path for path in found if path != tokens.FILE)


def compare_contracts(contracts: Iterable[Contract], directory: Path) -> list[Difference]:
    """Every file of a contract that is missing, belongs to no tool, or differs."""
    wanted, present = _wanted(contracts), set(_present(directory))
    found = [Difference(path, "missing") for path in wanted.keys() - present]
    found += [Difference(path, "orphan") for path in present - wanted.keys()]
    for path in wanted.keys() & present:
        if (directory / path).read_text(encoding="utf-8") != wanted[path]:
            found.append(Difference(path, "changed"))
    return sorted(found, key=lambda difference: difference.path)


def compare(registry: Registry, directory: Path, category: str | None = None) -> list[Difference]:
    """Every file that is missing, belongs to no tool, or differs. Of the token figures it compares what was counted, not
    the counts, which need the tokenizer.

    With ``category`` the directory is that of a package with this category alone, which has no token figures.
    """
    found = compare_contracts(described(registry, category).values(), directory)
    if category is None:
        found += _figures(registry, directory / tokens.FILE)
    return sorted(found, key=lambda difference: difference.path)


def _figures(registry: Registry, path: Path) -> list[Difference]:
    if not path.is_file():
        return [Difference(tokens.FILE, "missing")]
    counted = {name: tokens.digest(c) for name, c in described(registry).items()}
    return [] if _counted(path) == counted else [Difference(tokens.FILE, "changed")]


def _counted(figures: Path) -> dict[str, str]:
    try:
        return {name: row["digest"] for name, row in orjson.loads(figures.read_bytes())["tools"].items()}
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return {}


def write(registry: Registry, directory: Path, category: str | None = None) -> list[Difference]:
    """Make the files say what the code says; what had to change. Files that are no JSON are left alone.

    ``category`` as in :func:`compare`.

    Raises :class:`StartError` where tokens have to be counted and the tokenizer is not installed.
    """
    differences = compare(registry, directory, category)
    wanted = _wanted(described(registry, category).values())
    if any(difference.path == tokens.FILE for difference in differences):
        wanted[tokens.FILE] = tokens.figures_file(described(registry).values())
    _mend(directory, differences, wanted)
    return differences


def write_contracts(contracts: Sequence[Contract], directory: Path) -> list[Difference]:
    """Make the files of some contracts say what the code says, those of other tools go; what had to change."""
    differences = compare_contracts(contracts, directory)
    _mend(directory, differences, _wanted(contracts))
    return differences


def _mend(directory: Path, differences: Iterable[Difference], wanted: Mapping[str, str]) -> None:
    for difference in differences:
        path = directory / difference.path
        if difference.problem == "orphan":
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[difference.path], encoding="utf-8", newline="\n")
