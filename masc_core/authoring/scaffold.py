"""A new plugin: a package with one tool, its contract and its test, ready to be changed into what you want."""

from __future__ import annotations

import importlib.util
import re
import shutil
import tempfile
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from string import Template

from masc_core import __version__
from masc_core._loading import NAME
from masc_core.authoring.check import check
from masc_core.authoring.package import sources
from masc_core.errors import StartError
from masc_core.presets import LEAN

__all__ = ["create", "distribution_of"]

_FILES = (
    "pyproject.toml",
    "README.md",
    ".gitignore",
    ".github/workflows/ci.yml",
    "src/$module/__init__.py",
    "src/$module/py.typed",
    "tests/conftest.py",
    "tests/test_$category.py",
)
_AS_TEMPLATE = {"module": "module", "category": "category"}


def distribution_of(category: str) -> str:
    """What the package of a category is called where packages are published."""
    return "masc-" + category.replace("_", "-")


def create(category: str, directory: Path) -> list[str]:
    """Write a package for a category into a directory that does not exist yet; its files, relative to it.

    Raises :class:`StartError` for a name that is malformed or taken, and where the directory cannot be made; then nothing
    is left behind.
    """
    _ensure_free(category)
    if directory.exists() or directory.is_symlink():
        raise StartError(message=f"{directory} exists; choose another place with --directory")
    if not directory.parent.is_dir():
        raise StartError(message=f"{directory.parent} is no directory; create it or choose another with --directory")
    try:
        # Made beside its place and moved there whole, so that a failure leaves nothing.
        with tempfile.TemporaryDirectory(prefix=".masc-new-", dir=directory.parent) as scratch:
            made = Path(scratch, "package")
            _fill(made, category)
            check(sources(made), write=True)  # the contract of its tool
            shutil.move(made, directory)
    except OSError as error:
        raise StartError(message=f"{directory} cannot be written: {error.strerror}; choose another place") from error
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


def _ensure_free(category: str) -> None:
    if not NAME.match(category):
        raise StartError(message=f"{category!r} is no category name; use a-z, 0-9 and _, 2 to 32 long")
    if category.endswith("_"):
        raise StartError(message=f"{category} is no name to end with _: packages must not; leave the last _ out")
    for group, kind in (("masc.plugins", "category"), ("masc.guards", "guard")):
        for point in entry_points(group=group, name=category):
            owner = point.dist.name if point.dist else point.value
            raise StartError(message=f"{kind} {category} is taken by {owner}; choose another name")
    module = _module_of(category)
    if category == LEAN or category.startswith("plugin_"):
        raise StartError(message=f"{category} is a name of MASC's own; choose another")
    if importlib.util.find_spec(module) is not None:
        raise StartError(message=f"module {module} is installed already; choose another name than {category}")


def _module_of(category: str) -> str:
    return f"masc_{category}"


def _fill(directory: Path, category: str) -> None:
    values = {
        "category": category,
        "module": _module_of(category),
        "distribution": distribution_of(category),
        "masc": ".".join(re.findall(r"\d+", __version__)[:2]),
    }
    templates = files("masc_core.authoring") / "template"
    for name in _FILES:
        template = templates.joinpath(Template(name).substitute(_AS_TEMPLATE) + ".tmpl")
        target = directory / Template(name).substitute(values)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = Template(template.read_text(encoding="utf-8")).substitute(values)
        target.write_text(text, encoding="utf-8", newline="\n")
