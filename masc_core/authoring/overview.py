"""The installed plugins: what each adds, in which modes, at what price, and what is wrong with it."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from masc_core.errors import StartError
from masc_core.modes import Modes, Selection
from masc_core.plugins import Plugin, Registry, load

__all__ = ["rows"]


def rows() -> list[dict[str, Any]]:
    """A row for each installed category and guard, guards first.

    ``name``, ``kind`` (category or guard), ``distribution``, ``version``, ``categories``, ``tools``, ``hooks``, ``modes``
    (all lists of names), ``tokens``, ``estimated``, ``load_ms`` and ``problem``: why it is left out, or why no server
    starts with it; else ``None``. A guard is in every mode.
    """
    registry, stopping = _load()
    modes = Modes(registry)
    return [_row(plugin, registry, modes) for plugin in registry.plugins] + stopping


def _load() -> tuple[Registry, list[dict[str, Any]]]:
    """What can be loaded, and rows for the categories that no server starts with."""
    try:
        return load(), []
    except StartError as error:
        stopped = error
    points = entry_points(group="masc.plugins")
    kept = sorted({p.name for p in points if p.dist is not None and p.dist.name == "masc"})
    stopping = []
    registry = load(kept)  # without MASC's own there is nothing to show
    for name in sorted({p.name for p in points} - set(kept)):
        try:
            registry = load([*kept, name])
        except StartError as error:
            stopping += [_unloaded(p, str(error)) for p in points if p.name == name]
        else:
            kept.append(name)
    if not stopping:
        raise stopped
    return registry, stopping


def _unloaded(point: Any, problem: str) -> dict[str, Any]:
    return {
        "name": point.name, "kind": "category", "distribution": point.dist.name if point.dist else "-",
        "version": point.dist.version if point.dist else "-", "categories": [], "tools": [], "hooks": [], "modes": [],
        "tokens": 0, "estimated": False, "load_ms": 0.0, "problem": problem,
    }  # fmt: skip


def _row(plugin: Plugin, registry: Registry, modes: Modes) -> dict[str, Any]:
    sound = plugin.problem is None
    category = sound and not plugin.guard
    categories = [name for name in registry.categories if category and name == plugin.name]
    tools = modes.contracts(categories) if categories else []
    costs = [modes.cost_of(contract, caller_known=False) for contract in tools]
    return {
        "name": plugin.name,
        "kind": "guard" if plugin.guard else "category",
        "distribution": plugin.distribution,
        "version": plugin.version,
        "categories": categories,
        "tools": [c.tool.name for c in tools],
        "hooks": _hooks(plugin, registry) if sound else [],
        "modes": _modes(categories, modes) if category else list(_named(modes)) if sound else [],
        "tokens": sum(cost.tokens for cost in costs),
        "estimated": any(cost.estimated for cost in costs),
        "load_ms": round(plugin.load_ms, 1),
        "problem": plugin.problem,
    }


def _hooks(plugin: Plugin, registry: Registry) -> list[str]:
    registered = registry.manager.get_plugin(f"{'guard:' if plugin.guard else ''}{plugin.name}")
    callers = registry.manager.get_hookcallers(registered) if registered is not None else None
    return sorted(caller.name for caller in callers or ())


def _modes(categories: list[str], modes: Modes) -> list[str]:
    """The named modes that show a category; lean shows none and calls all, custom and budget are chosen by the user."""
    return [name for name in _named(modes) if set(categories) & set(modes.resolve(Selection(name)).categories)]


def _named(modes: Modes) -> tuple[str, ...]:
    return tuple(name for name in modes.names if name not in {"custom", "budget"})
