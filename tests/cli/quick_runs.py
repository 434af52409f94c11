"""Makes the suite quick, and steady where the machine is busy; no test sees it.

Temporary directories are in memory where the system offers that (``/dev/shm``), because commits wait for the disk.
``PYTEST_DEBUG_TEMPROOT=/var/tmp`` puts them on one.
"""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path

from hypothesis import HealthCheck, settings

_MEMORY = Path("/dev/shm")
_ENOUGH = 1 << 30
"""Bytes: a container may offer far less, which a run fills."""

if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _ENOUGH:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))

# How long an example takes says how busy the machine is.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


def pytest_collection_finish() -> None:
    """What is loaded by now stays: looking through it for garbage costs each test of a driver a sixth of a second."""
    gc.collect()
    gc.freeze()
