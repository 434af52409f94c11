"""The suite every driver passes: what :mod:`masc_core.store.driver` promises, one test a promise.

Subclass :class:`DriverContract` in a test module and give it the one fixture it asks for::

    class TestMine(DriverContract):
        @pytest.fixture
        def make_driver(self, tmp_path: Path) -> MakeDriver:
            return lambda clock, room: MyDriver(tmp_path / "db", clock, room=room)

Every driver that ``make_driver`` makes within one test must be on the same database, by a connection of its own. The
tests need pytest-asyncio with ``asyncio_mode = "auto"``.
"""

from __future__ import annotations

from masc_core.testing._contract_base import MakeDriver, OpenDriver
from masc_core.testing._contract_commit import CommitContract
from masc_core.testing._contract_lease import LeaseContract
from masc_core.testing._contract_log import LogContract
from masc_core.testing._contract_scan import ScanContract
from masc_core.testing._contract_snapshot import SnapshotContract
from masc_core.testing._contract_watch import WatchContract

__all__ = ["DriverContract", "MakeDriver", "OpenDriver"]


class DriverContract(CommitContract, ScanContract, LogContract, LeaseContract, SnapshotContract, WatchContract):
    """All promises of :class:`masc_core.store.driver.Driver`."""
