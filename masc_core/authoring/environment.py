"""Plugins come into this Python environment and leave it, by its own pip."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from importlib.metadata import distribution, distributions
from pathlib import Path
from typing import Any

import orjson

from masc_core.authoring.package import GROUPS, Package, installed, normal
from masc_core.errors import StartError
from masc_core.frozen import frozen

__all__ = ["Change", "add", "removable", "remove", "wanted"]

_OWN = "masc"


@frozen
class Change:
    """What an installation or a removal changed."""

    distributions: list[dict[str, str]]
    """``name`` and ``version`` of what was asked for, as it is or was installed."""
    added: list[dict[str, Any]]
    """What the distributions add: ``kind`` (category, guard or command), ``name``, ``distribution``, ``problem`` (or
    ``None``)."""
    removed: list[dict[str, Any]]
    """The same of what went."""


def wanted(what: str) -> str:
    """What pip is to be told: a directory or file as its whole path, else a distribution as it was named.

    Raises :class:`StartError` for what pip would take for an option.
    """
    if not what.strip() or what.startswith("-"):
        raise StartError(message=f"{what!r} is neither a distribution nor a path; options go to pip install itself")
    return str(Path(what).resolve()) if Path(what).exists() else what


def add(what: str) -> Change:
    """Install a distribution, or a package from its path, and load what it brought in a new process.

    The MASC that runs is never replaced by it. Raises :class:`StartError` where pip is missing or refuses.
    """
    before = _points()
    with tempfile.TemporaryDirectory(prefix="masc-pip-") as scratch:
        report, kept = Path(scratch, "report.json"), Path(scratch, "constraints.txt")
        kept.write_text(f"{_OWN}=={distribution(_OWN).version}\n", encoding="utf-8")
        _pip("install", "--report", str(report), "--constraint", str(kept), "--", wanted(what))
        asked = [e["metadata"] for e in orjson.loads(report.read_bytes())["install"] if e.get("requested")]
    after, names = _points(), {normal(found["name"]) for found in asked}
    came = sorted(point for point in after if normal(point[2]) in names)
    problems = _problems() if came else {}
    return Change(
        [{"name": found["name"], "version": found["version"]} for found in asked],
        [_fact(point, problems.get((point[0], point[1]))) for point in came],
        [_fact(point, None) for point in sorted(before - after)],
    )


def removable(name: str) -> Package:
    """The installed distribution to remove, named as such or by its category or guard.

    Raises :class:`StartError` for MASC itself, and for what is not installed or no plugin.
    """
    if not name.strip() or name.startswith("-"):
        raise StartError(message=f"{name!r} is no distribution; see masc plugins list")
    owners = {point[2] for point in _points() if point[1] == name and point[0] != "command"}
    package = installed(owners.pop() if len(owners) == 1 else name)
    if normal(package.name) == _OWN:
        raise StartError(message=f"{name} is part of MASC itself; to remove MASC: pip uninstall masc")
    if not package.points:
        raise StartError(message=f"{package.name} is no plugin of MASC; to remove it: pip uninstall {package.name}")
    return package


def remove(package: Package) -> Change:
    """Remove an installed plugin. Raises :class:`StartError` where pip is missing or refuses."""
    before = _points()
    _pip("uninstall", "--yes", "--", package.name)
    gone = [_fact(point, None) for point in sorted(before - _points())]
    return Change([{"name": package.name, "version": package.version}], [], gone)


Point = tuple[str, str, str]
"""Kind, name and distribution."""


def _points() -> frozenset[Point]:
    """What the environment's distributions add to MASC at present."""
    importlib.invalidate_caches()
    return frozenset(
        (GROUPS[point.group], point.name, found.name)
        for found in distributions()
        for point in found.entry_points
        if point.group in GROUPS
    )


def _fact(point: Point, problem: str | None) -> dict[str, Any]:
    return {"kind": point[0], "name": point[1], "distribution": point[2], "problem": problem}


def _problems() -> dict[tuple[str, str], str]:
    """Why plugins cannot be loaded, by kind and name, as a process finds that starts now."""
    done = _python("-m", "masc_core", "plugins", "list", "--json")
    try:
        rows = orjson.loads(done.stdout)
    except orjson.JSONDecodeError:
        ended = f"it ended with status {done.returncode}: {_last(done.stderr)}"
        raise StartError(message=f"it is installed, but MASC no longer starts: {ended}") from None
    if isinstance(rows, dict):
        raise StartError(message=f"it is installed, but MASC no longer starts: {rows['error']['message']}")
    return {(row["kind"], row["name"]): row["problem"] for row in rows if row["problem"] is not None}


def _pip(*arguments: str) -> None:
    if importlib.util.find_spec("pip") is None:
        raise StartError(
            message=f"the environment of {sys.executable} has no pip; add it with {sys.executable} -m ensurepip, or use "
            "the tool that made this environment"
        )
    options = ("--no-input", "--disable-pip-version-check", "--no-color")
    done = _python("-m", "pip", arguments[0], *options, *arguments[1:])
    if done.returncode != 0:
        raise StartError(message=f"pip {arguments[0]} failed and changed nothing: {_complaint(done)}")


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """This environment's Python, away from the current directory, whose modules are not meant."""
    return subprocess.run(
        [sys.executable, "-P", *arguments], env={**os.environ, "PYTHONSAFEPATH": "1"}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def _complaint(done: subprocess.CompletedProcess[str]) -> str:
    """What pip had against it: which requirements conflict, else its lines that begin with ERROR."""
    _, found, conflict = done.stdout.partition("The conflict is caused by:\n")
    if found:
        return "; ".join(line.strip() for line in conflict.partition("\n\n")[0].splitlines())
    errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    return "; ".join(errors) or _last(done.stderr)


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
