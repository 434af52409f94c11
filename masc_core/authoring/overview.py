"""The installed plugins: what each adds, in which modes, at what price, and what is wrong with it."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from masc_core.authoring.running import Seen
from masc_core.cli import main
from masc_core.cli._group import command_of
from masc_core.first_party import is_ours, rank
from masc_core.modes import Modes, Selection
from masc_core.plugins import Plugin, Registry, load

__all__ = ["rows"]


def rows(seen: Seen | None = None) -> list[dict[str, Any]]:
    """A row for each installed category and guard, guards first, and for each command of others that cannot be used.

    ``name``, ``kind`` (category, guard or command), ``distribution``, ``version``, ``categories``, ``tools``, ``hooks``,
    ``modes`` (all lists of names), ``tokens``, ``estimated``, ``load_ms`` and ``problem``: why it is left out, or why no server
    starts with it; else ``None``. ``faulty``: whether something of it has failed in the running server that was asked;
    ``None`` where none was. A guard is in every mode.
    """
    registry = load(lenient=True)
    modes = Modes(registry)
    found = [_row(plugin, registry, modes) for plugin in registry.plugins] + _commands()
    for row in found:
        label = f"guard {row['name']}" if row["kind"] == "guard" else row["name"]
        row["faulty"] = None if seen is None or row["kind"] == "command" else label in seen.faulty
    return found


def _commands() -> list[dict[str, Any]]:
    """Rows for the commands of others that cannot be used."""
    points = sorted(entry_points(group="masc.commands"), key=lambda p: rank(p, ()))
    taken = dict.fromkeys(main.own, "MASC itself")
    found = []
    for point in points:
        problem = f"takes the name of a command of {taken[point.name]}; rename it" if point.name in taken else None
        taken.setdefault(point.name, point.dist.name if point.dist else point.module)
        if not is_ours(point) and (problem := problem or command_of(point)[1]) is not None:
            found.append(_unusable(point, problem))
    return found


def _unusable(point: EntryPoint, problem: str) -> dict[str, Any]:
    return {
        "name": point.name, "kind": "command", "distribution": point.dist.name if point.dist else "-",
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
