"""Fixtures every test folder shares."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest

from masc_core.plugins import Registry, load
from masc_core.settings import Settings
from masc_core.testing import AppFactory, ManualClock, MascApp

# In modules of their own names: two conftest.py would be one module to the type checker.
pytest_plugins = (
    "masc_core.testing",
    "cli_fixtures",
    "operate_fixtures",
    "plugins_fixtures",
    "postgres_fixtures",
    "sqlite_fixtures",
    "postgres_own",
    "quick_runs",
    "redis_fixtures",
    "table_fixtures",
    "wire_fixtures",
    "worktree_fixtures",
)


STORES = ("memory", "sqlite", "postgres", "redis")


@pytest.fixture
def clock(masc_clock: ManualClock) -> ManualClock:
    """A clock the test moves."""
    return masc_clock


@pytest.fixture(scope="session")
def registry() -> Registry:
    """Every installed plugin, loaded once: a registry has no state."""
    return load()


@pytest.fixture(params=STORES)
async def masc(
    request: pytest.FixtureRequest, masc_app: AppFactory, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MascApp]:
    """A room with every plugin, on each store."""
    settings = Settings(cluster=secrets.token_hex(8))
    if request.param == "redis":
        monkeypatch.setenv("MASC_REDIS_URL", request.getfixturevalue("redis_server").url)
    if request.param == "postgres":
        monkeypatch.setenv("MASC_POSTGRES_URL", request.getfixturevalue("postgres_url"))
        settings = Settings(cluster=request.getfixturevalue("postgres_cluster"))
    async with masc_app(store=request.param, settings=settings) as app:
        yield app


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests measured, as they recorded it with ``record_property``."""
    reports = [r for outcome in ("passed", "failed") for r in terminalreporter.getreports(outcome)]
    for name, value in (line for report in reports for line in report.user_properties):
        if isinstance(value, str):
            terminalreporter.write_line(f"{name}: {value}")
