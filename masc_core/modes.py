"""Modes: which categories' tools exist for a client.

A mode saves tokens and is no security boundary. The first match decides, per request: the endpoint, the stored mode of the
server's start room, the default.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

import orjson
from attrs import field, frozen

from masc_core.contracts import Contract
from masc_core.errors import BudgetTooSmall, InvalidArgument, ToolNotEnabled, ToolNotFound, in_words
from masc_core.listing import PLAIN, Style, entry
from masc_core.plugins import KERNEL_TOOLS, LEAN, Registry
from masc_core.presets import DEFAULT_MODE, MODES, Mode
from masc_core.records import AgentMode, Room
from masc_core.tokens import Cost, Figures

if TYPE_CHECKING:
    from masc_core.call import Outcome
    from masc_core.finder import Finder
    from masc_core.identity import Client

__all__ = ["DEFAULT_MODE", "LEAN_LIST", "MAX_TOKENS", "MODES", "Active", "Asked", "Mode", "Modes", "Selection"]

LEAN_LIST = ("masc_switch_mode", "masc_get_config", *KERNEL_TOOLS)
"""All that lean mode ever lists."""
MAX_TOKENS = range(200, 100_001)
_CALL_READ, _CALL_WRITE = "masc_call_read", "masc_call_write"
_VALUE = "core comm health worktree portal discovery voting interrupt cost ratelimit auth encryption".split()
"""What a budget is spent on first; categories of others follow by name."""
_REMEMBERED = 256


@frozen
class Selection:
    """A mode as somebody chose it."""

    mode: str
    categories: tuple[str, ...] = ()
    """Of custom the chosen ones, of budget those that fit."""
    source: str = "default"
    """``url``, ``process``, ``agent``, ``room`` or ``default``."""
    max_tokens: int | None = None
    order: str | None = None
    """What the budget was spent on first: ``value`` or ``use``."""

    @property
    def fixed(self) -> bool:
        """The endpoint fixes it; nobody can switch."""
        return self.source in {"url", "process"}


@frozen
class Active:
    """A resolved mode: the categories and tools that exist for a client."""

    selection: Selection
    categories: tuple[str, ...]
    """Empty in lean alone, which has a list of its own."""
    missing: tuple[str, ...] = field(factory=tuple)
    """Categories of the mode, or the mode itself, whose plugin is not installed."""

    @property
    def lean(self) -> bool:
        """Tools are found and called by name."""
        return not self.categories


@frozen
class Asked:
    """What a call is for."""

    contract: Contract
    arguments: Mapping[str, Any]
    through: Contract | None = None
    """The invoker of lean mode that named the tool."""

    def explained(self, outcome: Outcome, client: Client) -> Outcome:
        """The outcome of a call through an invoker, whose client has not seen the tool's schema in its list."""
        from masc_core.lean import explained

        return explained(outcome, self.contract, client)


