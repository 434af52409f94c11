"""Taking plugins in, MASC's own first. What one registers counts when all of it is good."""

from __future__ import annotations

import contextlib
import inspect
import logging
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pluggy

from masc_core._registering import KERNEL, NAME, LeftOut, Registrar, Things
from masc_core.contracts import Contract
from masc_core.errors import GuardBroken, StartError
from masc_core.first_party import is_ours, raised_by_masc
from masc_core.frozen import evolve
from masc_core.hookspecs import GUARD_HOOKS, PLAIN_HOOKS, hookimpl
from masc_core.plugins import KERNEL_TOOLS, LEAN, Plugin, Registry
from masc_core.presets import RESERVED
from masc_core.records import KERNEL_RECORDS
from masc_core.settings import KERNEL_SECTIONS

if TYPE_CHECKING:
    from masc_core.isolation import Faults

__all__ = ["Loading"]

logger = logging.getLogger(__name__)
_SLOW_MS = 500.0


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
        self._all.owners = {(kind, name): (KERNEL, True) for kind, names in kernel.items() for name in names}

    def load(self, point: EntryPoint, guard: bool) -> None:
        """Import what an entry point names and take its registrations."""
        began = perf_counter()
        try:
            with contextlib.redirect_stdout(sys.stderr):  # standard output is the protocol's
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
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever it raises is its own problem
            if isinstance(error, StartError) and raised_by_masc(error):
                raise
            told = f"StartError: {error}" if isinstance(error, StartError) else repr(error)
            problem = str(error) if isinstance(error, LeftOut) else f"cannot be registered: {told}"
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
        registrar = Registrar(plugin.name, ours, self._all.owners)
        registrar.take("guard" if plugin.guard else "category", plugin.name)
        if (known := self._manager.get_name(module)) is not None:
            raise LeftOut(f"is the same module as {known}; give each entry point one of its own")
        try:
            self._manager.register(module, name=f"{'guard:' if plugin.guard else ''}{plugin.name}")
            hooks = self._hooks(plugin, module)
            registrar.gather(module)
        except pluggy.PluginValidationError as error:
            raise StartError(message=f"plugin {plugin.name}: {error}") from error
        except BaseException:
            self._manager.unregister(module)
            raise
        if not ours:
            self._watch(plugin, registrar.things, hooks)
        return registrar.things

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
