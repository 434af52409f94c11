"""A kernel to test tools against, on a real store, with real contracts and a clock you own.

::

    async with masc_app(tmp_path, backend="sqlite") as masc:
        task = await masc.call("masc_add_task", agent="claude", title="Fix login")
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define, fields_dict

from masc_core.call import Outcome
from masc_core.clock import Clock
from masc_core.frozen import evolve
from masc_core.identity import Client
from masc_core.kernel import Kernel
from masc_core.plugins import Registry, load
from masc_core.rooms import Base
from masc_core.settings import Settings
from masc_core.testing.clock import ManualClock

__all__ = ["MascApp", "masc_app"]


@define
class MascApp:
    """A kernel under test and the clock it runs on."""

    kernel: Kernel
    clock: Clock
    path: Path

    def client(self, agent: str | None = None, **facts: Any) -> Client:
        """An HTTP client that fixes the mode full; ``agent`` is the endpoint's name."""
        selection = self.kernel.modes.check("full", (), "process")
        return Client(transport="http", source="test", agent=agent, selection=selection, **facts)

    async def outcome(self, tool: str, client: Client | None = None, **arguments: Any) -> Outcome:
        """Call a tool, run its delivery callbacks as a transport would, give the whole outcome."""
        outcome = await self.kernel.call(tool, arguments, client or self.client())
        for callback in outcome.delivered:
            await callback()
        return outcome

    async def call(self, tool: str, agent: str | None = None, **arguments: Any) -> dict[str, Any]:
        """Call a tool as ``agent`` and give the structured result, which for a refusal is ``{"error": {…}}``."""
        contract = self.kernel.registry.contracts.get(tool)
        if agent is not None and contract is not None and contract.tool.caller.value != "none":
            arguments[contract.tool.caller_field] = agent
        return dict((await self.outcome(tool, **arguments)).structured)

    async def error(self, tool: str, agent: str | None = None, **arguments: Any) -> dict[str, Any]:
        """The error of a call that must be refused: code, message, retryable, details."""
        result = await self.call(tool, agent, **arguments)
        assert "error" in result, f"{tool} was expected to be refused and gave {result}"
        error: dict[str, Any] = result["error"]
        return error


@asynccontextmanager
async def masc_app(
    path: Path,
    *,
    backend: str = "memory",
    clock: Clock | None = None,
    settings: Settings | None = None,
    extra: Iterable[tuple[str, object]] = (),
    registry: Registry | None = None,
    limited: bool = False,
) -> AsyncIterator[MascApp]:
    """A kernel at ``path`` with every installed plugin and those in ``extra``, results checked against contracts.

    Calls are not counted as a user's would be, unless ``limited``: a test makes many in no time.
    """
    chosen = settings or Settings(cluster="test")
    chosen = evolve(
        chosen, storage=evolve(chosen.storage, type=backend), server=evolve(chosen.server, check_results=True)
    )
    ticking = clock or ManualClock()
    loaded = registry or load(extra=extra)
    if not limited:
        chosen = evolve(chosen, sections={**_generous(loaded), **chosen.sections})
    kernel = Kernel(
        Base(path, may_create=True),
        loaded,
        clock=ticking,
        settings_of=lambda _: chosen,
    )
    async with kernel:
        yield MascApp(kernel, ticking, path)


def _generous(registry: Registry) -> dict[type, Any]:
    """Rate limits that no test reaches, where a plugin has any."""
    section = registry.sections.get("ratelimit")
    if section is None:
        return {}
    return {section: section(**{name: 100_000 for name in fields_dict(section) if name.endswith("per_minute")})}
