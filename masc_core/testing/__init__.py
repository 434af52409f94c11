"""What authors of drivers and plugins import in their tests."""

from __future__ import annotations

import pytest

# Before the import, so that a failed assertion of the contract shows its values.
pytest.register_assert_rewrite(
    *(f"masc_core.testing._contract_{part}" for part in ("base", "commit", "lease", "log", "scan", "watch"))
)

from masc_core.testing.clock import ManualClock  # noqa: E402
from masc_core.testing.contract import DriverContract  # noqa: E402

__all__ = ["DriverContract", "ManualClock"]
