"""Plugins: entry points in, tools and hooks out.

Group ``masc.plugins`` adds categories (the entry point's name is the category), group ``masc.guards`` adds guards, which
are always loaded. What is not enabled is not imported.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from importlib.metadata import Distribution, EntryPoint, EntryPoints, entry_points
from typing import TYPE_CHECKING, Any

import pluggy
from attrs import field, frozen

from masc_core.contracts import Contract
from masc_core.errors import GuardBroken, MascError, StartError
from masc_core.first_party import CATEGORY_ORDER, GUARD_ORDER, is_ours, rank
from masc_core.hookspecs import MascHooks
from masc_core.interruption import interruptions
from masc_core.presets import LEAN, Mode
from masc_core.store.collections import Collection as Records
from masc_core.store.collections import Log
from masc_core.store.driver import Key

if TYPE_CHECKING:
    from masc_core.faults import Faults
    from masc_core.offers import Prompt, Resource, Route

__all__ = ["CATEGORY_ORDER", "KERNEL_TOOLS", "LEAN", "Plugin", "Registry", "load"]

KERNEL_TOOLS = ("masc_find_tools", "masc_call_read", "masc_call_write")
"""They belong to no plugin; see :mod:`masc_core.lean`."""
_SECRET = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])")


@frozen
class Plugin:
    """One loaded entry point."""

    name: str
    module: str
    guard: bool
    load_ms: float = field(default=0.0, eq=False)
    """How long importing it and its registrations took."""
    problem: str | None = None
    """Why it is left out, for a plugin that failed; the rest works without it."""
    _installed: Distribution | None = field(default=None, repr=False, eq=False)

    @property
    def label(self) -> str:
        """Its name; ``guard <name>`` for a guard, since a category can have the same one."""
        return f"guard {self.name}" if self.guard else self.name

    @cached_property
    def distribution(self) -> str:
        """The distribution that brought it, or ``-``; read from the disk when asked for."""
        return self._installed.name if self._installed else "-"

    @cached_property
    def version(self) -> str:
        """The distribution's version, or ``-``; read from the disk when asked for."""
        return self._installed.version if self._installed else "-"


@frozen
class Registry:
    """What is loaded: contracts by tool name in list order, records, hooks."""

    plugins: tuple[Plugin, ...]
    contracts: Mapping[str, Contract]
    records: tuple[Records[Any] | Log[Any], ...]
    sections: Mapping[str, type]
    """The plugins' sections of ``config.toml``."""
    first_reads: tuple[Key, ...]
    """What guards look at in every call."""
    modes: Mapping[str, Mode]
    """The plugins' modes, by name."""
    resources: Mapping[str, Resource]
    """By URI."""
    prompts: Mapping[str, Prompt]
    """By name."""
    routes: tuple[Route, ...]
    faults: Faults | None = field(repr=False, eq=False)
    """What goes wrong in plugins that MASC does not ship; ``None`` where there are none."""
    manager: pluggy.PluginManager = field(repr=False)
    traced: bool = False
    """pluggy prints every hook that is called."""
    _asked: dict[str, tuple[tuple[Callable[..., Any], tuple[str, ...]], ...]] = field(
        factory=dict, init=False, repr=False, eq=False
    )

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """The installed categories in list order; last, by name, those without a tool."""
        offered = [*(r.contract for r in self.resources.values()), *(p.contract for p in self.prompts.values())]
        toolless = sorted(contract.tool.category for contract in offered)
        return tuple(dict.fromkeys([*(c.tool.category for c in self.contracts.values()), *toolless]))

    @cached_property
    def problems(self) -> tuple[Plugin, ...]:
        """The plugins that were left out."""
        return tuple(plugin for plugin in self.plugins if plugin.problem is not None)

    @cached_property
    def broken_guard(self) -> str | None:
        """The name of a guard that could not be loaded: nothing is let through then."""
        return next((plugin.name for plugin in self.problems if plugin.guard), None)

    def ensure_guarded(self) -> None:
        """Raise :class:`GuardBroken` where a guard could not be loaded."""
        if self.broken_guard is not None:
            raise GuardBroken(guard=self.broken_guard)

    def each(self, name: str) -> list[tuple[str, Callable[[Mapping[str, Any]], Any]]]:
        """Who implements an awaited hook, a guard as ``guard:<name>``, and how to ask them one by one."""

        def asking(found: pluggy.HookImpl) -> Callable[[Mapping[str, Any]], Any]:
            return lambda arguments: found.function(*(arguments[a] for a in found.argnames))

        implementations = getattr(self.manager.hook, name).get_hookimpls()
        return [(found.plugin_name, asking(found)) for found in implementations]

    @property
    def wrappers(self) -> list[Any]:
        """The implementations of ``masc_store``; the first guard's driver is to be the outermost."""
        return self.manager.hook.masc_store.get_hookimpls()[::-1]

    def answers(self, name: str, arguments: Mapping[str, Any]) -> list[Any]:
        """What the implementations of an awaited hook give, to be awaited in this order."""
        if (asked := self._asked.get(name)) is None:
            implementations = getattr(self.manager.hook, name).get_hookimpls()
            asked = self._asked[name] = tuple((i.function, tuple(i.argnames)) for i in implementations)
        if self.traced and asked:
            return getattr(self.manager.hook, name)(**arguments)[::-1]  # type: ignore[no-any-return]
        # What pluggy would do, at a fraction of the cost: every call asks several hooks.
        return [ask(*map(arguments.__getitem__, names)) for ask, names in asked]


