"""Taking plugins in, MASC's own first. What one registers counts when all of it is good."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import logging
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint
from time import perf_counter
from typing import Any

import pluggy

from masc_core._registering import KERNEL, NAME, LeftOut, Registrar, Things
from masc_core._stray import prints_aside
from masc_core.contracts import Contract
from masc_core.errors import GuardBroken, StartError, in_words
from masc_core.faults import Faults, told
from masc_core.first_party import is_ours, raised_by_masc
from masc_core.frozen import evolve
from masc_core.hookspecs import GUARD_HOOKS, PLAIN_HOOKS, MascHooks, hookimpl
from masc_core.plugins import KERNEL_TOOLS, LEAN, Plugin, Registry
from masc_core.presets import RESERVED
from masc_core.records import KERNEL_RECORDS
from masc_core.render import printable
from masc_core.settings import KERNEL_SECTIONS

__all__ = ["Loading"]

logger = logging.getLogger(__name__)
_SLOW_MS = 500.0
_CATEGORY_HOOKS = ("masc_tools", "masc_modes", "masc_resources", "masc_prompts", "masc_routes")
"""What a mode shows or hides, or stands below a category's name; a guard is there in every mode."""


class Loading:
    """Plugins on their way in, MASC's own first."""

    def __init__(
        self, manager: pluggy.PluginManager, strict: bool, interrupted: Callable[[], bool], lenient: bool = False
    ) -> None:
        self._manager = manager
        self._strict = strict
        self._lenient = lenient
        self._interrupted = interrupted
        self._plugins: list[Plugin] = []
        self._faults: Faults | None = None
        self._all = Things(records=[*KERNEL_RECORDS])
        kernel = {"tool": KERNEL_TOOLS, "settings section": KERNEL_SECTIONS, "mode": RESERVED, "category": (LEAN,)}
        kernel["record collection"] = tuple(declared.name for declared in KERNEL_RECORDS)
        self._all.owners = {(kind, name): (KERNEL, True) for kind, names in kernel.items() for name in names}

    def load(self, point: EntryPoint, guard: bool) -> None:
        """Import what an entry point names and take its registrations."""
        began = perf_counter()
        plugin = Plugin(point.name, point.module, guard, installed=point.dist)
        # What ends the process from inside cannot be caught, and then this is the last that is seen.
        self._manager.trace.root.get("load")("import", plugin.label, point.value)
        try:
            with contextlib.nullcontext() if is_ours(point) else prints_aside():
                module = point.load()
        except BaseException as error:  # SystemExit too: a module that exits takes nobody with it
            if isinstance(error, KeyboardInterrupt) and self._interrupted():
                raise
            self._leave_out(plugin, is_ours(point), f"cannot be imported ({point.value}): {told(error)}", error)
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
        try:
            with contextlib.nullcontext() if ours else prints_aside():
                self._all.add(self._registered(plugin, module, ours))
        except BaseException as error:  # whatever it raises is its own problem
            stops = isinstance(error, StartError) and raised_by_masc(error)
            if (stops and not self._lenient) or (isinstance(error, KeyboardInterrupt) and self._interrupted()):
                raise
            why = f"StartError: {error}" if isinstance(error, StartError) else told(error)
            problem = str(error) if isinstance(error, LeftOut) else f"cannot be registered: {why}"
            problem = f"stops every start: {error}" if stops else problem
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
        problem = printable(problem.encode(errors="backslashreplace").decode())
        kind = "guard" if plugin.guard else "plugin"
        then = "every call is refused" if plugin.guard else "it is left out"
        logger.error("%s %s %s; %s", kind, plugin.name, problem, then)
        logger.debug("%s %s:", kind, plugin.name, exc_info=error)
        self._plugins.append(evolve(plugin, problem=problem))
        if plugin.guard:
            self._manager.register(_Shut(plugin.name))

    def _registered(self, plugin: Plugin, module: object, ours: bool) -> Things:
        if not plugin.guard and not NAME.match(plugin.name):
            text = f"plugin {plugin.name}: {plugin.name!r} is no category name; use a-z, 0-9 and _, 2 to 32 long"
            raise StartError(message=text)
        registrar = Registrar(plugin.name, ours, self._all.owners)
        registrar.take("guard" if plugin.guard else "category", plugin.name)
        if plugin.guard:
            _ensure_only_guards(plugin, module)
        if (known := self._manager.get_name(module)) is not None:
            raise LeftOut(f"is the same module as {known}; give each entry point one of its own")
        try:
            self._manager.register(module, name=f"{'guard:' if plugin.guard else ''}{plugin.name}")
            registrar.gather(module)
            hooks = self._hooks(plugin, module)
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
        from masc_core.isolation import bounded, checked, isolate

        faults = self._faults = self._faults or Faults()
        things.contracts = {n: bounded(made, faults, strict=self._strict) for n, made in things.contracts.items()}
        offered: dict[str, Any]
        for kind, offered in (("resource", things.resources), ("prompt", things.prompts)):
            offered |= {n: evolve(made, contract=bounded(made.contract, faults, kind)) for n, made in offered.items()}
        for hook, found in hooks:
            if self._strict:
                checked(found, hook)
            else:
                isolate(found, hook, plugin, faults)

    def _hooks(self, plugin: Plugin, module: object) -> list[tuple[str, pluggy.HookImpl]]:
        """The hooks that it implements, which it may and can, and that are called later on."""
        hooks = []
        for caller in self._manager.get_hookcallers(module) or ():
            if not caller.has_spec():
                if all(found.optionalhook for found in caller.get_hookimpls() if found.plugin is module):
                    continue
                near = in_words(difflib.get_close_matches(caller.name, vars(MascHooks), n=2))
                there = f"near names: {near}" if near else "the documentation lists those there are"
                raise StartError(message=f"plugin {plugin.label}: there is no hook {caller.name}; {there}")
            if caller.name in GUARD_HOOKS and not plugin.guard:
                raise LeftOut(f"implements {caller.name}, which is for guards; make it an entry point of masc.guards")
            if caller.name in PLAIN_HOOKS and caller.name != "masc_token_reads":
                continue
            for found in (i for i in caller.get_hookimpls() if i.plugin is module):
                if caller.name not in PLAIN_HOOKS and not inspect.iscoroutinefunction(found.function):
                    raise StartError(message=f"plugin {plugin.name}: hook {caller.name} must be an async function")
                hooks.append((caller.name, found))
        return hooks


def _ensure_only_guards(plugin: Plugin, module: object) -> None:
    """Raise :class:`LeftOut` for a guard that is more: what it added would pass for a category's, MASC's own for one."""
    if not NAME.match(plugin.name):
        raise LeftOut(f"has a name that is none for a guard: {plugin.name!r}; use a-z, 0-9 and _, 2 to 32 long")
    if more := [hook for hook in _CATEGORY_HOOKS if hasattr(module, hook)]:
        raise LeftOut(f"implements {more[0]}, which is for categories; add an entry point of masc.plugins for it")


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
