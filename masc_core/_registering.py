"""What one plugin registers, gathered apart from all others until all of it is good."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson
from attrs import define, field

from masc_core.contracts import Contract, contract_of
from masc_core.errors import StartError
from masc_core.frozen import evolve, is_record
from masc_core.presets import Mode
from masc_core.store.collections import Collection, Log
from masc_core.store.driver import Key
from masc_core.tools import declaration

if TYPE_CHECKING:
    from masc_core.offers import Endpoint, Prompt, Resource, Route

__all__ = ["KERNEL", "NAME", "LeftOut", "Registrar", "Things"]

NAME = re.compile(r"[a-z][a-z0-9_]{1,31}\Z")
"""Of a category or a mode."""
KERNEL = "the kernel"


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


class Registrar:
    """Takes what one plugin registers. ``owners`` has what there is already."""

    def __init__(self, plugin: str, ours: bool, owners: Mapping[tuple[str, str], tuple[str, bool]]) -> None:
        self._plugin = plugin
        self._ours = ours
        self._owners = owners
        self.things = Things()

    def gather(self, module: object) -> None:
        """Let the plugin register: its hooks are called that are not awaited.

        Raises :class:`LeftOut`, :class:`StartError` and whatever the plugin raises.
        """
        for register in (
            self._tools,
            self._records,
            self._settings,
            self._first_reads,
            self._modes,
            self._resources,
            self._prompts,
            self._routes,
        ):
            if (hook := getattr(module, f"masc{register.__name__}", None)) is not None:
                hook(register)

    def take(self, kind: str, name: str) -> None:
        """Note that a name is used. What MASC has it keeps; two others both have to know."""
        if (holder := self._owners.get((kind, name)) or self.things.owners.get((kind, name))) is not None:
            owner, core = holder
            if core and (not self._ours or kind in {"category", "guard"}):
                raise LeftOut(f"takes {kind} {name}, which is {owner}'s; rename it")
            raise StartError(message=f"{kind} {name} of plugin {self._plugin} is taken by {owner}; rename one")
        self.things.owners[kind, name] = (f"plugin {self._plugin}", self._ours)

    def _tools(self, function: Callable[..., Any]) -> None:
        tool = evolve(declaration(function, self._plugin), category=self._plugin, plugin=self._plugin)
        self.take("tool", tool.name)
        contract = contract_of(tool)
        if not self._ours:
            self._ensure_writable(tool.name, contract.input, tool.description)
        self.things.contracts[tool.name] = contract

    def _ensure_writable(self, name: str, *parts: object) -> None:
        """Raise :class:`LeftOut` for what cannot be sent: it would take the whole list with it."""
        try:
            orjson.dumps(parts)
        except TypeError as error:
            raise LeftOut(f"has a contract or text in {name} that JSON cannot hold: {error}") from error

    def _records(self, declared: Collection[Any] | Log[Any]) -> None:
        if not isinstance(declared, Collection | Log):
            raise TypeError(f"masc_records takes a Collection or a Log, not {declared!r}")
        self.take("record collection", declared.name)
        self.things.records.append(declared)

    def _settings(self, section: str, kind: type) -> None:
        self.take("settings section", section)
        if not is_record(kind):
            raise TypeError(f"settings section [{section}] must be an attrs class, not {kind!r}")
        if not self._ours:
            kind()  # every field has a default
        self.things.sections[section] = kind

    def _first_reads(self, key: Key) -> None:
        if not isinstance(key, Key):
            raise TypeError(f"masc_first_reads takes a Key, not {key!r}")
        self.things.reads.append(key)

    def _modes(self, name: str, categories: Sequence[str], description: str) -> None:
        if not isinstance(name, str) or not NAME.match(name):
            text = f"plugin {self._plugin}: {name!r} is no name for a mode; use a-z, 0-9 and _, 2 to 32 long"
            raise StartError(message=text)
        self.take("mode", name)
        if isinstance(categories, str) or not all(isinstance(c, str) for c in categories):
            raise TypeError(f"mode {name} needs a list of category names, not {categories!r}")
        self.things.modes[name] = Mode(name, str(description), ("core", *(c for c in categories if c != "core")))

    def _resources(self, function: Callable[..., Any]) -> None:
        from masc_core.offers import as_resource

        made = as_resource(function, self._plugin)
        self._ensure_writable(made.uri, made.listed())
        self.take("resource", made.uri)
        self.things.resources[made.uri] = made

    def _prompts(self, function: Callable[..., Any]) -> None:
        from masc_core.offers import as_prompt

        made = as_prompt(function, self._plugin)
        self._ensure_writable(made.contract.tool.name, made.listed())
        self.take("prompt", made.contract.tool.name)
        self.things.prompts[made.contract.tool.name] = made

    def _routes(self, path: str, endpoint: Endpoint, methods: Sequence[str] = ("GET",)) -> None:
        from masc_core.offers import as_route

        made = as_route(self._plugin, path, endpoint, methods)
        for method in made.methods:
            self.take("route", f"{method} /x/{self._plugin}{path}")
        self.things.routes.append(made)
