"""What ``GET /health`` says, to anybody who asks: names and whether they work, never why not."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import masc_core
from masc_core.checks import Check, run_checks
from masc_core.errors import MascError
from masc_core.kernel import Kernel

__all__ = ["HEALTH_SECONDS", "HealthPage"]

HEALTH_SECONDS = 2.0


class HealthPage:
    """The health of one server."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._checking: asyncio.Task[list[Check]] | None = None

    async def read(self) -> tuple[int, dict[str, Any]]:
        """Status and body: 503 when the store does not answer within 2 s or a guard is broken, so that no call can succeed;
        ``degraded`` with 200 when a plugin was left out or says that something is wrong, since the rest works, and when a
        guard has failed in a call, which was refused."""
        kernel = self._kernel
        store: dict[str, Any] = {"backend": kernel.start_room.settings.storage.type}
        body: dict[str, Any] = {"status": "ok", "version": masc_core.__version__, "store": store}
        if kernel.registry.problems or any(name.startswith("guard ") for name in self._faulty):
            body["status"] = "degraded"
        if kernel.registry.broken_guard is not None:
            return 503, {**body, **self._plugins()}
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                if await kernel.opened():
                    started = time.perf_counter()
                    await kernel.room_record()
                    store["round_trip_ms"] = round((time.perf_counter() - started) * 1000, 3)
            checks = await self._checks()
        except (MascError, TimeoutError):
            return 503, {**body, "status": "degraded", **self._plugins()}
        if checks:
            body["checks"] = [{"plugin": c.plugin, "name": c.name, "ok": c.ok} for c in checks]
        if not all(check.ok for check in checks):
            body["status"] = "degraded"
        return 200, {**body, **self._plugins()}

    def _plugins(self) -> dict[str, Any]:
        """The plugins that were left out, and those in which something has failed since the start."""
        registry = self._kernel.registry
        failed = [plugin.label for plugin in registry.problems]
        shown = {"failed": failed, "faulty": self._faulty}
        return {"plugins": {name: names for name, names in shown.items() if names}} if any(shown.values()) else {}

    @property
    def _faulty(self) -> list[str]:
        faults = self._kernel.registry.faults
        return sorted(faults.count) if faults is not None else []

    async def _checks(self) -> list[Check]:
        """What plugins say; whoever asks while they are being asked waits for the same answer."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(run_checks(self._kernel))
        return await asyncio.shield(self._checking)