class Modes:
    """Resolves modes over what is installed and says what they cost."""

    def __init__(self, registry: Registry, style: Style = PLAIN, figures: Figures | None = None) -> None:
        self._registry = registry
        self._style = style
        self._figures = figures or Figures()
        self._lists: dict[tuple[tuple[str, ...], bool], list[dict[str, Any]]] = {}
        self._costs: dict[tuple[tuple[str, ...], bool], Cost] = {}
        self._resolved: dict[Selection, Active] = {}
        self._schemas: dict[str, Mapping[str, Any]] = {}
        self._finder: Finder | None = None
        self._making = Lock()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The modes a client can ask for."""
        return (*self.presets, "custom", "budget")

    @cached_property
    def presets(self) -> Mapping[str, Mode]:
        """The modes that have categories of their own: MASC's, then the plugins'."""
        return {**MODES, **self._registry.modes}

    @property
    def installed(self) -> tuple[str, ...]:
        """The installed categories in list order."""
        return self._registry.categories

    @cached_property
    def by_value(self) -> tuple[str, ...]:
        """The installed categories, those that most agents need most first."""
        return tuple(sorted(self.installed, key=lambda c: (_VALUE.index(c) if c in _VALUE else len(_VALUE), c)))

    def check(
        self,
        mode: str | None,
        categories: Sequence[str],
        source: str,
        max_tokens: int | None = None,
        *,
        by_use: Sequence[str] | None = None,
        caller_known: bool = False,
    ) -> Selection:
        """The selection somebody asks for; a list of categories alone means custom, ``max_tokens`` alone budget.

        A budget is spent on categories in the order of value, or ``by_use``, on a list for callers who are not known unless
        said otherwise, so that nobody's list exceeds it.

        Raises :class:`InvalidArgument` listing the valid names, and :class:`BudgetTooSmall`.
        """
        if categories and mode in (None, "custom"):
            mode = "custom"
        elif mode is None and max_tokens is not None:
            mode = "budget"
        if mode not in self.names:
            raise InvalidArgument(field="mode", reason="enum", expected=f"must be one of {in_words(self.names)}")
        if categories and mode != "custom":
            raise InvalidArgument(field="categories", reason="conflict", expected=f"goes with mode custom, not {mode}")
        if max_tokens is not None and mode != "budget":
            raise InvalidArgument(field="max_tokens", reason="conflict", expected=f"goes with mode budget, not {mode}")
        if mode == "budget":
            fitting = self._within(max_tokens, by_use or self.by_value, caller_known)
            return Selection(mode, fitting, source, max_tokens, "value" if by_use is None else "use")
        if mode != "custom":
            return Selection(mode, (), source)
        if unknown := [c for c in categories if c not in self.installed]:
            raise InvalidArgument(
                field="categories",
                reason="unknown",
                expected=f"must be among {in_words(self.installed)}; {unknown[0]!r} is not installed",
            )
        if not categories:
            raise InvalidArgument(field="categories", reason="missing", expected="is required for mode custom")
        return Selection("custom", tuple(c for c in self.installed if c in {*categories, "core"}), source)

    def _within(self, max_tokens: int | None, order: Sequence[str], caller_known: bool) -> tuple[str, ...]:
        """Core, then each category in turn that still fits."""
        if max_tokens is None:
            raise InvalidArgument(field="max_tokens", reason="missing", expected="is required for mode budget")
        if max_tokens not in MAX_TOKENS:
            bounds = f"must be from {MAX_TOKENS[0]} to {MAX_TOKENS[-1]}"
            raise InvalidArgument(field="max_tokens", reason="range", expected=bounds)
        left = max_tokens - (core := self.cost(("core",), caller_known).tokens)
        if left < 0:
            raise BudgetTooSmall(max_tokens=max_tokens, core_tokens=core)
        chosen = {"core"}
        for category in order:
            tokens = self.cost((category,), caller_known).tokens
            if category not in chosen and tokens <= left:
                chosen.add(category)
                left -= tokens
        return tuple(c for c in self.installed if c in chosen)

    def stored(self, room: Room | None, own: AgentMode | None = None) -> Selection:
        """The mode an authenticated agent stored for itself, else the room's, else the default."""
        if own is not None:
            return Selection(own.mode, tuple(own.categories or ()), "agent", own.max_tokens, own.order)
        if room is None or room.mode is None:
            return Selection(DEFAULT_MODE)
        return Selection(room.mode, tuple(room.mode_categories or ()), "room", room.mode_max_tokens, room.mode_order)

    def resolve(self, selection: Selection) -> Active:
        """What a selection makes visible."""
        if (known := self._resolved.get(selection)) is None:
            # A stored mode can name anything, so what is remembered is bounded.
            if len(self._resolved) >= _REMEMBERED:
                self._resolved.clear()
            known = self._resolved[selection] = self._resolve(selection)
        return known

    def _resolve(self, selection: Selection) -> Active:
        if selection.mode in {"custom", "budget"}:
            wanted: Sequence[str] | None = ("core", *selection.categories)
            gone: tuple[str, ...] = ()
        else:
            known = self.presets.get(selection.mode)
            # The plugin whose mode was stored may have gone since.
            wanted, gone = (known or MODES[DEFAULT_MODE]).categories, () if known else (selection.mode,)
        if wanted is None:
            return Active(selection, self.installed)
        gone += tuple(c for c in dict.fromkeys(wanted) if c not in self.installed)
        return Active(selection, tuple(c for c in self.installed if c in wanted), gone)

    @cached_property
    def _kernel_tools(self) -> Mapping[str, Contract]:
        """The tools of lean mode. Made on first use: most servers never need them."""
        from masc_core.lean import contracts

        return contracts()

    @property
    def finder(self) -> Finder:
        """The search of lean mode. Made on first use, once, whoever asks for it meanwhile."""
        with self._making:
            if self._finder is None:
                from masc_core.finder import Finder

                self._finder = Finder(self)
            return self._finder

    async def made_finder(self) -> Finder:
        """The search of lean mode, which takes a tenth of a second to make: no other call waits for it."""
        made = self._finder
        return made if made is not None else await asyncio.to_thread(lambda: self.finder)

    def contract(self, name: str) -> Contract:
        """The tool of that name. Raises :class:`ToolNotFound` with near names."""
        if (found := self._registry.contracts.get(name)) is not None:
            return found
        if name in KERNEL_TOOLS:
            return self._kernel_tools[name]
        near = difflib.get_close_matches(name.lower(), self._registry.contracts, n=5, cutoff=0.4)
        raise ToolNotFound(tool=name[:80], suggestions=near)

    def input_schema(self, name: str) -> Mapping[str, Any] | None:
        """The listed schema of a tool, whatever the mode; ``None`` where there is no such tool."""
        if (known := self._schemas.get(name)) is None and (name in self._registry.contracts or name in KERNEL_TOOLS):
            known = self._schemas[name] = self.contract(name).listed(caller_known=False)
        return known

    def asked(self, name: str, arguments: Mapping[str, Any]) -> Asked:
        """The tool that is to run, which an invoker of lean mode names among its arguments.

        What an invoker cannot run goes to the invoker itself, which refuses it. Raises :class:`ToolNotFound`.
        """
        contract = self.contract(name)
        if name in {_CALL_READ, _CALL_WRITE} and arguments.keys() <= {"name", "arguments"}:
            named, given = arguments.get("name"), arguments.get("arguments")
            target = self._registry.contracts.get(named) if isinstance(named, str) else None
            if target is not None and isinstance(given, dict | None) and (name == _CALL_WRITE or target.tool.reads):
                return Asked(target, given or {}, contract)
        return Asked(contract, arguments)

    def contracts(self, categories: Iterable[str]) -> list[Contract]:
        """The contracts of some categories, in list order; of none, those that lean lists."""
        if shown := set(categories):
            return [c for c in self._registry.contracts.values() if c.tool.category in shown]
        return [self.contract(name) for name in LEAN_LIST]

    def listing(self, categories: tuple[str, ...], caller_known: bool) -> list[dict[str, Any]]:
        """The tools/list array, rendered once for each set of categories and knowledge of the caller."""
        key = (categories, caller_known)
        if key not in self._lists:
            self._lists[key] = [entry(c, caller_known, self._style) for c in self.contracts(categories)]
        return self._lists[key]

    def cost(self, categories: Iterable[str], caller_known: bool) -> Cost:
        """What the listed tools of some categories cost a conversation; of none, the list of lean."""
        key = (tuple(categories), caller_known)
        if key not in self._costs:
            costs = [self.cost_of(contract, caller_known) for contract in self.contracts(key[0])]
            self._costs[key] = Cost(sum(c.tokens for c in costs), any(c.estimated for c in costs))
        return self._costs[key]

    def cost_of(self, contract: Contract, caller_known: bool) -> Cost:
        """What one tool costs in this server's lists."""
        return self._figures.cost(contract, caller_known, self._style)

    def ensure_enabled(self, contract: Contract, active: Active, arguments: Mapping[str, Any]) -> None:
        """Raise :class:`ToolNotEnabled`, with the call that helps, for a tool outside the mode."""
        tool = contract.tool
        if tool.category in active.categories or (active.lean and tool.name in LEAN_LIST):
            return
        selection = active.selection
        enable: Mapping[str, Any] | None
        if active.lean and tool.name in self._registry.contracts:  # helps at a fixed endpoint too
            named = {"name": tool.name, "arguments": dict(arguments)}
            enable = {"tool": _CALL_READ if tool.reads else _CALL_WRITE, "arguments": named}
            hint = f"call {enable['tool']} with name={tool.name} and its arguments as arguments"
        else:
            wanted = [c for c in self.installed if c in {*active.categories, tool.category}]
            mode: dict[str, Any] = {"mode": "custom", "categories": wanted}
            query = f"?mode=custom&categories={','.join(wanted)}"
            if tool.category == LEAN:
                mode, query = {"mode": LEAN}, f"?mode={LEAN}"
            enable = {"tool": "masc_switch_mode", "arguments": mode}
            hint = f"call masc_switch_mode with {orjson.dumps(mode).decode()}"
            if selection.fixed:
                enable, hint = None, f"connect with {query}"
        raise ToolNotEnabled(
            tool=tool.name,
            category=tool.category,
            mode=selection.mode,
            mode_source=selection.source,
            enable=enable,
            hint=hint,
        )
