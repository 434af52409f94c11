"""Fixtures every test folder shares."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from masc_core.plugins import Registry, load
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app


@pytest.fixture
def clock() -> ManualClock:
    """A clock the test moves."""
    return ManualClock()


@pytest.fixture(scope="session")
def registry() -> Registry:
    """Every installed plugin, loaded once: a registry has no state."""
    return load()


@pytest.fixture(params=["memory", "sqlite"])
async def masc(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock, registry: Registry
) -> AsyncIterator[MascApp]:
    """A room with every plugin, on each store."""
    async with masc_app(tmp_path, backend=request.param, clock=clock, registry=registry) as app:
        yield app
