"""How much longer than on a machine of its own a run waits before it calls something hanging."""

from __future__ import annotations

import os

__all__ = ["PATIENCE"]

PATIENCE = float(os.environ.get("FAULTS_PATIENCE", "1"))
