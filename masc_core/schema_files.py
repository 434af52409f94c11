"""The contracts as files: ``schemas/<category>/<tool>.json``, written from the code and compared with it both ways."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

import masc_core
from masc_core import tokens
from masc_core.contracts import Contract
from masc_core.errors import StartError
from masc_core.frozen import frozen
from masc_core.plugins import Registry

__all__ = ["Difference", "compare", "contract_file", "default_directory", "described", "write"]


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


def described(registry: Registry) -> dict[str, Contract]:
    """Every tool that has a contract file: the plugins', and the kernel's own."""
    from masc_core.lean import contracts

    return {**registry.contracts, **contracts()}


def _wanted(registry: Registry) -> dict[str, str]:
    return {f"{c.tool.category}/{name}.json": contract_file(c) for name, c in described(registry).items()}


def _present(directory: Path) -> Iterable[str]:
    found = (path.relative_to(directory).as_posix() for path in directory.rglob("*.json"))
    return (path for path in found if path != tokens.FILE)


def compare(registry: Registry, directory: Path) -> list[Difference]:
    """Every file that is missing, belongs to no tool, or differs. Of the token figures it compares what was counted, not
    the counts, which need the tokenizer."""
    wanted, present = _wanted(registry), set(_present(directory))
    found = [Difference(path, "missing") for path in wanted.keys() - present]
    found += [Difference(path, "orphan") for path in present - wanted.keys()]
    for path in wanted.keys() & present:
        if (directory / path).read_text(encoding="utf-8") != wanted[path]:
            found.append(Difference(path, "changed"))
    if not (figures := directory / tokens.FILE).is_file():
        found.append(Difference(tokens.FILE, "missing"))
    elif _counted(figures) != {name: tokens.digest(c) for name, c in described(registry).items()}:
        found.append(Difference(tokens.FILE, "changed"))
    return sorted(found, key=lambda difference: difference.path)


def _counted(figures: Path) -> dict[str, str]:
    try:
        return {name: row["digest"] for name, row in orjson.loads(figures.read_bytes())["tools"].items()}
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return {}


def write(registry: Registry, directory: Path) -> list[Difference]:
    """Make the files say what the code says; what had to change. Files that are no JSON are left alone.

    Raises :class:`StartError` where tokens have to be counted and the tokenizer is not installed.
    """
    wanted, differences = _wanted(registry), compare(registry, directory)
    if any(difference.path == tokens.FILE for difference in differences):
        wanted[tokens.FILE] = tokens.figures_file(described(registry).values())
    for difference in differences:
        path = directory / difference.path
        if difference.problem == "orphan":
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[difference.path], encoding="utf-8", newline="\n")
    return differences
