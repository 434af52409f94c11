"""HTTP tests run on both parsers: httptools, and h11 for systems that lack it."""

from __future__ import annotations

import pytest

from masc_core.wire import _protocol


@pytest.fixture(params=["httptools", "h11"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The parser this test runs on; ``pytestmark`` asks for it in each module that serves HTTP in this process."""
    name: str = request.param
    monkeypatch.setattr(_protocol, "has_httptools", lambda: name == "httptools")
    return name
