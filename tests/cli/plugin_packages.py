"""Plugin packages for the command line, and an environment of their own to install them into."""

from __future__ import annotations

import os
import subprocess
import venv
import zipfile
from pathlib import Path

from cli_support import ENVIRONMENT, Ran

from masc_core.frozen import frozen

__all__ = ["HEAD", "Environment", "make_environment", "place", "write_package", "write_wheel"]

HEAD = """\
'''A category for tests.'''

from masc_core import (
    DESTRUCTIVE, READ, READER, WORKER, WRITE, Collection, Context, Refused, Title, error, frozen, hookimpl, tool
)


@frozen
class Note:
    id: str
    text: str
    version: int = 0


NOTES = Collection("notes", Note, lambda note: note.id)


"""
"""The beginning of a plugin's module."""


def write_package(
    directory: Path, code: str, *, name: str = "masc-acme", category: str = "acme", group: str = "masc.plugins"
) -> Path:
    """Write a package with one module, ``NAME_plugin``, and an entry point for it; its directory."""
    module = f"{category}_plugin"
    (directory / "src" / module).mkdir(parents=True)
    (directory / "src" / module / "__init__.py").write_text(code)
    (directory / "src" / module / "py.typed").touch()
    (directory / "README.md").write_text(f"# {name}\n")
    (directory / "pyproject.toml").write_text(
        f'[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n\n'
        f'[project]\nname = "{name}"\nversion = "1.2"\ndependencies = ["masc"]\n\n'
        f'[project.entry-points."{group}"]\n{category} = "{module}"\n\n'
        f'[tool.hatch.build.targets.wheel]\npackages = ["src/{module}"]\n'
    )
    return directory


def place(directory: Path, code: str, *, category: str, group: str = "masc.plugins") -> None:
    """Put a plugin into a directory as pip would, for a process whose PYTHONPATH names the directory."""
    described = directory / f"masc_{category}-1.2.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: masc-{category}\nVersion: 1.2\n")
    (described / "entry_points.txt").write_text(f"[{group}]\n{category} = {category}_plugin\n")
    (directory / f"{category}_plugin.py").write_text(code)


def write_wheel(directory: Path, name: str, version: str) -> None:
    """Write a wheel with nothing in it."""
    described = f"{name}-{version}.dist-info"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "".join(f"{described}/{file},,\n" for file in ("METADATA", "WHEEL", "RECORD")),
    }
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for file, text in files.items():
            wheel.writestr(f"{described}/{file}", text)


@frozen
class Environment:
    """A Python environment that sees what this one has, and in which nothing of ours is at stake."""

    path: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.path / "bin" / "python"

    @property
    def wheels(self) -> Path:
        """Where pip looks for wheels."""
        return self.path / "wheels"

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a process in it. pip neither asks the network nor builds in isolation."""
        offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_FIND_LINKS": str(self.wheels)}
        path = f"{self.path / 'bin'}{os.pathsep}{ENVIRONMENT['PATH']}"
        return {**ENVIRONMENT, **offline, "PATH": path, "VIRTUAL_ENV": str(self.path)}

    def run(self, cwd: Path, *arguments: str) -> Ran:
        """Run its Python."""
        done = subprocess.run(
            [str(self.python), *arguments], cwd=cwd, env=self.variables, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=100, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    def masc(self, cwd: Path, *arguments: str) -> Ran:
        """Run its ``masc``."""
        return self.run(cwd, "-m", "masc_core", *arguments)


def make_environment(path: Path) -> Environment:
    """An environment at ``path`` with the programs ``masc``, ``pip`` and ``pytest``."""
    import site

    venv.create(path, with_pip=False, symlinks=True)
    made = Environment(path)
    made.wheels.mkdir()
    (library,) = (path / "lib").glob("python*")
    lines = [f"import site; site.addsitedir({place!r})" for place in site.getsitepackages()]
    (library / "site-packages" / "parent.pth").write_text("\n".join(lines) + "\n")
    for program, module in (("masc", "masc_core"), ("pip", "pip"), ("pytest", "pytest")):
        script = path / "bin" / program
        script.write_text(f'#!/bin/sh\nexec {made.python} -m {module} "$@"\n')
        script.chmod(0o755)
    return made
