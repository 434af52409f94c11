"""Fixtures every test folder shares."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app


@pytest.fixture
def clock() -> ManualClock:
    """A clock the test moves."""
    return ManualClock()


@pytest.fixture(params=["memory", "sqlite"])
async def masc(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> AsyncIterator[MascApp]:
    """A room with every plugin, on each store."""
    async with masc_app(tmp_path, backend=request.param, clock=clock) as app:
        yield app
