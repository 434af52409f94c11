"""A place for distributions that the installed masc then finds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from plugin_site import Site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Installs distributions in this process, and forgets their modules afterwards."""
    made = Site(tmp_path / "site")
    monkeypatch.syspath_prepend(str(made.path))
    before = set(sys.modules)
    yield made
    for name in set(sys.modules) - before:
        if str(made.path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
