"""What the tests of category cost share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from masc_core.clock import Clock
from masc_core.contracts import contract_of
from masc_core.kernel import local_client
from masc_core.plugins import Registry
from masc_core.settings import Settings
from masc_core.testing.app import MascApp, masc_app
from masc_core.tools import declaration
from masc_plugin_cost.limits import masc_cost_budget_set
from masc_plugin_cost.settings import CostSettings


@asynccontextmanager
async def room(
    path: Path, clock: Clock, registry: Registry, costs: CostSettings, backend: str = "memory"
) -> AsyncIterator[MascApp]:
    """A room whose config.toml has this section."""
    settings = Settings(cluster="test", sections={CostSettings: costs})
    async with masc_app(path, backend=backend, clock=clock, settings=settings, registry=registry) as app:
        yield app


async def limit(masc: MascApp, **limits: Any) -> Mapping[str, Any]:
    """What ``masc cost budget`` with options does."""
    outcome = await masc.kernel.run(contract_of(declaration(masc_cost_budget_set, "cost")), limits, local_client())
    assert outcome.error is None, outcome.text
    return outcome.structured


def codes(result: Mapping[str, Any]) -> list[str]:
    """The codes of a result's warnings."""
    return [warning["code"] for warning in result.get("warnings", [])]


async def reported(masc: MascApp, **filters: Any) -> dict[str, Any]:
    """A report; ``agent`` is its filter here."""
    outcome = await masc.outcome("masc_cost_report", **filters)
    assert outcome.error is None, outcome.text
    return dict(outcome.structured)
