"""Plugins: entry points in, tools and hooks out.

Group ``masc.plugins`` adds categories (the entry point's name is the category), group ``masc.guards`` adds guards, which
are always loaded. What is not enabled is not imported.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy
from attrs import evolve, field, frozen

from masc_core.contracts import Contract, contract_of
from masc_core.errors import StartError
from masc_core.hookspecs import MascHooks
from masc_core.records import KERNEL_RECORDS
from masc_core.store.collections import Collection as Records
from masc_core.store.collections import Log
from masc_core.tools import Tool, declaration

__all__ = ["CATEGORY_ORDER", "Plugin", "Registry", "load"]

CATEGORY_ORDER = "core comm portal worktree health discovery voting interrupt cost auth ratelimit encryption".split()
"""Order of the first-party categories in tools/list; others follow by name."""
FIRST_PARTY = "masc_plugin_"
_PLAIN_HOOKS = frozenset({"masc_tools", "masc_records"})
_CATEGORY = re.compile(r"[a-z][a-z0-9_]{1,31}\Z")


@frozen
class Plugin:
    """One loaded entry point."""

    name: str
    module: str
    distribution: str
    version: str
    guard: bool


@frozen
class Registry:
    """What is loaded: contracts by tool name in list order, records, hooks."""

    plugins: tuple[Plugin, ...]
    contracts: Mapping[str, Contract]
    records: tuple[Records[Any] | Log[Any], ...]
    manager: pluggy.PluginManager = field(repr=False)

    @property
    def categories(self) -> tuple[str, ...]:
        """The installed categories in list order."""
        return tuple(dict.fromkeys(contract.tool.category for contract in self.contracts.values()))

    def hook(self, name: str) -> Callable[..., list[Any]] | None:
        """The hook's caller, or ``None`` when no plugin implements it."""
        caller: pluggy.HookCaller = getattr(self.manager.hook, name)
        return caller if caller.get_hookimpls() else None


def _rank(point: EntryPoint) -> tuple[int, str]:
    known = CATEGORY_ORDER.index(point.name) if point.name in CATEGORY_ORDER else len(CATEGORY_ORDER)
    return known, point.name


def installed(enabled: Collection[str] | None = None) -> list[EntryPoint]:
    """The category plugins to load, in list order. ``enabled`` names the ones wanted besides core (``None``: all;
    empty: the first-party ones)."""
    points = sorted(entry_points(group="masc.plugins"), key=_rank)
    if enabled is None:
        return points
    if not enabled:
        return [p for p in points if p.module.startswith(FIRST_PARTY)]
    if unknown := sorted(set(enabled) - {p.name for p in points}):
        raise StartError(message=f"no plugin {unknown[0]!r} is installed; there is {', '.join(p.name for p in points)}")
    return [p for p in points if p.name in enabled or p.name == "core"]


def load(enabled: Collection[str] | None = None, extra: Iterable[tuple[str, object]] = ()) -> Registry:
    """Load guards and the enabled plugins; ``extra`` adds plugin objects by category, for tests.

    Raises :class:`masc_core.errors.StartError` naming plugin and tool when something is taken, malformed or missing.
    """
    manager = pluggy.PluginManager("masc")
    manager.add_hookspecs(MascHooks)
    if os.environ.get("MASC_TRACE_PLUGINS") == "1":
        manager.trace.root.setwriter(sys.stderr.write)
        manager.enable_tracing()
    loading = _Loading(manager)
    for point in sorted(entry_points(group="masc.guards"), key=lambda p: p.name):
        loading.add(point.name, _import(point), point, guard=True)
    for point in installed(enabled):
        loading.add(point.name, _import(point), point, guard=False)
    for name, module in extra:
        loading.add(name, module, None, guard=False)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise StartError(message=f"plugin {loading.name_of(error.plugin)}: {error}") from error
    loading.check_hooks()
    return Registry(tuple(loading.plugins), loading.contracts, tuple(loading.records), manager)


def _import(point: EntryPoint) -> object:
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise StartError(message=f"plugin {point.name} ({point.value}) cannot be imported: {error}") from error


class _Loading:
    """Registrations in progress; knows which plugin speaks."""

    def __init__(self, manager: pluggy.PluginManager) -> None:
        self.manager = manager
        self.plugins: list[Plugin] = []
        self.contracts: dict[str, Contract] = {}
        self.records: list[Records[Any] | Log[Any]] = [*KERNEL_RECORDS]

    def add(self, name: str, module: object, point: EntryPoint | None, guard: bool) -> None:
        if not guard and not _CATEGORY.match(name):
            raise StartError(message=f"plugin {name}: {name!r} is no category name; use a-z, 0-9 and _, 2 to 32 long")
        if not guard and any(p.name == name and not p.guard for p in self.plugins):
            raise StartError(message=f"category {name} is taken twice; uninstall one of the plugins")
        try:
            self.manager.register(module, name=f"{'guard:' if guard else ''}{name}")
        except pluggy.PluginValidationError as error:
            raise StartError(message=f"plugin {name}: {error}") from error
        found = point.dist if point else None
        self.plugins.append(
            Plugin(
                name,
                point.module if point else getattr(module, "__name__", type(module).__name__),
                found.name if found else "-",
                found.version if found else "-",
                guard,
            )
        )
        self._register(name, module)

    def _register(self, name: str, module: object) -> None:
        def register_tool(function: Callable[..., Any]) -> None:
            self._tool(evolve(declaration(function, name), category=name, plugin=name))

        if (tools := getattr(module, "masc_tools", None)) is not None:
            tools(register_tool)
        if (records := getattr(module, "masc_records", None)) is not None:
            records(self.records.append)

    def _tool(self, tool: Tool) -> None:
        if (taken := self.contracts.get(tool.name)) is not None:
            raise StartError(
                message=f"tool {tool.name} of plugin {tool.plugin} is taken by plugin {taken.tool.plugin}; rename one"
            )
        self.contracts[tool.name] = contract_of(tool)

    def check_hooks(self) -> None:
        """Refuse an implementation that cannot be awaited where the kernel awaits it."""
        for name in (n for n in vars(MascHooks) if n.startswith("masc_") and n not in _PLAIN_HOOKS):
            for found in getattr(self.manager.hook, name).get_hookimpls():
                if not inspect.iscoroutinefunction(found.function):
                    raise StartError(message=f"plugin {found.plugin_name}: hook {name} must be an async function")

    def name_of(self, plugin: object) -> str:
        """The name a plugin object was registered under."""
        return self.manager.get_name(plugin) or repr(plugin)
