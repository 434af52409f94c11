"""Python, packages, plugins, git, settings."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, entry_points, requires, version
from pathlib import Path

from masc_core import __version__
from masc_core.cli._group import command_of
from masc_core.doctor.findings import Report
from masc_core.errors import StartError
from masc_core.plugins import Registry, load
from masc_core.settings import Settings, load_settings

__all__ = ["look_at_machine", "look_at_plugins", "look_at_settings"]

_GIT = (2, 31)
"""The first git that knows ``rev-parse --path-format``."""
_SECONDS = 10


def look_at_machine(report: Report) -> None:
    """What is installed."""
    report.facts |= {"masc": __version__, "python": platform.python_version(), "platform": platform.platform()}
    packages = report.facts["packages"] = {}
    for line in requires("masc") or ():
        name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        if "extra ==" in line or ("sys_platform" in line and platform.system() == "Windows"):
            continue
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            report.error("package_missing", f"the package {name} is not installed", f"pip install '{name}'")
    _look_at_git(report)


def _look_at_git(report: Report) -> None:
    found = shutil.which("git")
    text = ""
    if found is not None:
        try:
            done = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=False)
            text = done.stdout
        except (OSError, subprocess.TimeoutExpired):
            text = ""
    numbers = re.search(r"(\d+)\.(\d+)[.\d]*", text)
    if numbers is None:
        report.warn("git_missing", "there is no git that answers", "install git; worktrees need it")
        return
    report.facts["git"] = numbers[0]
    if (int(numbers[1]), int(numbers[2])) < _GIT:
        wanted = ".".join(map(str, _GIT))
        report.warn("git_old", f"git {numbers[0]} is older than {wanted}", f"install git {wanted} or newer")


def look_at_plugins(report: Report) -> Registry | None:
    """Load the plugins; the registry, unless one of them stops the start."""
    try:
        registry = load()
    except StartError as error:
        report.error("plugin_failed", str(error), "uninstall or correct the plugin that is named")
        return None
    for plugin in registry.problems:
        report.error(
            "plugin_failed",
            f"{'guard' if plugin.guard else 'plugin'} {plugin.name} ({plugin.distribution}) {plugin.problem}",
            f"pip install --upgrade {plugin.distribution}, or pip uninstall {plugin.distribution}",
        )
    _look_at_commands(report)
    report.facts["plugins"] = {p.label: p.version for p in registry.plugins}
    return registry


def _look_at_commands(report: Report) -> None:
    for point in entry_points(group="masc.commands"):
        if (problem := command_of(point)[1]) is not None:
            source = point.dist.name if point.dist else point.module
            report.error(
                "plugin_failed",
                f"command {point.name} ({source}) {problem}",
                f"pip install --upgrade {source}, or pip uninstall {source}",
            )


def look_at_settings(report: Report, base: Path, registry: Registry) -> Settings | None:
    """Read the settings; ``None`` where they stop the start."""
    try:
        settings = load_settings(base, sections=registry.sections, tolerant=bool(registry.problems))
    except StartError as error:
        report.error("settings_invalid", str(error), "correct the setting that is named")
        return None
    report.facts |= {"base": str(base), "cluster": settings.cluster, "store": settings.storage.type}
    return settings
