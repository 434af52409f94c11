"""A kernel to test tools against, on a real store, with real contracts and a clock you own."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from attrs import define, fields_dict

from masc_core.call import Outcome
from masc_core.checks import run_checks
from masc_core.clock import Clock
from masc_core.convert import unstructure
from masc_core.errors import StartError
from masc_core.frozen import evolve
from masc_core.identity import Client
from masc_core.kernel import Kernel
from masc_core.plugins import CATEGORY_ORDER, Registry, load
from masc_core.rooms import Base
from masc_core.settings import Settings
from masc_core.sweep import due_once, sweep_once, tell_once
from masc_core.testing.agent import ScriptedAgent
from masc_core.testing.clock import ManualClock

__all__ = ["MascApp", "category_of", "masc_app", "registry_of"]


@define
class MascApp:
    """A room under test: the kernel that serves it, the clock it runs on, the project's directory."""

    kernel: Kernel
    _clock: Clock
    path: Path

    @property
    def clock(self) -> ManualClock:
        """The clock that the test moves. Raises ``TypeError`` where the room runs on another."""
        if not isinstance(self._clock, ManualClock):
            raise TypeError("this room runs on the system's clock, which no test moves")
        return self._clock

    async def agent(self, name: str, /, *, mode: str = "full", **joining: Any) -> ScriptedAgent:
        """Let an agent join on an endpoint of its own that fixes ``mode``; ``joining`` are arguments of masc_join.

        Where auth is on, ``deliver="result"`` gives the agent the token it goes on with. Raises ``AssertionError`` when
        it is not let in.
        """
        client = self.client(name)
        joined = await ScriptedAgent(name, self, client).call("masc_join", **joining)
        client.selection = self.kernel.modes.check(mode, (), "process")
        if (token := joined.get("token")) is not None:
            client.token, client.agent = token, None
        return ScriptedAgent(joined["agent"], self, client)

    async def elapse(self, seconds: float) -> None:
        """Let ``seconds`` pass, then do what a server does by itself: what is due (``masc_due``), telling plugins what has
        happened (``masc_events``, from the first time on: it hears of what comes after), and one sweep
        (``masc_sweep``)."""
        await self.clock.advance(seconds)
        for turn in (due_once, tell_once, sweep_once):
            await turn(self.kernel, self.kernel.start_room)

    async def health(self) -> list[dict[str, Any]]:
        """What the plugins' health checks say: ``plugin``, ``name``, ``ok``, ``detail`` of each; none without a room."""
        return [unstructure(check) for check in await run_checks(self.kernel)]

    def serve(self) -> AbstractAsyncContextManager[str]:
        """Serve the room over HTTP at a free port of this machine, as an async context manager that gives the base URL:
        MCP clients connect to ``<url>/mcp?agent=<name>``, and a plugin's routes are below ``<url>/x/<category>``."""
        from masc_core.testing.serving import served

        return served(self.kernel)

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
    """A kernel at ``path`` with ``registry``, results checked against contracts.

    Without a registry it has every installed plugin, and the pairs of category and plugin in ``extra``.

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


def registry_of(plugins: Iterable[object]) -> Registry:
    """The first-party plugins, every guard, and these plugins, each as :class:`~masc_core.testing.AppFactory` takes it.

    What a server would leave out, or go on without, raises here: :class:`StartError` for a plugin that is not installed
    or cannot be loaded, and in a call whatever a hook raises.
    """
    given = list(plugins)
    names = [category_of(plugin) for plugin in given if not isinstance(plugin, tuple)]
    categories = {point.name for point in entry_points(group="masc.plugins")}
    enabled = [*CATEGORY_ORDER, *(name for name in names if name in categories)]
    return load(enabled, [pair for pair in given if isinstance(pair, tuple)], strict=True)


def category_of(plugin: object) -> str:
    """The name a plugin is loaded under. Raises :class:`StartError` where nothing installed says so."""
    if isinstance(plugin, tuple):
        return str(plugin[0]).removeprefix("guard:")
    points = [point for group in ("masc.plugins", "masc.guards") for point in entry_points(group=group)]
    for point in points:
        # What nobody has imported cannot be the plugin at hand, and need not be imported to find out.
        if plugin == point.name or (point.module in sys.modules and point.load() is plugin):
            return point.name
    shown = plugin if isinstance(plugin, str) else getattr(plugin, "__name__", type(plugin).__name__)
    raise StartError(
        message=f"no installed package has the plugin {shown}: pip install -e . where its pyproject.toml is, or give a "
        "pair of category and plugin"
    )


def _generous(registry: Registry) -> dict[type, Any]:
    """Rate limits that no test reaches, where a plugin has any."""
    section = registry.sections.get("ratelimit")
    if section is None:
        return {}
    return {section: section(**{name: 100_000 for name in fields_dict(section) if name.endswith("per_minute")})}
