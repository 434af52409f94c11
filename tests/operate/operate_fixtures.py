"""Rooms on every store, for tests that move them."""

from __future__ import annotations

from pathlib import Path

import pytest
from operate_support import Places

from masc_core.plugins import Registry
from masc_core.testing import ManualClock


@pytest.fixture
def places(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    clock: ManualClock,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> Places:
    """Makes empty rooms."""
    return Places(request, tmp_path, clock, registry, monkeypatch)
