"""Taking plugins in: what one registers is gathered apart and counts when all of it is good."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import EntryPoint
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pluggy
from attrs import define, field

from masc_core.contracts import Contract, contract_of
from masc_core.errors import GuardBroken, StartError
from masc_core.first_party import is_ours
from masc_core.frozen import evolve, is_record
from masc_core.hookspecs import GUARD_HOOKS, PLAIN_HOOKS, hookimpl
from masc_core.plugins import KERNEL_TOOLS, LEAN, Plugin, Registry
from masc_core.presets import RESERVED, Mode
from masc_core.records import KERNEL_RECORDS
from masc_core.settings import KERNEL_SECTIONS
from masc_core.store.collections import Collection, Log
from masc_core.store.driver import Key
from masc_core.tools import declaration

if TYPE_CHECKING:
    from masc_core.isolation import Faults
    from masc_core.offers import Prompt, Resource, Route

__all__ = ["NAME", "Loading"]

logger = logging.getLogger(__name__)
NAME = re.compile(r"[a-z][a-z0-9_]{1,31}\Z")
"""What categories and modes are called."""
_SLOW_MS = 500.0
_KERNEL = "the kernel"


class LeftOut(Exception):
    """Why a plugin is left out."""


@define
class Things:
    """What plugins have registered."""

    owners: dict[tuple[str, str], tuple[str, bool]] = field(factory=dict)
    """By kind and name: whose it is, and whether that is MASC itself."""
    contracts: dict[str, Contract] = field(factory=dict)
    records: list[Collection[Any] | Log[Any]] = field(factory=list)
    sections: dict[str, type] = field(factory=dict)
    reads: list[Key] = field(factory=list)
    modes: dict[str, Mode] = field(factory=dict)
    resources: dict[str, Resource] = field(factory=dict)
    prompts: dict[str, Prompt] = field(factory=dict)
    routes: list[Route] = field(factory=list)

    def add(self, more: Things) -> None:
        """Take over what another one holds."""
        for name in ("records", "reads", "routes"):
            getattr(self, name).extend(getattr(more, name))
        for name in ("owners", "contracts", "sections", "modes", "resources", "prompts"):
            getattr(self, name).update(getattr(more, name))


class Loading:
    """Plugins on their way in, MASC's own first."""

    def __init__(self, manager: pluggy.PluginManager, strict: bool) -> None:
        self._manager = manager
        self._strict = strict
        self._plugins: list[Plugin] = []
        self._faults: Faults | None = None
        self._all = Things(records=[*KERNEL_RECORDS])
        kernel = {"tool": KERNEL_TOOLS, "settings section": KERNEL_SECTIONS, "mode": RESERVED, "category": (LEAN,)}
        kernel["record collection"] = tuple(declared.name for declared in KERNEL_RECORDS)
        self._all.owners = {(kind, name): (_KERNEL, True) for kind, names in kernel.items() for name in names}

    def load(self, point: EntryPoint, guard: bool) -> None:
        """Import what an entry point names and take its registrations."""
        began = perf_counter()
        try:
            module = point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # SystemExit too: a module that exits takes nobody with it
            problem = f"cannot be imported ({point.value}): {error!r}"
            self._leave_out(
                Plugin(point.name, point.module, guard, installed=point.dist), is_ours(point), problem, error
            )
        else:
            self.add(point.name, module, guard=guard, point=point)
        took = 1000 * (perf_counter() - began)
        self._plugins[-1] = evolve(self._plugins[-1], load_ms=took)
        if took > _SLOW_MS and not is_ours(point):
            logger.warning("plugin %s took %.0f ms to load, which every start waits for", point.name, took)

    def add(self, name: str, module: object, *, guard: bool, point: EntryPoint | None = None) -> None:
        """Take a plugin's registrations, all or none."""
        source = point.module if point else getattr(module, "__name__", type(module).__name__)
        plugin = Plugin(name, source, guard, installed=point.dist if point else None)
        ours = point is not None and is_ours(point)
        if not guard and not NAME.match(name):
            raise StartError(message=f"plugin {name}: {name!r} is no category name; use a-z, 0-9 and _, 2 to 32 long")
        try:
            self._all.add(self._registered(plugin, module, ours))
        except StartError:
            raise
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # whatever it raises is its own problem
            problem = str(error) if isinstance(error, LeftOut) else f"cannot be registered: {error!r}"
            self._leave_out(plugin, ours, problem, error)
        else:
            self._plugins.append(plugin)

    def registry(self, traced: bool) -> Registry:
        """What has been loaded."""
        found = self._all
        if found.modes and (switch := found.contracts.get("masc_switch_mode")) is not None:
            found.contracts["masc_switch_mode"] = _with_modes(switch, found.modes)
        return Registry(
            plugins=tuple(self._plugins),
            contracts=found.contracts,
            records=tuple(found.records),
            sections=found.sections,
            first_reads=tuple(found.reads),
            modes=found.modes,
            resources=found.resources,
            prompts=found.prompts,
            routes=tuple(found.routes),
            faults=self._faults,
            manager=self._manager,
            traced=traced,
        )

    def _leave_out(self, plugin: Plugin, ours: bool, problem: str, error: BaseException) -> None:
        if self._strict or (ours and plugin.name == "core" and not plugin.guard):
            raise StartError(message=f"plugin {plugin.name}: {problem}") from error
        kind = "guard" if plugin.guard else "plugin"
        then = "every call is refused" if plugin.guard else "it is left out"
        logger.error("%s %s %s; %s", kind, plugin.name, problem, then)
        logger.debug("%s %s:", kind, plugin.name, exc_info=error)
        self._plugins.append(evolve(plugin, problem=problem))
        if plugin.guard:
            self._manager.register(_Shut(plugin.name))

    def _registered(self, plugin: Plugin, module: object, ours: bool) -> Things:
        things = Things()
        self._take(things, "guard" if plugin.guard else "category", plugin.name, plugin, ours)
        if (known := self._manager.get_name(module)) is not None:
            raise LeftOut(f"is the same module as {known}; give each entry point one of its own")
        try:
            self._manager.register(module, name=f"{'guard:' if plugin.guard else ''}{plugin.name}")
            hooks = self._hooks(plugin, module)
            self._gather(things, plugin, module, ours)
        except pluggy.PluginValidationError as error:
            raise StartError(message=f"plugin {plugin.name}: {error}") from error
        except BaseException:
            self._manager.unregister(module)
            raise
        if not ours:
            self._watch(plugin, things, hooks)
        return things

    def _watch(self, plugin: Plugin, things: Things, hooks: Iterable[tuple[str, pluggy.HookImpl]]) -> None:
        """Put what is not MASC's own where it breaks nothing else."""
        from masc_core.isolation import Faults, bounded, checked, isolate

        faults = self._faults = self._faults or Faults()
        things.contracts = {name: bounded(made, faults) for name, made in things.contracts.items()}
        offered: dict[str, Any]
        for offered in (things.resources, things.prompts):
            offered |= {name: evolve(made, contract=bounded(made.contract, faults)) for name, made in offered.items()}
        for hook, found in hooks:
            if self._strict:
                checked(found, hook)
            else:
                isolate(found, hook, plugin.name, plugin.guard, faults)

    def _hooks(self, plugin: Plugin, module: object) -> list[tuple[str, pluggy.HookImpl]]:
        """The awaited hooks that it implements, which it may and can."""
        hooks = []
        for caller in self._manager.get_hookcallers(module) or ():
            if not caller.has_spec():
                continue  # no such hook, which is told when all are loaded
            if caller.name in GUARD_HOOKS and not plugin.guard:
                raise LeftOut(f"implements {caller.name}, which is for guards; make it an entry point of masc.guards")
            if caller.name in PLAIN_HOOKS:
                continue
            for found in (i for i in caller.get_hookimpls() if i.plugin is module):
                if not inspect.iscoroutinefunction(found.function):
                    raise StartError(message=f"plugin {plugin.name}: hook {caller.name} must be an async function")
                hooks.append((caller.name, found))
        return hooks

    def _take(self, things: Things, kind: str, name: str, plugin: Plugin, ours: bool) -> None:
        """Note that a name is used. What MASC has it keeps; two others both have to know."""
        if (holder := self._all.owners.get((kind, name)) or things.owners.get((kind, name))) is not None:
            owner, core = holder
            if core and (not ours or kind in {"category", "guard"}):
                raise LeftOut(f"takes {kind} {name}, which is {owner}'s; rename it")
            raise StartError(message=f"{kind} {name} of plugin {plugin.name} is taken by {owner}; rename one")
        things.owners[kind, name] = (f"plugin {plugin.name}", ours)

    def _gather(self, things: Things, plugin: Plugin, module: object, ours: bool) -> None:
        name = plugin.name

        def take(kind: str, what: str) -> None:
            self._take(things, kind, what, plugin, ours)

        def tools(function: Callable[..., Any]) -> None:
            tool = evolve(declaration(function, name), category=name, plugin=name)
            take("tool", tool.name)
            things.contracts[tool.name] = contract_of(tool)

        def records(declared: Collection[Any] | Log[Any]) -> None:
            if not isinstance(declared, Collection | Log):
                raise TypeError(f"masc_records takes a Collection or a Log, not {declared!r}")
            take("record collection", declared.name)
            things.records.append(declared)

        def settings(section: str, kind: type) -> None:
            take("settings section", section)
            if not is_record(kind):
                raise TypeError(f"settings section [{section}] must be an attrs class, not {kind!r}")
            if not ours:
                kind()  # every field has a default
            things.sections[section] = kind

        def first_reads(key: Key) -> None:
            if not isinstance(key, Key):
                raise TypeError(f"masc_first_reads takes a Key, not {key!r}")
            things.reads.append(key)

        def modes(mode: str, categories: Sequence[str], description: str) -> None:
            if not isinstance(mode, str) or not NAME.match(mode):
                raise StartError(
                    message=f"plugin {name}: {mode!r} is no name for a mode; use a-z, 0-9 and _, 2 to 32 long"
                )
            take("mode", mode)
            if isinstance(categories, str) or not all(isinstance(c, str) for c in categories):
                raise TypeError(f"mode {mode} needs a list of category names, not {categories!r}")
            things.modes[mode] = Mode(mode, str(description), ("core", *(c for c in categories if c != "core")))

        def resources(function: Callable[..., Any]) -> None:
            from masc_core.offers import as_resource

            made = as_resource(function, name)
            take("resource", made.uri)
            things.resources[made.uri] = made

        def prompts(function: Callable[..., Any]) -> None:
            from masc_core.offers import as_prompt

            made = as_prompt(function, name)
            take("prompt", made.contract.tool.name)
            things.prompts[made.contract.tool.name] = made

        def routes(path: str, endpoint: Any, methods: Sequence[str] = ("GET",)) -> None:
            from masc_core.offers import as_route

            things.routes.append(made := as_route(name, path, endpoint, methods))
            for method in made.methods:
                take("route", f"{method} /x/{name}{path}")

        for register in (tools, records, settings, first_reads, modes, resources, prompts, routes):
            if (hook := getattr(module, f"masc_{register.__name__}", None)) is not None:
                hook(register)


def _with_modes(switch: Contract, modes: Iterable[str]) -> Contract:
    """masc_switch_mode with further names for ``mode``."""
    properties = switch.input["properties"]
    named = {**properties["mode"], "enum": [*properties["mode"]["enum"], *modes]}
    return evolve(switch, input={**switch.input, "properties": {**properties, "mode": named}})


class _Shut:
    """Stands for a guard that could not be loaded, and keeps every room shut: nobody knows what it would have refused."""

    def __init__(self, guard: str) -> None:
        self._guard = guard

    @hookimpl
    async def masc_store(self) -> None:
        """Open no store."""
        raise GuardBroken(guard=self._guard)
