"""What a package says of itself, known without running any of it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from masc_core.errors import StartError
from masc_core.frozen import frozen

__all__ = ["GROUPS", "Package", "installed", "normal", "sources"]

GROUPS = {"masc.plugins": "category", "masc.guards": "guard", "masc.commands": "command"}
"""The groups of entry points a package can add to MASC, and what each of them adds."""


@frozen
class Package:
    """A package that adds something to MASC, as its sources or as it is installed."""

    name: str
    version: str
    points: Mapping[str, Mapping[str, str]]
    """Group of entry points -> name -> what it names, such as ``masc_standup:plugin``."""
    requires: tuple[str, ...] = ()
    root: Path | None = None
    """Where its sources are; ``None`` for an installed one."""

    @property
    def modules(self) -> frozenset[str]:
        """What its entry points name, without the object in it."""
        return frozenset(value.partition(":")[0] for group in self.points.values() for value in group.values())

    def importable_from(self, module: str) -> Path | None:
        """The directory of the sources that holds a module; ``None`` where there is none."""
        top = module.partition(".")[0]
        for place in (self.root / "src", self.root) if self.root else ():
            if (place / top / "__init__.py").is_file() or (place / f"{top}.py").is_file():
                return place
        return None


def normal(name: str) -> str:
    """A distribution's name as package indexes compare them."""
    return re.sub(r"[-_.]+", "-", name).lower()


def sources(root: Path) -> Package:
    """The package whose ``pyproject.toml`` is in a directory.

    Raises :class:`StartError` for a directory without one, or with one that is malformed or names no package.
    """
    file = root / "pyproject.toml"
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StartError(message=f"{root} holds no pyproject.toml; name the directory of a package") from None
    except (OSError, ValueError) as error:
        raise StartError(message=f"{file} cannot be read: {error}") from error
    project = content.get("project")
    if not isinstance(project, dict) or not isinstance(project.get("name"), str):
        raise StartError(message=f"{file} has no [project] with a name; see masc plugins new")
    return Package(
        name=project["name"],
        version=str(project.get("version", "0")),
        points=_points(project.get("entry-points", {})),
        requires=tuple(str(wanted) for wanted in project.get("dependencies", ())),
        root=root.resolve(),
    )


def _points(given: Any) -> Mapping[str, Mapping[str, str]]:
    """The entry points in our groups; what is no table of strings is none."""
    tables = {group: given[group] for group in GROUPS if isinstance(given, dict) and isinstance(given.get(group), dict)}
    return {group: {name: str(value) for name, value in table.items()} for group, table in tables.items()}


def installed(name: str) -> Package:
    """An installed distribution. Raises :class:`StartError` where it is not installed."""
    try:
        found = distribution(name)
    except (PackageNotFoundError, ValueError):
        raise StartError(message=f"no distribution {name} is installed; see masc plugins list") from None
    points: dict[str, dict[str, str]] = {}
    for point in found.entry_points:
        if point.group in GROUPS:
            points.setdefault(point.group, {})[point.name] = point.value
    return Package(found.name, found.version, points, tuple(found.requires or ()))
