"""Examines a plugin package, as sources or installed, without letting it into this process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import orjson

from masc_core.authoring import rules
from masc_core.authoring.findings import Finding
from masc_core.authoring.package import Package, normal
from masc_core.convert import structure, unstructure
from masc_core.frozen import frozen

__all__ = ["Report", "check"]

_LIMIT = 120.0
"""Seconds for loading a package and calling its tools."""


@frozen
class Report:
    """What a package adds and what is wrong with it."""

    name: str
    version: str
    plugins: list[dict[str, Any]]
    """``name`` and ``kind`` (category or guard) of each."""
    tools: list[dict[str, Any]]
    """``name`` and estimated ``tokens`` of each."""
    written: list[str]
    """Contract files that were written or removed, relative to ``schemas/``."""
    findings: list[Finding]


def check(package: Package, *, write: bool = False, limit: float = _LIMIT) -> Report:
    """Examine a package within ``limit`` seconds; with ``write`` its contract files are made to say what the code says."""
    findings = list(rules.of_package(package))
    seen: dict[str, Any] = {"plugins": [], "tools": [], "written": [], "findings": []}
    if package.points and not any(finding.rule == "package" and "names module" in finding.what for finding in findings):
        with tempfile.TemporaryDirectory(prefix="masc-check-") as scratch:
            result = _run(package, Path(scratch), write, limit)
        if isinstance(result, Finding):
            findings.append(result)
        else:
            seen = result
    findings += [structure(finding, Finding) for finding in seen["findings"]]
    return Report(package.name, package.version, seen["plugins"], seen["tools"], seen["written"], findings)


def _run(package: Package, scratch: Path, write: bool, limit: float) -> dict[str, Any] | Finding:
    report = scratch / "report.json"
    described = {**unstructure(package), "root": str(package.root) if package.root else None}
    request = {"package": described, "report": str(report), "write": write}
    places = [str(scratch), *_as_installed(package, scratch)] if package.root else []
    inherited = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*places, *inherited]), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        # -P: the current directory is nobody's package.
        done = subprocess.run(
            [sys.executable, "-P", "-m", "masc_core.authoring.checker"], input=orjson.dumps(request), env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=limit, check=False, cwd=scratch,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        mend = "let importing it and its tools come back at once; do what takes long in a call of its own"
        return Finding("load", package.name, f"it did not come back within {limit:g} seconds", mend)
    if not report.is_file():
        said = done.stderr.decode(errors="replace").strip().splitlines()
        mend = "importing a plugin must neither end the process nor raise"
        ended = f"it ended the process with status {done.returncode}{f': {said[-1]}' if said else ''}"
        return Finding("load", package.name, ended, mend)
    result: dict[str, Any] = orjson.loads(report.read_bytes())
    return result


def _as_installed(package: Package, scratch: Path) -> list[str]:
    """Describe sources as if they were installed, so that they are loaded the way they will be; where their modules are."""
    stem = normal(package.name).replace("-", "_")
    described = scratch / f"{stem}-{package.version}.dist-info"
    described.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {package.name}\nVersion: {package.version}\n"
    (described / "METADATA").write_text(metadata, encoding="utf-8")
    lines = []
    for group, points in package.points.items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (described / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = {str(place) for module in package.modules if (place := package.importable_from(module)) is not None}
    return sorted(found)
