"""A project for the command line."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from plugin_packages import Environment, make_environment


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty git repository."""
    path = tmp_path / "project"
    path.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=path, check=True)
    return path


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """A Python environment to install plugins into."""
    return make_environment(tmp_path / "environment")
