"""Fixtures every test folder shares."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from masc_core.plugins import Registry, load
from masc_core.settings import Settings
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app

# In modules of their own names: two conftest.py would be one module to the type checker.
pytest_plugins = (
    "cli_fixtures",
    "operate_fixtures",
    "postgres_fixtures",
    "postgres_own",
    "redis_fixtures",
    "table_fixtures",
    "wire_fixtures",
    "worktree_fixtures",
)


STORES = ("memory", "sqlite", "postgres", "redis")


@pytest.fixture
def clock() -> ManualClock:
    """A clock the test moves."""
    return ManualClock()


@pytest.fixture(scope="session")
def registry() -> Registry:
    """Every installed plugin, loaded once: a registry has no state."""
    return load()


@pytest.fixture(params=STORES)
async def masc(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    clock: ManualClock,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[MascApp]:
    """A room with every plugin, on each store."""
    settings = Settings(cluster=secrets.token_hex(8))
    if request.param == "redis":
        monkeypatch.setenv("MASC_REDIS_URL", request.getfixturevalue("redis_server").url)
    if request.param == "postgres":
        monkeypatch.setenv("MASC_POSTGRES_URL", request.getfixturevalue("postgres_url"))
        settings = Settings(cluster=request.getfixturevalue("postgres_cluster"))
    async with masc_app(tmp_path, backend=request.param, clock=clock, settings=settings, registry=registry) as app:
        yield app


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests measured, as they recorded it with ``record_property``."""
    reports = [r for outcome in ("passed", "failed") for r in terminalreporter.getreports(outcome)]
    for name, value in (line for report in reports for line in report.user_properties):
        if isinstance(value, str):
            terminalreporter.write_line(f"{name}: {value}")
