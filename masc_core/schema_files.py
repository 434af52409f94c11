"""The contracts as files: ``schemas/<category>/<tool>.json``, written from the code and compared with it both ways."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import masc_core
from masc_core.contracts import Contract
from masc_core.errors import StartError
from masc_core.frozen import frozen
from masc_core.plugins import Registry

__all__ = ["Difference", "compare", "contract_file", "default_directory", "write"]


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
        "errors": [error.code for error in tool.errors],
        "input": contract.input,
        "output": contract.output,
        "examples": list(tool.examples),
    }
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _wanted(registry: Registry) -> dict[str, str]:
    return {f"{c.tool.category}/{name}.json": contract_file(c) for name, c in registry.contracts.items()}


def _present(directory: Path) -> Iterable[str]:
    return (path.relative_to(directory).as_posix() for path in directory.rglob("*.json"))


def compare(registry: Registry, directory: Path) -> list[Difference]:
    """Every file that is missing, belongs to no tool, or differs."""
    wanted, present = _wanted(registry), set(_present(directory))
    found = [Difference(path, "missing") for path in wanted.keys() - present]
    found += [Difference(path, "orphan") for path in present - wanted.keys()]
    for path in wanted.keys() & present:
        if (directory / path).read_text(encoding="utf-8") != wanted[path]:
            found.append(Difference(path, "changed"))
    return sorted(found, key=lambda difference: difference.path)


def write(registry: Registry, directory: Path) -> list[Difference]:
    """Make the files say what the code says; what had to change. Files that are no JSON are left alone."""
    wanted, differences = _wanted(registry), compare(registry, directory)
    for difference in differences:
        path = directory / difference.path
        if difference.problem == "orphan":
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[difference.path], encoding="utf-8", newline="\n")
    return differences
