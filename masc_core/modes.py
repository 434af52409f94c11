"""Modes: which categories' tools exist for a client.

A mode saves tokens and is no security boundary. The first match decides, per request: the endpoint, the stored mode of the
server's start room, the default.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import orjson
from attrs import field, frozen

from masc_core.contracts import Contract
from masc_core.errors import InvalidArgument, ToolNotEnabled
from masc_core.plugins import Registry
from masc_core.records import AgentMode, Room

__all__ = ["DEFAULT_MODE", "MODES", "Active", "Modes", "Selection"]

DEFAULT_MODE = "standard"
_REMEMBERED = 256


@frozen
class Mode:
    """A named set of categories; ``None`` means every installed one."""

    name: str
    description: str
    categories: tuple[str, ...] | None


MODES = {
    mode.name: mode
    for mode in (
        Mode("minimal", "task board and presence", ("core", "health")),
        Mode("solo", "one agent with its own checkouts", ("core", "worktree")),
        Mode("standard", "board, messages, locks, worktrees, presence", ("core", "comm", "worktree", "health")),
        Mode(
            "parallel",
            "a team that talks in private, decides and asks its human",
            ("core", "comm", "portal", "worktree", "health", "discovery", "voting", "interrupt"),
        ),
        Mode("full", "every installed category", None),
    )
}


@frozen
class Selection:
    """A mode as somebody chose it."""

    mode: str
    categories: tuple[str, ...] = ()
    source: str = "default"
    """``url``, ``process``, ``agent``, ``room`` or ``default``."""

    @property
    def fixed(self) -> bool:
        """The endpoint fixes it; nobody can switch."""
        return self.source in {"url", "process"}


@frozen
class Active:
    """A resolved mode: the categories and tools that exist for a client."""

    selection: Selection
    categories: tuple[str, ...]
    missing: tuple[str, ...] = field(factory=tuple)
    """Stored categories whose plugin is not installed."""


class Modes:
    """Resolves modes over what is installed and says what they cost."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._lists: dict[tuple[tuple[str, ...], bool], list[dict[str, Any]]] = {}
        self._costs: dict[tuple[tuple[str, ...], bool], int] = {}
        self._resolved: dict[Selection, Active] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The modes a client can ask for."""
        return (*MODES, "custom")

    @property
    def installed(self) -> tuple[str, ...]:
        """The installed categories in list order."""
        return self._registry.categories

    def check(self, mode: str | None, categories: Sequence[str], source: str) -> Selection:
        """The selection somebody asks for; a list of categories alone means custom.

        Raises :class:`InvalidArgument` listing the valid names.
        """
        if categories and mode in (None, "custom"):
            mode = "custom"
        if mode not in self.names:
            raise InvalidArgument(field="mode", reason="enum", expected=f"must be one of {', '.join(self.names)}")
        if mode != "custom":
            return Selection(mode, (), source)
        if unknown := [c for c in categories if c not in self.installed]:
            raise InvalidArgument(
                field="categories",
                reason="unknown",
                expected=f"no {unknown[0]!r}; installed: {', '.join(self.installed)}",
            )
        if not categories:
            raise InvalidArgument(field="categories", reason="missing", expected="is required for mode custom")
        return Selection("custom", tuple(c for c in self.installed if c in {*categories, "core"}), source)

    def stored(self, room: Room | None, own: AgentMode | None = None) -> Selection:
        """The mode an authenticated agent stored for itself, else the room's, else the default."""
        if own is not None:
            return Selection(own.mode, tuple(own.categories or ()), "agent")
        if room is None or room.mode is None:
            return Selection(DEFAULT_MODE)
        return Selection(room.mode, tuple(room.mode_categories or ()), "room")

    def resolve(self, selection: Selection) -> Active:
        """What a selection makes visible."""
        if (known := self._resolved.get(selection)) is None:
            # A stored mode can name anything, so what is remembered is bounded.
            if len(self._resolved) >= _REMEMBERED:
                self._resolved.clear()
            known = self._resolved[selection] = self._resolve(selection)
        return known

    def _resolve(self, selection: Selection) -> Active:
        if selection.mode == "custom":
            wanted: Sequence[str] | None = ("core", *selection.categories)
        else:
            wanted = MODES[selection.mode].categories
        if wanted is None:
            return Active(selection, self.installed)
        gone = tuple(c for c in dict.fromkeys(wanted) if c not in self.installed)
        return Active(selection, tuple(c for c in self.installed if c in wanted), gone)

    def contracts(self, categories: Iterable[str]) -> list[Contract]:
        """The contracts of some categories, in list order."""
        shown = set(categories)
        return [c for c in self._registry.contracts.values() if c.tool.category in shown]

    def listing(self, categories: tuple[str, ...], caller_known: bool) -> list[dict[str, Any]]:
        """The tools/list array, rendered once for each set of categories and knowledge of the caller."""
        key = (categories, caller_known)
        if key not in self._lists:
            self._lists[key] = [entry(c, caller_known) for c in self.contracts(categories)]
        return self._lists[key]

    def cost(self, categories: Iterable[str], caller_known: bool) -> int:
        """Estimated tokens of the listed tools: bytes / 4, rounded up, of each compact JSON entry."""
        key = (tuple(categories), caller_known)
        if key not in self._costs:
            self._costs[key] = sum(estimate(tool) for tool in self.listing(*key))
        return self._costs[key]

    def ensure_enabled(self, contract: Contract, active: Active) -> None:
        """Raise :class:`ToolNotEnabled`, with the call that helps, for a tool outside the mode."""
        category = contract.tool.category
        if category in active.categories:
            return
        selection = active.selection
        enable: Mapping[str, Any] | None = {
            "tool": "masc_switch_mode",
            "arguments": {
                "mode": "custom",
                "categories": [c for c in self.installed if c in {*active.categories, category}],
            },
        }
        hint = "details.enable holds the call that helps"
        if selection.fixed:
            wanted = ",".join(c for c in self.installed if c in {*active.categories, category})
            enable, hint = None, f"connect with ?mode=custom&categories={wanted}"
        raise ToolNotEnabled(
            tool=contract.tool.name,
            category=category,
            mode=selection.mode,
            mode_source=selection.source,
            enable=enable,
            hint=hint,
        )


def entry(contract: Contract, caller_known: bool) -> dict[str, Any]:
    """One element of tools/list."""
    return {
        "name": contract.tool.name,
        "description": contract.tool.description,
        "inputSchema": contract.listed(caller_known),
        "annotations": contract.tool.annotations(),
    }


def estimate(entry: Mapping[str, Any]) -> int:
    """Tokens of a listed tool where no figure was measured: name, description and schema, bytes / 4 rounded up."""
    counted = {k: v for k, v in entry.items() if k != "annotations"}
    return math.ceil(len(orjson.dumps(counted)) / 4)
