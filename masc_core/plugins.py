"""Plugins: entry points in, tools and hooks out.

Group ``masc.plugins`` adds categories (the entry point's name is the category), group ``masc.guards`` adds guards, which
are always loaded. What is not enabled is not imported.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from importlib.metadata import Distribution, EntryPoint, EntryPoints, entry_points
from time import perf_counter
from typing import Any

import pluggy
from attrs import field, frozen

from masc_core.contracts import Contract, contract_of
from masc_core.errors import MascError, StartError
from masc_core.frozen import evolve
from masc_core.hookspecs import MascHooks
from masc_core.records import KERNEL_RECORDS
from masc_core.settings import KERNEL_SECTIONS
from masc_core.store.collections import Collection as Records
from masc_core.store.collections import Log
from masc_core.store.driver import Key
from masc_core.tools import Tool, declaration

__all__ = ["CATEGORY", "CATEGORY_ORDER", "KERNEL_TOOLS", "LEAN", "Plugin", "Registry", "load"]

CATEGORY_ORDER = "core comm portal worktree health discovery voting interrupt cost auth ratelimit encryption".split()
"""Order of the first-party categories in tools/list; others follow by name."""
GUARD_ORDER = "auth ratelimit redaction audit encryption".split()
"""Order in which the first-party guards are asked; others follow by name."""
FIRST_PARTY = "masc_plugin_"
LEAN = "lean"
"""Mode of the kernel's own tools, and their category."""
KERNEL_TOOLS = ("masc_find_tools", "masc_call_read", "masc_call_write")
"""They belong to no plugin; see :mod:`masc_core.lean`."""
_PLAIN_HOOKS = frozenset({"masc_tools", "masc_records", "masc_settings", "masc_first_reads", "masc_token_reads"})
_SECRET = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])")
CATEGORY = re.compile(r"[a-z][a-z0-9_]{1,31}\Z")


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
    manager: pluggy.PluginManager = field(repr=False)
    traced: bool = False
    """pluggy prints every hook that is called."""
    _asked: dict[str, tuple[tuple[Callable[..., Any], tuple[str, ...]], ...]] = field(
        factory=dict, init=False, repr=False, eq=False
    )

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """The installed categories in list order."""
        return tuple(dict.fromkeys(contract.tool.category for contract in self.contracts.values()))

    def hook(self, name: str) -> Callable[..., list[Any]] | None:
        """The hook's caller, or ``None`` when no plugin implements it."""
        caller: pluggy.HookCaller = getattr(self.manager.hook, name)
        return caller if caller.get_hookimpls() else None

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
        return [ask(*[arguments[name] for name in names]) for ask, names in asked]


def _rank(point: EntryPoint, order: Sequence[str]) -> tuple[int, str]:
    return order.index(point.name) if point.name in order else len(order), point.name


def _wanted(installed: EntryPoints, enabled: Collection[str] | None) -> list[EntryPoint]:
    """The category plugins to load, in list order. ``enabled`` names the ones wanted besides core (``None``: all;
    empty: the first-party ones)."""
    points = sorted(installed, key=lambda p: _rank(p, CATEGORY_ORDER))
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
    if traced := os.environ.get("MASC_TRACE_PLUGINS") == "1":
        _trace(manager)
    loading = _Loading(manager)
    found = entry_points()  # once for both groups: each look reads a file of every installed distribution
    for point in sorted(found.select(group="masc.guards"), key=lambda p: _rank(p, GUARD_ORDER)):
        loading.load(point, guard=True)
    for point in _wanted(found.select(group="masc.plugins"), enabled):
        loading.load(point, guard=False)
    for name, module in extra:
        loading.add(name, module, None, guard=False)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise StartError(message=f"plugin {loading.name_of(error.plugin)}: {error}") from error
    loading.check_hooks()
    return Registry(
        tuple(loading.plugins),
        loading.contracts,
        tuple(loading.records),
        loading.sections,
        tuple(loading.first_reads),
        manager,
        traced,
    )


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
        self.sections: dict[str, type] = {}
        self.first_reads: list[Key] = []

    def load(self, point: EntryPoint, guard: bool) -> None:
        """Import what an entry point names and take its registrations."""
        began = perf_counter()
        self.add(point.name, _import(point), point, guard)
        self.plugins[-1] = evolve(self.plugins[-1], load_ms=1000 * (perf_counter() - began))

    def add(self, name: str, module: object, point: EntryPoint | None, guard: bool) -> None:
        if not guard and not CATEGORY.match(name):
            raise StartError(message=f"plugin {name}: {name!r} is no category name; use a-z, 0-9 and _, 2 to 32 long")
        if not guard and name == LEAN:
            raise StartError(message=f"plugin {name}: category {LEAN} is the kernel's; rename it")
        if not guard and any(p.name == name and not p.guard for p in self.plugins):
            raise StartError(message=f"category {name} is taken twice; uninstall one of the plugins")
        try:
            self.manager.register(module, name=f"{'guard:' if guard else ''}{name}")
        except pluggy.PluginValidationError as error:
            raise StartError(message=f"plugin {name}: {error}") from error
        source = point.module if point else getattr(module, "__name__", type(module).__name__)
        self.plugins.append(Plugin(name, source, guard, installed=point.dist if point else None))
        self._register(name, module)

    def _register(self, name: str, module: object) -> None:
        def register_tool(function: Callable[..., Any]) -> None:
            self._tool(evolve(declaration(function, name), category=name, plugin=name))

        if (tools := getattr(module, "masc_tools", None)) is not None:
            tools(register_tool)

        def register_section(section: str, settings: type) -> None:
            if section in self.sections or section in KERNEL_SECTIONS:
                raise StartError(message=f"plugin {name}: settings section [{section}] is taken; rename it")
            self.sections[section] = settings

        if (records := getattr(module, "masc_records", None)) is not None:
            records(self.records.append)
        if (sections := getattr(module, "masc_settings", None)) is not None:
            sections(register_section)
        if (reads := getattr(module, "masc_first_reads", None)) is not None:
            reads(self.first_reads.append)

    def _tool(self, tool: Tool) -> None:
        if tool.name in KERNEL_TOOLS:
            raise StartError(message=f"tool {tool.name} of plugin {tool.plugin} is taken by the kernel; rename it")
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
