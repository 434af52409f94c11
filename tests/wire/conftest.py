"""Every HTTP test runs on both parsers: httptools, and h11 for systems that lack it."""

from __future__ import annotations

import pytest

from masc_core.wire import _protocol


@pytest.fixture(params=["httptools", "h11"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The parser this test runs on."""
    name: str = request.param
    monkeypatch.setattr(_protocol, "has_httptools", lambda: name == "httptools")
    return name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that serve nothing over HTTP in this process run once."""
    for item in list(items):
        serves = "test_http_" in item.nodeid and "signal" not in item.name and "policy" not in item.name
        if not serves and "h11" in item.name:
            items.remove(item)