def _wanted(installed: EntryPoints, enabled: Collection[str] | None) -> list[EntryPoint]:
    """The category plugins to load, in list order. ``enabled`` names the ones wanted besides core (``None``: all;
    empty: the first-party ones)."""
    points = sorted(installed, key=lambda p: rank(p, CATEGORY_ORDER))
    if enabled is None:
        return points
    if not enabled:
        return [p for p in points if is_ours(p)]
    if unknown := sorted(set(enabled) - {p.name for p in points}):
        raise StartError(message=f"no plugin {unknown[0]!r} is installed; there is {', '.join(p.name for p in points)}")
    return [p for p in points if p.name in enabled or p.name == "core"]


def load(
    enabled: Collection[str] | None = None, extra: Iterable[tuple[str, object]] = (), *, strict: bool = False,
    lenient: bool = False,
) -> Registry:  # fmt: skip
    """Load guards and the enabled plugins; ``extra`` adds plugin objects by category, or as ``guard:<name>``, for tests.

    Somebody else's plugin that raises while it is loaded, or takes a name of MASC's own, is left out as a whole and has a
    :attr:`Plugin.problem`; where it is a guard, every call is refused. With ``strict``, for tests, it stops the start, and
    a hook that breaks breaks its call. With ``lenient``, to look and not to serve, what would stop the start is a
    :attr:`Plugin.problem` too.

    Raises :class:`masc_core.errors.StartError` naming plugin and tool for a declaration that is wrong in itself (a hook
    that there is not, a tool without effect or description) and for a name that two plugins of others claim.
    """
    from masc_core._loading import Loading

    manager = pluggy.PluginManager("masc")
    manager.add_hookspecs(MascHooks)
    if traced := os.environ.get("MASC_TRACE_PLUGINS") == "1":
        _trace(manager)
    found = entry_points()  # once for both groups: each look reads a file of every installed distribution
    with interruptions() as interrupted:
        loading = Loading(manager, strict, interrupted, lenient)
        for point in sorted(found.select(group="masc.guards"), key=lambda p: rank(p, GUARD_ORDER)):
            loading.load(point, guard=True)
        for point in _wanted(found.select(group="masc.plugins"), enabled):
            loading.load(point, guard=False)
        for name, module in extra:
            loading.add(name.removeprefix("guard:"), module, guard=name.startswith("guard:"))
    return loading.registry(traced)


def _trace(manager: pluggy.PluginManager) -> None:
    """As pluggy traces, without the texts of a call: redaction is a hook too, and shown what it is there to hide."""
    root = manager.trace.root
    root.setwriter(_write_trace)
    traced = root.get("hook")

    def before(name: str, implementations: Sequence[pluggy.HookImpl], given: Mapping[str, Any]) -> None:
        root.indent += 1
        traced(name, {argument: _untold(value) for argument, value in given.items()})

    def after(
        outcome: pluggy.Result[Any], name: str, implementations: Sequence[pluggy.HookImpl], given: Mapping[str, Any]
    ) -> None:
        if outcome.exception is None:
            traced("finish", name, "-->", outcome.get_result())
        root.indent -= 1

    manager.add_hookcall_monitoring(before, after)


def _untold(value: Any) -> Any:
    if isinstance(value, dict):
        return dict.fromkeys(value, "…")
    return value.code if isinstance(value, MascError) else value


def _write_trace(text: str) -> None:
    """Hooks are given arguments, and give results, that can hold a token."""
    sys.stderr.write(_SECRET.sub("…", text))
